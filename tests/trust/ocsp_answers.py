"""OCSP answers of every kind, right and wrong, for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from demail_gateway.trust.authority import TestAuthority
from demail_gateway.trust.certificates import natural_hash, parse_certificate
from demail_gateway.trust.cms import der
from demail_gateway.trust.keys import PrivateKey

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer; what is not said is as a good responder has it."""

    about: bytes
    issuer: bytes
    at: datetime
    key: PrivateKey
    """Signs."""
    named: bytes
    """Certificate that the ResponderID stands for."""
    valid_for: timedelta | None = DAY
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    revoked_at: datetime | None = None
    reason: x509.ReasonFlags | None = None
    certificates: Sequence[bytes] = ()
    encoding: ocsp.OCSPResponderEncoding = ocsp.OCSPResponderEncoding.HASH
    certid_hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA1)
    signature_hash: hashes.HashAlgorithm | None = None
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()

    def der(self) -> bytes:
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=parse_certificate(self.about),
            issuer=parse_certificate(self.issuer),
            algorithm=self.certid_hash,
            cert_status=self.status,
            this_update=self.at,
            next_update=None if self.valid_for is None else self.at + self.valid_for,
            revocation_time=self.revoked_at,
            revocation_reason=self.reason,
        )
        builder = builder.responder_id(self.encoding, parse_certificate(self.named))
        if self.certificates:
            builder = builder.certificates([parse_certificate(each) for each in self.certificates])
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical)
        algorithm = self.signature_hash or natural_hash(self.key.public_key())
        return builder.sign(self.key, algorithm).public_bytes(Encoding.DER)


def by_issuer(authority: TestAuthority, about: bytes, at: datetime, **other: object) -> Answer:
    """As the authority itself answers."""
    facts = {"about": about, "issuer": authority.certificate_der, "at": at, "key": authority.key}
    return Answer(**{**facts, "named": authority.certificate_der, **other})  # type: ignore[arg-type]


def by_delegate(
    authority: TestAuthority, about: bytes, at: datetime, key: PrivateKey, certificate: bytes, **other: object
) -> Answer:
    """As a responder with a certificate of its own answers."""
    own = {"key": key, "named": certificate, "certificates": (certificate,)}
    return by_issuer(authority, about, at, **{**own, **other})


def resigned(answer: bytes, key: ec.EllipticCurvePrivateKey, *, sha1: bool = False) -> bytes:
    """The same answer with the signature of a key that it does not name, or with SHA-1; the library makes neither."""
    outer = der.parse(answer).children()
    kind, octets = outer[1].children()[0].children()
    tbs, _, _, *more = der.parse(octets.value).children()
    algorithm = der.tlv(der.SEQUENCE, der.oid("1.2.840.10045.4.1" if sha1 else "1.2.840.10045.4.3.2"))
    signed = key.sign(tbs.raw, ec.ECDSA(hashes.SHA1() if sha1 else hashes.SHA256()))
    signature = der.tlv(der.BIT_STRING, b"\x00", signed)
    basic = der.tlv(der.SEQUENCE, tbs.raw, algorithm, signature, *(each.raw for each in more))
    wrapped = der.tlv(der.SEQUENCE, kind.raw, der.tlv(der.OCTET_STRING, basic))
    return der.tlv(der.SEQUENCE, outer[0].raw, der.tlv(der.CONTEXT_CONSTRUCTED, wrapped))
