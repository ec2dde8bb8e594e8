"""What is between the rows of one claim and the lanes that hand them over: loaded, composed, bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from demail_gateway.application.ports.dispatches import ClaimedCopy
from demail_gateway.application.ports.work import Lease

_FEWEST, _FIRST, _MOST = 2, 8, 32
_LOADED_BYTES = 32 << 20
"""About what one load may bring into memory; the next load is larger or smaller by what the last one brought."""


@dataclass(frozen=True, slots=True)
class Work:
    """One claim of a tenant's rows."""

    tenant_id: UUID
    claimed_at: float
    """Loop time before the claim was asked for."""
    lease_s: float
    should_stop: Callable[[], bool]
    """The process ends: what is begun is finished, nothing else is begun."""

    @property
    def stopping(self) -> bool:
        return self.should_stop()

    def has_time(self) -> bool:
        """Whether enough of the lease is left to begin another hand-over: half of it."""
        return asyncio.get_running_loop().time() < self.claimed_at + self.lease_s / 2

    @staticmethod
    def after(now: datetime, wait_s: float) -> datetime:
        return now + timedelta(seconds=wait_s)


@dataclass(frozen=True, slots=True)
class Ready:
    """A composed copy; `attempt_id` once the attempt is on record."""

    claimed: ClaimedCopy
    octets: bytes
    attempt_id: UUID | None = None

    @property
    def attempt(self) -> UUID:
        assert self.attempt_id is not None, "only what was begun is handed over"
        return self.attempt_id


class Batch:
    """Leases on their way: `rest` not loaded, `loaded` not composed, and those composed, which the lanes take."""

    def __init__(self, leases: Sequence[Lease]) -> None:
        self.rest = list(leases)
        self.loaded: list[ClaimedCopy] = []
        self.broken = False
        self._size = _FIRST
        self._ready: deque[Ready] = deque()
        self._ended = False
        self._changed = asyncio.Condition()

    def next_leases(self) -> list[Lease]:
        """The next ones to load."""
        chosen, self.rest = self.rest[: self._size], self.rest[self._size :]
        return chosen

    def take_rest(self) -> list[Lease]:
        rest, self.rest = self.rest, []
        return rest

    def add_loaded(self, loaded: Sequence[ClaimedCopy]) -> None:
        self.loaded.extend(loaded)
        brought = sum(_size_bytes(claimed) for claimed in loaded)
        if brought > _LOADED_BYTES:
            self._size = _FEWEST
        elif brought * 4 < _LOADED_BYTES:
            self._size = min(self._size * 2, _MOST)

    def take_loaded(self) -> list[ClaimedCopy]:
        loaded, self.loaded = self.loaded, []
        return loaded

    async def put(self, ready: Sequence[Ready]) -> None:
        """Waits while as many are composed as may be; when all is broken nobody takes them any more."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._ready) < _MOST or self.broken)
            self._ready.extend(ready)
            self._changed.notify_all()

    async def end(self) -> None:
        """Nothing is put after this; the lanes end when they have taken all."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def fail(self) -> None:
        """The database is away: nothing more is begun."""
        async with self._changed:
            self.broken = True
            self._changed.notify_all()

    async def take(self, most: int) -> list[Ready]:
        """At least one and at most `most`, as many as are there; empty: the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._ready) or self._ended)
            taken = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
            self._changed.notify_all()
            return taken


def first_error(ends: Sequence[object]) -> BaseException | None:
    """The first error among what tasks came to; a cancellation goes before all others."""
    errors = [end for end in ends if isinstance(end, BaseException)]
    return min(errors, key=lambda end: not isinstance(end, asyncio.CancelledError), default=None)


def _size_bytes(claimed: ClaimedCopy) -> int:
    content = claimed.content
    parts = sum(len(octets) for _, _, octets in content.attachments)
    texts = sum(len(text) for text in (content.text, content.html) if text)
    return parts + texts + len(content.octets or b"")
