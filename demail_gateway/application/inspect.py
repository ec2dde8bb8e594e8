"""Checking files offline: messages, confirmations, notifications, evidence packages, journal exports (`verify`).

No database, no network. Trust comes from the caller alone: a file or package never supplies its own anchor. What a file
says is checked for the moment given, by default now; a proof in a package for that of its reception (IN-26).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO

from demail_gateway.application.inspect_content import CmsSigners, content_signature
from demail_gateway.core.address import Address, TrustedDomains
from demail_gateway.core.checker import check_message
from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.confirmation_check import check_confirmation
from demail_gateway.core.confirmation_reading import is_confirmation, read_confirmation
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.findings import Severity
from demail_gateway.core.header import Header, Octets, ReadMessage, read_message
from demail_gateway.core.ident import check_ident, is_ident, read_ident
from demail_gateway.core.integrity import IntegrityResult, check_integrity, checks
from demail_gateway.core.large_message import read_large_message
from demail_gateway.core.metadata import TransportState, read_metadata
from demail_gateway.core.notification_check import check_notification, is_notification, read_notification_message
from demail_gateway.core.primitives import Judge, Verifier, XmlSignatures
from demail_gateway.core.vocabulary import Protection

REMARKS_ONLY = frozenset({"integrity-tag-c", "integrity-tag-l", "integrity-tag-q"})
"""Tags that IN-5, IN-6 and the rule on `l` let pass: findings of severity E that are remarks to a reader of files."""

WHOLE_OCTETS = 5 * 1024 * 1024
"""Files up to this are read at once; of larger ones only a window is in memory. A confirmation or notification of a
message to thousands of recipients stays below: a larger one is none."""


class Kind(StrEnum):
    MESSAGE = "message"
    CONFIRMATION = "confirmation"
    NOTIFICATION = "notification"
    EVIDENCE_PACKAGE = "evidence-package"
    JOURNAL = "journal"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found about one file."""

    kind: Kind
    outcome: Outcome
    checks: tuple[Check, ...]
    message_id: str | None = None
    """De-Mail message id; of a package the gateway's own id of the message."""
    mode: Protection = Protection.NONE
    algorithm: str | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """The cryptography that inspecting needs."""

    verifier: Verifier
    xml_signatures: XmlSignatures
    judge: Judge
    """With the caller's anchors and status answers."""
    judge_with: Callable[[Sequence[bytes], Sequence[bytes]], Judge]
    """The same anchors, with further certificates for paths and further lists and OCSP responses (DER)."""
    cms_signers: CmsSigners
    trusted: TrustedDomains | None
    """De-Mail domains of the trust list, for system addresses (CO-2); None: there is no list, as offline."""
    room: Callable[[], BinaryIO] = io.BytesIO
    """Somewhere to put what must be read twice, gone when closed; a temporary file where memory is scarce."""


def inspect_message(octets: bytes, tools: Tools, at: datetime, mailbox: Address | None = None) -> Inspection:
    """A message file (.eml) of any class; `mailbox` is where it lay, if known. Never raises for what it contains."""
    try:
        message = read_message(octets)
    except MalformedMessage as error:
        return _unreadable(error)
    if is_confirmation(message.header):
        return _confirmation(message, tools, at)
    if is_notification(message.header):
        return _notification(message, tools, at)
    more = _ident(message, tools, at, mailbox) if is_ident(message.header) else ()
    return _ordinary(message, tools, at, more)


def inspect_message_file(source: BinaryIO, tools: Tools, at: datetime) -> Inspection:
    """As `inspect_message`, for a seekable file of any size, in bounded memory. Raises OSError."""
    size_bytes = source.seek(0, io.SEEK_END)
    source.seek(0)
    if size_bytes <= WHOLE_OCTETS:
        return inspect_message(source.read(), tools, at)

    def read_at(offset: int, octets: int) -> bytes:
        source.seek(offset)
        return source.read(octets)

    try:
        message = read_large_message(size_bytes, read_at)
    except MalformedMessage as error:
        return _unreadable(error)
    kind = _proof(message.header)
    return _ordinary(message, tools, at) if kind is None else _too_large(kind, message, tools, at)


def _unreadable(error: MalformedMessage) -> Inspection:
    failed = Check("message.readable", Outcome.FAILED, error.reason, "RFC 5322; MF-31")
    return Inspection(Kind.MESSAGE, Outcome.FAILED, (failed,))


def _ordinary(message: ReadMessage, tools: Tools, at: datetime, more: tuple[Check, ...] = ()) -> Inspection:
    integrity = check_integrity(message, verifier=tools.verifier, judge=tools.judge, at=at)
    found = (*checks(integrity), *_matrix(message), *more, *_transport(message.header))
    outcome = worst(check.outcome for check in found)
    remark = content_signature(message, tools.cms_signers, tools.judge, tools.judge_with, at)
    return _inspection(Kind.MESSAGE, message.header, integrity, outcome, (*found, *remark))


def _transport(header: Header) -> tuple[Check, ...]:
    """How the message came, where it did not come straight from its sender; a remark (MF-23)."""
    detail = _SENT_ON.get(read_metadata(header).transport)
    if detail is None:
        return ()
    return (Check("message.transport", Outcome.NOT_APPLICABLE, detail, "TR 01201-3.4 §3.2, §3.3; MF-23"),)


_SENT_ON = {
    TransportState.WEITERLEITUNG: "sent-on-forwarded",
    TransportState.NACHSENDUNG: "sent-on-redirected",
}


def _proof(header: Header) -> Kind | None:
    """What a message of class B, M or I is; None for an ordinary one."""
    if is_confirmation(header):
        return Kind.CONFIRMATION
    if is_notification(header):
        return Kind.NOTIFICATION
    return Kind.MESSAGE if is_ident(header) else None


def _too_large(kind: Kind, message: ReadMessage, tools: Tools, at: datetime) -> Inspection:
    """Nothing but the seal is looked at."""
    integrity = check_integrity(message, verifier=tools.verifier, judge=tools.judge, at=at)
    size = Check("proof.size", Outcome.INDETERMINATE, "proof-too-large", "TR 01201-3.4 §3.5")
    found = (*checks(integrity), size)
    return _inspection(kind, message.header, integrity, worst(check.outcome for check in found), found)


def _confirmation(message: Octets, tools: Tools, at: datetime) -> Inspection:
    report = check_confirmation(
        read_confirmation(message, tools.xml_signatures),
        correlation=None,
        sent=None,
        verifier=tools.verifier,
        judge=tools.judge,
        trusted=tools.trusted,
        at=at,
    )
    integrity = check_integrity(message, verifier=tools.verifier, judge=tools.judge, at=at)
    found = (*checks(integrity), *report.checks)
    return _inspection(Kind.CONFIRMATION, message.header, integrity, report.outcome, found)


def _notification(message: Octets, tools: Tools, at: datetime) -> Inspection:
    report = check_notification(
        read_notification_message(message),
        correlation=None,
        sent=None,
        verifier=tools.verifier,
        judge=tools.judge,
        trusted=tools.trusted,
        at=at,
    )
    integrity = check_integrity(message, verifier=tools.verifier, judge=tools.judge, at=at)
    return _inspection(
        Kind.NOTIFICATION, message.header, integrity, report.outcome, (*checks(integrity), *report.checks)
    )


def _ident(message: Octets, tools: Tools, at: datetime, mailbox: Address | None) -> tuple[Check, ...]:
    report = check_ident(
        read_ident(message, tools.xml_signatures),
        mailbox=mailbox,
        verifier=tools.verifier,
        judge=tools.judge,
        trusted=tools.trusted,
        at=at,
    )
    return report.checks


def _inspection(
    kind: Kind, header: Header, integrity: IntegrityResult, outcome: Outcome, found: tuple[Check, ...]
) -> Inspection:
    message_id = header.value("x-de-mail-message-id")
    return Inspection(kind, outcome, found, message_id, integrity.protection, integrity.algorithm)


def _matrix(message: ReadMessage) -> tuple[Check, ...]:
    """Findings of the message checker as checks of their own; warnings are remarks and do not count."""
    source = "TR 01201-3.4 §3.1.1; MF-31"
    findings = check_message(message)
    if not findings:
        return (Check("header.matrix", Outcome.PASSED, "", source),)
    return tuple(
        Check(
            f"header.matrix.{finding.code}",
            Outcome.FAILED
            if finding.severity is Severity.ERROR and finding.code not in REMARKS_ONLY
            else Outcome.NOT_APPLICABLE,
            finding.header,
            source,
        )
        for finding in findings
    )
