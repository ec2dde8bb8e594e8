"""What partners are asked: signatures and encryptions, each with the holder of a key of its kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.cms import ContentCipher, RsaTransport, decrypt, encrypt, sign_detached, verify_detached
from demail_gateway.trust.keys import KeyKind, SoftwareSigner, generate_key
from demail_gateway.trust.policy import SMIME_3

NOW = datetime.now(UTC)
"""Partners judge certificates for the present."""
CONTENT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nSehr geehrte Frau M\xc3\xbcller,\r\nanbei der Bescheid.\r\n"
CHANGED = CONTENT.replace(b"anbei", b"hier ")
ADDRESS = "poststelle@stadt-elbtal.de-mail.de"


@dataclass(frozen=True, slots=True)
class Signing:
    """A row of the table: CAdES-B-B with SHA-256 by us, whatever the partner does by default from the partner."""

    title: str
    kind: KeyKind
    pss: bool = False


@dataclass(frozen=True, slots=True)
class Encrypting:
    title: str
    kind: KeyKind
    cipher: str
    """``gcm``, ``cbc`` or ``3des``."""
    transport: str
    """``oaep``, ``pkcs1`` or ``ecdh``."""
    is_read_only: bool = False
    """Never written by us."""


Case = Signing | Encrypting

CASES: tuple[Case, ...] = (
    Signing("RSASSA-PSS, RSA-3072", KeyKind.RSA_3072, pss=True),
    Signing("RSASSA-PKCS1-v1_5, RSA-3072 (S/MIME 3)", KeyKind.RSA_3072),
    Signing("ECDSA, P-256", KeyKind.P256),
    Signing("ECDSA, P-384", KeyKind.P384),
    Signing("ECDSA, brainpoolP256r1", KeyKind.BRAINPOOL_P256),
    Encrypting("AES-256-GCM, RSAES-OAEP", KeyKind.RSA_3072, "gcm", "oaep"),
    Encrypting("AES-256-GCM, ECDH P-256", KeyKind.P256, "gcm", "ecdh"),
    Encrypting("AES-256-GCM, ECDH brainpoolP256r1", KeyKind.BRAINPOOL_P256, "gcm", "ecdh"),
    Encrypting("AES-256-CBC, RSAES-OAEP (S/MIME 3)", KeyKind.RSA_3072, "cbc", "oaep"),
    Encrypting("AES-256-CBC, RSAES-PKCS1-v1_5 (S/MIME 3)", KeyKind.RSA_3072, "cbc", "pkcs1"),
    Encrypting("AES-256-CBC, ECDH P-256 (S/MIME 3)", KeyKind.P256, "cbc", "ecdh"),
    Encrypting("3DES-CBC, RSAES-PKCS1-v1_5 (S/MIME 3.1)", KeyKind.RSA_3072, "3des", "pkcs1", is_read_only=True),
)


@cache
def authority() -> TestAuthority:
    return TestAuthority.create("TEST Interop", NOW - timedelta(days=2), key_kind=KeyKind.RSA_3072)


@cache
def holder(kind: KeyKind, *, pss: bool = False) -> SoftwareSigner:
    """A key of the kind with an S/MIME certificate below `authority`; the same for both values of `pss`."""
    if pss:
        plain = holder(kind)
        return SoftwareSigner(plain.key, plain.certificate_der, pss=True)
    key = generate_key(kind)
    begin, end = NOW - timedelta(days=1), NOW + timedelta(days=30)
    certificate = authority().issue(
        key.public_key(), Profile.SMIME, f"TEST {kind}", email=ADDRESS, not_before=begin, not_after=end
    )
    return SoftwareSigner.for_certificate(key, certificate)


@cache
def own_signature(case: Signing) -> bytes:
    return sign_detached(CONTENT, holder(case.kind, pss=case.pss), at=NOW, policy=SMIME_3)


@cache
def own_encryption(case: Encrypting) -> bytes:
    cipher = ContentCipher.AES_256_GCM if case.cipher == "gcm" else ContentCipher.AES_256_CBC
    transport = RsaTransport.PKCS1 if case.transport == "pkcs1" else RsaTransport.OAEP
    recipient = holder(case.kind).certificate_der
    return encrypt(CONTENT, [recipient], cipher, at=NOW, rsa_transport=transport, policy=SMIME_3)


def we_verify(signature: bytes, case: Signing, content: bytes = CONTENT) -> None:
    """Raises CmsInvalid; AssertionError if it is somebody else's signature."""
    (signer,) = verify_detached(signature, content).signers
    assert signer.certificate_der == holder(case.kind).certificate_der


def we_decrypt(sealed: bytes, case: Encrypting) -> bytes:
    """Raises CmsInvalid, DecryptionFailed."""
    own = holder(case.kind)
    return decrypt(sealed, own.key, own.certificate_der)
