"""The work list (outbox): its kinds and leases, and what must happen although nobody asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class WorkKind(StrEnum):
    DISPATCH = "dispatch"
    """Hand one copy over."""
    RECONCILE = "reconcile"
    """Settle an unknown outcome (SND-43)."""
    RECEIVED = "received"
    """Verify and classify octets that came in."""
    REVIEW = "review"
    """Derive a message's state anew because a clock ran out (SND-51)."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A claimed row of the outbox. Every write that rests on it names its token (fencing)."""

    work_id: UUID
    kind: WorkKind
    subject_id: UUID
    """Copy, received item or message, by kind."""
    token: UUID
    tries: int
    """How often it has been tried before."""
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class SweepResult:
    reopened: int
    """Leases that ran out before any attempt: open again."""
    uncertain: int
    """Leases that ran out with an attempt begun: to reconciliation, never straight back (SND-43)."""
    tenants: tuple[UUID, ...]
    """Tenants with due work, to be woken."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """Copies that failed, or whose end is unknown, and that are tried or asked about again without anybody's help."""

    copies: int
    age_s: float
    """Since the one that is in the queue the longest came there; 0.0 if none."""


class Sweeping(Protocol):
    async def sweep(self, now: datetime) -> SweepResult: ...

    async def seal_journal(self) -> int:
        """Chains the journal entries that were committed since; returns how many."""
        ...

    async def queue_age_s(self, now: datetime) -> float:
        """Age of the oldest due work over all tenants; 0.0 if none."""
        ...

    async def retrying(self, now: datetime) -> Retrying:
        """What an outage has piled up over all tenants, due or not."""
        ...
