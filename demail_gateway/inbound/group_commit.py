"""Stores in one transaction what several connections bring at once; each hears of its own only when it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from demail_gateway.application.ports.arrivals import Arrival, Arrivals
from demail_gateway.core.errors import StoreUnavailable

_MOST = 64
MOST_BYTES = 16 << 20
"""Of one group; a single message may be larger."""


class GroupCommit:
    """While one group is being written the next one gathers: no waiting when there is little to do."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._waiting: list[tuple[Sequence[Arrival], asyncio.Future[int]]] = []
        self._writer: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._writer is not None and not self._writer.done()

    async def __call__(self, arrivals: Sequence[Arrival]) -> int:
        """Durable on return; how many of these were new. Raises what storing raises."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrivals, done))
        if not self.busy:
            self._writer = asyncio.create_task(self._write())
        return await done

    async def settle(self) -> None:
        """Returns when nothing is being written."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        while self._waiting:
            group = self._next_group()
            try:
                await self._store(group)
            except StoreUnavailable as error:
                for _, done in group:
                    _tell(done, error)
            except Exception:  # one of them may be what cannot be stored: each by itself, the others must not suffer
                for one in group:
                    await self._store_alone(one)

    async def _store(self, group: Sequence[tuple[Sequence[Arrival], asyncio.Future[int]]]) -> None:
        new = await self._arrivals.store([arrival for arrivals, _ in group for arrival in arrivals])
        for arrivals, done in group:
            if not done.done():
                done.set_result(sum(arrival.id in new for arrival in arrivals))

    async def _store_alone(self, one: tuple[Sequence[Arrival], asyncio.Future[int]]) -> None:
        try:
            await self._store([one])
        except Exception as error:  # whoever waits for it hears of it
            _tell(one[1], error)

    def _next_group(self) -> list[tuple[Sequence[Arrival], asyncio.Future[int]]]:
        """At least one; others only as far as all together stay within the bounds."""
        group = [self._waiting.pop(0)]
        size = _size_bytes(group[0][0])
        while self._waiting and len(group) < _MOST:
            size += _size_bytes(self._waiting[0][0])
            if size > MOST_BYTES:
                break
            group.append(self._waiting.pop(0))
        return group


def _size_bytes(arrivals: Sequence[Arrival]) -> int:
    return sum(len(arrival.octets) for arrival in arrivals)


def _tell(done: asyncio.Future[int], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
