"""Metadata (Metadaten) of a De-Mail as typed values, read tolerantly (TR 01201-3.4 §3.1, table 1).

Reading never fails: what cannot be understood is None or the safe value, and `checker.py` reports it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from demail_gateway.core.address import Address, parse_address
from demail_gateway.core.dates import parse_date
from demail_gateway.core.encoded_words import decode_words
from demail_gateway.core.errors import AddressInvalid
from demail_gateway.core.header import Header
from demail_gateway.core.recipients import (
    Mailbox,
    RecipientLists,
    format_recipients,
    parse_mailboxes,
    parse_recipients,
)
from demail_gateway.core.vocabulary import (
    CLASS_OF,
    AuthLevel,
    MessageClass,
    MessageType,
    NotificationType,
)

__all__ = [
    "OPTION_FIELDS",
    "RESENT_FIELDS",
    "Mailbox",
    "Metadata",
    "RecipientLists",
    "TransportState",
    "format_recipients",
    "message_type_of",
    "parse_recipients",
    "read_metadata",
]

OPTION_FIELDS: dict[str, str] = {
    "confirmation_of_dispatch": "x-de-mail-confirmation-of-dispatch",
    "confirmation_of_receipt": "x-de-mail-confirmation-of-receipt",
    "confirmation_of_retrieve": "x-de-mail-confirmation-of-retrieve",
    "authoritative": "x-de-mail-authoritative",
    "private": "x-de-mail-private",
}
"""The five options (Versandoptionen) and their fields (TR 01201-3.4 §3.1.2 to §3.1.6)."""

RESENT_FIELDS = ("resent-to", "resent-from", "resent-date", "resent-message-id")


class TransportState(StrEnum):
    """How a message came (MF-23)."""

    ORIGINAL = "original"
    WEITERLEITUNG = "weiterleitung"
    """Automatic forwarding: any Resent field is present (TR 01201-3.4 §3.2)."""
    NACHSENDUNG = "nachsendung"
    """Redirection order: chosen and actual recipients differ (TR 01201-3.4 §3.3)."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Table 1 as values, of the topmost instance of each field. Addresses are in lower case (MF-22)."""

    sender: Address | None
    from_mailbox: Mailbox | None
    reply_to: Address | None
    subject: str | None = field(repr=False)
    """Decoded for display."""
    private_id: str | None = field(repr=False)
    """As transmitted, unfolded, not decoded: it is compared and copied, not shown (TR 01201-3.4 §3.1.17)."""
    account_holder: str | None = field(repr=False)
    """Decoded for display."""
    chosen_recipients: RecipientLists
    actual_recipients: RecipientLists
    confirmation_of_dispatch: bool
    confirmation_of_receipt: bool
    confirmation_of_retrieve: bool
    authoritative: bool
    private: bool
    auth_level: AuthLevel | None
    auth_mechanism: str | None
    date: datetime | None
    """UTC."""
    message_id: str | None
    """X-de-mail-message-id, made by the provider (Nr. 14)."""
    internet_message_id: str | None
    """Message-ID of RFC 5322, with its angle brackets (Nr. 26)."""
    originator_provider: str | None
    message_type: MessageType | None
    """None if missing or unknown; then it is processed as class N (MF-1)."""
    notification_type: NotificationType | None
    """In class M never None: missing or unknown counts as `other` (MF-12). Always None in other classes."""
    integrity: str | None = field(repr=False)
    """Unfolded value of X-de-mail-integrity (Nr. 17)."""
    version: str | None
    transport: TransportState

    @property
    def message_class(self) -> MessageClass:
        return MessageClass.N if self.message_type is None else CLASS_OF[self.message_type]


def read_metadata(header: Header) -> Metadata:
    """The metadata of a message. Options that are neither ``yes`` nor ``no`` count as MF-8 says."""
    message_type = message_type_of(header)
    chosen, actual = chosen_recipients(header), _recipients(header, "actual")
    return Metadata(
        sender=_address(header.value("x-de-mail-sender")),
        from_mailbox=_mailbox(header.value("from")),
        reply_to=_reply_to(header),
        subject=_decoded(header, "subject"),
        private_id=header.value("x-de-mail-private-id"),
        account_holder=_decoded(header, "x-de-mail-account-holder"),
        chosen_recipients=chosen,
        actual_recipients=actual,
        **{option: _is_chosen(header, option) for option in OPTION_FIELDS},
        auth_level=_auth_level(header.value("x-de-mail-auth-level")),
        auth_mechanism=_decoded(header, "x-de-mail-auth-mechanism"),
        date=parse_date(header.value("date") or ""),
        message_id=header.value("x-de-mail-message-id"),
        internet_message_id=header.value("message-id"),
        originator_provider=header.value("x-de-mail-originator-provider"),
        message_type=message_type,
        notification_type=_notification_type(header, message_type),
        integrity=header.value("x-de-mail-integrity"),
        version=header.value("x-de-mail-version"),
        transport=_transport(header, chosen, actual),
    )


def chosen_recipients(header: Header) -> RecipientLists:
    """The chosen recipients alone; empty if there are none, or none that can be read."""
    return _recipients(header, "chosen")


def message_type_of(header: Header) -> MessageType | None:
    """The type, compared after collapsing blanks and without case (MF-8); None if missing or unknown."""
    value = header.value("x-de-mail-message-type")
    try:
        return MessageType(collapsed(value or "").lower())
    except ValueError:
        return None


def collapsed(value: str) -> str:
    """A value of a few words with one blank between them (MF-8). Of a value of many words the rest stays as it is."""
    return " ".join(value.split(maxsplit=_FEW_WORDS))


_FEW_WORDS = 8
"""More than any known value has; nobody's megabytes of blanks are cut into pieces."""


def _decoded(header: Header, name: str) -> str | None:
    value = header.value(name)
    return None if value is None else decode_words(value)


def _recipients(header: Header, which: str) -> RecipientLists:
    value = header.value(f"x-de-mail-{which}-recipient")
    return RecipientLists() if value is None else parse_recipients(value)[0]


def _address(value: str | None) -> Address | None:
    try:
        return None if value is None else parse_address(value)
    except AddressInvalid:
        return None


def _mailbox(value: str | None) -> Mailbox | None:
    mailboxes, _ = parse_mailboxes(value or "")
    return mailboxes[0] if len(mailboxes) == 1 else None


def _reply_to(header: Header) -> Address | None:
    mailbox = _mailbox(header.value("reply-to"))
    return None if mailbox is None else mailbox.address


def _is_chosen(header: Header, option: str) -> bool:
    value = header.value(OPTION_FIELDS[option])
    if option == "private":
        # fail closed: a private message must not become readable through a misspelt value (MF-8)
        return value not in (None, "no")
    return value == "yes"


def _auth_level(value: str | None) -> AuthLevel | None:
    try:
        return AuthLevel(collapsed(value or "").lower())
    except ValueError:
        return None


def _notification_type(header: Header, message_type: MessageType | None) -> NotificationType | None:
    if message_type is None or CLASS_OF[message_type] is not MessageClass.M:
        return None
    try:
        return NotificationType(header.value("x-de-mail-notification-type") or "")
    except ValueError:
        return NotificationType.OTHER


def _transport(header: Header, chosen: RecipientLists, actual: RecipientLists) -> TransportState:
    if any(header.first(name) for name in RESENT_FIELDS):
        return TransportState.WEITERLEITUNG
    # of lists that cannot be read nothing can be said
    if chosen.is_empty or actual.is_empty or chosen.same_as(actual):
        return TransportState.ORIGINAL
    return TransportState.NACHSENDUNG
