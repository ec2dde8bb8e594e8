from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demail_gateway.core.errors import RuleViolation
from demail_gateway.providers.profile import Timeouts, Tls, parse_profile

FULL: dict[str, Any] = {
    "smtp": {"host": "mail.provider.test", "port": 1465, "server_name": "provider.test", "tls": "implicit"},
    "domains": ["De-Mail.de", "provider.de-mail.de"],
    "provider_domains": ["Provider.de-mail.de"],
    "signature_certificates": ["SHA256:" + ":".join(["AB"] * 32)],
    "signature_subjects": ["CN=Anbieter,C=DE"],
    "connections": 8,
    "messages_per_connection": 100,
    "idle_s": 20,
    "max_age_s": 1800,
    "timeouts_s": {"connect": 5, "command": 15.5, "data": 120, "final": 300},
    "client_certificate_file": "/etc/demail/client.pem",
    "client_key_file": "/etc/demail/client.key",
    "tls_anchors": "/etc/demail/ca.pem",
    "signature_anchors": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "crl_urls": ["http://provider.test/crl.der"],
    "lookup_url": "https://provider.test/submissions/",
    "directory_url": "https://provider.test/directory",
    "system_local_parts": ["Sammelbestaetigung"],
    "peers": ["SHA256:" + "AB:" * 31 + "AB", "Mail.Provider.test"],
    "limits": {"gross_bytes": 50_000_000},
    "version": "1.8",
    "test": True,
}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in FULL.items() if key != name}


def test_full_profile_is_read() -> None:
    profile = parse_profile({**FULL, "peers": ["sha256:" + "AB" * 32, "Mail.Provider.test"]})
    assert profile.smtp.server_name == "provider.test"
    assert profile.smtp.tls is Tls.IMPLICIT
    assert profile.domains == {"de-mail.de", "provider.de-mail.de"}
    assert profile.provider_domains == {"provider.de-mail.de"}
    assert profile.signature_certificates == {"ab" * 32}
    assert profile.signature_subjects == {"CN=Anbieter,C=DE"}
    assert profile.timeouts == Timeouts(5.0, 15.5, 120.0, 300.0)
    assert profile.lookup_url == "https://provider.test/submissions"
    assert profile.client_key_file == Path("/etc/demail/client.key")
    assert profile.system_local_parts == {"sammelbestaetigung"}
    assert profile.peers == ("ab" * 32, "mail.provider.test")
    assert profile.test is True
    assert b"BEGIN CERTIFICATE" in profile.signature_anchor_pem()


def test_fingerprints_with_colons_are_the_same() -> None:
    colons = ":".join(["ab"] * 32)
    assert parse_profile({**FULL, "peers": [colons]}).peers == ("ab" * 32,)


@pytest.mark.parametrize(
    ("name", "value"),
    [("signature_certificates", "CN=Anbieter"), ("signature_subjects", " "), ("provider_domains", "no name")],
)
def test_a_faulty_signer_or_domain_is_named(name: str, value: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        parse_profile({**FULL, name: [value]})
    assert [violation.pointer for violation in caught.value.violations] == [f"/profile/{name}/0"]


def test_defaults_are_those_of_the_guideline() -> None:
    smallest = {
        "smtp": {"host": "provider.test"},
        **{key: FULL[key] for key in ("domains", "client_certificate_file", "client_key_file", "tls_anchors")},
    }
    profile = parse_profile(smallest)
    assert profile.smtp.port == 1465
    assert profile.smtp.server_name == "provider.test"
    assert profile.smtp.tls is Tls.IMPLICIT
    assert profile.version == "1.8"
    assert profile.lookup_url is None
    assert profile.test is False


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"smtp": None}, "/profile/smtp"),
        ({"smtp": {"host": ""}}, "/profile/smtp/host"),
        ({"smtp": {"host": "h", "port": 0}}, "/profile/smtp/port"),
        ({"smtp": {"host": "h", "port": True}}, "/profile/smtp/port"),
        ({"smtp": {"host": "h", "tls": "starttls"}}, "/profile/smtp/tls"),
        ({"smtp": {"host": "h", "tls": "none"}}, "/profile/smtp/tls"),
        ({"smtp": {"host": "h", "colour": "red"}}, "/profile/smtp/colour"),
        ({"domains": []}, "/profile/domains"),
        ({"domains": "de-mail.de"}, "/profile/domains"),
        ({"domains": ["de mail"]}, "/profile/domains/0"),
        ({"connections": 0}, "/profile/connections"),
        ({"connections": 2.5}, "/profile/connections"),
        ({"idle_s": -1}, "/profile/idle_s"),
        ({"idle_s": float("nan")}, "/profile/idle_s"),
        ({"timeouts_s": []}, "/profile/timeouts_s"),
        ({"timeouts_s": {"final": "long"}}, "/profile/timeouts_s/final"),
        ({"client_certificate_file": None}, "/profile/client_certificate_file"),
        ({"client_key_file": 7}, "/profile/client_key_file"),
        ({"tls_anchors": None}, "/profile/tls_anchors"),
        ({"crl_urls": ["ftp://x"]}, "/profile/crl_urls/0"),
        ({"lookup_url": "http://plain.test"}, "/profile/lookup_url"),
        ({"lookup_url": "https://"}, "/profile/lookup_url"),
        ({"directory_url": "https://x:port"}, "/profile/directory_url"),
        ({"peers": ["*"]}, "/profile/peers/0"),
        ({"limits": {"gross_bytes": 0}}, "/profile/limits"),
        ({"version": "2.0"}, "/profile/version"),
        ({"test": "yes"}, "/profile/test"),
        ({"extra": 1}, "/profile/extra"),
    ],
)
def test_each_fault_is_named_where_it_is(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        parse_profile({**FULL, **change})
    assert [violation.pointer for violation in caught.value.violations] == [pointer]


def test_all_faults_come_at_once_in_both_languages() -> None:
    with pytest.raises(RuleViolation) as caught:
        parse_profile({"smtp": {"port": "x"}, "version": "9"})
    pointers = {violation.pointer for violation in caught.value.violations}
    assert {"/profile/smtp/host", "/profile/smtp/port", "/profile/domains", "/profile/version"} <= pointers
    assert all(violation.detail_de and violation.detail_en for violation in caught.value.violations)


def test_plain_smtp_is_for_measurements_alone() -> None:
    plain = {"smtp": {"host": "h", "tls": "none"}, "domains": ["de-mail.de"]}
    assert parse_profile(plain, allow_plain=True).smtp.tls is Tls.NONE


def test_anchors_come_from_a_file_or_stand_in_the_profile(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    profile = parse_profile({**without("signature_anchors"), "tls_anchors": str(file)})
    assert profile.tls_anchor_pem() == profile.signature_anchor_pem() == b"-----BEGIN CERTIFICATE-----\n"
    with pytest.raises(OSError, match="nowhere"):
        parse_profile({**FULL, "tls_anchors": "/nowhere/ca.pem"}).tls_anchor_pem()
