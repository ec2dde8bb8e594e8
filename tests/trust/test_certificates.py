from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.trust.authority import TestAuthority
from demail_gateway.trust.certificates import (
    MAX_CERTIFICATE_BYTES,
    der_to_pem,
    make_csr,
    natural_hash,
    pem_to_der,
    public_key_of,
    read_certificate,
    read_pem_bundle,
)
from demail_gateway.trust.keys import SoftwareSigner, generate_key

SignerOf = Callable[..., SoftwareSigner]


def test_facts_of_an_rsa_certificate(signer_of: SignerOf, now: datetime) -> None:
    der = signer_of("rsa-3072").certificate_der
    facts = read_certificate(der)
    assert (facts.key_type, facts.key_bits, facts.curve) == ("rsa", 3072, None)
    assert facts.issuer == "CN=TEST Root,C=DE"
    assert facts.not_before < now < facts.not_after
    assert facts.not_before.tzinfo is not None
    assert facts.fingerprint_sha256 == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize(
    ("kind", "curve", "bits"), [("p384", "secp384r1", 384), ("brainpool-p256", "brainpoolP256r1", 256)]
)
def test_facts_name_the_curve_as_openssl_does(signer_of: SignerOf, kind: str, curve: str, bits: int) -> None:
    facts = read_certificate(signer_of(kind).certificate_der)
    assert (facts.key_type, facts.key_bits, facts.curve) == ("ec", bits, curve)


def test_key_of_another_kind_is_named_not_refused(now: datetime) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 5, now, now + timedelta(days=1))
    der = builder.sign(key, None).public_bytes(Encoding.DER)
    assert read_certificate(der).key_type == "ed25519"
    assert public_key_of(der) is None


def test_curve_that_the_library_does_not_know_fits_no_rule(signer_of: SignerOf) -> None:
    der = signer_of("p256").certificate_der
    known, unknown = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030163")
    facts = read_certificate(der.replace(known, unknown))
    assert (facts.key_type, facts.curve) == ("ec", "unsupported")
    assert public_key_of(der.replace(known, unknown)) is None


def test_unknown_key_algorithm_fits_no_rule(signer_of: SignerOf) -> None:
    der = signer_of("p256").certificate_der
    facts = read_certificate(der.replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0263")))
    assert facts.key_type == "unsupported"


@pytest.mark.parametrize("der", [b"", b"0", b"\x30\x80", b"x" * 100, b"\x30" * (MAX_CERTIFICATE_BYTES + 1)])
def test_what_is_no_certificate_is_malformed(der: bytes) -> None:
    with pytest.raises(CertificateMalformed):
        read_certificate(der)


def test_trailing_octets_are_malformed(signer_of: SignerOf) -> None:
    with pytest.raises(CertificateMalformed):
        read_certificate(signer_of("p256").certificate_der + b"\x00")


def test_every_truncation_is_malformed(signer_of: SignerOf) -> None:
    der = signer_of("p256").certificate_der
    for length in range(0, len(der), 7):
        with pytest.raises(CertificateMalformed):
            read_certificate(der[:length])


def test_point_outside_the_curve_is_malformed(signer_of: SignerOf) -> None:
    der = signer_of("p256").certificate_der
    at = der.index(b"\x03\x42\x00\x04") + 10
    with pytest.raises(CertificateMalformed):
        read_certificate(der[:at] + bytes([der[at] ^ 1]) + der[at + 1 :])


def test_bundle_keeps_order_and_ignores_text(signer_of: SignerOf, authority: TestAuthority) -> None:
    ders = (signer_of("p256").certificate_der, authority.certificate_der)
    bundle = b"issued for tests\n" + b"".join(map(der_to_pem, ders))
    assert read_pem_bundle(bundle) == ders
    assert read_pem_bundle(ders[0]) == ders[:1]
    assert pem_to_der(der_to_pem(ders[1])) == ders[1]


def test_two_certificates_are_not_one(authority: TestAuthority) -> None:
    with pytest.raises(CertificateMalformed):
        pem_to_der(authority.certificate_pem * 2)


def test_broken_block_in_a_bundle_is_malformed(authority: TestAuthority) -> None:
    with pytest.raises(CertificateMalformed):
        read_pem_bundle(authority.certificate_pem.replace(b"MII", b"!!!"))


def test_request_carries_the_names() -> None:
    key = generate_key("p384")
    pem = make_csr(key, "gateway", dns=["gw.example"], ips=["127.0.0.1"], email="a@b.de-mail.de")
    csr = x509.load_pem_x509_csr(pem)
    assert csr.is_signature_valid
    assert isinstance(csr.signature_hash_algorithm, hashes.SHA384)
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gw.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert names.get_values_for_type(x509.RFC822Name) == ["a@b.de-mail.de"]


def test_request_without_names_has_no_extension() -> None:
    assert not list(x509.load_pem_x509_csr(make_csr(generate_key("p256"), "x")).extensions)


def test_hash_grows_with_the_curve() -> None:
    long = ec.generate_private_key(ec.SECP521R1()).public_key()
    assert [natural_hash(key).name for key in (None, long)] == ["sha256", "sha512"]
