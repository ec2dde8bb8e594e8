"""The user's own S/MIME signature inside a message (RFC 8551 §3.5): reported, and without effect on the outcome.

A De-Mail is protected by its providers' seal; what its writer signed himself is told to the reader (SND-92).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.errors import CertificateMalformed, CmsInvalid
from demail_gateway.core.header import Octets
from demail_gateway.core.mime import Part, read_parts
from demail_gateway.core.primitives import CertificateStatus, CertificateVerdict, Judge

CmsSigners = Callable[[bytes, bytes | None], tuple[tuple[bytes, ...], tuple[bytes, ...]]]
"""CMS signature and its content (None: it lies inside) → certificates (DER) of all signers, all that came along.

Raises CmsInvalid unless every signature holds.
"""
JudgeWith = Callable[[tuple[bytes, ...], tuple[bytes, ...]], Judge]

_NAME, _SOURCE = "content.signature", "RFC 8551 §3.5; SND-92"
_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature")
_ENVELOPES = ("application/pkcs7-mime", "application/x-pkcs7-mime")


def content_signature(
    message: Octets, cms_signers: CmsSigners, judge: Judge, judge_with: JudgeWith, at: datetime
) -> tuple[Check, ...]:
    """The check, or nothing where the message carries no such signature.

    Failed: the signature does not hold, or a signer's certificate was not valid at `at`. Indeterminate: it leads to
    no anchor of ours, as those of most users do, or its status is not known.
    """
    found = _signed(read_parts(message.header, message.body))
    if found is None:
        return ()
    try:
        signers, certificates = cms_signers(*found)
    except CmsInvalid:
        return (Check(_NAME, Outcome.FAILED, "signature-mismatch", _SOURCE),)
    more = judge_with(certificates, ())
    outcomes = [_judged(signer, judge, more, at) for signer in signers]
    details = sorted({detail for _, detail in outcomes if detail})
    return (Check(_NAME, worst(outcome for outcome, _ in outcomes), ", ".join(details), _SOURCE),)


def _signed(parts: tuple[Part, ...]) -> tuple[bytes, bytes | None] | None:
    """Signature and signed entity of a message that is signed as a whole."""
    top = parts[0]
    if top.content_type in _ENVELOPES and top.parameters.get("smime-type", "").lower() == "signed-data":
        return top.decode(), None
    children = [part for part in parts if part.path.isdigit()]
    if top.content_type != "multipart/signed" or len(children) != 2 or children[1].content_type not in _SIGNATURES:
        return None
    return children[1].decode(), bytes(children[0].entity)


def _judged(certificate: bytes, judge: Judge, with_more: Judge, at: datetime) -> tuple[Outcome, str]:
    try:
        verdict = judge.judge(certificate, at)
        if "certificate-untrusted" in verdict.findings:
            verdict = with_more.judge(certificate, at)
    except CertificateMalformed:
        return Outcome.FAILED, "certificate-malformed"
    # which certificates may sign for providers says nothing of the writers
    verdict = replace(verdict, findings=tuple(code for code in verdict.findings if code != "signer-unknown"))
    return _outcome(verdict), ", ".join(verdict.findings) or _unknown(verdict)


def _outcome(verdict: CertificateVerdict) -> Outcome:
    if set(verdict.findings) - {"certificate-untrusted"}:
        return Outcome.FAILED
    if verdict.findings or verdict.status is not CertificateStatus.GOOD:
        return Outcome.INDETERMINATE
    return Outcome.PASSED


def _unknown(verdict: CertificateVerdict) -> str:
    return "" if verdict.status is CertificateStatus.GOOD else "certificate-status-unknown"
