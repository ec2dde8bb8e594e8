"""The values that `delivery.derive` takes and gives: facts, evidence, and where everything stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import HandOver, MessageState, Milestone, RecipientState, UndeliverableReason


class Effect(StrEnum):
    """What one verified piece of evidence says (`sending-and-receiving.md` §5.3)."""

    DISPATCHED = "dispatched"
    """Versandbestätigung."""
    DELIVERED = "delivered"
    """Eingangsbestätigung."""
    RETRIEVED = "retrieved"
    """Abholbestätigung."""
    INFECTED = "infected"
    """Malware notification or acknowledgement."""
    INTEGRITY_FAILED = "integrity-failed"
    """The recipient's provider found another hash (TR 01201-3.1 step 69)."""
    UNDELIVERABLE = "undeliverable"
    """Notification with a known reason."""
    REJECTED = "rejected"
    """The sender's provider refused the draft after it had taken it."""
    UNCLEAR = "unclear"
    """A notification that no pattern fits: a person must read it."""


@dataclass(frozen=True, slots=True)
class EvidenceFact:
    """One verified piece of evidence, reduced to what it means."""

    effect: Effect
    copy_id: UUID
    recipient_id: UUID | None
    """None: it concerns every recipient of the copy (Versandbestätigung), or does not say which."""
    at: datetime
    """The provider's time of the event: XML `Time`, or `DeliveryTime` for a receipt (CO-10)."""
    received_at: datetime
    """When the gateway received it."""
    delivered_at: datetime | None = None
    """`DeliveryTime` of an Abholbestätigung."""
    reason: UndeliverableReason | None = None
    """With UNDELIVERABLE; None counts as `other`."""


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """What the gateway itself knows of one copy."""

    id: UUID
    hand_over: HandOver
    at: datetime | None = None
    """Taken, refused, failed: since when; uncertain: when the attempt began; else None."""


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    id: UUID
    copy_id: UUID
    refused_at: datetime | None = None
    """When the provider refused this recipient alone, the copy's others going on."""


@dataclass(frozen=True, slots=True)
class MessageFacts:
    options: SendOptions
    copies: tuple[CopyFacts, ...]
    recipients: tuple[RecipientFacts, ...]
    held: bool = False
    """Waits for a person: release, quarantine, lock, back-off used up (SND-52)."""
    queued: bool = True
    """False only between acceptance and queueing."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Waiting times (SND-51 and §5.2), margins included."""

    dispatch_proof_within: timedelta = timedelta(hours=1)
    receipt_proof_within: timedelta = timedelta(hours=8)
    """8 h are allowed from sending to the recipient's mailbox (TR 01201-3.1 §4.2, SND-50)."""
    unconfirmed_after: timedelta = timedelta(hours=24)
    """8 h plus margin for late notifications."""


@dataclass(frozen=True, slots=True)
class RecipientDelivery:
    id: UUID
    state: RecipientState
    reason: UndeliverableReason | None
    milestone: Milestone
    """How far the delivery has provably come, also where the state is `conflict`."""
    dispatched_at: datetime | None
    delivered_at: datetime | None
    retrieved_at: datetime | None


@dataclass(frozen=True, slots=True)
class CopyDelivery:
    id: UUID
    hand_over: HandOver
    """With evidence taken into account: a copy that is TAKEN here needs no look-up any more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    state: MessageState
    dispatched: bool
    """Every copy that was taken has left the provider, as far as evidence goes."""
    submitted_at: datetime | None
    completed_at: datetime | None
    """When the gateway learnt the last thing that was missing."""
    overdue_since: datetime | None
    next_review_at: datetime | None
    """When this changes by the clock alone; None: only new facts change it."""
    recipients: tuple[RecipientDelivery, ...]
    copies: tuple[CopyDelivery, ...]


@dataclass(frozen=True, slots=True)
class EventFact:
    """Something a client is told: `type` is ``message.<state>``, ``message.overdue`` or ``recipient.<state>``."""

    type: str
    recipient_id: UUID | None
    state: str
