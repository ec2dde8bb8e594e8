"""Messages that a provider itself writes: header section of classes B and M (`message-format.md` §2, columns B and M).

For the sandbox provider alone: a gateway never issues a confirmation (SND-1). The result has no integrity field yet;
`integrity.seal` puts it in front.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from demail_gateway.core.address import Address
from demail_gateway.core.dates import format_date
from demail_gateway.core.encoded_words import encode_words
from demail_gateway.core.header import fold
from demail_gateway.core.recipients import Mailbox, RecipientLists, format_mailboxes, format_recipients
from demail_gateway.core.vocabulary import MessageType, NotificationType

VERSION = "1.8"
"""Value of X-de-mail-version (MF-6)."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """The provider that writes."""

    domain: str
    """De-Mail domain of its system addresses."""
    name: str
    """As shown to people, and as unique name in notifications."""
    host: str
    """FQDN for X-de-mail-originator-provider (TR 01201-3.4 §3.1.11)."""
    link: str = ""
    """Shown in the closing line of confirmations."""
    version: str = VERSION


@dataclass(frozen=True, slots=True)
class Stamp:
    """What must be unique about a message, and its moment."""

    message_id: str
    """X-de-mail-message-id."""
    internet_message_id: str
    """With its angle brackets."""
    boundary: str
    """Letters and digits."""
    at: datetime


@dataclass(frozen=True, slots=True)
class ProviderMessage:
    """What the header section of such a message says."""

    sender: str
    """System address as printed, with its capitals."""
    to: tuple[Address, ...]
    message_type: MessageType
    subject: str = field(repr=False)
    cc: tuple[Address, ...] = ()
    private: bool | None = None
    """None: the field is left out."""
    private_id: str | None = None
    """Of the original, as transmitted."""
    notification_type: NotificationType | None = None


def write_provider_message(message: ProviderMessage, entity: bytes, issuer: Issuer, stamp: Stamp) -> bytes:
    """The complete message, unsealed; `entity` is its content with its own header fields."""
    return b"".join((*_fields(message, issuer, stamp), entity))


def _fields(message: ProviderMessage, issuer: Issuer, stamp: Stamp) -> Iterator[bytes]:
    to, cc = _mailboxes(message.to), _mailboxes(message.cc)
    recipients = format_recipients(RecipientLists(to=to, cc=cc))
    yield fold("From", message.sender)
    yield fold("To", format_mailboxes(to))
    if cc:
        yield fold("Cc", format_mailboxes(cc))
    yield fold("Date", format_date(stamp.at))
    yield fold("Message-ID", stamp.internet_message_id)
    yield fold("Subject", encode_words(message.subject))
    if message.private is not None:
        yield fold("x-de-mail-private", "yes" if message.private else "no")
    yield fold("x-de-mail-sender", message.sender)
    yield fold("x-de-mail-chosen-recipient", recipients)
    yield fold("x-de-mail-actual-recipient", recipients)
    yield fold("x-de-mail-originator-provider", issuer.host)
    yield fold("x-de-mail-message-type", message.message_type)
    if message.notification_type is not None:
        yield fold("x-de-mail-notification-type", message.notification_type)
    yield fold("x-de-mail-version", issuer.version)
    if message.private_id is not None:
        yield fold("x-de-mail-private-id", message.private_id)
    yield fold("x-de-mail-message-id", stamp.message_id)
    yield b"MIME-Version: 1.0\r\n"


def _mailboxes(addresses: tuple[Address, ...]) -> tuple[Mailbox, ...]:
    return tuple(Mailbox("", address) for address in addresses)
