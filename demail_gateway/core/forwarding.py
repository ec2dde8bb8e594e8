"""Automatic forwarding (Weiterleitung), re-sending (Nachsendung): TR 01201-3.4 §3.2, §3.3; TR 01201-3.1 steps 50, 72.

Both send a message on under a new X-de-mail-actual-recipient, which the integrity does not cover; everything else
keeps its octets, and no new integrity is made. Forwarding leaves a copy behind and says so in a block of Resent
fields; re-sending belongs to an account that is being closed and adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from demail_gateway.core.address import Address
from demail_gateway.core.dates import format_date
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.header import NO_BODY_SEPARATOR, Header, HeaderField, Octets, fold
from demail_gateway.core.metadata import Metadata, TransportState, read_metadata
from demail_gateway.core.recipients import Mailbox, RecipientLists, format_recipients, parse_mailboxes
from demail_gateway.core.vocabulary import ConfirmationKind

MAX_HOPS = 100
"""Of ``Received`` fields (RFC 5321 §6.3). Re-sending leaves no other trace, so a circle of it ends here."""


class Circle(StrEnum):
    """Why sending on would go round in a circle (steps 50 FC-01, 72 FC-01)."""

    OWN_ADDRESS = "forwarding-to-own-address"
    """The target is the address that sends on (TR 01201-3.1 function 8 FC-03)."""
    RETURNS = "forwarding-returns"
    """The target sent this message on already, or has re-sent it to here."""
    TOO_MANY_HOPS = "forwarding-too-many-hops"


class Forwarded(StrEnum):
    """What forwarding sends to the other address (TR 01201-3.1 §3.1.3.2)."""

    COPY = "copy"
    NOTICE = "notice"
    """Only that a message has come."""


@dataclass(frozen=True, slots=True)
class Onward:
    """Where a message goes on to."""

    by: Address
    """Whose order it is: the recipient whose mailbox sends on."""
    to: Address
    """A De-Mail address; that it is one was checked when the order was placed (function 8 FC-01)."""


def forwarded(message: Octets, onward: Onward, *, at: datetime, message_id: str) -> bytes:
    """The copy that is forwarded: a Resent block on top, the new actual-recipient, all else octet by octet.

    `message_id` is the Resent-Message-ID with its angle brackets, unique. Whether anything may be forwarded is for
    `what_is_forwarded` and `circle` to say.

    Raises:
        ComposeFailed: `message_id` cannot be written.
    """
    block = (
        ("Resent-To", str(onward.to)),
        ("Resent-From", str(onward.by)),
        ("Resent-Date", format_date(at)),
        ("Resent-Message-ID", message_id),
    )
    try:
        resent = b"".join(fold(name, value) for name, value in block)
    except ValueError as error:
        raise ComposeFailed(str(error)) from error
    return resent + resent_on(message, onward.to)


def resent_on(message: Octets, to: Address) -> bytes:
    """The message as it is re-sent: the new actual-recipient, all else octet by octet (TR 01201-3.4 §3.3, MF-24)."""
    value = format_recipients(RecipientLists(to=(Mailbox("", to),)))
    rewritten = fold(ACTUAL_RECIPIENT, value)
    kept = message.header.fields
    at = next((place for place, item in enumerate(kept) if item.lower == ACTUAL_RECIPIENT), 0)
    above, below = kept[:at], (item for item in kept[at:] if item.lower != ACTUAL_RECIPIENT)
    return _with_fields(message, (*_raw(above), rewritten, *_raw(below)))


def with_envelope_to(message: Octets, mailbox: Address) -> bytes:
    """The message as the recipient's provider stores it: one Envelope-to, on top (TR 01201-3.4 §3.1.22).

    `mailbox` is the RCPT TO of its reception. The gateway itself stores that beside the unchanged octets (MF-25).
    """
    kept = (item for item in message.header.fields if item.lower != ENVELOPE_TO)
    return _with_fields(message, (fold("Envelope-to", str(mailbox)), *_raw(kept)))


def addressed_mailboxes(header: Header) -> tuple[Address, ...]:
    """Whom a message is for that came without an SMTP session of its own (MF-25): the topmost Envelope-to, else the
    actual recipients. To be believed on an authenticated provider connection only.
    """
    found, _ = parse_mailboxes(header.value(ENVELOPE_TO) or "")
    return tuple(mailbox.address for mailbox in found) or read_metadata(header).actual_recipients.addresses


def what_is_forwarded(metadata: Metadata, *, private_excluded: bool) -> Forwarded:
    """Whether the forwarding address gets a copy. `private_excluded`: the user excluded persönlich from forwarding.

    Re-sending sends everything on.
    """
    held_back = metadata.confirmation_of_retrieve or (metadata.private and private_excluded)
    return Forwarded.NOTICE if held_back else Forwarded.COPY


def circle(header: Header, onward: Onward) -> Circle | None:
    """Why the message must not be sent on; None if it may.

    What shows a circle: who forwarded it before (every Resent-From), to whom it was addressed at first, and the
    number of hops.
    """
    if onward.to == onward.by:
        return Circle.OWN_ADDRESS
    if {onward.to, onward.by} & set(_forwarders(header)):
        return Circle.RETURNS
    chosen = read_metadata(header).chosen_recipients.addresses
    if onward.to in chosen and onward.by not in chosen:
        return Circle.RETURNS
    return Circle.TOO_MANY_HOPS if len(header.all("received")) >= MAX_HOPS else None


ISSUED: dict[TransportState, frozenset[ConfirmationKind]] = {
    TransportState.ORIGINAL: frozenset(
        {ConfirmationKind.DISPATCH, ConfirmationKind.RECEIPT, ConfirmationKind.RETRIEVE}
    ),
    TransportState.WEITERLEITUNG: frozenset(),
    TransportState.NACHSENDUNG: frozenset({ConfirmationKind.RECEIPT, ConfirmationKind.RETRIEVE}),
}
"""Which of the wanted confirmations a provider issues for a message in this state (TR 01201-3.4 table 1, W/F;
TR 01201-3.1 steps 36 and 67): a forwarded copy has had all of its own, a re-sent message arrives only at last."""

ACTUAL_RECIPIENT = "x-de-mail-actual-recipient"
ENVELOPE_TO = "envelope-to"


def _forwarders(header: Header) -> Iterator[Address]:
    for item in header.all("resent-from"):
        mailboxes, _ = parse_mailboxes(item.value)
        yield from (mailbox.address for mailbox in mailboxes)


def _raw(fields: Iterable[HeaderField]) -> Iterator[bytes]:
    return (item.raw for item in fields)


def _with_fields(message: Octets, fields: Iterable[bytes]) -> bytes:
    separator = b"" if NO_BODY_SEPARATOR in message.findings else b"\r\n"
    return b"".join((*fields, separator, message.body))
