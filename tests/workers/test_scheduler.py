"""Periodic work: each step goes on whatever another does, and the process ends when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from demail_gateway.application.ports import Connection, SweepResult
from demail_gateway.application.revocation import (
    RefreshRevocation,
    RevocationList,
    RevocationSourceUnavailable,
)
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
    assert ("queue_age", {"seconds": 3.5}) in events.seen
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

    async def store_crl(self, *facts: object) -> None:
        self.stored.append(facts)


def refresher(
    installation: FakeInstallation, events: Events, next_update: datetime | None, longest_s: float = 3600.0
) -> RefreshRevocation:
    async def fetch(url: str) -> bytes:
        if "away" in url:
            raise RevocationSourceUnavailable
        return url.encode()

    def read(octets: bytes) -> RevocationList:
        if b"garbage" in octets:
            raise CertificateMalformed
        return RevocationList(octets, "issuer", NOW, next_update)

    return RefreshRevocation(installation, fetch, read, lambda: NOW, events, longest_s=longest_s)  # type: ignore[arg-type]


async def test_lists_of_active_connections_are_stored_each_once() -> None:
    installation = FakeInstallation(
        {"crl_urls": ["http://a", "http://b"]},
        {"crl_urls": ["http://a"]},
        {"crl_urls": ["http://c"], "active": False},
        {},
    )
    wait_s = await refresher(installation, Events(), None)()
    assert [facts[1] for facts in installation.stored] == ["http://a", "http://b"]
    assert installation.stored[0] == ("issuer", "http://a", b"http://a", NOW, None, NOW)
    assert wait_s == 3600.0


async def test_list_is_fetched_anew_before_it_ends() -> None:
    installation = FakeInstallation({"crl_urls": ["http://a"]})
    wait_s = await refresher(installation, Events(), NOW + timedelta(seconds=600))()
    assert 400 <= wait_s < 600


async def test_ended_list_is_asked_for_again_soon_but_not_at_once() -> None:
    installation = FakeInstallation({"crl_urls": ["http://a"]})
    assert 1 < await refresher(installation, Events(), NOW - timedelta(days=1))() <= 15


async def test_failing_source_is_reported_tried_again_soon_and_stops_no_other() -> None:
    installation = FakeInstallation({"crl_urls": ["http://away", "http://garbage", "http://good"]})
    events = Events()
    wait_s = await refresher(installation, events, None)()
    assert [facts[1] for facts in installation.stored] == ["http://good"]
    assert events.count("crl_unavailable") == 2
    assert wait_s <= 15
