"""The user's own S/MIME signature inside a message (RFC 8551 §3.5): reported, and without effect on the outcome.

A De-Mail is protected by its providers' seal; what its writer signed himself is told to the reader (SND-92).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.errors import CertificateMalformed, CmsInvalid
from demail_gateway.core.header import ReadMessage
from demail_gateway.core.mime import Part, read_parts
from demail_gateway.core.primitives import CertificateStatus, CertificateVerdict, Judge


@dataclass(frozen=True, slots=True)
class Stamp:
    """A timestamp over a signature whose own signature holds (RFC 3161)."""

    time: datetime
    certificate: bytes
    certificates: tuple[bytes, ...]
    """All that came along, for its path."""


@dataclass(frozen=True, slots=True)
class ContentSigners:
    """A CMS signature, every part of which holds."""

    signers: tuple[bytes, ...]
    """Certificates (DER); none where certificates alone were sent (``certs-only``)."""
    certificates: tuple[bytes, ...]
    """All that came along, for their paths."""
    usage: tuple[str, ...] = ()
    """``certificate-key-usage`` if a signer's certificate is not for S/MIME."""
    findings: tuple[str, ...] = ()
    """What the algorithm policy says against it at the moment, e.g. ``signature-algorithm-outdated``."""
    stamps: tuple[Stamp | None, ...] = ()
    """Timestamps; None for one that does not hold."""


Pieces = bytes | Iterable[bytes]
"""Octets at once, or in pieces where they are not in memory."""
CmsSigners = Callable[[Pieces, Pieces | None, datetime], ContentSigners]
"""CMS signature, its content (None: it lies inside), moment for the policy. Raises CmsInvalid unless every signature
holds."""
JudgeWith = Callable[[tuple[bytes, ...], tuple[bytes, ...]], Judge]

_NAME, _SOURCE = "content.signature", "RFC 8551 §3.5; SND-92"
_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature")
_ENVELOPES = ("application/pkcs7-mime", "application/x-pkcs7-mime")
# the outer SEQUENCE, in DER or BER, and the content type of a ContentInfo (RFC 5652 §3)
_CONTENT_INFO = re.compile(rb"\x30(?:[\x00-\x80]|\x81.|\x82.{2}|\x83.{3}|\x84.{4})\x06([\x01-\x7f])", re.DOTALL)
_SIGNED_DATA = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
_START_OCTETS = 64


def content_signature(
    message: ReadMessage, cms_signers: CmsSigners, judge: Judge, judge_with: JudgeWith, at: datetime
) -> tuple[Check, ...]:
    """The checks, or nothing where the message carries no such signature (OpenPGP is none).

    Signature failed: it does not hold, is announced and missing or stands beside further parts, or a signer's
    certificate was not valid at `at`; indeterminate: it leads to no anchor of ours, as those of most users do, its
    status is not known, or nothing says that there is one. Algorithms failed: TR-03116-4 no longer permitted one at
    `at`. Timestamps are judged like signatures.
    """
    found = _signed(read_parts(message.header, message.body))
    if found is None:
        return ()
    if isinstance(found, Check):
        return (found,)
    try:
        signed = cms_signers(*found, at)
    except CmsInvalid:
        return (Check(_NAME, Outcome.FAILED, "signature-mismatch", _SOURCE),)
    if not signed.signers:
        return ()
    more = judge_with(signed.certificates, ())
    outcomes = [_judged(signer, judge, more, at) for signer in signed.signers]
    outcomes += [(Outcome.FAILED, finding) for finding in signed.usage]
    stamps = [_stamp(stamp, judge, judge_with, at) for stamp in signed.stamps]
    return (_check(_NAME, outcomes, _SOURCE), algorithm_check("content.algorithms", signed), *stamps)


def algorithm_check(name: str, signed: ContentSigners) -> Check:
    """Whether every algorithm of a signature was permitted at the moment."""
    outcome = Outcome.FAILED if signed.findings else Outcome.PASSED
    return Check(name, outcome, ", ".join(signed.findings), "TR-03116-4 chapter 4")


def _check(name: str, outcomes: Sequence[tuple[Outcome, str]], source: str) -> Check:
    details = sorted({detail for _, detail in outcomes if detail})
    return Check(name, worst(outcome for outcome, _ in outcomes), ", ".join(details), source)


def _stamp(stamp: Stamp | None, judge: Judge, judge_with: JudgeWith, at: datetime) -> Check:
    """One timestamp. It may prove a moment up to `at`, when the message had arrived, and its certificate then."""
    source = "RFC 3161; ETSI EN 319 122-1"
    if stamp is None or stamp.time > at:
        return Check("content.timestamp", Outcome.FAILED, "timestamp-mismatch", source)
    outcome, detail = _judged(stamp.certificate, judge, judge_with(stamp.certificates, ()), stamp.time)
    return Check("content.timestamp", outcome, detail, source)


_Signed = tuple[Pieces, Pieces | None]


def _signed(parts: tuple[Part, ...]) -> _Signed | Check | None:
    """Signature and signed entity of a message that is signed as a whole, or what is wrong with its form."""
    top = parts[0]
    if top.content_type in _ENVELOPES:
        return _enveloping(top)
    if top.content_type != "multipart/signed":
        return None
    return _detached(top.parameters.get("protocol", ""), [part for part in parts if part.path.isdigit()])


def _enveloping(part: Part) -> _Signed | Check | None:
    """By what the structure is; ``smime-type`` may be missing (RFC 8551 §3.2.2) and decides where that is unread."""
    announced = part.parameters.get("smime-type", "").lower()
    content_type = _content_type(part)
    if content_type == _SIGNED_DATA or announced == "signed-data":
        return _octets(part), None
    if content_type is None and not announced:
        return Check(_NAME, Outcome.INDETERMINATE, "signature-unreadable", _SOURCE)
    return None


def _content_type(part: Part) -> bytes | None:
    """Octets of the OID that a CMS structure begins with."""
    start = b""
    for piece in part.decoded_chunks():
        start += piece[:_START_OCTETS]
        if len(start) >= _START_OCTETS:
            break
    found = _CONTENT_INFO.match(start)
    return None if found is None else start[found.end() : found.end() + found[1][0]]


def _detached(protocol: str, children: Sequence[Part]) -> _Signed | Check | None:
    """RFC 1847 §2.1: exactly two parts, the second of the type that ``protocol`` names."""
    protocol = protocol.strip().lower()
    if protocol not in ("", *_SIGNATURES) and not any(child.content_type in _SIGNATURES for child in children):
        return None
    if len(children) < 2:
        return Check(_NAME, Outcome.FAILED, "signature-missing", "RFC 1847 §2.1; SND-92")
    if len(children) > 2:
        return Check(_NAME, Outcome.FAILED, "signature-parts", "RFC 1847 §2.1; SND-92")
    entity, signature = children
    if signature.content_type in _SIGNATURES:
        return _octets(signature), map(bytes, entity.entity_chunks())
    if not protocol and signature.content_type == "application/pgp-signature":
        return None
    return Check(_NAME, Outcome.INDETERMINATE, "signature-type", "RFC 1847 §2.1; SND-92")


def _octets(part: Part) -> Pieces:
    """At once where the message is in memory, else in pieces."""
    return part.decode() if isinstance(part.octets, bytes) else part.decoded_chunks()


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
    return "" if verdict.status is CertificateStatus.GOOD else verdict.unknown_because
