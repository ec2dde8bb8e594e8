"""What every process brings along: clock, randomness, reports, the wake-up call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID

Clock = Callable[[], datetime]
"""Aware UTC now."""

Randomness = Callable[[int], bytes]
"""So many random octets."""


class Observe(Protocol):
    """Reports what happened, for log and metrics: an event's name and facts (ids, codes, counts, durations).

    Never content, subjects, file names, clear addresses or secrets (GWT-51).
    """

    def __call__(self, event: str, /, **facts: object) -> None: ...


class Waker(Protocol):
    """Wakes the workers for a tenant. May be lost, doubled or late without harm: the sweeper finds due rows."""

    async def wake(self, tenant_id: UUID) -> None: ...
