from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import der_to_pem, make_csr, parse_certificate, read_certificate
from demail_gateway.trust.keys import PrivateKey, generate_key
from tests.harness.programs import program

KeyOf = Callable[[str], PrivateKey]
DAY = timedelta(days=1)


def _issue(authority: TestAuthority, key: PrivateKey, profile: Profile, at: datetime) -> bytes:
    return authority.issue(key.public_key(), profile, "TEST", not_before=at, not_after=at + DAY)


@pytest.mark.parametrize(
    ("profile", "kind", "usages", "extended"),
    [
        (Profile.TLS_SERVER, "rsa-3072", {"digital_signature", "key_encipherment"}, ExtendedKeyUsageOID.SERVER_AUTH),
        (Profile.TLS_CLIENT, "p256", {"digital_signature"}, ExtendedKeyUsageOID.CLIENT_AUTH),
        (Profile.SMIME, "rsa-3072", {"digital_signature", "key_encipherment"}, ExtendedKeyUsageOID.EMAIL_PROTECTION),
        (Profile.SMIME, "p256", {"digital_signature", "key_agreement"}, ExtendedKeyUsageOID.EMAIL_PROTECTION),
        (Profile.PROVIDER_SIGNATURE, "p256", {"digital_signature", "content_commitment"}, None),
        (Profile.INSTALLATION, "p256", {"digital_signature"}, None),
    ],
)
def test_profile_decides_the_usages(
    authority: TestAuthority,
    key_of: KeyOf,
    now: datetime,
    profile: Profile,
    kind: str,
    usages: set[str],
    extended: x509.ObjectIdentifier | None,
) -> None:
    extensions = parse_certificate(_issue(authority, key_of(kind), profile, now)).extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    names = ("digital_signature", "content_commitment", "key_encipherment", "key_agreement", "key_cert_sign")
    assert {name for name in names if getattr(usage, name)} == usages
    assert [e.value for e in extensions if isinstance(e.value, x509.ExtendedKeyUsage)] == (
        [x509.ExtendedKeyUsage([extended])] if extended else []
    )
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_subject_and_names_come_from_the_request(authority: TestAuthority, now: datetime) -> None:
    key = generate_key("p256")
    request = make_csr(key, "mail.dmda-a.example", dns=["mail.dmda-a.example"])
    der = authority.issue(request, "tls-server", not_before=now, not_after=now + DAY)
    assert read_certificate(der).subject == "CN=mail.dmda-a.example"
    extension = parse_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert extension.value.get_values_for_type(x509.DNSName) == ["mail.dmda-a.example"]


def test_arguments_go_before_the_request(authority: TestAuthority, now: datetime) -> None:
    request = make_csr(generate_key("p256"), "wish", dns=["wish.example"])
    der = authority.issue(request, "tls-server", "granted", ips=["::1"], not_before=now, not_after=now + DAY)
    assert read_certificate(der).subject == "CN=granted,C=DE"
    extension = parse_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [str(name.value) for name in extension.value] == ["::1"]


def test_request_that_its_key_did_not_sign_is_refused(authority: TestAuthority, now: datetime) -> None:
    csr = x509.load_pem_x509_csr(make_csr(generate_key("p256"), "honest"))
    der = bytearray(csr.public_bytes(Encoding.DER))
    der[der.index(b"honest")] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM)
    for request in (forged, b"no request"):
        with pytest.raises(CertificateMalformed):
            authority.issue(request, "smime", "x", not_before=now, not_after=now + DAY)


def test_public_key_alone_needs_a_subject(authority: TestAuthority, now: datetime) -> None:
    with pytest.raises(ValueError, match="subject"):
        authority.issue(generate_key("p256").public_key(), "smime", not_before=now, not_after=now + DAY)


@pytest.mark.parametrize("kind", ["rsa-3072", "p384", "brainpool-p256"])
def test_openssl_accepts_the_chain(tmp_path: Path, now: datetime, key_of: KeyOf, kind: str) -> None:
    root = TestAuthority.create("TEST Root", now - DAY, key_kind=kind, crl_url="http://crl.example/ca.crl")
    sub = root.subordinate("TEST Sub", now - DAY, key_kind=kind)
    files = {
        "root.pem": root.certificate_pem,
        "sub.pem": sub.certificate_pem,
        "end.pem": der_to_pem(_issue(sub, key_of(kind), Profile.SMIME, now)),
    }
    for name, pem in files.items():
        (tmp_path / name).write_bytes(pem)
    command = [program("openssl"), "verify", "-x509_strict", "-attime", str(int(now.timestamp()) + 60)]
    command += ["-CAfile", "root.pem", "-untrusted", "sub.pem", "end.pem"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "end.pem: OK", done.stderr


def test_certificates_name_where_the_revocation_list_is_found(now: datetime, key_of: KeyOf) -> None:
    root = TestAuthority.create("TEST Root", now, key_kind="p256", crl_url="http://crl.example/ca.crl")
    der = _issue(root, key_of("p256"), Profile.SMIME, now)
    points = parse_certificate(der).extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert [name.value for point in points for name in point.full_name or []] == ["http://crl.example/ca.crl"]


def test_revocation_list_holds_what_was_revoked_until_then(now: datetime) -> None:
    root = TestAuthority.create("TEST Root", now, key_kind="p256")
    root.revoke(7, now)
    root.revoke(7, now + 9 * DAY)
    root.revoke(8, now + 2 * DAY)
    crl = x509.load_der_x509_crl(root.crl(now + DAY, valid_for=DAY))
    assert [(entry.serial_number, entry.revocation_date_utc) for entry in crl] == [(7, now)]
    assert crl.is_signature_valid(parse_certificate(root.certificate_der).public_key())  # type: ignore[arg-type]
    assert crl.next_update_utc == now + 2 * DAY
    later = x509.load_der_x509_crl(root.crl(now + 2 * DAY, valid_for=DAY))
    assert {entry.serial_number for entry in later} == {7, 8}
    numbers = [c.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for c in (crl, later)]
    assert numbers == [1, 2]


def test_saved_authority_goes_on_where_it_stopped(tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    root = TestAuthority.create("TEST Root", at, key_kind="p256", crl_url="http://crl.example/")
    sub = root.subordinate("TEST Sub", at)
    sub.revoke(5, at)
    sub.crl(at, valid_for=DAY)
    sub.save(tmp_path / "ca")
    again = TestAuthority.load(tmp_path / "ca")
    assert (again.certificate_der, again.chain, again.crl_url) == (sub.certificate_der, sub.chain, sub.crl_url)
    crl = x509.load_der_x509_crl(again.crl(at + DAY, valid_for=DAY))
    assert [entry.serial_number for entry in crl] == [5]
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2
    assert (tmp_path / "ca" / "ca.key.der").stat().st_mode & 0o077 == 0
