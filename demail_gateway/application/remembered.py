"""Values that are read often and change seldom, kept for some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Asks `fetch` for a key at most once in `keep_s` seconds, and once for all who ask at the same time.

    Errors are not kept. A change elsewhere is seen after `keep_s` at the latest.
    """

    def __init__(self, fetch: Callable[[K], Awaitable[V]], keep_s: float) -> None:
        self._fetch = fetch
        self._keep_s = keep_s
        self._known: dict[K, tuple[float, V]] = {}
        self._generation = 0
        self._locks: dict[K, asyncio.Lock] = {}

    async def __call__(self, key: K) -> V:
        async with self._locks.setdefault(key, asyncio.Lock()):
            now = asyncio.get_running_loop().time()
            if key in self._known and now < self._known[key][0]:
                return self._known[key][1]
            generation = self._generation
            value = await self._fetch(key)
            if generation == self._generation:
                self._known[key] = (now + self._keep_s, value)
            return value

    def forget(self, key: K) -> None:
        """Who asks for the key from now on gets a value that was fetched from now on."""
        # also for a fetch that began before and ends later: its value may be older than what made us forget
        self._generation += 1
        self._known.pop(key, None)
