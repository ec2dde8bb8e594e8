"""Proof that a confirmation speaks of exactly these metadata and this body (steps 9 and 11 of `confirmations.md` §8).

A confirmation carries the original's header fields as received (OriginalHeader). From them the header hash of the
original is computed anew and compared with its integrity field, or with the signature in it: the confirmation then
covers this header section, and through ``bh=`` this body, without the original at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation_xml import AcknowledgeMessage
from demail_gateway.core.digests import header_digest
from demail_gateway.core.errors import CertificateMalformed, MalformedMessage
from demail_gateway.core.header import HeaderField
from demail_gateway.core.integrity import key_findings
from demail_gateway.core.integrity_field import CERTIFICATE, INTEGRITY, IntegrityField, read_certificate, read_field
from demail_gateway.core.primitives import CertificateVerdict, HashName, Judge, SignatureScheme, Verifier
from demail_gateway.core.trust_verdict import judged

MISMATCH = "metadata-proof-mismatch"
IMPOSSIBLE = "metadata-proof-impossible"


@dataclass(frozen=True, slots=True)
class Proof:
    """Outcome of a proof with its findings."""

    outcome: Outcome
    findings: tuple[str, ...] = ()
    certificate_verdict: CertificateVerdict | None = None
    """Of the original's signature, to be kept with the proof (GWT-91)."""


def original_integrity(message: AcknowledgeMessage) -> IntegrityField | None:
    """The original's integrity field as the confirmation carries it; None if it cannot be used."""
    entry = message.metadate(INTEGRITY)
    source = None if entry is None else entry.header_field
    try:
        return None if source is None else read_field(source)
    except MalformedMessage:
        return None


def prove_metadata(
    message: AcknowledgeMessage, integrity: IntegrityField | None, *, verifier: Verifier, judge: Judge, at: datetime
) -> Proof:
    """Step 9; `integrity` is `original_integrity(message)`.

    A covered field that is not carried counts as absent in the original (CO-19).

    failed with ``metadata-proof-mismatch``: hash or signature do not hold; failed with certificate findings: they
    hold, but the original's certificate does not. indeterminate with ``metadata-proof-impossible``: the integrity
    field, its certificate or a covered field is not carried in a usable form, or its algorithm is unknown;
    indeterminate with ``certificate-status-unknown``: only the status is missing.
    """
    if integrity is None or integrity.hash_name is None:
        return _impossible()
    fields: dict[str, HeaderField] = {}
    for name in integrity.h:
        entry = message.metadate(name)
        if entry is not None:
            rebuilt = entry.header_field
            if rebuilt is None:
                return _impossible()
            fields[name] = rebuilt
    digest = header_digest(fields.get, integrity.h, integrity.source, integrity.hash_name)
    if integrity.scheme is None:
        return Proof(Outcome.PASSED) if compare_digest(digest, integrity.b) else Proof(Outcome.FAILED, (MISMATCH,))
    return _signature(message, integrity, integrity.hash_name, integrity.scheme, digest, verifier, judge, at)


def prove_body(integrity: IntegrityField | None, body_digest: Callable[[HashName], bytes]) -> Proof:
    """Step 11: whether the original's ``bh=`` is the digest of the body that was submitted."""
    if integrity is None or integrity.hash_name is None:
        return Proof(Outcome.INDETERMINATE, ("body-proof-impossible",))
    if compare_digest(body_digest(integrity.hash_name), integrity.bh):
        return Proof(Outcome.PASSED)
    return Proof(Outcome.FAILED, ("body-proof-mismatch",))


def _signature(
    message: AcknowledgeMessage,
    integrity: IntegrityField,
    hash_name: HashName,
    scheme: SignatureScheme,
    digest: bytes,
    verifier: Verifier,
    judge: Judge,
    at: datetime,
) -> Proof:
    entry = message.metadate(CERTIFICATE)
    source = None if entry is None else entry.header_field
    if source is None:
        return _impossible()
    try:
        facts = verifier.read_certificate(read_certificate(source))
    except CertificateMalformed:
        return _impossible()
    if (facts.key_type == "rsa") is (scheme is SignatureScheme.EC_DSA) or key_findings(facts) is None:
        return Proof(Outcome.FAILED, (MISMATCH,))
    if not verifier.verify_digest(facts.der, scheme, hash_name, digest, integrity.b):
        return Proof(Outcome.FAILED, (MISMATCH,))
    outcome, findings, verdict = judged(judge, facts, at)
    return Proof(outcome, findings, verdict)


def _impossible() -> Proof:
    return Proof(Outcome.INDETERMINATE, (IMPOSSIBLE,))
