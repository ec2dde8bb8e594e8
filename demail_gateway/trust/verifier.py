"""Signatures over finished digests, checked with the key of a certificate (IN-12, IN-13)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from demail_gateway.core.primitives import CertificateFacts, HashName, SignatureScheme
from demail_gateway.trust.certificates import public_key_of, read_certificate
from demail_gateway.trust.keys import HASHES, PREHASHED, PublicKey


class CryptographyVerifier:
    """The core's Verifier with OpenSSL through `cryptography`. Holds nothing; share one between threads at will."""

    __slots__ = ()

    def read_certificate(self, der: bytes) -> CertificateFacts:
        """Raises CertificateMalformed."""
        return read_certificate(der)

    def verify_digest(
        self, certificate_der: bytes, scheme: SignatureScheme, hash_name: HashName, digest: bytes, signature: bytes
    ) -> bool:
        """True if `signature` over `digest` holds; False also where key and scheme do not fit.

        Which keys are permitted is the caller's rule (IN-14), the certificate's validity the judge's.

        Raises:
            CertificateMalformed
        """
        if len(digest) != HASHES[hash_name].digest_size:
            return False
        return verify_with_key(public_key_of(certificate_der), scheme, hash_name, digest, signature)


def verify_with_key(
    key: PublicKey | None, scheme: SignatureScheme, hash_name: HashName, digest: bytes, signature: bytes
) -> bool:
    """True if `signature` over `digest` holds under the key; None holds nothing."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and scheme is SignatureScheme.EC_DSA:
            key.verify(signature, digest, ec.ECDSA(PREHASHED[hash_name]))
        elif isinstance(key, rsa.RSAPublicKey) and scheme is not SignatureScheme.EC_DSA:
            key.verify(signature, digest, _padding(scheme, hash_name), PREHASHED[hash_name])
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _padding(scheme: SignatureScheme, hash_name: HashName) -> padding.AsymmetricPadding:
    if scheme is SignatureScheme.RSA:
        return padding.PKCS1v15()
    return padding.PSS(mgf=padding.MGF1(HASHES[hash_name]), salt_length=padding.PSS.AUTO)
