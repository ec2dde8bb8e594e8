from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.trust.authority import TestAuthority
from demail_gateway.trust.certificates import parse_certificate
from demail_gateway.trust.crls import read_crls
from demail_gateway.trust.keys import generate_key
from demail_gateway.trust.revocation import RevocationIndex

GOOD, REVOKED, UNKNOWN = CertificateStatus.GOOD, CertificateStatus.REVOKED, CertificateStatus.UNKNOWN
DAY = timedelta(days=1)
HERE = x509.UniformResourceIdentifier("http://crl.example/1.crl")
THERE = x509.UniformResourceIdentifier("http://crl.example/2.crl")


@pytest.fixture(scope="module")
def root(now: datetime) -> TestAuthority:
    return TestAuthority.create("TEST Root", now - 9 * DAY, key_kind="p256", crl_url=HERE.value)


@pytest.fixture(scope="module")
def end(root: TestAuthority, now: datetime) -> bytes:
    key = generate_key("p256").public_key()
    return root.issue(key, "smime", "T", not_before=now - DAY, not_after=now + 9 * DAY)


def _crl(
    root: TestAuthority,
    at: datetime,
    *entries: tuple[int, datetime, x509.ReasonFlags | None],
    next_update: bool = True,
    extension: x509.ExtensionType | None = None,
    hash_algorithm: hashes.SHA256 | hashes.SHA224 | None = None,
) -> bytes:
    builder = x509.CertificateRevocationListBuilder(parse_certificate(root.certificate_der).subject, at, at + DAY)
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    for serial, since, reason in entries:
        entry = x509.RevokedCertificateBuilder(serial, since)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(root.key, hash_algorithm or hashes.SHA256()).public_bytes(Encoding.DER)


def _scope(**given: object) -> x509.IssuingDistributionPoint:
    scope: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**scope, **given})  # type: ignore[arg-type]


def _status(root: TestAuthority, certificate: bytes, at: datetime, *crls: bytes) -> CertificateStatus:
    return RevocationIndex(crls).status(certificate, root.certificate_der, at).status


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (_scope(only_contains_user_certs=True), GOOD),
        (_scope(only_contains_ca_certs=True), UNKNOWN),
        (_scope(only_contains_attribute_certs=True), UNKNOWN),
        (_scope(indirect_crl=True), UNKNOWN),
        (_scope(full_name=[HERE]), GOOD),
        (_scope(full_name=[THERE]), UNKNOWN),
        (_scope(full_name=[THERE, HERE]), GOOD),
        (_scope(relative_name=x509.RelativeDistinguishedName([*x509.Name.from_rfc4514_string("CN=x")])), UNKNOWN),
        (_scope(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})), UNKNOWN),
        (x509.DeltaCRLIndicator(1), UNKNOWN),
    ],
    ids=lambda value: str(value)[:100],
)
def test_list_acquits_only_within_its_scope(
    root: TestAuthority, end: bytes, now: datetime, scope: x509.ExtensionType, expected: CertificateStatus
) -> None:
    assert _status(root, end, now, _crl(root, now, extension=scope)) is expected


def test_newer_list_of_some_reasons_hides_no_complete_one(root: TestAuthority, end: bytes, now: datetime) -> None:
    some = _scope(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))
    whole, partial = _crl(root, now - timedelta(hours=1)), _crl(root, now, extension=some)
    assert _status(root, end, now, whole, partial) is GOOD


def test_list_from_a_file_counts_as_long_as_it_says_and_a_fetched_one_for_a_day(
    root: TestAuthority, end: bytes, now: datetime
) -> None:
    """DIR-35; IN-22 row 15: a file does not say when it was fetched."""
    old = root.crl(now - 200 * DAY, 201 * DAY)

    def status(at: datetime, fetched_at: dict[bytes, datetime] | None = None) -> CertificateStatus:
        return RevocationIndex((old,), fetched_at).status(end, root.certificate_der, at).status

    assert status(now) is GOOD
    assert status(now + 2 * DAY) is UNKNOWN
    assert status(now, {old: now - DAY}) is GOOD
    assert status(now, {old: now - DAY - timedelta(seconds=1)}) is UNKNOWN


def test_list_for_authorities_covers_authorities(root: TestAuthority, now: datetime) -> None:
    sub = root.subordinate("TEST Sub", now - DAY).certificate_der
    assert _status(root, sub, now, _crl(root, now, extension=_scope(only_contains_ca_certs=True))) is GOOD
    assert _status(root, sub, now, _crl(root, now, extension=_scope(only_contains_user_certs=True))) is UNKNOWN


def test_list_of_some_reasons_accuses(root: TestAuthority, end: bytes, now: datetime) -> None:
    serial = parse_certificate(end).serial_number
    some = _scope(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))
    assert _status(root, end, now, _crl(root, now, (serial, now, None), extension=some)) is REVOKED


def test_hold_can_be_lifted_and_nothing_else(root: TestAuthority, end: bytes, now: datetime) -> None:
    serial = parse_certificate(end).serial_number
    hours = [now + timedelta(hours=n) for n in range(6)]
    held = _crl(root, hours[1], (serial, hours[0], x509.ReasonFlags.certificate_hold))
    lifted = _crl(root, hours[3])
    compromised = _crl(root, hours[1], (serial, hours[0], x509.ReasonFlags.key_compromise))
    unexplained = _crl(root, hours[1], (serial, hours[0], None))
    assert _status(root, end, hours[2], held, lifted) is REVOKED
    assert _status(root, end, hours[4], held) is REVOKED
    assert _status(root, end, hours[4], held, lifted) is GOOD
    assert _status(root, end, hours[4], compromised, lifted) is REVOKED
    assert _status(root, end, hours[4], unexplained, lifted) is REVOKED


def test_old_hash_in_a_list_says_nothing(root: TestAuthority, end: bytes, now: datetime) -> None:
    crl = _crl(root, now, hash_algorithm=hashes.SHA224())
    assert _status(root, end, now, crl) is UNKNOWN


def test_unknown_algorithm_in_a_list_says_nothing(root: TestAuthority, end: bytes, now: datetime) -> None:
    known, unknown = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040363")
    assert _status(root, end, now, _crl(root, now).replace(known, unknown)) is UNKNOWN


def test_issuer_that_may_not_sign_lists_says_nothing(root: TestAuthority, end: bytes, now: datetime) -> None:
    key = generate_key("p256")
    issuer = TestAuthority(key, root.issue(key.public_key(), "smime", "T", not_before=now, not_after=now + DAY))
    assert RevocationIndex([issuer.crl(now, DAY)]).status(end, issuer.certificate_der, now).status is UNKNOWN


def test_lists_are_read_as_der_and_as_pem(root: TestAuthority, now: datetime) -> None:
    one, two = root.crl(now, DAY), root.crl(now, 2 * DAY)
    pem = b"".join(x509.load_der_x509_crl(der).public_bytes(Encoding.PEM) for der in (one, two))
    assert read_crls(pem) == (one, two)
    assert read_crls(one) == (one,)
    for broken in (b"", b"x", pem.replace(b"MII", b"!!!").replace(b"MIH", b"!!!")):
        with pytest.raises(CertificateMalformed):
            read_crls(broken)


def test_look_up_in_a_long_list_is_quick(root: TestAuthority, end: bytes, now: datetime) -> None:
    crl = _crl(root, now, *((serial, now, None) for serial in range(1, 20_000)))
    index = RevocationIndex([crl])
    assert index.status(end, root.certificate_der, now).status is GOOD
    before = time.process_time()
    for _ in range(1000):
        index.status(end, root.certificate_der, now)
    assert time.process_time() - before < 0.5
