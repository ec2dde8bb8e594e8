"""Ends of hand-overs, written in small groups: one statement for many, and few lost when a worker dies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from demail_gateway.application.ports.dispatches import AttemptOutcome, Dispatches
from demail_gateway.application.ports.surroundings import Observe
from demail_gateway.core.errors import StoreUnavailable

GROUP = 25
GROUP_S = 0.05
_PAUSES_S = (0.2, 1.0, 3.0)
"""An end is worth waiting for: what is not recorded is uncertain, and somebody has to settle it."""


class Recorder:
    """Collects the ends of one tenant's hand-overs; `GROUP` of them or `GROUP_S` seconds make a group."""

    def __init__(self, dispatches: Dispatches, tenant_id: UUID, observe: Observe) -> None:
        self._dispatches = dispatches
        self._tenant_id = tenant_id
        self._observe = observe
        self._pending: list[AttemptOutcome] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: list[asyncio.Task[None]] = []

    @property
    def broken(self) -> bool:
        """A group could not be written: nothing more should be begun."""
        return any(task.done() and task.exception() is not None for task in self._writing)

    def add(self, outcome: AttemptOutcome) -> None:
        self._pending.append(outcome)
        if len(self._pending) >= GROUP:
            self._start()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GROUP_S, self._start)

    async def flush(self) -> None:
        """Returns when everything added is on record. Raises StoreUnavailable when the database stays away."""
        self._start()
        writing, self._writing = self._writing, []
        ends = await asyncio.gather(*writing, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._pending = self._pending, []
        if group:
            self._writing = [task for task in self._writing if not task.done() or task.exception() is not None]
            self._writing.append(asyncio.get_running_loop().create_task(self._write(group)))

    async def _write(self, group: Sequence[AttemptOutcome]) -> None:
        for pause_s in _PAUSES_S:
            try:
                return await self._dispatches.finish(self._tenant_id, group)
            except StoreUnavailable:
                self._observe("store_away", tenant=self._tenant_id, ends_waiting=len(group))
                await asyncio.sleep(pause_s)
        return await self._dispatches.finish(self._tenant_id, group)
