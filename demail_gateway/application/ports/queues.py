"""The operator's view of the work list, and what a person decides about single copies (SND-43, SND-52).

No content and no addresses: ids, counts and times alone (GWT-37).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from demail_gateway.application.ports.page import Page
from demail_gateway.core.decision import Decision
from demail_gateway.core.vocabulary import HandOver, MessageState
from demail_gateway.tenancy.scope import OperatorScope


class WaitsFor(StrEnum):
    """Why a copy waits for a person."""

    UNSETTLED = "unsettled"
    """Handed over, and nobody can say how that ended: no look-up, no evidence (SND-43)."""
    HELD = "held"
    """Certainly not transferred, and the back-off is used up (SND-52)."""


@dataclass(frozen=True, slots=True)
class QueueTotals:
    """One tenant's work list at a moment."""

    tenant_id: UUID
    slug: str
    due: int
    """Rows whose time has come and that nobody works on."""
    leased: int
    """Rows that a worker has taken."""
    held: int
    unsettled: int
    """Copies that wait for a person, by the reason."""
    oldest_due_at: datetime | None
    """Since when the oldest of the due ones could have been done."""
    waiting_since: datetime | None
    """Since when the first of the copies has waited for a person."""
    retrying: int
    """Copies that failed, or whose end no look-up told, and that are tried or asked about again by themselves."""
    retrying_since: datetime | None
    """Since when the oldest of these has been in the queue."""
    reply_code: str | None
    """First three digits of the provider's last reply to that one; None also where nothing answered."""


@dataclass(frozen=True, slots=True)
class WaitingCopy:
    """A copy that a person has to decide about."""

    id: UUID
    message_id: UUID
    tenant_id: UUID
    tenant_slug: str
    connection_id: UUID
    reason: WaitsFor
    since: datetime
    private_id: str
    """The reference on the wire (MF-11): what the provider is asked by."""
    attempts: int
    """Hand-overs begun so far; a decision names this number."""
    last_attempt_at: datetime | None
    reply_code: str | None
    """First three digits of the provider's last reply, where it was one: its text may name people."""
    next_look_up_at: datetime | None
    """When the gateway itself asks again; None for held ones."""


@dataclass(frozen=True, slots=True)
class WaitingFilter:
    tenant_id: UUID | None = None
    connection_id: UUID | None = None
    message_id: UUID | None = None
    reason: WaitsFor | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """Where a copy and its message stand after a decision."""

    copy_id: UUID
    message_id: UUID
    tenant_id: UUID
    hand_over: HandOver
    state: MessageState


class Queues(Protocol):
    async def totals(self, scope: OperatorScope, now: datetime, limit: int, cursor: str | None) -> Page[QueueTotals]:
        """Every tenant, the oldest first. Raises CursorInvalid."""
        ...

    async def waiting(
        self, scope: OperatorScope, where: WaitingFilter, limit: int, cursor: str | None
    ) -> Page[WaitingCopy]:
        """Those that have waited longest first. Raises CursorInvalid."""
        ...

    async def waiting_copy(self, scope: OperatorScope, copy_id: UUID) -> WaitingCopy:
        """Raises NotFound: no such copy, or it waits for nobody."""
        ...

    async def decide(
        self,
        scope: OperatorScope,
        copy_id: UUID,
        decision: Decision,
        attempts: int | None,
        reason: str,
        now: datetime,
    ) -> Decided:
        """Carries out what `core.decision` permits, in one transaction with state, events, next work and journal.

        A worker that holds the copy's work wins, or has lost it completely: there is no second hand-over either way.
        Nothing is written when it is so already.

        Raises NotFound, Conflict (as `core.decision.decide`).
        """
        ...
