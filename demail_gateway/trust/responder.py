"""An OCSP responder for the test authority (RFC 6960), as trust centres have them: with a certificate of its own."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import OCSPNonce, ReasonFlags, ocsp

from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import natural_hash, parse_certificate
from demail_gateway.trust.keys import KeyKind, generate_key
from demail_gateway.trust.ocsp import issuer_hashes

_LIFETIME = timedelta(days=30)
_SKEW = timedelta(hours=1)


class TestResponder:
    """Answers for one authority. Not safe for use from several threads at once."""

    __test__ = False

    def __init__(self, authority: TestAuthority, at: datetime) -> None:
        """Makes the responder's key and certificate, valid from an hour before `at` for a month."""
        self._authority = authority
        self._key = generate_key(KeyKind.P256)
        self.certificate_der = authority.issue(
            self._key.public_key(),
            Profile.OCSP_RESPONDER,
            "TEST OCSP",
            not_before=at - _SKEW,
            not_after=at + _LIFETIME,
        )

    def answer(self, request_der: bytes, at: datetime, valid_for: timedelta) -> bytes:
        """DER response as of `at`: revoked or good; ``malformedRequest``, or ``unauthorized`` for other authorities.

        The authority does not know what it has issued, so that "good" says no more than "not revoked" (RFC 6960 §2.2).
        A nonce comes back.
        """
        try:
            request = ocsp.load_der_ocsp_request(request_der)
            hashes = (request.issuer_name_hash, request.issuer_key_hash)
            expected = issuer_hashes(self.certificate_der, self._authority.certificate_der, request.hash_algorithm.name)
            nonces = [each.value for each in request.extensions if isinstance(each.value, OCSPNonce)]
        except (ValueError, NotImplementedError, UnsupportedAlgorithm):
            return _unsuccessful(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
        if hashes != expected:
            return _unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        builder = self._about(request, at, valid_for)
        for nonce in nonces[:1]:
            builder = builder.add_extension(nonce, critical=False)
        return builder.sign(self._key, natural_hash(self._key.public_key())).public_bytes(Encoding.DER)

    def _about(self, request: ocsp.OCSPRequest, at: datetime, valid_for: timedelta) -> ocsp.OCSPResponseBuilder:
        revocation = self._authority.revocation_of(request.serial_number, at)
        reason = None if revocation is None else revocation.reason
        own = parse_certificate(self.certificate_der)
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=request.issuer_name_hash,
            issuer_key_hash=request.issuer_key_hash,
            serial_number=request.serial_number,
            algorithm=request.hash_algorithm,
            cert_status=ocsp.OCSPCertStatus.GOOD if revocation is None else ocsp.OCSPCertStatus.REVOKED,
            this_update=at,
            next_update=at + valid_for,
            revocation_time=None if revocation is None else revocation.at,
            revocation_reason=None if reason is None else ReasonFlags(reason),
        )
        return builder.responder_id(ocsp.OCSPResponderEncoding.HASH, own).certificates([own])


def _unsuccessful(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
