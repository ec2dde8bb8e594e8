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
from demail_gateway.core.confirmation_xml import AcknowledgeMessage, Metadate, collapsed, readable_value
from demail_gateway.core.digests import header_digest
from demail_gateway.core.encoded_words import decode_words
from demail_gateway.core.errors import CertificateMalformed, MalformedMessage
from demail_gateway.core.header import HeaderField
from demail_gateway.core.integrity import key_findings
from demail_gateway.core.integrity_field import (
    CERTIFICATE,
    HEADER_LIST,
    INTEGRITY,
    IntegrityField,
    read_certificate,
    read_field,
    same_integrity_value,
)
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

    Failed besides, whatever that gave: ``h-incomplete:<name>``, a field of the list is carried that the original's
    seal leaves out (IN-20); ``metadata-value-mismatch:<name>``, Value is not that of the field as received (CO-12).
    """
    proof = _computed(message, integrity, verifier, judge, at)
    wrong = (*_uncovered(message, integrity), *_contradicted(message))
    return Proof(Outcome.FAILED, (*proof.findings, *wrong), proof.certificate_verdict) if wrong else proof


def prove_body(integrity: IntegrityField | None, body_digest: Callable[[HashName], bytes]) -> Proof:
    """Step 11: whether the original's ``bh=`` is the digest of the body that was submitted."""
    if integrity is None or integrity.hash_name is None:
        return Proof(Outcome.INDETERMINATE, ("body-proof-impossible",))
    if compare_digest(body_digest(integrity.hash_name), integrity.bh):
        return Proof(Outcome.PASSED)
    return Proof(Outcome.FAILED, ("body-proof-mismatch",))


_COVERED = tuple(map(str.lower, HEADER_LIST))


def _uncovered(message: AcknowledgeMessage, integrity: IntegrityField | None) -> tuple[str, ...]:
    if integrity is None:
        return ()
    missing = (name for name in _COVERED if name not in integrity.h and message.metadate(name) is not None)
    return tuple(f"h-incomplete:{name}" for name in missing)


def _contradicted(message: AcknowledgeMessage) -> tuple[str, ...]:
    wrong = (entry.lower for entry in message.metadata if not _says_the_same(entry))
    return tuple(dict.fromkeys(f"metadata-value-mismatch:{name}" for name in wrong))


def _says_the_same(entry: Metadate) -> bool:
    """Whether Value is that of the field as received; table 23 leaves open whether encoded words are decoded in it."""
    source = entry.header_field
    if source is None:
        return True  # told as ``original-header-unusable``
    if entry.lower == INTEGRITY:
        return same_integrity_value(entry.value, source.value)
    value = collapsed(entry.value)
    return value == readable_value(source) or value == collapsed(decode_words(source.value))


def _computed(
    message: AcknowledgeMessage, integrity: IntegrityField | None, verifier: Verifier, judge: Judge, at: datetime
) -> Proof:
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
