"""Handing copies over: claims, attempts recorded before the first octet, outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from demail_gateway.application.ports.submissions import NewRecipient
from demail_gateway.application.ports.work import Lease, WorkKind
from demail_gateway.core.options import SendOptions


@dataclass(frozen=True, slots=True)
class CopyContent:
    """All that composing one copy needs."""

    tenant_id: UUID
    message_id: UUID
    copy_id: UUID
    connection_id: UUID
    account_id: UUID
    sender: str
    account_holder: str
    reply_to: str | None
    subject: str
    text: str | None
    html: str | None
    options: SendOptions
    sign: bool
    encrypt: bool
    split: bool
    recipient_certificates: Mapping[str, Sequence[bytes]]
    created_at: datetime
    private_id: str
    internet_message_id: str
    recipients: tuple[NewRecipient, ...]
    """Of the whole message, with the copy each belongs to."""
    refused: frozenset[UUID]
    """Recipients of this copy that the provider has already refused alone."""
    attachments: tuple[tuple[str, str, bytes], ...]
    """Filename, content type, octets; in order."""
    octets: bytes | None
    """What an earlier attempt composed: sent again unchanged."""


@dataclass(frozen=True, slots=True)
class HandOversSoFar:
    """What is on record of a copy's hand-overs."""

    begun: int = 0
    last_begun_at: datetime | None = None
    absent_since: datetime | None = None
    """When the provider first said that it has not taken the last of them."""


@dataclass(frozen=True, slots=True)
class ClaimedCopy:
    lease: Lease
    content: CopyContent
    so_far: HandOversSoFar = HandOversSoFar()
    """Read for reconciliation alone."""


@dataclass(frozen=True, slots=True)
class AttemptBegin:
    """Recorded and committed before the first SMTP octet (decision 2)."""

    lease: Lease
    attempt_id: UUID
    copy_id: UUID
    octets: bytes
    at: datetime


class AttemptEnd(StrEnum):
    TAKEN = "taken"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    FAILED = "failed"
    """Could not be composed or signed; no attempt was begun."""


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    lease: Lease
    copy_id: UUID
    attempt_id: UUID | None
    end: AttemptEnd
    reply: str
    """The provider's answer, at most 500 characters."""
    refused_recipients: tuple[UUID, ...]
    """Refused alone while others of the copy were taken."""
    at: datetime
    next_at: datetime | None
    """When the next step is due (retry, look-up); None: nothing follows by itself, and what is not taken yet waits for
    a person (SND-52)."""
    absent: bool = False
    """The provider says that it has not taken the last hand-over; the first such moment is kept."""
    begun: int = 0
    """After a look-up: hand-overs begun so far, so that the back-off of the next goes on from there (SND-52)."""
    unsettled: bool = False
    """Nobody whom the gateway can ask knows the end: it waits for evidence or a person, and is asked again (SND-43)."""


class Dispatches(Protocol):
    async def claim(
        self, tenant_id: UUID, kinds: Sequence[WorkKind], now: datetime, limit: int, lease_s: float, worker: str
    ) -> list[Lease]:
        """Due rows of one tenant, FOR UPDATE SKIP LOCKED, oldest first."""
        ...

    async def load(self, tenant_id: UUID, leases: Sequence[Lease]) -> list[ClaimedCopy]: ...

    async def begin(self, tenant_id: UUID, attempts: Sequence[AttemptBegin]) -> frozenset[UUID]:
        """Stores the octets to be handed over and records the attempts; returns the copies whose lease still holds
        and whose message is not cancelled: only these may be sent."""
        ...

    async def finish(self, tenant_id: UUID, outcomes: Sequence[AttemptOutcome]) -> None:
        """Writes outcomes, derives the states anew (core.delivery), writes events, journal and the next work."""
        ...

    async def release(self, tenant_id: UUID, leases: Sequence[Lease], due_at: datetime) -> None:
        """Gives rows back that were claimed but not begun."""
        ...

    async def done(self, tenant_id: UUID, lease: Lease) -> None: ...

    async def review(self, tenant_id: UUID, lease: Lease, now: datetime) -> None:
        """Derives the message's state anew and plans the next review (clocks of §5.4)."""
        ...
