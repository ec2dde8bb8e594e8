"""Asking an OCSP responder: the request, and whether what came back may be kept as its answer (RFC 6960 §3.2)."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from demail_gateway.application.ports.installation import FetchedAnswer
from demail_gateway.application.revocation import RevocationSourceUnavailable
from demail_gateway.trust.certificates import parse_certificate
from demail_gateway.trust.ocsp import OcspAnswer, read_answer

NONCE_OCTETS = 32
"""RFC 9654 §2.1."""
SKEW = timedelta(minutes=5)
"""Ours: how far a responder's clock may be ahead, or its answer just over."""


def ocsp_request(certificate_der: bytes, issuer_der: bytes, nonce: bytes) -> bytes:
    """DER request about one certificate.

    CertID hashes with SHA-1, the one that every responder knows (RFC 5019 §2.1.1): it only names the authority, whose
    signature over the answer is what counts. Raises CertificateMalformed.
    """
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        parse_certificate(certificate_der),
        parse_certificate(issuer_der),
        hashes.SHA1(),  # noqa: S303 - see above
    )
    return builder.add_extension(x509.OCSPNonce(nonce), critical=False).build().public_bytes(Encoding.DER)


def fetched_answer(der: bytes, certificate_der: bytes, issuer_der: bytes, nonce: bytes, now: datetime) -> FetchedAnswer:
    """The answer as it is stored, once it is certain that it answers this request now.

    Many responders answer out of stock and without a nonce: that is accepted, since `now` must lie within thisUpdate
    and nextUpdate. Another nonce is a replay and is refused.

    Raises:
        RevocationSourceUnavailable: with the reason: ``unreadable``, the responder's own refusal (``tryLater`` …),
            ``wrong-responder`` (also for another certificate or a signature that does not hold), ``wrong-nonce``,
            ``not-known``, ``from-the-future``, ``stale``.
    """
    answer = read_answer(der)
    if answer is None:
        raise RevocationSourceUnavailable(_refusal(der))
    reason = _fault(answer, certificate_der, issuer_der, nonce, now)
    if reason is not None:
        raise RevocationSourceUnavailable(reason)
    return FetchedAnswer(
        der=der,
        issuer_sha256=hashlib.sha256(parse_certificate(issuer_der).subject.public_bytes()).hexdigest(),
        this_update=answer.this_update,
        next_update=answer.next_update,
    )


def _fault(answer: OcspAnswer, certificate_der: bytes, issuer_der: bytes, nonce: bytes, now: datetime) -> str | None:
    if answer.responder_of(certificate_der, issuer_der) is None:
        return "wrong-responder"
    if answer.nonce is not None and not hmac.compare_digest(answer.nonce, nonce):
        return "wrong-nonce"
    if answer.is_unknown:
        return "not-known"
    if max(answer.this_update, answer.produced_at) > now + SKEW:
        return "from-the-future"
    if answer.next_update is not None and answer.next_update < now - SKEW:
        return "stale"
    return None


def _refusal(der: bytes) -> str:
    try:
        status = ocsp.load_der_ocsp_response(der).response_status
    except ValueError:
        return "unreadable"
    if status is ocsp.OCSPResponseStatus.SUCCESSFUL:
        return "unreadable"
    head, *tail = status.name.lower().split("_")
    return head + "".join(map(str.capitalize, tail))
