"""What a signature of an authority is worth, on a certificate, a revocation list or an OCSP responder's certificate."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from demail_gateway.trust.certificates import parse_certificate

_PERMITTED_HASHES = frozenset({"sha256", "sha384", "sha512"})


def is_issued_by(certificate_der: bytes, issuer_der: bytes) -> bool:
    """Whether the issuer's name and signature are on the certificate; nothing about validity or usage.

    Raises:
        CertificateMalformed: one of them cannot be read.
    """
    certificate, issuer = parse_certificate(certificate_der), parse_certificate(issuer_der)
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def has_permitted_hash(signed: x509.Certificate | x509.CertificateRevocationList) -> bool:
    """Whether the signature is over SHA-256, SHA-384 or SHA-512; not if its algorithm is unknown."""
    try:
        algorithm = signed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return False
    return algorithm is not None and algorithm.name in _PERMITTED_HASHES
