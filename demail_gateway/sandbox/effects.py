"""What steps work on and what they bring about, as values; `tables.py` makes them durable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Folder(StrEnum):
    INBOX = "inbox"
    COPIES = "copies"
    """Confirmations that name the owner in ``cc``: the recipient's own copy of the proof about his message."""


class Step(StrEnum):
    """What is due at a moment of the provider's clock, in the words of TR 01201-3.1 chapter 6."""

    DISPATCH = "dispatch"
    """Steps 32 to 40: Versandbestätigung, transport to the recipients' side."""
    ARRIVE = "arrive"
    """Steps 41 to 70 for one recipient of the sandbox."""
    STORED = "stored"
    """Steps 66 to 70 for one recipient at the gateway, which took the message."""
    REFUSED = "refused"
    """Step 45 for one recipient at the gateway, which knows no such address."""
    LOG_IN = "log-in"
    """Function 1: the recipient logs in at *high*."""
    CONFIRM = "confirm"
    """One more confirmation, for recipients that double them."""


@dataclass(frozen=True, slots=True)
class Account:
    address: str
    holder: str
    fingerprint: str | None = None
    """Only this client certificate may send from the address; None: every one that the authority issued."""
    retrieval_entitlement: bool = True
    natural_person: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    id: int
    due: float
    step: Step
    message_id: int
    recipient: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One recipient at the gateway that a message must still reach."""

    id: int
    message_id: int
    recipient: str


@dataclass(frozen=True, slots=True)
class StoredMessage:
    id: int
    demail_message_id: str
    message_type: str
    sender: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewAction:
    """A later step; `message_id` None: about the new message it is written with."""

    due: datetime
    step: Step
    recipient: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    message_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    demail_message_id: str
    message_type: str
    sender: str
    sealed: bytes = field(repr=False)
    local: tuple[tuple[str, Folder], ...] = ()
    """Mailboxes of the sandbox that it is put into now."""
    remote: tuple[str, ...] = ()
    """Addresses at the gateway that it is sent to now."""
    actions: tuple[NewAction, ...] = ()


@dataclass(frozen=True, slots=True)
class Effects:
    """Everything one step brings about; written in one transaction."""

    messages: tuple[NewMessage, ...] = ()
    deliveries: tuple[tuple[int, str], ...] = ()
    """Messages that exist already and now lie in a mailbox: id and address."""
    remote: tuple[tuple[int, str], ...] = ()
    """Messages that exist already and now go to the gateway: id and address."""
    actions: tuple[NewAction, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the effects left to do."""

    actions: tuple[Action, ...]
    outgoing: tuple[Outgoing, ...]


@dataclass(frozen=True, slots=True)
class NewSubmission:
    accepted_at: datetime
    private_id: str | None
    fingerprint: str
    auth_level: str
    sender: str
    recipients: int
    raw: bytes = field(repr=False)
