"""The guideline's own words as values (TR 01201 parts 2.1, 3.1, 3.4) and states of `sending-and-receiving.md` §5."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class AuthLevel(StrEnum):
    """Authentisierungsniveau (TR 01201-3.4 §3.1.9)."""

    NORMAL = "normal"
    HIGH = "high"


class MessageType(StrEnum):
    """Nachrichten-Typ, the values of X-de-mail-message-type (TR 01201-3.4 §3.1.12)."""

    NORMAL = "normal"
    CONFIRMATION_OF_DISPATCH = "confirmation of dispatch"
    CONFIRMATION_OF_RECEIPT = "confirmation of receipt"
    CONFIRMATION_OF_RETRIEVE = "confirmation of retrieve"
    MALWARE_ACKNOWLEDGE = "malware-acknowledge"
    NOTIFICATION = "notification"
    MALWARE_NOTIFICATION = "malware-notification"
    IDENTIFICATION = "identification"


class MessageClass(StrEnum):
    """Class of a message (TR 01201-3.4 table 1)."""

    N = "N"
    B = "B"
    M = "M"
    I = "I"  # noqa: E741  the guideline's letter


CLASS_OF: dict[MessageType, MessageClass] = {
    MessageType.NORMAL: MessageClass.N,
    MessageType.CONFIRMATION_OF_DISPATCH: MessageClass.B,
    MessageType.CONFIRMATION_OF_RECEIPT: MessageClass.B,
    MessageType.CONFIRMATION_OF_RETRIEVE: MessageClass.B,
    MessageType.MALWARE_ACKNOWLEDGE: MessageClass.B,
    MessageType.NOTIFICATION: MessageClass.M,
    MessageType.MALWARE_NOTIFICATION: MessageClass.M,
    MessageType.IDENTIFICATION: MessageClass.I,
}


class ConfirmationKind(StrEnum):
    """Versand-, Eingangs-, Abholbestätigung and Schadsoftware-Bestätigung (class B)."""

    DISPATCH = "confirmation of dispatch"
    RECEIPT = "confirmation of receipt"
    RETRIEVE = "confirmation of retrieve"
    MALWARE = "malware-acknowledge"


class NotificationType(StrEnum):
    """Meldungsnachrichtentyp (TR 01201-3.4 §3.1.20)."""

    UNKNOWN_RECIPIENT = "unknown-recipient"
    CLOSED_ACCOUNT = "closed-account"
    INVALID_FORMAT = "invalid-format"
    OTHER = "other"


class RecipientKind(StrEnum):
    TO = "to"
    CC = "cc"
    BCC = "bcc"


class Direction(StrEnum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"


class MessageState(StrEnum):
    """States of a message (`sending-and-receiving.md` §5.1; the last two are inbound, `contract.md` §3.1)."""

    ACCEPTED = "accepted"
    HELD = "held"
    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    DISPATCHED = "dispatched"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"


class RecipientState(StrEnum):
    """States of one recipient of one copy (`sending-and-receiving.md` §5.2)."""

    PENDING = "pending"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"
    RETRIEVED = "retrieved"
    UNDELIVERABLE = "undeliverable"
    INFECTED = "infected"
    INTEGRITY_FAILED = "integrity-failed"
    UNCONFIRMED = "unconfirmed"
    CONFLICT = "conflict"


class UndeliverableReason(StrEnum):
    UNKNOWN_RECIPIENT = "unknown-recipient"
    CLOSED_ACCOUNT = "closed-account"
    INVALID_FORMAT = "invalid-format"
    NEEDS_HIGH_LOGIN = "needs-high-login"
    OTHER = "other"


class HandOver(StrEnum):
    """What is known about handing one copy to the provider."""

    WAITING = "waiting"
    """Nothing transferred, or an attempt that certainly transferred nothing."""
    UNCERTAIN = "uncertain"
    """An attempt began and its end is not known (SND-43)."""
    TAKEN = "taken"
    """The provider took the draft."""
    REFUSED = "refused"
    """The provider refused the draft for good."""
    FAILED = "failed"
    """Could not be composed or signed."""
    CANCELLED = "cancelled"


class AccountState(StrEnum):
    """State of a De-Mail account (`addresses-and-accounts.md` §6). Unknown means no sending (ADR-50)."""

    APPLIED_FOR = "applied-for"
    RESERVED = "reserved"
    ACTIVE = "active"
    ACCESS_LOCK = "access-lock"
    RESTRICTED = "restricted"
    LOCKED = "locked"
    ENDED = "ended"
    DISSOLVED = "dissolved"
    UNKNOWN = "unknown"


class Protection(StrEnum):
    """What the integrity field protects with (IN-1)."""

    NONE = "none"
    HASH = "hash"
    SIGNATURE = "signature"


class Milestone(IntEnum):
    """How far a delivery has provably come."""

    NOTHING = 0
    DISPATCHED = 1
    DELIVERED = 2
    RETRIEVED = 3


SYSTEM_LOCAL_PARTS: dict[str, str] = {
    "confirmation of dispatch": "Versandbestaetigung",
    "confirmation of receipt": "Eingangsbestaetigung",
    "confirmation of retrieve": "Abholbestaetigung",
    "malware": "Schadsoftware-Warnung",
    "notification": "Meldung",
    "identification": "Ident-Bestaetigung",
    "identification notification": "Ident-Meldung",
}
"""System addresses (System-Adressen), `addresses-and-accounts.md` §4; compared without case (ADR-30)."""
