"""What a tenant can look at: messages, history, proofs, octets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from demail_gateway.application.ports.page import Page
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import Direction, MessageState, RecipientKind, RecipientState
from demail_gateway.tenancy.scope import TenantScope


@dataclass(frozen=True, slots=True)
class RecipientView:
    id: UUID
    address: str
    kind: RecipientKind
    state: RecipientState
    reason: str | None
    dispatched_at: datetime | None
    delivered_at: datetime | None
    retrieved_at: datetime | None


@dataclass(frozen=True, slots=True)
class MessageView:
    id: UUID
    direction: Direction
    state: MessageState
    reference: str | None
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    subject: str
    size_bytes: int
    options: SendOptions
    profile: str | None
    signed: bool
    encrypted: bool
    recipients: tuple[RecipientView, ...]
    attachments: tuple[tuple[int, str, str, int], ...]
    created_at: datetime
    submitted_at: datetime | None
    completed_at: datetime | None
    overdue_since: datetime | None
    next_attempt_at: datetime | None
    """When a hand-over that failed for a while is tried again; None before the first and during one."""
    # inbound alone
    mailbox: str | None = None
    message_type: str | None = None
    private: bool = False
    quarantine: str | None = None
    verification: Mapping[str, Any] | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventView:
    id: UUID
    type: str
    at: datetime
    message_id: UUID | None
    recipient_id: UUID | None
    reference: str | None
    state: str | None


@dataclass(frozen=True, slots=True)
class EvidenceView:
    id: UUID
    message_id: UUID
    kind: str
    recipient: str | None
    issuer: str
    issued_at: datetime | None
    delivery_time: datetime | None
    outcome: Outcome
    verdict: str
    checks: tuple[Check, ...]
    findings: tuple[str, ...]
    demail_message_id: str | None
    received_at: datetime
    checked_at: datetime | None = None
    """Of the check whose outcome this is; later than `received_at` where a status was awaited (IN-26)."""


@dataclass(frozen=True, slots=True)
class MessageFilter:
    direction: Direction | None = None
    states: tuple[MessageState, ...] = ()
    reference: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    mailbox: str | None = None


@dataclass(frozen=True, slots=True)
class EvidenceMaterial:
    """Everything an evidence package holds (GWT-90, SND-101)."""

    message: MessageView
    handed_over: tuple[tuple[UUID, bytes], ...]
    """Per copy: the octets handed to the provider."""
    evidence: tuple[tuple[EvidenceView, bytes], ...]
    certificates: tuple[bytes, ...]
    status_answers: tuple[bytes, ...]
    """Revocation lists and OCSP responses (DER) that the verdicts rest on."""
    events: tuple[EventView, ...]
    journal: tuple[Mapping[str, Any], ...]


class Reading(Protocol):
    async def message(self, scope: TenantScope, message_id: UUID) -> MessageView:
        """Raises NotFound."""
        ...

    async def messages(
        self, scope: TenantScope, where: MessageFilter, limit: int, cursor: str | None
    ) -> Page[MessageView]:
        """Newest first. Raises CursorInvalid for a cursor that this list did not give out (as do all lists)."""
        ...

    async def events_of(self, scope: TenantScope, message_id: UUID) -> tuple[EventView, ...]: ...

    async def evidence_of(self, scope: TenantScope, message_id: UUID) -> tuple[EvidenceView, ...]: ...

    async def evidence_octets(self, scope: TenantScope, message_id: UUID, evidence_id: UUID) -> bytes: ...

    async def raw(self, scope: TenantScope, message_id: UUID, recipient_id: UUID | None) -> bytes:
        """As handed over or as received; without a recipient the copy of the first `to` recipient.

        Raises NotFound, also while that copy is not composed yet, and for a recipient of an inbound message.
        """
        ...

    async def attachment(self, scope: TenantScope, message_id: UUID, number: int) -> tuple[str, str, bytes]:
        """Filename, content type, octets of an outbound attachment; inbound ones are read from the raw octets."""
        ...

    async def evidence_material(self, scope: TenantScope, message_id: UUID) -> EvidenceMaterial:
        """All of one moment. Raises NotFound: no outbound message of the tenant."""
        ...
