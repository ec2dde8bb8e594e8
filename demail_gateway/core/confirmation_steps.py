"""The fifteen steps of `confirmations.md` §8 as functions; `confirmation_check.py` puts them together."""

from __future__ import annotations

from collections.abc import Callable

from demail_gateway.core import confirmation_sent_steps as sent_steps
from demail_gateway.core.address import Address, same_address
from demail_gateway.core.checker import check_header_section
from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation_reading import Confirmation
from demail_gateway.core.confirmation_situation import UNREADABLE, Result, Situation, passed_or
from demail_gateway.core.confirmation_xml import ACKNOWLEDGEMENT, read_acknowledgement
from demail_gateway.core.embedded_xml import PDF_DIFFERS, contradicts
from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.findings import Severity
from demail_gateway.core.integrity import check_integrity, same_integrity_value
from demail_gateway.core.integrity_field import INTEGRITY
from demail_gateway.core.issuer_check import (
    ISSUER_MISMATCH,
    ISSUER_UNCONFIRMED,
    SYSTEM_SENDER,
    issuer_findings,
    serves,
)
from demail_gateway.core.metadata_proof import prove_metadata
from demail_gateway.core.trust_verdict import judged
from demail_gateway.core.vocabulary import ConfirmationKind


def _integrity(s: Situation) -> Result:
    """1: the confirmation's own integrity, signed mode."""
    found = check_integrity(s.confirmation.octets, verifier=s.verifier, judge=s.judge, at=s.at)
    if found.certificate_verdict is not None:
        s.verdicts.append(found.certificate_verdict)
    signer = "" if found.certificate is None else found.certificate.subject
    return Result(found.verdict, found.told, frozenset(found.findings), told=signer)


def _matrix(s: Situation) -> Result:
    """2: matrix and syntax; the body's structure is step 4."""
    found = check_header_section(s.confirmation.octets, s.confirmation.metadata)
    errors = any(f.severity is Severity.ERROR for f in found)
    codes = {f"{f.code}:{f.header}" if f.header else f.code: f.severity for f in found}
    warnings = frozenset(code for code, severity in codes.items() if severity is not Severity.ERROR)
    return Result(Outcome.FAILED if errors else Outcome.PASSED, tuple(codes), warnings)


def _issuer(s: Situation) -> Result:
    """3: the system address of the type, of the provider that may issue it."""
    metadata = s.confirmation.metadata
    findings = issuer_findings(metadata, s.trusted)
    if SYSTEM_SENDER in findings or metadata.sender is None:
        return Result(Outcome.FAILED, findings)
    own_domains = _own_domains(s)
    if own_domains and metadata.sender.domain not in own_domains:
        return Result(Outcome.FAILED, (ISSUER_MISMATCH, *findings))
    if not serves(metadata.sender, _responsible_for(s), own_domains):
        findings = tuple(dict.fromkeys((ISSUER_UNCONFIRMED, *findings)))
    elif ISSUER_UNCONFIRMED in findings:
        findings = tuple(code for code in findings if code != ISSUER_UNCONFIRMED)
    return Result(Outcome.PASSED, findings)


def _responsible_for(s: Situation) -> Address | None:
    """Whose provider must have issued it: the sender's for a dispatch, the recipient's for the others."""
    if s.confirmation.kind is not ConfirmationKind.DISPATCH:
        return s.recipient
    return None if s.confirmation.original is None else s.confirmation.original.sender


def _own_domains(s: Situation) -> frozenset[str]:
    """Domains of the only provider that may confirm a dispatch, the one that took it (CO-2); empty: not known."""
    is_dispatch = s.confirmation.kind is ConfirmationKind.DISPATCH
    return s.sent.provider_domains if is_dispatch and s.sent is not None else frozenset()


def _structure(s: Situation) -> Result:
    """4: multipart/mixed, XML, PDF (CO-5), and no contradiction between the two."""
    findings = (*s.confirmation.parts.findings, *_contradiction(s.confirmation))
    return Result(Outcome.FAILED if findings else Outcome.PASSED, findings)


def _contradiction(confirmation: Confirmation) -> tuple[str, ...]:
    xml, pdf, said = confirmation.parts.xml, confirmation.parts.pdf, confirmation.contents
    if xml is None or pdf is None or said is None:
        return ()
    return (PDF_DIFFERS,) if contradicts(pdf, xml, ACKNOWLEDGEMENT, read_acknowledgement, said) else ()


def _schema(s: Situation) -> Result:
    """5: well-formed without DOCTYPE, by the schema (CO-6)."""
    findings = s.confirmation.schema_findings
    return Result(Outcome.FAILED if findings else Outcome.PASSED, findings)


def _xml_signature(s: Situation) -> Result:
    """6: XML signature and its certificate (CO-13, CO-14)."""
    verified = s.confirmation.verified
    if verified is None:
        return Result(Outcome.FAILED, ("xml-signature-invalid",))
    try:
        facts = s.verifier.read_certificate(verified.certificate_der)
    except CertificateMalformed:
        return Result(Outcome.FAILED, ("certificate-malformed",))
    outcome, findings, verdict = judged(s.judge, facts, s.at)
    if verdict is not None:
        s.verdicts.append(verdict)
    return Result(outcome, findings, frozenset({"key-size-deprecated"}), told=facts.subject)


def _sender(s: Situation) -> Result:
    """7: XML Sender is the sender (CO-7)."""
    contents, sender = s.confirmation.contents, s.confirmation.metadata.sender
    if contents is None:
        return UNREADABLE
    agrees = contents.sender is not None and sender is not None and same_address(contents.sender.strip(), sender)
    return passed_or(agrees, "xml-sender-mismatch")


def _hash(s: Situation) -> Result:
    """8: Hash is the original's integrity value, in the field as received and in its Value (CO-9, CO-12, IN-27)."""
    contents = s.confirmation.contents
    if contents is None:
        return UNREADABLE
    entry = contents.metadate(INTEGRITY)
    if entry is None or not contents.hash:
        return passed_or(False, "hash-metadata-mismatch")
    carried = [entry.value] if entry.header_field is None else [entry.value, entry.header_field.value]
    agrees = all(same_integrity_value(contents.hash, value) for value in carried)
    return passed_or(agrees, "hash-metadata-mismatch")


def _metadata_proof(s: Situation) -> Result:
    """9: the original's header hash, rebuilt from what is carried."""
    contents = s.confirmation.contents
    if contents is None:
        return UNREADABLE
    proof = prove_metadata(contents, s.original_integrity, verifier=s.verifier, judge=s.judge, at=s.at)
    if proof.certificate_verdict is not None:
        s.verdicts.append(proof.certificate_verdict)
    unusable = tuple(code for code in contents.findings if code.startswith("original-header-unusable"))
    return Result(proof.outcome, (*proof.findings, *unusable), frozenset({"key-size-deprecated"}))


_TR31, _TR34 = "TR 01201-3.1", "TR 01201-3.4"
STEPS: tuple[tuple[str, Callable[[Situation], Result], str], ...] = (
    ("confirmation.01-integrity", _integrity, f"{_TR31} step 48; {_TR34} §3.1.21"),
    ("confirmation.02-matrix", _matrix, f"{_TR34} §3.1.1 table 1"),
    ("confirmation.03-issuer", _issuer, f"{_TR31} §4.3, step 61; CO-2"),
    ("confirmation.04-structure", _structure, f"{_TR34} §3.4.1; CO-5"),
    ("confirmation.05-schema", _schema, f"{_TR34} §3.5.3; CO-6"),
    ("confirmation.06-xml-signature", _xml_signature, f"{_TR34} §3.5.1; CO-13, CO-14"),
    ("confirmation.07-sender", _sender, f"{_TR34} table 23; CO-7"),
    ("confirmation.08-hash", _hash, f"{_TR34} table 23; CO-9"),
    ("confirmation.09-metadata-proof", _metadata_proof, f"{_TR34} §3.5.1, §3.1.21; CO-11, CO-12, CO-19, IN-20"),
    ("confirmation.10-correlation", sent_steps.correlated, f"{_TR34} §3.1.17; CO-15, CO-16"),
    ("confirmation.11-body-proof", sent_steps.body_proof, f"{_TR34} §3.1.21; CO-18"),
    ("confirmation.12-metadata-submitted", sent_steps.submitted, f"{_TR31} step 29; SND-2"),
    ("confirmation.13-private-id", sent_steps.private_id, f"{_TR34} §3.1.17"),
    ("confirmation.14-times", sent_steps.times, f"{_TR34} table 23; CO-10"),
    ("confirmation.15-requested", sent_steps.requested, f"{_TR31} steps 36, 67, 77"),
)
"""Name, function, source."""
