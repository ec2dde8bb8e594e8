"""Which signatures of authorities count, for paths, revocation lists and OCSP responders alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import parse_certificate
from demail_gateway.trust.issued import has_permitted_hash, is_issued_by
from demail_gateway.trust.keys import generate_key

AT = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT, NAMESAKE = (TestAuthority.create("TEST", AT - DAY, key_kind="p256") for _ in range(2))
OTHER = TestAuthority.create("OTHER", AT - DAY, key_kind="p256")
KEY = generate_key("p256")
DER = ROOT.issue(KEY.public_key(), Profile.SMIME, "Erika", not_before=AT - DAY, not_after=AT + DAY)


def test_name_and_signature_of_the_issuer_must_both_be_there() -> None:
    assert is_issued_by(DER, ROOT.certificate_der)
    assert not is_issued_by(DER, NAMESAKE.certificate_der), "the same name, another key"
    assert not is_issued_by(DER, OTHER.certificate_der)
    assert not is_issued_by(ROOT.certificate_der, DER)


def revocation_list(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, algorithm: object) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TEST")])
    builder = x509.CertificateRevocationListBuilder(name, AT, AT + DAY)
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("algorithm", "permitted"),
    [(hashes.SHA256(), True), (hashes.SHA384(), True), (hashes.SHA512(), True), (hashes.SHA224(), False)],
)
def test_hashes_below_sha_256_do_not_count(algorithm: hashes.HashAlgorithm, permitted: bool) -> None:
    crl = x509.load_der_x509_crl(revocation_list(ec.generate_private_key(ec.SECP256R1()), algorithm))
    assert has_permitted_hash(crl) is permitted
    assert has_permitted_hash(parse_certificate(DER))


def test_a_signature_without_a_hash_of_its_own_does_not_count() -> None:
    crl = x509.load_der_x509_crl(revocation_list(ed25519.Ed25519PrivateKey.generate(), None))
    assert not has_permitted_hash(crl)
