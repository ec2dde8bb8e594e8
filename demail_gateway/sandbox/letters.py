"""De-Mails that citizens write: composed like any draft, and changed after sealing where a test wants that."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from demail_gateway.core.address import Address, is_system_local_part, parse_address
from demail_gateway.core.errors import AddressInvalid, ComposeFailed
from demail_gateway.core.header import fold, read_message
from demail_gateway.core.message import PartSource, SubmissionFields, assemble, build_entity
from demail_gateway.core.options import SendOptions
from demail_gateway.core.recipients import Mailbox, RecipientLists
from demail_gateway.sandbox.admission import TRUSTED
from demail_gateway.sandbox.configuration import DOMAIN


class LetterRefused(Exception):
    """The citizen's own provider does not take it; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Tamper(StrEnum):
    """How a message is wrong when it arrives."""

    BODY = "body"
    """The body was changed after sealing."""
    HEADER = "header"
    """A covered field (Subject) was changed after sealing."""
    SIGNATURE = "signature"
    """Signed, with a signature that does not hold."""
    UNSIGNED = "unsigned"
    """absenderbestätigt, and yet only a hash (TR 01201-3.1 step 48 FC-04)."""
    EXPIRED_CERTIFICATE = "expired-certificate"
    """Signed with a certificate whose time is over (step 48 FC-02)."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a citizen wants to send; texts as they were given, not checked yet."""

    sender: str = field(repr=False)
    to: tuple[str, ...] = field(repr=False)
    subject: str = field(repr=False)
    text: str | None = field(repr=False)
    cc: tuple[str, ...] = field(default=(), repr=False)
    bcc: tuple[str, ...] = field(default=(), repr=False)
    reply_to: str | None = field(default=None, repr=False)
    options: SendOptions = field(default_factory=SendOptions)
    attachments: tuple[PartSource, ...] = ()
    tamper: Tamper | None = None
    scan: bool = True
    """False: the citizen's provider does not look for malware."""


@dataclass(frozen=True, slots=True)
class ComposedLetter:
    draft: bytes = field(repr=False)
    sender: Address
    recipients: tuple[Address, ...]
    """Of the envelope."""


def compose(letter: Letter, at: datetime) -> ComposedLetter:
    """The citizen's draft. Raises LetterRefused with the code of what is wrong."""
    sender = _address(letter.sender)
    if sender.domain != DOMAIN or is_system_local_part(sender.local):
        raise LetterRefused("sender-not-authorised")
    options = letter.options
    if letter.tamper is Tamper.UNSIGNED:
        options = replace(options, authoritative=True)
    if options.confirmation_of_retrieve and not options.private:
        raise LetterRefused("private-required")
    lists = RecipientLists(*(_mailboxes(kind) for kind in (letter.to, letter.cc, letter.bcc)))
    entity = _built(lambda: build_entity(letter.text, None, letter.attachments, secrets.token_hex(12)))
    fields = SubmissionFields(
        sender=sender,
        to=lists.to,
        cc=lists.cc,
        chosen=lists,
        subject=letter.subject,
        date=at,
        message_id=f"<{secrets.token_hex(12)}@{DOMAIN}>",
        private_id=f"sandbox:{secrets.token_hex(12)}",
        options=options,
        reply_to=None if letter.reply_to is None else _address(letter.reply_to),
        account_holder=holder_of(sender),
    )
    # SMTP ends every content with a line end; with it here, all see the same octets.
    draft = _built(lambda: assemble(fields, entity)) + b"\r\n"
    return ComposedLetter(draft, sender, tuple(dict.fromkeys(lists.addresses)))


def tampered(sealed: bytes, how: Tamper | None) -> bytes:
    """The sealed message as it travels on. UNSIGNED and EXPIRED_CERTIFICATE are a matter of sealing, not of this."""
    match how:
        case Tamper.BODY:
            return _with_other_body(sealed)
        case Tamper.HEADER:
            return _with_other_subject(sealed)
        case _:
            return sealed


def holder_of(address: Address) -> str:
    """Name of the citizen that an address of the sandbox belongs to, e.g. ``Erika Mustermann``."""
    words = address.local.partition("+")[0].replace("_", " ").replace(".", " ").split()
    return " ".join(word.capitalize() for word in words) or str(address)


def _with_other_body(sealed: bytes) -> bytes:
    """One letter or digit of the body is another one; the body stays well-formed."""
    offset = read_message(sealed).body_offset
    for position in range((offset + len(sealed)) // 2, len(sealed)):
        octet = sealed[position : position + 1]
        if octet.isalnum():
            other = b"B" if octet != b"B" else b"C"
            return sealed[:position] + other + sealed[position + 1 :]
    return sealed + b"Nachtrag\r\n"


def _with_other_subject(sealed: bytes) -> bytes:
    message = read_message(sealed)
    subject = message.header.first("subject")
    assert subject is not None, "every draft has a subject"
    return sealed.replace(subject.raw, fold(subject.name, f"{subject.value} (2)"), 1)


def _address(text: str) -> Address:
    try:
        address = parse_address(text)
    except AddressInvalid as error:
        raise LetterRefused("recipient-invalid") from error
    if not TRUSTED.is_demail(address):
        raise LetterRefused("recipient-not-demail")
    return address


def _mailboxes(texts: Sequence[str]) -> tuple[Mailbox, ...]:
    return tuple(Mailbox("", address) for address in dict.fromkeys(map(_address, texts)))


def _built(make: Callable[[], bytes]) -> bytes:
    try:
        return make()
    except (ComposeFailed, ValueError) as error:
        raise LetterRefused("invalid-message") from error
