from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from demail_gateway.core.errors import KeyUnavailable
from demail_gateway.core.primitives import HashName, SignatureScheme
from demail_gateway.trust.keys import (
    KeyKind,
    PrivateKey,
    SoftwareSigner,
    generate_key,
    import_pkcs8,
    is_permitted,
    load_pkcs8,
    spki,
    to_pkcs8,
)
from demail_gateway.trust.verifier import CryptographyVerifier

SignerOf = Callable[..., SoftwareSigner]

KINDS = [kind.value for kind in KeyKind]
DIGESTS = {name: hashlib.new(name, b"nachricht").digest() for name in HashName}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back_from_pkcs8(key_of: Callable[[str], PrivateKey], kind: str) -> None:
    key = key_of(kind)
    assert is_permitted(key.public_key())
    for load in (load_pkcs8, import_pkcs8):
        assert spki(load(to_pkcs8(key)).public_key()) == spki(key.public_key())


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="rsa-1024"):
        generate_key("rsa-1024")


def test_import_takes_encrypted_pem(key_of: Callable[[str], PrivateKey]) -> None:
    key = key_of("p256")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"geheim"))
    assert spki(import_pkcs8(pem, b"geheim").public_key()) == spki(key.public_key())
    for password in (None, b"falsch"):
        with pytest.raises(KeyUnavailable):
            import_pkcs8(pem, password)


def test_import_checks_that_the_numbers_fit(key_of: Callable[[str], PrivateKey]) -> None:
    der = to_pkcs8(key_of("rsa-3072"))
    broken = der[:-40] + bytes([der[-40] ^ 1]) + der[-39:]
    with pytest.raises(KeyUnavailable):
        import_pkcs8(broken)


@pytest.mark.clause("TR 01201-3.4 §3.1.21 permitted")
@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["rsa-1024", "secp256k1", "ed25519"],
)
def test_keys_outside_the_rules_are_unavailable(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for load in (import_pkcs8, load_pkcs8):
        with pytest.raises(KeyUnavailable):
            load(der)


def test_garbage_is_unavailable_and_not_repeated_in_the_text() -> None:
    with pytest.raises(KeyUnavailable) as caught:
        load_pkcs8(b"secret octets")
    assert "secret octets" not in str(caught.value)


@pytest.mark.parametrize("hash_name", list(HashName))
@pytest.mark.parametrize(("kind", "pss"), [*((kind, False) for kind in KINDS), ("rsa-3072", True)])
def test_what_a_signer_signs_its_certificate_verifies(
    signer_of: SignerOf, kind: str, pss: bool, hash_name: HashName
) -> None:
    signer = signer_of(kind, pss=pss)
    digest = DIGESTS[hash_name]
    signature = signer.sign_digest(hash_name, digest)
    verify = CryptographyVerifier().verify_digest
    assert verify(signer.certificate_der, signer.scheme, hash_name, digest, signature)
    changed = bytes([digest[0] ^ 1]) + digest[1:]
    assert not verify(signer.certificate_der, signer.scheme, hash_name, changed, signature)
    assert not verify(signer.certificate_der, signer.scheme, hash_name, digest, signature[:-1])


def test_scheme_follows_key_and_choice(signer_of: SignerOf) -> None:
    assert signer_of("rsa-3072").scheme is SignatureScheme.RSA
    assert signer_of("rsa-3072", pss=True).scheme is SignatureScheme.RSASSA_PSS
    assert signer_of("p256").scheme is SignatureScheme.EC_DSA


def test_certificate_of_another_key_is_refused(signer_of: SignerOf, key_of: Callable[[str], PrivateKey]) -> None:
    with pytest.raises(KeyUnavailable):
        SoftwareSigner.for_certificate(key_of("p384"), signer_of("p256").certificate_der)
