from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.keys import PrivateKey
from demail_gateway.trust.tls import TlsIdentity, client_context, server_context

Issue = Callable[..., TlsIdentity]


@pytest.fixture(scope="module")
def today() -> datetime:
    """OpenSSL judges validity by the machine's clock."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def root(today: datetime) -> TestAuthority:
    return TestAuthority.create("TEST TLS", today - timedelta(days=30), key_kind="p256")


@pytest.fixture(scope="module")
def identity(today: datetime, root: TestAuthority, key_of: Callable[[str], PrivateKey]) -> Issue:
    def issue(profile: Profile, *, by: TestAuthority = root, days: int = 1) -> TlsIdentity:
        key = key_of("p256")
        certificate = by.issue(
            key.public_key(),
            profile,
            "mail.dmda-a.example",
            dns=["mail.dmda-a.example"],
            not_before=today - timedelta(days=2),
            not_after=today + timedelta(days=days),
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return TlsIdentity(der_to_pem(certificate), pem)

    return issue


def _shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "mail.dmda-a.example") -> ssl.SSLObject:
    """Both ends in memory; raises what the first failing end raises. The server's object."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    return ends[1]


def test_both_ends_show_certificates(identity: Issue, root: TestAuthority) -> None:
    server = server_context(identity(Profile.TLS_SERVER), client_anchors=root.certificate_pem)
    client = client_context(root.certificate_pem, identity(Profile.TLS_CLIENT))
    seen = _shake(server, client)
    assert seen.version() == "TLSv1.3"
    assert seen.getpeercert(binary_form=True)


def test_files_work_like_octets(identity: Issue, root: TestAuthority, tmp_path: Path) -> None:
    octets = identity(Profile.TLS_SERVER)
    (tmp_path / "c.pem").write_bytes(octets.certificate)  # type: ignore[arg-type]
    (tmp_path / "k.pem").write_bytes(octets.key)  # type: ignore[arg-type]
    server = server_context(TlsIdentity(tmp_path / "c.pem", tmp_path / "k.pem"), client_anchors=None)
    assert _shake(server, client_context(root.certificate_pem, None)).version() == "TLSv1.3"


def test_client_without_certificate_is_refused(identity: Issue, root: TestAuthority) -> None:
    server = server_context(identity(Profile.TLS_SERVER), client_anchors=root.certificate_pem)
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        _shake(server, client_context(root.certificate_pem, None))


def test_client_of_another_authority_is_refused(identity: Issue, root: TestAuthority, today: datetime) -> None:
    other = TestAuthority.create("TEST TLS", today - timedelta(days=30), key_kind="p256")
    server = server_context(identity(Profile.TLS_SERVER), client_anchors=root.certificate_pem)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake(server, client_context(root.certificate_pem, identity(Profile.TLS_CLIENT, by=other)))


def test_server_certificate_does_not_serve_as_a_clients(identity: Issue, root: TestAuthority) -> None:
    server = server_context(identity(Profile.TLS_SERVER), client_anchors=root.certificate_pem)
    with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
        _shake(server, client_context(root.certificate_pem, identity(Profile.TLS_SERVER)))


def test_server_with_another_name_is_refused(identity: Issue, root: TestAuthority) -> None:
    server = server_context(identity(Profile.TLS_SERVER), client_anchors=None)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _shake(server, client_context(root.certificate_pem, None), "mail.dmda-b.example")


def test_expired_server_is_refused(identity: Issue, root: TestAuthority) -> None:
    server = server_context(identity(Profile.TLS_SERVER, days=-1), client_anchors=None)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        _shake(server, client_context(root.certificate_pem, None))


def test_tls_1_2_is_the_floor(identity: Issue, root: TestAuthority) -> None:
    server = server_context(identity(Profile.TLS_SERVER), client_anchors=None)
    client = client_context(root.certificate_pem, None)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert _shake(server, client).version() == "TLSv1.2"
    assert server.minimum_version == client.minimum_version == ssl.TLSVersion.TLSv1_2


def test_anchor_that_is_none_is_named(identity: Issue) -> None:
    with pytest.raises(CertificateMalformed):
        client_context(b"no certificate", None)
    with pytest.raises(ssl.SSLError):
        server_context(TlsIdentity(b"no certificate", b"no key"), client_anchors=None)


def test_private_key_is_not_shown(identity: Issue) -> None:
    assert "PRIVATE" not in repr(identity(Profile.TLS_SERVER))
