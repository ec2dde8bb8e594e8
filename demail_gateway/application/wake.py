"""Wakes the workers after a commit, without letting the request wait for it and without waking twice at once."""

from __future__ import annotations

import asyncio
from uuid import UUID

from demail_gateway.application.ports.surroundings import Waker


class WakeUps:
    """Wake-ups in the background: one at a time per tenant, and one more for whatever was committed meanwhile."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self._due: set[UUID] = set()
        self._running: dict[UUID, asyncio.Task[None]] = {}

    def soon(self, tenant_id: UUID) -> None:
        """Call after the commit: the wake-up that follows finds its rows."""
        self._due.add(tenant_id)
        if tenant_id not in self._running:
            self._running[tenant_id] = asyncio.create_task(self._wake(tenant_id))

    async def settle(self) -> None:
        """Returns when no wake-up is under way; at shutdown."""
        while self._running:
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _wake(self, tenant_id: UUID) -> None:
        try:
            while tenant_id in self._due:
                self._due.discard(tenant_id)
                await self._waker.wake(tenant_id)
        finally:
            del self._running[tenant_id]  # in the same step as the last look: whoever comes now starts anew
