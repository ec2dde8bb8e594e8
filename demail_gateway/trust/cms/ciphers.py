"""Content ciphers and key management of CMS encryption: tables, and the operations that both directions share.

Written are AES-256 alone, RSAES-OAEP or PKCS #1 v1.5, and ECDH with a SHA-2 KDF; read is also what S/MIME 3.1 senders
still use (RFC 3851: 3DES) and OpenSSL's default for ECDH (a KDF with SHA-1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from demail_gateway.trust.cms.algorithms import HASH_OIDS
from demail_gateway.trust.cms.der import CONTEXT_CONSTRUCTED, OCTET_STRING, SEQUENCE, oid, tlv
from demail_gateway.trust.keys import HASHES
from demail_gateway.trust.policy import Mechanism, Use


class ContentCipher(StrEnum):
    """Ciphers for new messages (RFC 8551 §2.7)."""

    AES_256_GCM = "aes-256-gcm"
    """AuthEnvelopedData: S/MIME 4.0, authenticated."""
    AES_256_CBC = "aes-256-cbc"
    """EnvelopedData: for receivers of S/MIME 3.x. Not authenticated (EFAIL): sign inside."""

    @property
    def smime_type(self) -> str:
        """Parameter ``smime-type`` of application/pkcs7-mime (RFC 8551 §3.2.2)."""
        return "authEnveloped-data" if self is ContentCipher.AES_256_GCM else "enveloped-data"


class RsaTransport(StrEnum):
    """How a content key reaches an RSA recipient."""

    OAEP = "oaep"
    """RSAES-OAEP with SHA-256 and MGF1-SHA-256."""
    PKCS1 = "pkcs1"
    """RSAES-PKCS1-v1_5: for receivers that know nothing else (NSS 3.87, GnuPG 2.2)."""


@dataclass(frozen=True, slots=True)
class CipherFacts:
    name: str
    """``aes-cbc``, ``aes-gcm`` or ``3des``."""
    key_bytes: int

    @property
    def mechanism(self) -> Mechanism:
        return Mechanism(Use.CIPHER, self.name, self.key_bytes * 8)

    @property
    def is_authenticated(self) -> bool:
        return self.name == "aes-gcm"

    @property
    def block_bytes(self) -> int:
        return 8 if self.name == "3des" else 16


CIPHER_OIDS: dict[ContentCipher, bytes] = {
    ContentCipher.AES_256_GCM: oid("2.16.840.1.101.3.4.1.46"),
    ContentCipher.AES_256_CBC: oid("2.16.840.1.101.3.4.1.42"),
}
READABLE_CIPHERS: dict[bytes, CipherFacts] = {
    oid("2.16.840.1.101.3.4.1.2"): CipherFacts("aes-cbc", 16),
    oid("2.16.840.1.101.3.4.1.22"): CipherFacts("aes-cbc", 24),
    oid("2.16.840.1.101.3.4.1.42"): CipherFacts("aes-cbc", 32),
    oid("2.16.840.1.101.3.4.1.6"): CipherFacts("aes-gcm", 16),
    oid("2.16.840.1.101.3.4.1.26"): CipherFacts("aes-gcm", 24),
    oid("2.16.840.1.101.3.4.1.46"): CipherFacts("aes-gcm", 32),
    oid("1.2.840.113549.3.7"): CipherFacts("3des", 24),
}

AES_256_WRAP = oid("2.16.840.1.101.3.4.1.45")
READABLE_WRAPS: dict[bytes, int] = {
    oid("2.16.840.1.101.3.4.1.5"): 16,
    oid("2.16.840.1.101.3.4.1.25"): 24,
    AES_256_WRAP: 32,
}
"""AES key wrap (RFC 3394) and the length of its key in octets."""

SHA1: hashes.HashAlgorithm = hashes.SHA1()  # noqa: S303  reading only, in KDF and OAEP, where collisions mean nothing

ECDH_SHA256 = oid("1.3.132.1.11.1")
READABLE_AGREEMENTS: dict[bytes, hashes.HashAlgorithm] = {
    oid("1.3.133.16.840.63.0.2"): SHA1,
    oid("1.3.132.1.11.0"): hashes.SHA224(),
    ECDH_SHA256: hashes.SHA256(),
    oid("1.3.132.1.11.2"): hashes.SHA384(),
    oid("1.3.132.1.11.3"): hashes.SHA512(),
}
"""dhSinglePass-stdDH-*kdf-scheme (RFC 5753 §7.1.4)."""

OAEP_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    oid("1.3.14.3.2.26"): SHA1,
    **{identifier: HASHES[name] for name, identifier in HASH_OIDS.items()},
}
"""SHA-1 is the default of RFC 4055, and all that many HSMs know."""


def agreed_key(
    private: ec.EllipticCurvePrivateKey,
    public: ec.EllipticCurvePublicKey,
    hash_algorithm: hashes.HashAlgorithm,
    wrap_algorithm: bytes,
    key_bytes: int,
    user_material: bytes | None,
) -> bytes:
    """Key-encryption key of ECDH with ECC-CMS-SharedInfo (RFC 5753 §7.2). Raises ValueError for two curves."""
    material = b"" if user_material is None else tlv(CONTEXT_CONSTRUCTED, tlv(OCTET_STRING, user_material))
    size = tlv(CONTEXT_CONSTRUCTED | 2, tlv(OCTET_STRING, (key_bytes * 8).to_bytes(4, "big")))
    shared_info = tlv(SEQUENCE, wrap_algorithm, material, size)
    secret = private.exchange(ec.ECDH(), public)
    return X963KDF(algorithm=hash_algorithm, length=key_bytes, sharedinfo=shared_info).derive(secret)
