"""When revocation lists are fetched again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import uuid4

import pytest

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import FetchedAnswer, Installation
from demail_gateway.application.revocation import RefreshRevocation, RevocationSourceUnavailable
from demail_gateway.core.vocabulary import AuthLevel

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
URL = "http://provider.example/crl.der"


@dataclass
class Scene:
    """A connection with one list, a source, a clock and what was stored."""

    good_for: timedelta | None = timedelta(days=7)
    reachable: bool = True
    now: datetime = NOW
    fetched_at: list[datetime] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)

    def refresh(self, longest_s: float = 3600.0) -> RefreshRevocation:
        return RefreshRevocation(
            cast(Installation, self), self._fetch, self._read, lambda: self.now, self._observe, longest_s=longest_s
        )

    async def connections(self) -> tuple[Connection, ...]:
        return (Connection(uuid4(), "provider", AuthLevel.HIGH, {"crl_urls": [URL]}, True, NOW),)

    async def store_status_answer(self, *_: object) -> None: ...

    async def _fetch(self, url: str) -> bytes:
        self.fetched_at.append(self.now)
        if not self.reachable:
            raise RevocationSourceUnavailable(url)
        return b"list"

    def _read(self, octets: bytes) -> FetchedAnswer:
        return FetchedAnswer(octets, "00", self.now, None if self.good_for is None else self.now + self.good_for)

    def _observe(self, event: str, /, **_: object) -> None:
        self.reported.append(event)


async def run(scene: Scene, refresh: RefreshRevocation, lasting: timedelta, every: timedelta) -> None:
    """Looks again and again for a time, as the scheduler does."""
    end = scene.now + lasting
    while scene.now < end:
        await refresh()
        scene.now += every


@pytest.mark.clause("DIR-35")
@pytest.mark.parametrize("good_for", [timedelta(days=7), None])
async def test_a_list_that_is_good_for_weeks_is_fetched_again_within_the_hour(good_for: timedelta | None) -> None:
    scene = Scene(good_for)
    await run(scene, scene.refresh(3600.0), timedelta(hours=3), timedelta(minutes=10))
    assert scene.fetched_at == [NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=2)]


async def test_a_list_is_fetched_again_before_it_ends() -> None:
    scene = Scene(timedelta(minutes=10))
    await run(scene, scene.refresh(3600.0), timedelta(minutes=10), timedelta(minutes=1))
    assert scene.fetched_at == [NOW, NOW + timedelta(minutes=8)]


async def test_a_source_that_is_away_is_asked_again_soon_and_reported() -> None:
    scene = Scene(reachable=False)
    await run(scene, scene.refresh(), timedelta(seconds=40), timedelta(seconds=1))
    assert [at - NOW for at in scene.fetched_at] == [timedelta(seconds=n) for n in (0, 15, 30)]
    assert set(scene.reported) == {"crl_unavailable"}
