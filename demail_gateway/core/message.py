"""Messages as the gateway submits them (TR 01201-3.1 §5.1, profile of MF-27)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from demail_gateway.core.address import Address
from demail_gateway.core.dates import format_date
from demail_gateway.core.encoded_words import encode_words
from demail_gateway.core.entity import (
    PartSource,
    Piece,
    attachment_entity,
    build_entity,
    enveloped,
    enveloped_pieces,
    multipart_signed,
    signed_pieces,
)
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.header import fold
from demail_gateway.core.metadata import OPTION_FIELDS
from demail_gateway.core.options import SendOptions
from demail_gateway.core.recipients import Mailbox, RecipientLists, format_mailboxes, format_recipients

__all__ = [
    "PartSource",
    "Piece",
    "SubmissionFields",
    "assemble",
    "attachment_entity",
    "build_entity",
    "enveloped",
    "enveloped_pieces",
    "multipart_signed",
    "signed_pieces",
]

MAX_PRIVATE_ID_CHARS = 1024
"""TR 01201-3.4 §3.1.17, counted as transmitted (MF-10)."""


@dataclass(frozen=True, slots=True)
class SubmissionFields:
    """What the gateway says of one copy; everything else is set by the provider (MF-27)."""

    sender: Address = field(repr=False)
    to: tuple[Mailbox, ...] = field(repr=False)
    """Shown in the field To: a hint for display, not covered by the integrity (IN-15)."""
    cc: tuple[Mailbox, ...] = field(repr=False)
    chosen: RecipientLists = field(repr=False)
    """Recipients of this copy: to and cc, or in a BCC copy also its one bcc recipient (MF-19)."""
    subject: str = field(repr=False)
    date: datetime
    """Aware; written in legal time. The provider replaces it (TR 01201-3.1 step 29)."""
    message_id: str
    """Message-ID with its angle brackets."""
    private_id: str
    """Unique per copy (MF-11)."""
    options: SendOptions
    reply_to: Address | None = field(default=None, repr=False)
    account_holder: str = field(default="", repr=False)
    """Name shown in From; empty: the address alone."""


def assemble(fields: SubmissionFields, *entity: Piece) -> bytes:
    """The message with exactly the fields of column one of MF-27, in front of a MIME entity in one or more pieces.

    There is never a Bcc field. No value can begin a line of its own: every field goes through `fold`.

    Raises:
        ComposeFailed: a value cannot be written: control characters, too long without a blank, no recipient.
    """
    if not _MESSAGE_ID.fullmatch(fields.message_id):
        raise ComposeFailed("no message id")
    if not entity or bytes(entity[0][:8]).lower() != b"content-":
        raise ComposeFailed("no MIME entity")
    try:
        lines = [fold(name, value) for name, value in _values(fields)]
    except ValueError as error:
        raise ComposeFailed(str(error)) from error
    return b"".join((*lines, b"MIME-Version: 1.0\r\n", *entity))


_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")


def _values(fields: SubmissionFields) -> list[tuple[str, str]]:
    values = [("From", str(Mailbox(fields.account_holder, fields.sender)))]
    if fields.to:
        values.append(("To", format_mailboxes(fields.to)))
    if fields.cc:
        values.append(("Cc", format_mailboxes(fields.cc)))
    if fields.reply_to is not None:
        values.append(("Reply-To", str(fields.reply_to)))
    return [
        *values,
        ("Date", format_date(fields.date)),
        ("Message-ID", fields.message_id),
        ("Subject", encode_words(fields.subject)),
        *((name, "yes" if getattr(fields.options, option) else "no") for option, name in OPTION_FIELDS.items()),
        ("x-de-mail-sender", str(fields.sender)),
        ("x-de-mail-chosen-recipient", format_recipients(fields.chosen)),
        ("x-de-mail-private-id", _private_id(fields.private_id)),
    ]


def _private_id(value: str) -> str:
    written = encode_words(value)
    if not written or len(written) > MAX_PRIVATE_ID_CHARS:
        raise ValueError("private id empty or too long")
    return written
