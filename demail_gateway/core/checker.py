"""The message checker: every finding of MF-31 that needs no cryptography.

Findings never make the gateway drop a message of a provider (MF-28); they are shown with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from demail_gateway.core.address import is_domain, is_system_local_part, parse_address
from demail_gateway.core.dates import parse_date
from demail_gateway.core.encoded_words import decode_words
from demail_gateway.core.errors import AddressInvalid, MalformedMessage
from demail_gateway.core.findings import Finding, Severity, finding
from demail_gateway.core.header import Header, ReadMessage, read_message
from demail_gateway.core.integrity import signature_required
from demail_gateway.core.integrity_field import CERTIFICATE, INTEGRITY, read_field, tag_list
from demail_gateway.core.limits import GUIDELINE
from demail_gateway.core.matrix import KNOWN_VERSIONS, LATEST, matrix_findings, submission_findings
from demail_gateway.core.metadata import OPTION_FIELDS, Metadata, collapsed, read_metadata
from demail_gateway.core.mime import leaves, read_parts
from demail_gateway.core.octet_checks import field_findings, octet_findings
from demail_gateway.core.recipients import Mailbox, parse_mailboxes, parse_recipients
from demail_gateway.core.vocabulary import (
    SYSTEM_LOCAL_PARTS,
    AuthLevel,
    MessageClass,
    MessageType,
    NotificationType,
)

__all__ = ["Finding", "Severity", "check_header_section", "check_message", "check_submission"]


def check_message(message: ReadMessage | bytes) -> tuple[Finding, ...]:
    """All findings about a received message, sorted, each once; empty if it is as it should be.

    Octets whose header section cannot be read give ``message-unparsable`` alone. A message too large for the memory
    is given as `LargeMessage`.
    """
    try:
        read = read_message(message) if isinstance(message, bytes) else message
    except MalformedMessage:
        return (finding("message-unparsable"),)
    metadata = read_metadata(read.header)
    found = {*check_header_section(read, metadata), *_structure(read, metadata.message_class)}
    return tuple(sorted(found))


def check_header_section(message: ReadMessage, metadata: Metadata) -> tuple[Finding, ...]:
    """As `check_message`, without the structure of the body; `metadata` are those of this message."""
    facts = _Facts(message.header, metadata)
    found = set(octet_findings(message))
    found.update(matrix_findings(message.header, facts.message_class, facts.version))
    for check in (*_DRAFT_CHECKS, *_MESSAGE_CHECKS):
        found.update(check(facts))
    return tuple(sorted(found))


def check_submission(header: Header) -> tuple[Finding, ...]:
    """All findings about a draft's header section as submitted to a provider (MF-27), sorted, each once."""
    facts = _Facts(header, read_metadata(header), submission=True)
    found = set(submission_findings(header))
    found.update(field_findings(header))
    for check in _DRAFT_CHECKS:
        found.update(check(facts))
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class _Facts:
    header: Header
    metadata: Metadata
    submission: bool = False

    @property
    def message_class(self) -> MessageClass:
        return self.metadata.message_class

    @property
    def version(self) -> str:
        version = self.metadata.version
        return version if version in KNOWN_VERSIONS else LATEST


def _message_type(facts: _Facts) -> Iterator[Finding]:
    value = facts.header.value("x-de-mail-message-type")
    if facts.metadata.message_type is None:
        yield finding("message-type", "x-de-mail-message-type")
    elif value is not None and collapsed(value) != facts.metadata.message_type:
        yield finding("value-case", "x-de-mail-message-type")


def _auth_level(facts: _Facts) -> Iterator[Finding]:
    value, level = facts.header.value("x-de-mail-auth-level"), facts.metadata.auth_level
    if value is not None and level is None:
        yield finding("auth-level-value", "x-de-mail-auth-level")
    elif value is not None and collapsed(value) != level:
        yield finding("value-case", "x-de-mail-auth-level")
    needs_high = facts.metadata.private or facts.metadata.authoritative or facts.metadata.confirmation_of_retrieve
    if facts.message_class is MessageClass.N and needs_high and level is not AuthLevel.HIGH:
        yield finding("auth-level-insufficient", "x-de-mail-auth-level")


def _options(facts: _Facts) -> Iterator[Finding]:
    for name in OPTION_FIELDS.values():
        if facts.header.value(name) not in (None, "yes", "no"):
            yield finding("option-value", name)
    if facts.message_class is not MessageClass.N:
        return
    if facts.metadata.confirmation_of_retrieve and not facts.metadata.private:
        yield finding("retrieve-requires-private", OPTION_FIELDS["private"])
    sender = facts.metadata.sender
    if facts.metadata.authoritative and sender is not None and sender.is_pseudonym_form:
        yield finding("pseudonym-authoritative", OPTION_FIELDS["authoritative"], submission=facts.submission)


def _sender(facts: _Facts) -> Iterator[Finding]:
    value = facts.header.value("x-de-mail-sender")
    if value is None:
        return
    try:
        address = parse_address(value)
    except AddressInvalid as error:
        yield finding("sender-syntax" if error.reason == "address-syntax" else error.reason, "x-de-mail-sender")
        return
    if value != value.lower() and not is_system_local_part(address.local):
        yield finding("address-case", "x-de-mail-sender")


def _from(facts: _Facts) -> Iterator[Finding]:
    value = facts.header.value("from")
    if value is None:
        return
    mailboxes, codes = parse_mailboxes(value)
    yield from _address_findings(codes, "from")
    if len(mailboxes) > 1:
        yield finding("from-multiple", "from")
    elif _is_malformed(mailboxes, codes):
        yield finding("from-syntax", "from")
    if len(mailboxes) == 1 and facts.metadata.sender is not None and mailboxes[0].address != facts.metadata.sender:
        yield finding("from-sender-mismatch", "from", submission=facts.submission)


def _recipients(facts: _Facts) -> Iterator[Finding]:
    for name in ("x-de-mail-chosen-recipient", "x-de-mail-actual-recipient"):
        value = facts.header.value(name)
        if value is None:
            continue
        recipients, codes = parse_recipients(value)
        yield from (finding(code, name) for code in codes)
        # a provider's profile may take several in a draft and split it itself (MF-19)
        if len(recipients.bcc) > 1 and not facts.submission:
            yield finding("recipient-multiple-bcc", name)


def _one_address(name: str, code: str) -> Callable[[_Facts], Iterator[Finding]]:
    def check(facts: _Facts) -> Iterator[Finding]:
        value = facts.header.value(name)
        if value is not None:
            mailboxes, codes = parse_mailboxes(value)
            yield from _address_findings(codes, name)
            if len(mailboxes) > 1 or _is_malformed(mailboxes, codes):
                yield finding(code, name)

    return check


def _address_findings(codes: Sequence[str], header: str) -> Iterator[Finding]:
    """``address-case``, ``address-too-long`` and so on: the rules of every address (`message-format.md` §7)."""
    return (finding(code, header) for code in codes if code.startswith("address-"))


def _is_malformed(mailboxes: Sequence[Mailbox], codes: Sequence[str]) -> bool:
    """Whether more is wrong than the address alone."""
    return any(not code.startswith("address-") for code in codes) or not (mailboxes or codes)


def _syntax(facts: _Facts) -> Iterator[Finding]:
    for name, code, is_fine in _SYNTAX:
        value = facts.header.value(name)
        if value is not None and not is_fine(value):
            yield finding(code, name)
    limit = GUIDELINE.reference_chars
    private_id = facts.header.value("x-de-mail-private-id") or ""
    if limit is not None and len(private_id) > limit and facts.version not in ("1.0", "1.1"):
        yield finding("private-id-too-long", "x-de-mail-private-id")


def _version(facts: _Facts) -> Iterator[Finding]:
    version = facts.metadata.version
    if version is None or version in KNOWN_VERSIONS:
        return
    known_form = re.fullmatch(r"\d+\.\d+", version, re.ASCII)
    yield finding("version-unknown" if known_form else "version-syntax", "x-de-mail-version")


def _kinds(facts: _Facts) -> Iterator[Finding]:
    """What the single types demand (`confirmations.md` §1)."""
    kind, metadata = facts.metadata.message_type, facts.metadata
    fitting = _SYSTEM_SENDERS.get(kind) if kind is not None else None
    if fitting is not None and metadata.sender is not None and metadata.sender.local not in fitting:
        yield finding("system-sender", "x-de-mail-sender")
    if kind is MessageType.CONFIRMATION_OF_RETRIEVE and not metadata.private:
        yield finding("retrieve-private", "x-de-mail-private")
    if kind is MessageType.IDENTIFICATION and not metadata.private:
        yield finding("ident-private", "x-de-mail-private")
    if kind is MessageType.IDENTIFICATION and metadata.subject != "Ident-Bestätigung":
        yield finding("ident-subject", "subject")
    value = facts.header.value("x-de-mail-notification-type")
    if facts.message_class is MessageClass.M and value is not None and value not in set(NotificationType):
        yield finding("notification-type-value", "x-de-mail-notification-type")


def _integrity(facts: _Facts) -> Iterator[Finding]:
    source = facts.header.first(INTEGRITY)
    if source is None:
        return
    try:
        if tag_list(source.value).get("c") != "simple/simple":
            yield finding("integrity-tag-c", INTEGRITY)
        integrity = read_field(source)
    except MalformedMessage:
        yield finding("integrity-malformed", INTEGRITY)
        return
    if integrity.hash_name is None:
        yield finding("integrity-algorithm", INTEGRITY)
    yield from (finding(code, INTEGRITY) for note, code in _TAGS.items() if note in integrity.findings)
    signed, certificate = "/" in integrity.a, facts.header.first(CERTIFICATE)
    if signed and certificate is None:
        yield finding("certificate-missing", CERTIFICATE)
    if not signed and certificate is not None:
        yield finding("certificate-unexpected", CERTIFICATE)
    if not signed and signature_required(facts.header):
        yield finding("signature-required", INTEGRITY)


def _structure(message: ReadMessage, message_class: MessageClass) -> Iterator[Finding]:
    """Classes B, M, I: XML and PDF inside multipart/mixed (TR 01201-3.4 §3.4.1)."""
    if message_class is MessageClass.N:
        return
    parts = read_parts(message.header, message.body)
    if parts[0].content_type != "multipart/mixed":
        yield finding("structure-not-multipart-mixed", "body")
    found = leaves(parts)
    xml = ("application/xml", "text/xml")
    if not any(part.content_type in xml or (part.filename or "").lower().endswith(".xml") for part in found):
        yield finding("structure-xml-missing", "body")
    if not any(part.begins_with(b"%PDF-") for part in found):
        yield finding("structure-pdf-missing", "body")


_MESSAGE_ID = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")
_SYNTAX: tuple[tuple[str, str, Callable[[str], object]], ...] = (
    ("date", "date-syntax", parse_date),
    ("x-de-mail-originator-provider", "originator-provider-syntax", is_domain),
    ("message-id", "message-id-syntax", _MESSAGE_ID.fullmatch),
    ("x-de-mail-message-id", "empty-value", len),
    ("x-de-mail-account-holder", "empty-value", lambda value: decode_words(value).strip()),
    ("x-de-mail-auth-mechanism", "empty-value", len),
)
_TAGS = {"tag-ignored:l": "integrity-tag-l", "tag-q": "integrity-tag-q"}


def _system(*names: str) -> frozenset[str]:
    return frozenset(SYSTEM_LOCAL_PARTS[name].lower() for name in names)


_SYSTEM_SENDERS = {
    MessageType.CONFIRMATION_OF_DISPATCH: _system("confirmation of dispatch"),
    MessageType.CONFIRMATION_OF_RECEIPT: _system("confirmation of receipt"),
    MessageType.CONFIRMATION_OF_RETRIEVE: _system("confirmation of retrieve"),
    MessageType.MALWARE_ACKNOWLEDGE: _system("malware"),
    MessageType.MALWARE_NOTIFICATION: _system("malware", "notification"),  # CO-1
    MessageType.NOTIFICATION: _system("notification", "identification notification"),
    MessageType.IDENTIFICATION: _system("identification"),
}

_DRAFT_CHECKS: tuple[Callable[[_Facts], Iterator[Finding]], ...] = (
    _options,
    _sender,
    _from,
    _recipients,
    _one_address("reply-to", "reply-to-syntax"),
    _syntax,
)
_MESSAGE_CHECKS: tuple[Callable[[_Facts], Iterator[Finding]], ...] = (
    _message_type,
    _auth_level,
    _version,
    _kinds,
    _integrity,
    _one_address("envelope-to", "envelope-to-syntax"),
)
