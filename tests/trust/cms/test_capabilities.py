from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from demail_gateway.core.errors import CmsInvalid
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.cms import (
    ContentCipher,
    RsaTransport,
    certs_only,
    der,
    read_certs_only,
    sign_detached,
    sign_enveloping,
    verify_detached,
)
from demail_gateway.trust.cms.algorithms import DATA, RSA_ENCRYPTION, RSAES_OAEP, algorithm
from demail_gateway.trust.cms.capabilities import MAX_CAPABILITIES, capabilities_of, common_choice
from demail_gateway.trust.cms.ciphers import CIPHER_OIDS, READABLE_CIPHERS
from demail_gateway.trust.keys import PrivateKey, SoftwareSigner
from demail_gateway.trust.policy import SMIME, SMIME_3, Policy
from tests.harness.programs import program

SignerOf = Callable[..., SoftwareSigner]
KeyOf = Callable[[str], PrivateKey]

CONTENT = b"Content-Type: text/plain\r\n\r\nText\r\n"
GCM, CBC = (CIPHER_OIDS[cipher] for cipher in ContentCipher)
DES3 = der.oid("1.2.840.113549.3.7")


def test_signature_says_what_its_signer_can_read(signer_of: SignerOf, now: datetime) -> None:
    (signer,) = verify_detached(sign_detached(CONTENT, signer_of("p256"), at=now), CONTENT).signers
    assert signer.capabilities is not None
    assert {GCM, CBC, RSAES_OAEP} <= signer.capabilities
    ciphers = signer.capabilities & {*READABLE_CIPHERS}
    assert len(ciphers) == 4
    assert DES3 not in signer.capabilities


def test_capabilities_of_openssl_are_read(tmp_path: Path, signer_of: SignerOf) -> None:
    signed = _openssl_sign(tmp_path, signer_of("p256"))
    (signer,) = verify_detached(signed, CONTENT).signers
    assert signer.capabilities is not None
    assert {CBC, DES3} <= signer.capabilities
    assert GCM not in signer.capabilities
    (silent,) = verify_detached(_openssl_sign(tmp_path, signer_of("p256"), "-nosmimecap"), CONTENT).signers
    assert silent.capabilities is None


def _certificate(key_of: KeyOf, now: datetime, extension: bytes | None) -> bytes:
    key = key_of("p256")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 5, now, now + timedelta(days=1))
    if extension is not None:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113549.1.9.15"), extension), critical=False
        )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _list(*identifiers: bytes) -> bytes:
    return der.tlv(der.SEQUENCE, *map(algorithm, identifiers))


def test_certificate_says_what_its_holder_can_read(key_of: KeyOf, now: datetime) -> None:
    assert capabilities_of(_certificate(key_of, now, _list(GCM, CBC))) == frozenset({GCM, CBC})
    assert capabilities_of(_certificate(key_of, now, None)) is None


@pytest.mark.parametrize(
    "extension", [b"\x00", b"\x30\x05", b"\x04\x00", _list(b"\x02\x01\x01"), _list(*[GCM] * (MAX_CAPABILITIES + 1))]
)
def test_unreadable_capabilities_say_nothing(key_of: KeyOf, now: datetime, extension: bytes) -> None:
    assert capabilities_of(_certificate(key_of, now, extension)) is None


@pytest.mark.parametrize(
    ("stated", "policy", "cipher", "transport"),
    [
        ([None], SMIME, ContentCipher.AES_256_GCM, RsaTransport.OAEP),
        ([None], SMIME_3, ContentCipher.AES_256_GCM, RsaTransport.OAEP),
        ([[GCM, CBC], None], SMIME_3, ContentCipher.AES_256_GCM, RsaTransport.OAEP),
        # one of them cannot read GCM: the common one, where it is permitted
        ([[GCM, CBC], [CBC, DES3]], SMIME_3, ContentCipher.AES_256_CBC, RsaTransport.OAEP),
        ([[GCM, CBC], [CBC, DES3]], SMIME, ContentCipher.AES_256_GCM, RsaTransport.OAEP),
        ([[GCM, RSA_ENCRYPTION]], SMIME_3, ContentCipher.AES_256_GCM, RsaTransport.PKCS1),
        ([[GCM, RSA_ENCRYPTION]], SMIME, ContentCipher.AES_256_GCM, RsaTransport.OAEP),
        ([[GCM, RSA_ENCRYPTION, RSAES_OAEP]], SMIME_3, ContentCipher.AES_256_GCM, RsaTransport.OAEP),
    ],
)
def test_what_all_can_read_is_chosen_within_the_policy(
    key_of: KeyOf,
    now: datetime,
    stated: list[list[bytes] | None],
    policy: Policy,
    cipher: ContentCipher,
    transport: RsaTransport,
) -> None:
    certificates = [_certificate(key_of, now, None if each is None else _list(*each)) for each in stated]
    assert common_choice(certificates, policy, now) == (cipher, transport)
    # TR-03116-4 table 20: CBC until the end of 2025
    early = common_choice(certificates, policy, datetime(2025, 1, 1, tzinfo=now.tzinfo))
    assert early[0] is (ContentCipher.AES_256_CBC if any(s and GCM not in s for s in stated) else cipher)


def test_certificates_alone_come_back(tmp_path: Path, signer_of: SignerOf) -> None:
    certificates = {signer_of(kind).certificate_der for kind in ("p256", "rsa-3072")}
    written = certs_only(certificates)
    assert set(read_certs_only(written)) == certificates
    command = [program("openssl"), "pkcs7", "-inform", "DER", "-print_certs"]
    done = subprocess.run(command, input=written, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.count(b"BEGIN CERTIFICATE") == 2


def test_certificates_alone_of_openssl_are_read(tmp_path: Path, signer_of: SignerOf) -> None:
    own = signer_of("p256").certificate_der
    (tmp_path / "c.pem").write_bytes(der_to_pem(own))
    command = [program("openssl"), "crl2pkcs7", "-nocrl", "-certfile", "c.pem", "-outform", "DER"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert read_certs_only(done.stdout) == (own,)


def test_a_signature_is_no_list_of_certificates(signer_of: SignerOf, now: datetime) -> None:
    signer = signer_of("p256")
    for octets in (sign_detached(CONTENT, signer, at=now), sign_enveloping(CONTENT, signer, at=now), b"", DATA):
        with pytest.raises(CmsInvalid):
            read_certs_only(octets)
    with pytest.raises(CmsInvalid, match="no signer"):
        verify_detached(certs_only([signer.certificate_der]), CONTENT)


def _openssl_sign(directory: Path, signer: SoftwareSigner, *options: str) -> bytes:
    pem = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "o.key").write_bytes(pem)
    (directory / "o.pem").write_bytes(der_to_pem(signer.certificate_der))
    command = [program("openssl"), "cms", "-sign", "-binary", "-outform", "DER", "-signer", "o.pem", "-inkey", "o.key"]
    return subprocess.run([*command, *options], input=CONTENT, cwd=directory, capture_output=True, check=True).stdout
