"""A received Ident-Bestätigung, checked: eleven steps (TR 01201-4.1 §3.3, §3.4; TR 01201-4.4 §2; ID-3).

It proves to a service provider who an ordering user is. Every step counts: the outcome of the whole is the worst of
them. Decided here:

- The XML is the first part whose root is a SAML assertion. Only what its signature covers is evaluated.
- Who receives it is told by Audience. It must be in ``to``; where the mailbox is known that it lay in, that must be the
  audience's, or the ordering user's in ``cc``. Anywhere else (after a Nachsendung, or octets sent on by somebody) the
  step is undecided: an identity must not pass for another receiver.
- Limits of validity, which SAML knows and the guideline does not use, are obeyed; five minutes are granted to clocks.
  One that is there and cannot be read fails step 6: it must not count as none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from demail_gateway.core.address import Address, TrustedDomains, same_address
from demail_gateway.core.checker import check_header_section
from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.embedded_xml import PDF_DIFFERS, contradicts
from demail_gateway.core.errors import CertificateMalformed, MalformedMessage, XmlRefused, XmlSignatureInvalid
from demail_gateway.core.findings import Severity
from demail_gateway.core.header import Header, Octets
from demail_gateway.core.ident_xml import (
    ASSERTION,
    SHAPE_ERRORS,
    VALIDATION_TIME_UNREADABLE,
    IdentAssertion,
    IdentCard,
    read_assertion,
)
from demail_gateway.core.integrity import check_integrity
from demail_gateway.core.issuer_check import SYSTEM_SENDER, issuer_findings
from demail_gateway.core.metadata import Metadata, message_type_of, read_metadata
from demail_gateway.core.primitives import CertificateVerdict, Judge, VerifiedXml, Verifier, XmlSignatures
from demail_gateway.core.proof_parts import ProofParts, read_proof_parts
from demail_gateway.core.trust_verdict import judged, validation_of
from demail_gateway.core.vocabulary import MessageType

CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Ident:
    """An Ident-Bestätigungsnachricht as far as it can be read."""

    octets: Octets = field(repr=False)
    metadata: Metadata
    parts: ProofParts
    verified: VerifiedXml | None = field(repr=False)
    """What the XML signature covers; None if there is no assertion or its signature does not hold."""
    assertion: IdentAssertion | None
    """Read from the verified octets alone."""


@dataclass(frozen=True, slots=True)
class IdentReport:
    """Everything that the check found."""

    outcome: Outcome
    checks: tuple[Check, ...]
    """The eleven steps, by stable names."""
    findings: tuple[str, ...]
    """Codes, each once, in the order of the steps."""
    card: IdentCard | None = field(repr=False)
    """What is confirmed, if it passed; else None, so that nothing unproven is taken for an identity."""
    subject: str | None = field(repr=False)
    """Whom it speaks of, likewise."""
    validation: Mapping[str, tuple[bytes, ...]] = field(repr=False)
    """As in `ConfirmationReport`."""


def is_ident(header: Header) -> bool:
    """Whether the message is of class I (`message-format.md` §1)."""
    return message_type_of(header) is MessageType.IDENTIFICATION


def read_ident(octets: Octets, xml_signatures: XmlSignatures) -> Ident:
    """The message taken apart, its XML signature verified; nothing about certificates.

    Raises:
        MalformedMessage: ``message-type``: the message is not of class I.
    """
    if not is_ident(octets.header):
        raise MalformedMessage("message-type")
    parts = read_proof_parts(octets, ASSERTION)
    verified, assertion = _verified(parts.xml, xml_signatures)
    return Ident(octets, read_metadata(octets.header), parts, verified, assertion)


def check_ident(
    ident: Ident,
    *,
    mailbox: Address | None,
    verifier: Verifier,
    judge: Judge,
    trusted: TrustedDomains | None,
    at: datetime,
) -> IdentReport:
    """The report; never raises for anything the message contains.

    `mailbox` is where it lay; None: not known, as offline. `at` is the moment of first reception (IN-26).
    """
    situation = _Situation(ident, mailbox, verifier, judge, trusted, at)
    results = [(name, step(situation), source) for name, step, source in STEPS]
    checks = tuple(Check(name, outcome, ", ".join(codes), source) for name, (outcome, codes), source in results)
    outcome = worst(check.outcome for check in checks)
    proven = ident.assertion if outcome is Outcome.PASSED else None
    return IdentReport(
        outcome=outcome,
        checks=checks,
        findings=tuple(dict.fromkeys(code for _, (_, codes), _ in results for code in codes)),
        card=None if proven is None else proven.cards[0],
        subject=None if proven is None else proven.subject,
        validation=validation_of(situation.verdicts),
    )


_Result = tuple[Outcome, tuple[str, ...]]
_PASSED: _Result = (Outcome.PASSED, ())
_UNREADABLE: _Result = (Outcome.INDETERMINATE, ())
"""The step needs what the XML signature covers, and there is nothing."""


@dataclass
class _Situation:
    ident: Ident
    mailbox: Address | None
    verifier: Verifier
    judge: Judge
    trusted: TrustedDomains | None
    at: datetime
    verdicts: list[CertificateVerdict] = field(default_factory=list)


def _verified(xml: bytes | None, xml_signatures: XmlSignatures) -> tuple[VerifiedXml | None, IdentAssertion | None]:
    if xml is None:
        return None, None
    try:
        verified = xml_signatures.verify_assertion(xml)
        return verified, read_assertion(verified.canonical)
    except (XmlRefused, XmlSignatureInvalid):
        return None, None


def _judged(holds: bool, finding: str) -> _Result:
    return _PASSED if holds else (Outcome.FAILED, (finding,))


def _integrity(s: _Situation) -> _Result:
    """1: the message's own integrity, signed mode."""
    found = check_integrity(s.ident.octets, verifier=s.verifier, judge=s.judge, at=s.at)
    if found.certificate_verdict is not None:
        s.verdicts.append(found.certificate_verdict)
    return found.verdict, found.told


def _matrix(s: _Situation) -> _Result:
    """2: matrix and syntax of class I."""
    found = check_header_section(s.ident.octets, s.ident.metadata)
    is_broken = any(each.severity is Severity.ERROR for each in found)
    codes = dict.fromkeys(f"{each.code}:{each.header}" if each.header else each.code for each in found)
    return Outcome.FAILED if is_broken else Outcome.PASSED, tuple(codes)


def _issuer(s: _Situation) -> _Result:
    """3: the system address for Ident-Bestätigungen."""
    findings = issuer_findings(s.ident.metadata, s.trusted)
    return Outcome.FAILED if SYSTEM_SENDER in findings else Outcome.PASSED, findings


def _structure(s: _Situation) -> _Result:
    """4: multipart/mixed with assertion and PDF, and no contradiction between the two."""
    xml, pdf, said = s.ident.parts.xml, s.ident.parts.pdf, s.ident.assertion
    findings = s.ident.parts.findings
    if xml is not None and pdf is not None and said is not None:
        differs = contradicts(pdf, xml, ASSERTION, read_assertion, said)
        findings = (*findings, PDF_DIFFERS) if differs else findings
    return Outcome.FAILED if findings else Outcome.PASSED, findings


def _xml_signature(s: _Situation) -> _Result:
    """5: the assertion's signature and its certificate."""
    verified = s.ident.verified
    if verified is None:
        return Outcome.FAILED, ("xml-missing" if s.ident.parts.xml is None else "xml-signature-invalid",)
    try:
        facts = s.verifier.read_certificate(verified.certificate_der)
    except CertificateMalformed:
        return Outcome.FAILED, ("certificate-malformed",)
    outcome, findings, verdict = judged(s.judge, facts, s.at)
    if verdict is not None:
        s.verdicts.append(verdict)
    return outcome, findings


def _assertion(s: _Situation) -> _Result:
    """6: exactly one of each of its parts."""
    assertion = s.ident.assertion
    if assertion is None:
        return _UNREADABLE
    is_broken = bool(SHAPE_ERRORS & set(assertion.findings))
    return Outcome.FAILED if is_broken else Outcome.PASSED, assertion.findings


def _assertion_issuer(s: _Situation) -> _Result:
    """7: Issuer is the sender."""
    assertion, sender = s.ident.assertion, s.ident.metadata.sender
    if assertion is None:
        return _UNREADABLE
    return _judged(_is(assertion.issuer, sender), "assertion-issuer-mismatch")


def _audience(s: _Situation) -> _Result:
    """8: it is for the receiver."""
    assertion, chosen = s.ident.assertion, s.ident.metadata.chosen_recipients
    if assertion is None:
        return _UNREADABLE
    if not any(_is(assertion.audience, each.address) for each in chosen.to):
        return Outcome.FAILED, ("audience-mismatch",)
    is_copy = any(each.address == s.mailbox for each in chosen.cc)
    if s.mailbox is None or _is(assertion.audience, s.mailbox) or is_copy:
        return _PASSED
    return Outcome.INDETERMINATE, ("audience-elsewhere",)


def _subject(s: _Situation) -> _Result:
    """9: NameID is the ordering user, who receives the copy."""
    assertion, copied = s.ident.assertion, s.ident.metadata.chosen_recipients.cc
    if assertion is None:
        return _UNREADABLE
    return _judged(len(copied) == 1 and _is(assertion.subject, copied[0].address), "subject-mismatch")


def _card(s: _Situation) -> _Result:
    """10: one card, and it is the ordering user's."""
    assertion = s.ident.assertion
    if assertion is None:
        return _UNREADABLE
    if len(assertion.cards) != 1:
        return Outcome.FAILED, ("card-several" if assertion.cards else "card-missing",)
    addresses = assertion.cards[0].values("de-mail-address")
    owned = len(addresses) == 1 and assertion.subject is not None and addresses[0].lower() == assertion.subject.lower()
    return _judged(owned, "card-address-mismatch")


def _times(s: _Situation) -> _Result:
    """11: nothing later than the moment, nothing verified or logged in after the issue, nothing expired."""
    assertion = s.ident.assertion
    if assertion is None:
        return _UNREADABLE
    if assertion.not_on_or_after is not None and s.at - CLOCK_TOLERANCE >= assertion.not_on_or_after:
        return Outcome.FAILED, ("assertion-expired",)
    if not _is_plausible(assertion, s.at + CLOCK_TOLERANCE):
        return Outcome.FAILED, ("time-implausible",)
    if VALIDATION_TIME_UNREADABLE in assertion.findings:
        return Outcome.INDETERMINATE, (VALIDATION_TIME_UNREADABLE,)
    return _PASSED


def _is_plausible(assertion: IdentAssertion, latest: datetime) -> bool:
    issued_at = assertion.issued_at
    if issued_at is None or issued_at > latest or (assertion.not_before or issued_at) > latest:
        return False
    earlier = [assertion.authenticated_at, *(each.validated_at for card in assertion.cards for each in card.fields)]
    return all(moment <= issued_at + CLOCK_TOLERANCE for moment in earlier if moment is not None)


def _is(text: str | None, address: Address | None) -> bool:
    return text is not None and address is not None and same_address(text, address)


_FU, _IO = "TR 01201-4.1", "TR 01201-4.4"
STEPS: tuple[tuple[str, Callable[[_Situation], _Result], str], ...] = (
    ("ident.01-integrity", _integrity, "TR 01201-3.1 step 48; TR 01201-3.4 §3.1.21"),
    ("ident.02-matrix", _matrix, f"TR 01201-3.4 §3.1.1 table 1; {_IO} §2.1.1"),
    ("ident.03-issuer", _issuer, f"{_FU} §3.4, §3.6; CO-2"),
    ("ident.04-structure", _structure, "TR 01201-3.4 §3.4.1; CO-5"),
    ("ident.05-xml-signature", _xml_signature, f"{_IO} §2.6; ID-3"),
    ("ident.06-assertion", _assertion, f"{_IO} §2.6; ID-1"),
    ("ident.07-assertion-issuer", _assertion_issuer, f"{_IO} §2.6; ID-3"),
    ("ident.08-audience", _audience, f"{_IO} §2.6; ID-3"),
    ("ident.09-subject", _subject, f"{_IO} §2.6; ID-3"),
    ("ident.10-card", _card, f"{_IO} §2.7; ID-2"),
    ("ident.11-times", _times, f"{_IO} §2.6"),
)
"""Name, function, source."""
