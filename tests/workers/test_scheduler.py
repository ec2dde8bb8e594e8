"""Periodic work: each step goes on whatever another does, and the process ends when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import FetchedAnswer
from demail_gateway.application.ports.work import Retrying, SweepResult
from demail_gateway.application.revocation import RefreshRevocation, RevocationSourceUnavailable
from demail_gateway.application.worker_services import SchedulerServices
from demail_gateway.core.errors import CertificateMalformed, StoreUnavailable
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.workers.scheduler import Scheduler
from tests.providers.conftest import Events

NOW = datetime(2026, 3, 2, tzinfo=UTC)
A, B = UUID(int=1), UUID(int=2)


@dataclass
class FakeSweeping:
    sweeps: int = 0
    seals: int = 0
    fail: int = 0
    error: type[Exception] = StoreUnavailable

    async def sweep(self, now: datetime) -> SweepResult:
        self.sweeps += 1
        if self.sweeps <= self.fail:
            raise self.error
        return SweepResult(1, 2, (A, B))

    async def seal_journal(self) -> int:
        self.seals += 1
        return 0

    async def queue_age_s(self, now: datetime) -> float:
        return 3.5

    async def retrying(self, now: datetime) -> Retrying:
        return Retrying(7, 61.0)


@dataclass
class FakeWaker:
    woken: list[UUID] = field(default_factory=list)

    async def wake(self, tenant_id: UUID) -> None:
        self.woken.append(tenant_id)


async def nothing() -> None: ...


async def often() -> float:
    return 0.01


async def run_until(services: SchedulerServices, condition: Callable[[], bool]) -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(Scheduler(services, sweep_s=0.01).run(stop))
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)
    stop.set()
    async with asyncio.timeout(1):
        await task


def services(sweeping: FakeSweeping, waker: FakeWaker, events: Events, refresh: Any = often) -> SchedulerServices:
    return SchedulerServices(sweeping, waker, refresh, lambda: NOW, events, nothing)


async def test_tenants_with_due_rows_are_woken_and_the_journal_sealed() -> None:
    sweeping, waker, events = FakeSweeping(), FakeWaker(), Events()
    await run_until(services(sweeping, waker, events), lambda: sweeping.sweeps > 2 and sweeping.seals > 2)
    assert waker.woken[:2] == [A, B]
    assert ("queue_age", {"seconds": 3.5, "retrying": 7, "retrying_seconds": 61.0}) in events.seen
    assert ("leases_ran_out", {"reopened": 1, "uncertain": 2}) in events.seen


async def test_database_away_is_waited_out() -> None:
    sweeping, waker, events = FakeSweeping(fail=2), FakeWaker(), Events()
    await run_until(services(sweeping, waker, events), lambda: len(waker.woken) >= 2)
    assert ("work_failed", {"stage": "sweep", "code": "store-unavailable"}) in events.seen
    assert sweeping.seals >= 2, "other steps went on meanwhile"


async def test_unforeseen_fault_of_one_step_leaves_the_others_running() -> None:
    sweeping, waker, events = FakeSweeping(fail=10**9, error=ZeroDivisionError), FakeWaker(), Events()
    await run_until(services(sweeping, waker, events), lambda: sweeping.seals > 5)
    assert ("work_failed", {"stage": "sweep", "code": "ZeroDivisionError"}) in events.seen


# --- revocation lists -----------------------------------------------------------------------------


class FakeInstallation:
    def __init__(self, *profiles: dict[str, Any]) -> None:
        self.profiles = profiles
        self.stored: list[tuple[object, ...]] = []

    async def connections(self) -> tuple[Connection, ...]:
        return tuple(
            Connection(UUID(int=n), f"c{n}", AuthLevel.HIGH, p, p.get("active", True), NOW)
            for n, p in enumerate(self.profiles)
        )

    async def store_status_answer(self, *facts: object) -> None:
        self.stored.append(facts)


class Refreshing:
    """Refreshes as the scheduler does, on a clock of its own; `fetched` says at which second which list was fetched."""

    def __init__(self, installation: FakeInstallation, next_update_s: float | None, longest_s: float = 3600.0) -> None:
        self.events = Events()
        self.now = NOW
        self.fetched: list[tuple[int, str]] = []
        self._next_update_s = next_update_s
        self._refresh = RefreshRevocation(
            installation,  # type: ignore[arg-type]
            self._fetch,
            self._read,
            lambda: self.now,
            self.events,
            longest_s=longest_s,
        )

    async def run(self, seconds: float) -> None:
        end = self.now + timedelta(seconds=seconds)
        while self.now <= end:
            wait_s = await self._refresh()
            assert 0 <= wait_s <= 1, "a new connection is noticed within a second"
            self.now += timedelta(seconds=max(wait_s, 0.5))

    async def _fetch(self, url: str) -> bytes:
        self.fetched.append((int((self.now - NOW).total_seconds()), url))
        if "away" in url:
            raise RevocationSourceUnavailable
        return url.encode()

    def _read(self, octets: bytes) -> FetchedAnswer:
        if b"garbage" in octets:
            raise CertificateMalformed
        after = self._next_update_s
        return FetchedAnswer(octets, "issuer", NOW, None if after is None else self.now + timedelta(seconds=after))


async def test_lists_of_active_connections_are_stored_each_once() -> None:
    installation = FakeInstallation(
        {"crl_urls": ["http://a", "http://b"]},
        {"crl_urls": ["http://a"]},
        {"crl_urls": ["http://c"], "active": False},
        {},
    )
    await Refreshing(installation, None).run(10)
    assert [facts[0] for facts in installation.stored] == ["http://a", "http://b"]
    assert installation.stored[0] == ("http://a", FetchedAnswer(b"http://a", "issuer", NOW, None), NOW)


async def test_list_of_a_new_connection_is_fetched_at_once() -> None:
    installation = FakeInstallation({"crl_urls": ["http://a"]})
    refreshing = Refreshing(installation, None)
    await refreshing.run(10)
    installation.profiles = (*installation.profiles, {"crl_urls": ["http://b"]})
    await refreshing.run(2)
    assert [url for _, url in refreshing.fetched] == ["http://a", "http://b"]


async def test_list_is_fetched_anew_before_it_ends() -> None:
    refreshing = Refreshing(FakeInstallation({"crl_urls": ["http://a"]}), 600)
    await refreshing.run(599)
    first, second = (at for at, _ in refreshing.fetched)
    assert first == 0
    assert 400 <= second < 600


@pytest.mark.clause("DIR-35")
async def test_list_that_is_good_for_weeks_is_fetched_as_often_as_told() -> None:
    refreshing = Refreshing(FakeInstallation({"crl_urls": ["http://a"]}), 30 * 86400, longest_s=300)
    await refreshing.run(650)
    assert len(refreshing.fetched) == 3


async def test_ended_list_is_asked_for_again_soon_but_not_at_once() -> None:
    refreshing = Refreshing(FakeInstallation({"crl_urls": ["http://a"]}), -86400)
    await refreshing.run(60)
    assert 4 <= len(refreshing.fetched) <= 6


async def test_failing_source_is_reported_tried_again_soon_and_stops_no_other() -> None:
    installation = FakeInstallation({"crl_urls": ["http://away", "http://garbage", "http://good"]})
    refreshing = Refreshing(installation, None)
    await refreshing.run(20)
    assert [facts[0] for facts in installation.stored] == ["http://good"]
    assert refreshing.events.count("crl_unavailable") == 4
