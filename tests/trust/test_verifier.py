from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.primitives import HashName, SignatureScheme
from demail_gateway.trust.keys import SoftwareSigner
from demail_gateway.trust.verifier import CryptographyVerifier

SignerOf = Callable[..., SoftwareSigner]

DIGEST = hashlib.sha256(b"nachricht").digest()
VERIFIER = CryptographyVerifier()


@pytest.mark.parametrize("salt_length", [0, 17, 32, 64])
def test_pss_is_accepted_with_every_salt_length(signer_of: SignerOf, salt_length: int) -> None:
    """IN-13."""
    signer = signer_of("rsa-3072")
    assert isinstance(signer.key, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length)
    signature = signer.key.sign(DIGEST, pss, Prehashed(hashes.SHA256()))
    certificate = signer.certificate_der
    assert VERIFIER.verify_digest(certificate, SignatureScheme.RSASSA_PSS, HashName.SHA256, DIGEST, signature)
    assert not VERIFIER.verify_digest(certificate, SignatureScheme.RSA, HashName.SHA256, DIGEST, signature)


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [("p256", SignatureScheme.RSA), ("p256", SignatureScheme.RSASSA_PSS), ("rsa-3072", SignatureScheme.EC_DSA)],
)
def test_scheme_that_does_not_fit_the_key_never_holds(signer_of: SignerOf, kind: str, scheme: SignatureScheme) -> None:
    signer = signer_of(kind)
    signature = signer.sign_digest(HashName.SHA256, DIGEST)
    assert not VERIFIER.verify_digest(signer.certificate_der, scheme, HashName.SHA256, DIGEST, signature)


def test_digest_of_another_length_never_holds(signer_of: SignerOf) -> None:
    signer = signer_of("p256")
    signature = signer.sign_digest(HashName.SHA256, DIGEST)
    certificate, scheme = signer.certificate_der, signer.scheme
    assert not VERIFIER.verify_digest(certificate, scheme, HashName.SHA256, DIGEST[:31], signature)
    assert not VERIFIER.verify_digest(certificate, scheme, HashName.SHA512, DIGEST, signature)


@pytest.mark.parametrize("signature", [b"", b"0", b"\x30\x80\x00\x00", b"\xff" * 4096])
def test_garbage_signature_never_holds(signer_of: SignerOf, signature: bytes) -> None:
    for signer in (signer_of("p256"), signer_of("rsa-3072"), signer_of("rsa-3072", pss=True)):
        certificate, scheme = signer.certificate_der, signer.scheme
        assert not VERIFIER.verify_digest(certificate, scheme, HashName.SHA256, DIGEST, signature)


def test_malformed_certificate_is_named() -> None:
    with pytest.raises(CertificateMalformed):
        VERIFIER.verify_digest(b"x", SignatureScheme.RSA, HashName.SHA256, DIGEST, b"")
    with pytest.raises(CertificateMalformed):
        VERIFIER.read_certificate(b"x")
