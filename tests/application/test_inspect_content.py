"""The writer's own S/MIME signature: told, with what is known of its certificate (RFC 8551 §3.5; SND-92)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from demail_gateway.application.inspect import Inspection, Tools, inspect_message
from demail_gateway.application.inspect_content import content_signature
from demail_gateway.bootstrap.offline import cms_signers
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.entity import build_entity, multipart_signed
from demail_gateway.core.header import read_message
from demail_gateway.core.integrity import seal
from demail_gateway.core.primitives import HashName, Judge
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.cms import certs_only, encrypt, sign_detached, sign_enveloping
from demail_gateway.trust.keys import SoftwareSigner, generate_key
from demail_gateway.trust.paths import KnownSigners, PathJudge
from demail_gateway.trust.policy import SMIME_3
from demail_gateway.trust.verifier import CryptographyVerifier
from tests.core.proofs import SIGNATURES
from tests.core.vector_trust import VECTORS
from tests.harness.timestamper import Timestamper

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT = TestAuthority.create("TEST Root", NOW - 100 * DAY, key_kind="p256")
SUB = ROOT.subordinate("TEST Sub", NOW - 50 * DAY)
KEY = generate_key("p256")
CERTIFICATE = SUB.issue(KEY.public_key(), Profile.SMIME, "Erika", not_before=NOW - DAY, not_after=NOW + DAY)
SIGNER = SoftwareSigner.for_certificate(KEY, CERTIFICATE, SUB.chain)
ENTITY = build_entity("Guten Tag", None, (), "b0")
CRLS = (ROOT.crl(NOW, DAY), SUB.crl(NOW, DAY))
OPENPGP = multipart_signed(ENTITY, b"x", "sha-256", "b1").replace(b"pkcs7-signature", b"pgp-signature")
OTHER = TestAuthority.create("TEST Other", NOW - 100 * DAY, key_kind="p256")


def signed(entity: bytes = ENTITY) -> bytes:
    signature = sign_detached(ENTITY, SIGNER, at=NOW, hash_name=HashName.SHA256)
    return b"Subject: x\r\n" + multipart_signed(entity, signature, "sha-256", "b1")


def found(
    octets: bytes, *, anchor: TestAuthority = ROOT, crls: Sequence[bytes] = CRLS, at: datetime = NOW
) -> tuple[Check, ...]:
    def judge_with(certificates: Sequence[bytes], more: Sequence[bytes]) -> Judge:
        return PathJudge([anchor.certificate_der], (), (*crls, *more)).with_intermediates(certificates)

    judge = PathJudge([anchor.certificate_der], (), crls)
    return content_signature(read_message(octets), cms_signers, judge, judge_with, at)


@pytest.mark.clause("TR 01201-3.1 steps 63–64, 89–90")
def test_a_signature_that_holds_passes_by_the_certificates_that_came_along() -> None:
    check, *_ = found(signed())
    assert (check.name, check.outcome, check.detail) == ("content.signature", Outcome.PASSED, "")


def test_writers_are_none_of_the_signers_that_a_connection_names() -> None:
    judge = PathJudge([ROOT.certificate_der], [SUB.certificate_der], CRLS, KnownSigners(frozenset({"0" * 64})))
    check, *_ = content_signature(read_message(signed()), cms_signers, judge, lambda *_: judge, NOW)
    assert (check.outcome, check.detail) == (Outcome.PASSED, "")


@pytest.mark.clause("TR 01201-3.1 step 64 FC-01", "TR 01201-3.1 step 90 FC-01")
def test_a_changed_text_fails() -> None:
    check, *_ = found(signed(ENTITY.replace(b"Guten", b"Guter")))
    assert (check.outcome, check.detail) == (Outcome.FAILED, "signature-mismatch")


@pytest.mark.clause("TR 01201-3.1 step 64 FC-03", "TR 01201-3.1 step 90 FC-03")
def test_without_revocation_list_it_is_undecided() -> None:
    check, *_ = found(signed(), crls=())
    assert (check.outcome, check.detail) == (Outcome.INDETERMINATE, "certificate-status-unknown")


def test_a_certificate_of_an_unknown_authority_decides_nothing() -> None:
    check, *_ = found(signed(), anchor=OTHER)
    assert (check.outcome, check.detail) == (Outcome.INDETERMINATE, "certificate-untrusted")


@pytest.mark.clause("TR 01201-3.1 step 64 FC-02", "TR 01201-3.1 step 90 FC-02")
def test_a_certificate_whose_time_is_over_fails() -> None:
    check, *_ = found(signed(), at=NOW + 2 * DAY)
    assert check.outcome is Outcome.FAILED
    assert "certificate-expired" in check.detail


@pytest.mark.clause("TR 01201-3.1 steps 63, 89")
@pytest.mark.parametrize(
    "octets",
    [
        b"Subject: x\r\n" + ENTITY,
        b"Subject: x\r\n\r\nplain\r\n",
        OPENPGP,
    ],
)
def test_what_is_not_signed_says_nothing(octets: bytes) -> None:
    assert found(octets) == ()


def multipart(*parts: bytes, protocol: str = "application/pkcs7-signature") -> bytes:
    head = f'Content-Type: multipart/signed; protocol="{protocol}"; boundary="b"\r\n\r\n'.encode()
    return head + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


SIGNATURE = (
    b"Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(sign_detached(ENTITY, SIGNER, at=NOW))
)
FAILED, UNDECIDED = Outcome.FAILED, Outcome.INDETERMINATE


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (multipart(ENTITY, SIGNATURE), (Outcome.PASSED, "")),
        (multipart(), (FAILED, "signature-missing")),
        (multipart(ENTITY), (FAILED, "signature-missing")),
        (multipart(ENTITY, protocol=""), (FAILED, "signature-missing")),
        (multipart(ENTITY, SIGNATURE, b"\r\nfooter of a list"), (FAILED, "signature-parts")),
        (multipart(ENTITY, SIGNATURE, b"", protocol="application/pgp-signature"), (FAILED, "signature-parts")),
        (
            multipart(ENTITY, SIGNATURE.replace(b"pkcs7-signature", b"octet-stream")),
            (UNDECIDED, "signature-type"),
        ),
    ],
)
def test_broken_multipart_signed_is_told(octets: bytes, expected: tuple[Outcome, str]) -> None:
    """RFC 1847 §2.1: two parts, the second of the announced type."""
    check, *_ = found(octets)
    assert (check.name, check.outcome, check.detail) == ("content.signature", *expected)


def test_broken_multipart_of_openpgp_says_nothing() -> None:
    assert found(multipart(ENTITY, protocol="application/pgp-signature")) == ()


def enveloping(der: bytes, kind: str) -> bytes:
    head = f"Content-Type: application/pkcs7-mime{kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(der)


@pytest.mark.parametrize("kind", ["", "; smime-type=signed-data", "; smime-type=enveloped-data"])
def test_pkcs7_mime_is_a_signature_by_its_oid(kind: str) -> None:
    """RFC 8551 §3.2.2: ``smime-type`` is optional, and a hint."""
    der = sign_enveloping(ENTITY, SIGNER, at=NOW)
    check, *_ = found(enveloping(der, kind))
    assert (check.name, check.outcome, check.detail) == ("content.signature", Outcome.PASSED, "")
    check, *_ = found(enveloping(der.replace(b"Guten", b"Guter"), kind))
    assert (check.outcome, check.detail) == (FAILED, "signature-mismatch")


def test_pkcs7_mime_of_another_kind_says_nothing() -> None:
    encrypted = encrypt(ENTITY, [CERTIFICATE], at=NOW)
    assert found(enveloping(encrypted, "")) == found(enveloping(certs_only([CERTIFICATE]), "")) == ()


def test_pkcs7_mime_that_tells_nothing_of_itself_is_undecided() -> None:
    (check,) = found(enveloping(b"no CMS", ""))
    assert (check.outcome, check.detail) == (UNDECIDED, "signature-unreadable")


@pytest.mark.parametrize("profile", [Profile.TLS_CLIENT, Profile.OCSP_RESPONDER])
def test_a_certificate_that_is_not_for_s_mime_fails(profile: Profile) -> None:
    other = SUB.issue(KEY.public_key(), profile, "Erika", not_before=NOW - DAY, not_after=NOW + DAY)
    signer = SoftwareSigner.for_certificate(KEY, other, SUB.chain)
    signature = sign_detached(ENTITY, signer, at=NOW, hash_name=HashName.SHA256)
    check, *_ = found(b"Subject: x\r\n" + multipart_signed(ENTITY, signature, "sha-256", "b1"))
    assert (check.outcome, check.detail) == (Outcome.FAILED, "certificate-key-usage")


@pytest.mark.parametrize("octets", [b"", b"no CMS", bytes(range(256))])
def test_hostile_octets_as_signature_fail(octets: bytes) -> None:
    detached = b"Subject: x\r\n" + multipart_signed(ENTITY, octets, "sha-256", "b1")
    head = b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    for message in (detached, head + base64.encodebytes(octets)):
        check, *_ = found(message)
        assert check.outcome is Outcome.FAILED


def inspected(content: bytes) -> Inspection:
    """A sealed De-Mail with this content, checked as a received one."""
    lines = read_message((VECTORS / "messages" / "hash-sha256.eml").read_bytes()).header.fields
    kept = (f.raw for f in lines if not f.lower.startswith(("x-de-mail-integrity", "content-", "mime-")))
    message = seal(b"".join(kept) + content, hash_name=HashName.SHA256, domain="dmda-a.example", signer=None)
    judge = PathJudge([ROOT.certificate_der], [SUB.certificate_der], CRLS)
    tools = Tools(CryptographyVerifier(), SIGNATURES, judge, lambda *_: judge, cms_signers, None)
    return inspect_message(message, tools, NOW)


@pytest.mark.clause("TR 01201-3.1 steps 65, 91", "SND-92")
@pytest.mark.parametrize(("entity", "expected"), [(ENTITY, Outcome.PASSED), (ENTITY[:-3] + b"!\r\n", Outcome.FAILED)])
def test_the_report_tells_of_the_writers_signature_which_does_not_decide(entity: bytes, expected: Outcome) -> None:
    report = inspected(signed(entity).removeprefix(b"Subject: x\r\n"))
    (own,) = (check for check in report.checks if check.name == "content.signature")
    assert (own.outcome, report.outcome) == (expected, Outcome.PASSED)


def algorithms(octets: bytes, at: datetime = NOW) -> tuple[Outcome, str]:
    (check,) = (check for check in found(octets, at=at) if check.name == "content.algorithms")
    return check.outcome, check.detail


def test_algorithms_that_ended_are_told_beside_a_signature_that_holds() -> None:
    """TR-03116-4 §4.8: RSASSA-PKCS1-v1_5 until the end of 2023."""
    assert algorithms(signed()) == (Outcome.PASSED, "")
    key = generate_key("rsa-3072")
    certificate = SUB.issue(key.public_key(), Profile.SMIME, "Erika", not_before=NOW - DAY, not_after=NOW + DAY)
    signature = sign_detached(ENTITY, SoftwareSigner(key, certificate, SUB.chain), at=NOW, policy=SMIME_3)
    message = b"Subject: x\r\n" + multipart_signed(ENTITY, signature, "sha-256", "b1")
    assert algorithms(message) == (Outcome.FAILED, "signature-algorithm-outdated")
    assert algorithms(message, NOW.replace(year=2023)) == (Outcome.PASSED, "")
    assert found(message)[0].outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("authority", "minutes", "expected"),
    [
        (ROOT, 0, (Outcome.PASSED, "")),
        (OTHER, 0, (Outcome.INDETERMINATE, "certificate-untrusted")),
        # from after the message had arrived
        (ROOT, 5, (Outcome.FAILED, "timestamp-mismatch")),
    ],
)
def test_timestamp_is_judged_like_a_signature(
    authority: TestAuthority, minutes: int, expected: tuple[Outcome, str]
) -> None:
    service = Timestamper.below(authority, NOW + timedelta(minutes=minutes))
    signature = sign_detached(ENTITY, SIGNER, at=NOW, timestamp=service.token)
    checks = found(b"Subject: x\r\n" + multipart_signed(ENTITY, signature, "sha-256", "b1"))
    assert [(c.outcome, c.detail) for c in checks if c.name == "content.timestamp"] == [expected]


def test_timestamp_over_something_else_fails() -> None:
    service = Timestamper.below(ROOT, NOW)
    signature = sign_detached(ENTITY, SIGNER, at=NOW, timestamp=lambda _: service.token(b"another signature"))
    checks = found(b"Subject: x\r\n" + multipart_signed(ENTITY, signature, "sha-256", "b1"))
    assert [(c.name, c.outcome) for c in checks] == [
        ("content.signature", Outcome.PASSED),
        ("content.algorithms", Outcome.PASSED),
        ("content.timestamp", Outcome.FAILED),
    ]
