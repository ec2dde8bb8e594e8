"""Receiving: octets as they came, and what they turn out to be, proof or inbox entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from demail_gateway.application.ports.submissions import NewRecipient
from demail_gateway.application.ports.work import Lease
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.delivery import EvidenceFact
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import AuthLevel, NotificationType


@dataclass(frozen=True, slots=True)
class Mailbox:
    tenant_id: UUID
    account_id: UUID
    address: str
    connection_id: UUID
    """Of the account: the provider that holds it, and the only one that may deliver to it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Octets as they came, for one mailbox."""

    id: UUID
    mailbox: Mailbox
    connection_id: UUID
    octets: bytes
    envelope_sender: str
    peer_fingerprint: str
    """SHA-256 of the certificate the provider showed."""
    received_at: datetime
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class StoredArrival:
    id: UUID
    mailbox_address: str
    connection_id: UUID
    octets: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class SentCopyRecord:
    """A copy as handed over, with what is known of it, for the proof (steps 10 to 15 of `confirmations.md` §8)."""

    message_id: UUID
    copy_id: UUID
    sender: str
    reply_to: str | None
    subject: str
    options: SendOptions
    private_id: str
    internet_message_id: str
    demail_message_id: str | None
    integrity_value: str | None
    submitted_at: datetime | None
    octets: bytes | None
    recipients: tuple[NewRecipient, ...]
    """Of this copy."""
    provider_domains: frozenset[str] = frozenset()
    """Domains of the system addresses of the provider that it was given to; empty: not known (CO-2)."""


@dataclass(frozen=True, slots=True)
class NewEvidence:
    id: UUID
    received_id: UUID
    message_id: UUID | None
    copy_id: UUID | None
    recipient_id: UUID | None
    kind: str
    """``confirmation of dispatch`` …, ``malware-acknowledge``, ``notification unknown-recipient`` …"""
    notification_type: NotificationType | None
    issuer: str
    issued_at: datetime | None
    delivery_time: datetime | None
    demail_message_id: str | None
    integrity_value: str | None
    recipient_address: str | None
    outcome: Outcome
    verdict: str
    checks: tuple[Check, ...]
    findings: tuple[str, ...]
    fact: EvidenceFact | None
    """What it means for the state (core.delivery); None: moves nothing."""
    validation: Mapping[str, Sequence[bytes]]
    """What the verdict rests on (GWT-90): ``certificates``, and ``status_answers`` (lists and OCSP responses)."""
    at: datetime
    recheck_at: datetime | None = None
    """When an indeterminate verdict is made anew; the octets stay on the work list until then."""


@dataclass(frozen=True, slots=True)
class NewInbound:
    """An inbound De-Mail that is no proof of ours: an inbox entry."""

    id: UUID
    received_id: UUID
    mailbox_address: str
    message_type: str
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    options: SendOptions
    demail_message_id: str | None
    private_id: str | None
    sent_at: datetime | None
    size_bytes: int
    attachments: tuple[tuple[int, str, str, int], ...]
    """Number from 1, filename, content type, decoded size."""
    verification: Mapping[str, Any]
    """``outcome``, ``protection``, ``checks`` as the REST answer shows them."""
    quarantine: str | None
    auth_level: AuthLevel | None
    at: datetime


class Arrivals(Protocol):
    async def mailbox(self, address: str) -> Mailbox | None:
        """Whose mailbox an envelope recipient is, before any tenant is known."""
        ...

    async def store(self, arrivals: Sequence[Arrival]) -> frozenset[UUID]:
        """Durable on return. Identical octets for one mailbox are stored once; returns the ids of those new."""
        ...

    async def load(self, tenant_id: UUID, lease: Lease) -> StoredArrival | None: ...

    async def find_sent(
        self,
        tenant_id: UUID,
        *,
        private_id: str | None,
        demail_message_id: str | None,
        integrity_value: str | None,
        internet_message_id: str | None,
    ) -> Mapping[str, SentCopyRecord]:
        """Copies found per key (names of the arguments), for CO-16."""
        ...

    async def record_evidence(self, tenant_id: UUID, lease: Lease, evidence: NewEvidence) -> None:
        """Evidence, states derived anew under the message's row lock, events and journal in one transaction."""
        ...

    async def record_inbound(self, tenant_id: UUID, lease: Lease, inbound: NewInbound) -> None: ...

    async def postpone(self, tenant_id: UUID, lease: Lease, due_at: datetime) -> None:
        """Checked again later, e.g. when no certificate status could be had."""
        ...
