"""Private keys: making, PKCS #8, and signing finished digests.

Loading an RSA key with OpenSSL's consistency check takes 95 ms (RSA-3072) to 217 ms (RSA-4096), without it 0.013 ms.
So a key that comes from outside is checked once by `import_pkcs8`; from then on it is kept wrapped (an authenticated
encryption), and `load_pkcs8` trusts what comes out of that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from demail_gateway.core.errors import KeyUnavailable
from demail_gateway.core.primitives import DigestSigner, HashName, SignatureScheme
from demail_gateway.trust.certificates import public_key_of

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

HASHES: dict[HashName, hashes.HashAlgorithm] = {
    HashName.SHA256: hashes.SHA256(),
    HashName.SHA384: hashes.SHA384(),
    HashName.SHA512: hashes.SHA512(),
}
PREHASHED: dict[HashName, Prehashed] = {name: Prehashed(algorithm) for name, algorithm in HASHES.items()}

MIN_RSA_BITS = 2048
"""IN-14; below it a key is not permitted, neither for making nor for reading."""

PERMITTED_CURVES = frozenset(
    {"secp256r1", "secp384r1", "secp521r1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"}
)
"""IN-12."""


class KeyKind(StrEnum):
    """Kinds of keys that the gateway makes (IN-12, IN-14; TR-02102 asks for RSA of 3000 bit or more)."""

    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    P256 = "p256"
    P384 = "p384"
    P521 = "p521"
    BRAINPOOL_P256 = "brainpool-p256"
    BRAINPOOL_P384 = "brainpool-p384"
    BRAINPOOL_P512 = "brainpool-p512"


class CertifiedSigner(DigestSigner, Protocol):
    """A signer that also knows the certificates above its own, for the receiver's path building."""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """DER certificates above `certificate_der`, without the anchor; may be empty."""
        ...


def generate_key(kind: KeyKind | str) -> PrivateKey:
    """A new private key. `kind` is a KeyKind or its text. Raises ValueError for another text."""
    return _MAKERS[KeyKind(kind)]()


def to_pkcs8(key: PrivateKey) -> bytes:
    """Unencrypted DER PKCS #8; the caller wraps it at once (GWT-80)."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def import_pkcs8(data: bytes, password: bytes | None = None) -> PrivateKey:
    """A key from outside, DER or PEM, with the full consistency check (up to 217 ms) and the rules IN-12, IN-14.

    Raises:
        KeyUnavailable: unreadable, wrong password, inconsistent, or of a kind that is not permitted.
    """
    return _permitted(_load(data, password, skip_check=False))


def load_pkcs8(der: bytes) -> PrivateKey:
    """A key that `import_pkcs8` or `generate_key` once gave, without the slow check.

    Raises:
        KeyUnavailable
    """
    return _permitted(_load(der, None, skip_check=True))


def is_permitted(public_key: object) -> bool:
    """True for keys of IN-12 and IN-14: RSA of 2048 bit or more, the six curves."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return public_key.key_size >= MIN_RSA_BITS
    return isinstance(public_key, ec.EllipticCurvePublicKey) and public_key.curve.name in PERMITTED_CURVES


def spki(public_key: PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo: equal octets mean the same key."""
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class SoftwareSigner:
    """DigestSigner with a key in memory. `pss` chooses RSASSA-PSS for an RSA key and is meaningless for others.

    That key and certificate belong together is checked by `for_certificate`, not at each signature.
    """

    key: PrivateKey
    certificate_der: bytes
    chain: tuple[bytes, ...] = ()
    pss: bool = False

    @classmethod
    def for_certificate(
        cls, key: PrivateKey, certificate_der: bytes, chain: Sequence[bytes] = (), *, pss: bool = False
    ) -> SoftwareSigner:
        """The signer, after making sure that the certificate is for this key.

        Raises:
            KeyUnavailable: it is for another one.
            CertificateMalformed
        """
        certified = public_key_of(certificate_der)
        if certified is None or spki(certified) != spki(key.public_key()):
            raise KeyUnavailable("certificate and private key do not belong together")
        return cls(key, certificate_der, tuple(chain), pss)

    @property
    def scheme(self) -> SignatureScheme:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return SignatureScheme.EC_DSA
        return SignatureScheme.RSASSA_PSS if self.pss else SignatureScheme.RSA

    def sign_digest(self, hash_name: HashName, digest: bytes) -> bytes:
        """Signature over a finished digest; releases the GIL while OpenSSL works.

        Raises:
            ValueError: the digest's length is not that of `hash_name`.
        """
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(digest, ec.ECDSA(PREHASHED[hash_name]))
        fill = _pss(hash_name) if self.pss else padding.PKCS1v15()
        return self.key.sign(digest, fill, PREHASHED[hash_name])


def _pss(hash_name: HashName) -> padding.PSS:
    algorithm = HASHES[hash_name]
    return padding.PSS(mgf=padding.MGF1(algorithm), salt_length=algorithm.digest_size)


def _load(data: bytes, password: bytes | None, *, skip_check: bool) -> object:
    load = load_pem_private_key if data.lstrip().startswith(b"-----") else load_der_private_key
    try:
        return load(data, password, unsafe_skip_rsa_key_validation=skip_check)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnavailable("private key cannot be read") from error


def _permitted(key: object) -> PrivateKey:
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) and is_permitted(key.public_key()):
        return key
    raise KeyUnavailable("kind of private key is not permitted")


def _rsa(bits: int) -> Callable[[], PrivateKey]:
    return lambda: rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _ec(curve: ec.EllipticCurve) -> Callable[[], PrivateKey]:
    return lambda: ec.generate_private_key(curve)


_MAKERS: dict[KeyKind, Callable[[], PrivateKey]] = {
    KeyKind.RSA_3072: _rsa(3072),
    KeyKind.RSA_4096: _rsa(4096),
    KeyKind.P256: _ec(ec.SECP256R1()),
    KeyKind.P384: _ec(ec.SECP384R1()),
    KeyKind.P521: _ec(ec.SECP521R1()),
    KeyKind.BRAINPOOL_P256: _ec(ec.BrainpoolP256R1()),
    KeyKind.BRAINPOOL_P384: _ec(ec.BrainpoolP384R1()),
    KeyKind.BRAINPOOL_P512: _ec(ec.BrainpoolP512R1()),
}
