"""A small verifier, judge and signer for tests, written on `cryptography` alone and independent of the product."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.primitives import (
    CertificateFacts,
    CertificateStatus,
    CertificateVerdict,
    HashName,
    SignatureScheme,
)

VECTORS = Path(__file__).parent / "vectors" / "integrity"
VERIFICATION_TIME = datetime(2026, 3, 2, 12, tzinfo=UTC)

_HASHES: dict[HashName, type[hashes.HashAlgorithm]] = {
    HashName.SHA256: hashes.SHA256,
    HashName.SHA384: hashes.SHA384,
    HashName.SHA512: hashes.SHA512,
}


class VectorVerifier:
    """Verifies over finished digests."""

    def read_certificate(self, der: bytes) -> CertificateFacts:
        return _facts(der)

    def verify_digest(
        self, certificate_der: bytes, scheme: SignatureScheme, hash_name: HashName, digest: bytes, signature: bytes
    ) -> bool:
        key = x509.load_der_x509_certificate(certificate_der).public_key()
        algorithm = Prehashed(_HASHES[hash_name]())
        try:
            if scheme is SignatureScheme.EC_DSA:
                assert isinstance(key, ec.EllipticCurvePublicKey)
                key.verify(signature, digest, ec.ECDSA(algorithm))
            else:
                assert isinstance(key, rsa.RSAPublicKey)
                key.verify(signature, digest, _padding(scheme, hash_name, padding.PSS.AUTO), algorithm)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class VectorJudge:
    """Path to the vectors' authority, validity and key usage; the status is what the case says."""

    status: CertificateStatus = CertificateStatus.GOOD
    anchor: str = "ca.crt.pem"

    def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict:
        certificate = x509.load_der_x509_certificate(certificate_der)
        anchor = x509.load_pem_x509_certificate((VECTORS / "keys" / self.anchor).read_bytes())
        findings = []
        if at > certificate.not_valid_after_utc:
            findings.append("certificate-expired")
        if at < certificate.not_valid_before_utc:
            findings.append("certificate-not-yet-valid")
        if not _may_sign(certificate):
            findings.append("certificate-key-usage")
        if not _issued(anchor, certificate):
            findings.append("certificate-untrusted")
        if self.status is CertificateStatus.REVOKED:
            findings.append("certificate-revoked")
        anchor_der = anchor.public_bytes(serialization.Encoding.DER)
        return CertificateVerdict(tuple(findings), self.status, (certificate_der, anchor_der))


class VectorSigner:
    """Signs with a key of the vectors, e.g. ``rsa3072``, ``p256``, ``bp256``."""

    def __init__(self, name: str, scheme: SignatureScheme) -> None:
        self._key = _key(name)
        self._scheme = scheme
        certificate = x509.load_pem_x509_certificate((VECTORS / "keys" / f"{name}.crt.pem").read_bytes())
        self._der = certificate.public_bytes(serialization.Encoding.DER)

    @property
    def certificate_der(self) -> bytes:
        return self._der

    @property
    def scheme(self) -> SignatureScheme:
        return self._scheme

    def sign_digest(self, hash_name: HashName, digest: bytes) -> bytes:
        algorithm = Prehashed(_HASHES[hash_name]())
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(digest, ec.ECDSA(algorithm))
        return self._key.sign(digest, _padding(self._scheme, hash_name, padding.PSS.DIGEST_LENGTH), algorithm)


@cache
def _key(name: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key((VECTORS / "keys" / f"{name}.key.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return key


def _padding(scheme: SignatureScheme, hash_name: HashName, salt: object) -> padding.PKCS1v15 | padding.PSS:
    if scheme is SignatureScheme.RSA:
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(_HASHES[hash_name]()), salt)  # type: ignore[arg-type]


def _facts(der: bytes) -> CertificateFacts:
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateMalformed from error
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else None
    kind = "rsa" if isinstance(key, rsa.RSAPublicKey) else "ec" if curve else type(key).__name__
    return CertificateFacts(
        der=der,
        key_type=kind,
        key_bits=getattr(key, "key_size", 0),
        curve=curve,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial_number=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage.digital_signature or usage.content_commitment


def _issued(anchor: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
