"""A received notification (Meldungsnachricht), checked and classified (`confirmations.md` §9, SND-42, SND-94).

Notifications need no signature and may be malformed. What makes one count is that its hash holds, that it comes from
the system address, and that it lay in the tenant's own mailbox; the last is the caller's. Decided here:

- ``integrity-failed`` is concluded from a signed notification alone (step 69 demands one); unsigned it is unclear.
- Findings about shape never reject, as long as the six fields of SND-94 can be read.
- An `other` without a message of ours means nothing for any state; with one and without a pattern that fits, a person
  must read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from demail_gateway.core.address import Address, TrustedDomains
from demail_gateway.core.checker import check_message
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.confirmation_report import SentCopy, Standing, Verdict
from demail_gateway.core.confirmation_situation import standing_of
from demail_gateway.core.confirmation_xml import NOTIFICATION, NotificationText, read_notification
from demail_gateway.core.correlation import Correlation, CorrelationKeys
from demail_gateway.core.delivery_facts import Effect
from demail_gateway.core.embedded_xml import PDF_DIFFERS, contradicts
from demail_gateway.core.errors import MalformedMessage, XmlRefused
from demail_gateway.core.findings import Severity
from demail_gateway.core.header import Header, Octets
from demail_gateway.core.integrity import IntegrityResult, check_integrity
from demail_gateway.core.issuer_check import SYSTEM_SENDER, issuer_findings
from demail_gateway.core.metadata import Metadata, message_type_of, read_metadata
from demail_gateway.core.notification_patterns import DRAFT, PATTERNS, Pattern, meaning, only_named
from demail_gateway.core.primitives import Judge, Verifier
from demail_gateway.core.proof_parts import ProofParts, read_proof_parts
from demail_gateway.core.trust_verdict import validation_of
from demail_gateway.core.vocabulary import (
    CLASS_OF,
    MessageClass,
    MessageType,
    NotificationType,
    Protection,
    UndeliverableReason,
)


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification as far as it can be read."""

    octets: Octets = field(repr=False)
    metadata: Metadata
    parts: ProofParts
    contents: NotificationText | None
    """Of its XML; None if there is none that can be read."""
    keys: CorrelationKeys
    """The private id alone: class M carries no metadata of the original (CO-17)."""

    @property
    def text(self) -> str:
        """The explanation: of the XML, else the text for people."""
        return (self.contents and self.contents.text) or self.parts.text or ""


@dataclass(frozen=True, slots=True)
class NotificationReport:
    """Everything that the check found."""

    message_type: MessageType
    type: NotificationType
    standing: Standing
    verdict: Verdict
    outcome: Outcome
    checks: tuple[Check, ...]
    findings: tuple[str, ...]
    effect: Effect | None
    """What it means if it counts; None: nothing for any state."""
    reason: UndeliverableReason | None
    issuer: str
    issued_at: datetime | None
    private_id: str | None
    recipient: Address | None = field(repr=False)
    """The one recipient of the copy that the text names; None: not told, or several."""
    subject: str = field(repr=False)
    text: str = field(repr=False)
    """Original wording, to be kept beside the conclusion."""
    validation: Mapping[str, tuple[bytes, ...]] = field(repr=False)
    """As in `ConfirmationReport`."""


def is_notification(header: Header) -> bool:
    """Whether the message is of class M (`message-format.md` §1)."""
    message_type = message_type_of(header)
    return message_type is not None and CLASS_OF[message_type] is MessageClass.M


def read_notification_message(octets: Octets) -> Notification:
    """The notification taken apart.

    Raises:
        MalformedMessage: ``message-type``: the message is not of class M.
    """
    if not is_notification(octets.header):
        raise MalformedMessage("message-type")
    metadata = read_metadata(octets.header)
    parts = read_proof_parts(octets, NOTIFICATION)
    return Notification(octets, metadata, parts, _contents(parts.xml), CorrelationKeys(private_id=metadata.private_id))


def check_notification(
    notification: Notification,
    *,
    correlation: Correlation | None,
    sent: SentCopy | None,
    verifier: Verifier,
    judge: Judge,
    trusted: TrustedDomains | None,
    at: datetime,
    patterns: Sequence[Pattern] = PATTERNS,
) -> NotificationReport:
    """The report on a notification; never raises for anything it contains. Arguments as in `check_confirmation`."""
    metadata = notification.metadata
    integrity = check_integrity(notification.octets, verifier=verifier, judge=judge, at=at)
    checks = _checks(notification, integrity, trusted, correlation)
    codes = (code for check in checks[:-1] for code in check.detail.split(", ") if code)
    verdict = _verdict(checks, correlation)
    effect, reason = _meaning(notification, integrity, patterns) if correlation is None or sent else (None, None)
    judgement = integrity.certificate_verdict
    return NotificationReport(
        message_type=metadata.message_type or MessageType.NOTIFICATION,
        type=metadata.notification_type or NotificationType.OTHER,
        standing=standing_of(correlation),
        verdict=verdict,
        outcome=verdict.outcome,
        checks=checks,
        findings=tuple(dict.fromkeys((*codes, *_unassigned(correlation)))),
        effect=effect,
        reason=reason,
        issuer=notification.octets.header.value("x-de-mail-sender") or "",
        issued_at=(notification.contents and notification.contents.time) or metadata.date,
        private_id=metadata.private_id,
        recipient=None if sent is None else only_named(notification.text, sent.served),
        subject=(notification.contents and notification.contents.subject) or metadata.subject or "",
        text=notification.text,
        validation=validation_of(() if judgement is None else (judgement,)),
    )


_REASONS = {
    NotificationType.UNKNOWN_RECIPIENT: UndeliverableReason.UNKNOWN_RECIPIENT,
    NotificationType.CLOSED_ACCOUNT: UndeliverableReason.CLOSED_ACCOUNT,
    NotificationType.INVALID_FORMAT: UndeliverableReason.INVALID_FORMAT,
}
_TOLERATED = "TR 01201-3.1 step 41; SND-94"


def _contents(xml: bytes | None) -> NotificationText | None:
    try:
        return None if xml is None else read_notification(xml)
    except XmlRefused:
        return None


def _checks(
    notification: Notification,
    integrity: IntegrityResult,
    trusted: TrustedDomains | None,
    correlation: Correlation | None,
) -> tuple[Check, ...]:
    """The last is about the sent message, those before it about the notification itself."""
    return (
        _integrity(integrity),
        _matrix(notification),
        _readable(notification),
        _issuer(notification.metadata, trusted),
        _xml(notification),
        _correlated(correlation),
    )


def _meaning(
    notification: Notification, integrity: IntegrityResult, patterns: Sequence[Pattern]
) -> tuple[Effect, UndeliverableReason | None]:
    """CO-20 and `sending-and-receiving.md` §5.3."""
    metadata = notification.metadata
    if metadata.message_type is MessageType.MALWARE_NOTIFICATION:
        return Effect.INFECTED, None
    kind = metadata.notification_type or NotificationType.OTHER
    if kind is NotificationType.INVALID_FORMAT and DRAFT.search(notification.text):
        return Effect.REJECTED, None
    if kind in _REASONS:
        return Effect.UNDELIVERABLE, _REASONS[kind]
    row = meaning(notification.text, patterns)
    if row is None or (row.effect is Effect.INTEGRITY_FAILED and integrity.protection is not Protection.SIGNATURE):
        return Effect.UNCLEAR, None
    return row.effect, row.reason


def _verdict(checks: Sequence[Check], correlation: Correlation | None) -> Verdict:
    outcomes = {check.name: check.outcome for check in checks}
    decisive = [outcomes[name] for name in ("notification.integrity", "notification.readable", "notification.issuer")]
    if Outcome.FAILED in decisive:
        return Verdict.REJECTED
    if Outcome.INDETERMINATE in decisive:
        return Verdict.INDETERMINATE
    if correlation is not None and correlation.copy_id is None:
        return Verdict.UNASSIGNED
    return Verdict.CONFIRMED_WITH_REMARKS if Outcome.FAILED in outcomes.values() else Verdict.CONFIRMED


def _integrity(result: IntegrityResult) -> Check:
    return Check("notification.integrity", result.verdict, ", ".join(result.told), "TR 01201-3.1 step 48; SND-42")


def _matrix(notification: Notification) -> Check:
    found = check_message(notification.octets)
    outcome = Outcome.FAILED if any(f.severity is Severity.ERROR for f in found) else Outcome.PASSED
    codes = dict.fromkeys(f"{f.code}:{f.header}" if f.header else f.code for f in found)
    return Check("notification.matrix", outcome, ", ".join(codes), "TR 01201-3.4 §3.1.1 table 1")


def _readable(notification: Notification) -> Check:
    """The six fields that must be right even in a malformed notification."""
    metadata = notification.metadata
    present = {
        "x-de-mail-sender": metadata.sender is not None,
        "x-de-mail-chosen-recipient": not metadata.chosen_recipients.is_empty,
        "x-de-mail-actual-recipient": not metadata.actual_recipients.is_empty,
        "x-de-mail-originator-provider": bool(metadata.originator_provider),
        "subject": metadata.subject is not None,
    }
    missing = [f"unreadable:{name}" for name, is_there in present.items() if not is_there]
    return Check("notification.readable", Outcome.FAILED if missing else Outcome.PASSED, ", ".join(missing), _TOLERATED)


def _issuer(metadata: Metadata, trusted: TrustedDomains | None) -> Check:
    findings = issuer_findings(metadata, trusted)
    outcome = Outcome.FAILED if SYSTEM_SENDER in findings else Outcome.PASSED
    return Check("notification.issuer", outcome, ", ".join(findings), "TR 01201-3.1 §4.3; CO-1, CO-2")


def _xml(notification: Notification) -> Check:
    contents = notification.contents
    findings = ("xml-missing",) if contents is None else contents.findings
    if contents is not None and contents.time is None and "xml-schema" not in findings:
        findings = (*findings, "xml-schema")
    xml, pdf = notification.parts.xml, notification.parts.pdf
    if contents is not None and xml is not None and pdf is not None:
        differs = contradicts(pdf, xml, NOTIFICATION, read_notification, contents)
        findings = (*findings, PDF_DIFFERS) if differs else findings
    outcome = Outcome.FAILED if {"xml-missing", "xml-schema", PDF_DIFFERS} & set(findings) else Outcome.PASSED
    return Check("notification.xml", outcome, ", ".join(findings), "TR 01201-3.4 §3.5.2 table 25")


def _correlated(correlation: Correlation | None) -> Check:
    source = "TR 01201-3.4 §3.1.17; CO-17"
    standing = standing_of(correlation)
    outcome = _CORRELATED[standing]
    codes = ", ".join(_unassigned(correlation))
    return Check("notification.correlation", outcome, "; ".join(filter(None, (codes, standing))), source)


_CORRELATED = {
    Standing.ALONE: Outcome.NOT_APPLICABLE,
    Standing.UNASSIGNED: Outcome.FAILED,
    Standing.WITH_SENT: Outcome.PASSED,
}


def _unassigned(correlation: Correlation | None) -> tuple[str, ...]:
    is_missing = correlation is not None and correlation.copy_id is None
    return ((correlation and correlation.finding) or "correlation-none",) if is_missing else ()
