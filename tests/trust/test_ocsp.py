"""OCSP answers: who may give them, how long they hold, what they prove at a stated moment (RFC 6960)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from demail_gateway.application.revocation import RevocationSourceUnavailable
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import der_to_pem, parse_certificate
from demail_gateway.trust.keys import PrivateKey, generate_key
from demail_gateway.trust.ocsp import MAX_OCSP_OCTETS, is_ocsp, read_answer, responder_urls
from demail_gateway.trust.ocsp_exchange import fetched_answer, ocsp_request
from demail_gateway.trust.paths import PathJudge
from demail_gateway.trust.responder import TestResponder
from demail_gateway.trust.revocation import RevocationIndex, StatusAnswer
from demail_gateway.trust.revoked import HOLD, Revocation
from tests.harness.programs import program
from tests.trust.ocsp_answers import Answer, by_delegate, by_issuer, resigned

KeyOf = Callable[[str], PrivateKey]
GOOD, REVOKED, UNKNOWN = CertificateStatus.GOOD, CertificateStatus.REVOKED, CertificateStatus.UNKNOWN
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = datetime.now(UTC).replace(microsecond=0)
"""The library dates answers by the real clock."""
NONCE = bytes(range(32))


@dataclass(frozen=True)
class Centre:
    """An authority, a certificate below it and a responder of its own."""

    root: TestAuthority
    end: bytes
    key: PrivateKey
    delegate: bytes

    def status(self, *answers: bytes, at: datetime = NOW) -> StatusAnswer:
        return RevocationIndex(answers).status(self.end, self.root.certificate_der, at)

    def good(self, at: datetime = NOW - HOUR, **other: object) -> Answer:
        return by_issuer(self.root, self.end, at, **other)

    def delegated(self, certificate: bytes | None = None, **other: object) -> Answer:
        return by_delegate(self.root, self.end, NOW - HOUR, self.key, certificate or self.delegate, **other)

    @property
    def serial(self) -> int:
        return parse_certificate(self.end).serial_number


def _centre(kind: str, key_of: KeyOf) -> Centre:
    root = TestAuthority.create("TEST Root", NOW - 9 * DAY, key_kind=kind)
    key = key_of("p256")
    return Centre(root, _end(root, key), key, _delegate(root, key))


def _end(root: TestAuthority, key: PrivateKey) -> bytes:
    return root.issue(
        key.public_key(), Profile.PROVIDER_SIGNATURE, "T", not_before=NOW - 2 * DAY, not_after=NOW + 20 * DAY
    )


def _delegate(root: TestAuthority, key: PrivateKey, not_after: datetime = NOW + DAY) -> bytes:
    return root.issue(
        key.public_key(), Profile.OCSP_RESPONDER, "TEST OCSP", not_before=NOW - 3 * DAY, not_after=not_after
    )


def _special(
    root: TestAuthority, key: PrivateKey, purposes: Sequence[x509.ObjectIdentifier], *, nocheck: bool = True
) -> bytes:
    """A responder's certificate with other extensions than the authority gives."""
    issuer = parse_certificate(root.certificate_der).subject
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TEST special")])
    builder = x509.CertificateBuilder(issuer, name, key.public_key(), 77, NOW - DAY, NOW + DAY)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if nocheck:
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    return builder.sign(root.key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def centre() -> Centre:
    return _centre("p256", generate_key)


# --- who may answer ---------------------------------------------------------------------------------------------------


@pytest.mark.clause("IN-22")
@pytest.mark.parametrize("kind", ["rsa-3072", "p256", "p384", "brainpool-p256"])
@pytest.mark.parametrize("encoding", list(ocsp.OCSPResponderEncoding))
def test_the_issuer_answers_for_itself(key_of: KeyOf, kind: str, encoding: ocsp.OCSPResponderEncoding) -> None:
    centre = _centre(kind, key_of)
    answer = centre.good(encoding=encoding).der()
    assert centre.status(answer) == StatusAnswer(GOOD, (answer,))


@pytest.mark.parametrize("hash_algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384()])
def test_a_responder_that_the_issuer_named_answers_for_it(centre: Centre, hash_algorithm: hashes.HashAlgorithm) -> None:
    """The hash of CertID only names the authority; SHA-1 is what most responders use there."""
    answer = centre.delegated(certid_hash=hash_algorithm).der()
    assert centre.status(answer) == StatusAnswer(GOOD, (answer,))


def test_a_responder_without_nocheck_needs_a_list_that_acquits_it(centre: Centre) -> None:
    unmarked = _special(centre.root, centre.key, [ExtendedKeyUsageOID.OCSP_SIGNING], nocheck=False)
    answer = centre.delegated(unmarked).der()
    assert centre.status(answer).status is UNKNOWN
    # of users' certificates: the responder's number is on none of them
    fresh = TestAuthority(centre.root.key, centre.root.certificate_der).crl(NOW - HOUR, 2 * DAY)
    other = _end(centre.root, centre.key)
    judged = RevocationIndex([answer, fresh]).status(centre.end, centre.root.certificate_der, NOW)
    assert judged.status is GOOD
    assert RevocationIndex([answer]).status(other, centre.root.certificate_der, NOW).status is UNKNOWN


def test_a_revoked_responder_says_nothing_whatever_its_certificate_asks_for(centre: Centre) -> None:
    accusing = TestAuthority(centre.root.key, centre.root.certificate_der)
    accusing.revoke(parse_certificate(centre.delegate).serial_number, NOW - DAY)
    index = RevocationIndex([centre.delegated().der(), accusing.crl(NOW - HOUR, timedelta(minutes=1))])
    assert index.status(centre.end, centre.root.certificate_der, NOW).status is UNKNOWN


def _unbelievable(centre: Centre) -> dict[str, bytes]:
    stranger = ec.generate_private_key(ec.SECP256R1())
    namesake = TestAuthority.create("TEST Root", NOW - 9 * DAY, key_kind="p256")
    own = centre.root.key
    assert isinstance(namesake.key, ec.EllipticCurvePrivateKey)
    assert isinstance(own, ec.EllipticCurvePrivateKey)
    sub = centre.root.subordinate("TEST Sub", NOW - DAY)
    any_purpose = _special(centre.root, centre.key, [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    good = centre.good()
    by_name = replace(good, encoding=ocsp.OCSPResponderEncoding.NAME).der()
    tampered = bytearray(good.der())
    tampered[-1] ^= 1
    return {
        "another key": resigned(good.der(), stranger),
        "key of another authority of that name": resigned(by_name, namesake.key),
        "responder of another authority of that name": centre.delegated(_delegate(namesake, centre.key)).der(),
        "responder of an authority below": centre.delegated(_delegate(sub, centre.key)).der(),
        "responder whose certificate is missing": centre.delegated(certificates=()).der(),
        "responder whose certificate has ended": centre.delegated(_delegate(centre.root, centre.key, NOW - DAY)).der(),
        "responder for any purpose": centre.delegated(any_purpose).der(),
        "responder for no purpose": centre.delegated(_special(centre.root, centre.key, [])).der(),
        "certificate that was asked about": centre.delegated(centre.end).der(),
        "another responder's key": resigned(centre.delegated().der(), stranger),
        "another responder's name": centre.delegated(named=centre.end, encoding=ocsp.OCSPResponderEncoding.NAME).der(),
        "about another certificate": replace(good, about=_end(centre.root, centre.key)).der(),
        "about another issuer": replace(good, issuer=namesake.certificate_der).der(),
        "unknown": replace(good, status=ocsp.OCSPCertStatus.UNKNOWN).der(),
        "critical extension": replace(good, extensions=((odd, True),)).der(),
        "SHA-1 signature": resigned(good.der(), own, sha1=True),
        "SHA-224 signature": replace(good, signature_hash=hashes.SHA224()).der(),
        "changed octet": bytes(tampered),
        "octets behind": good.der() + b"\x00",
        "too large": good.der() + bytes(MAX_OCSP_OCTETS),
        **{
            status.name: ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
            for status in ocsp.OCSPResponseStatus
            if status is not ocsp.OCSPResponseStatus.SUCCESSFUL
        },
    }


def test_nobody_else_is_believed(centre: Centre) -> None:
    for what, answer in _unbelievable(centre).items():
        assert is_ocsp(answer)
        assert centre.status(answer) == StatusAnswer(UNKNOWN), what


def test_a_weak_key_of_a_responder_is_not_believed(centre: Centre) -> None:
    for key in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP192R1())):
        answer = by_delegate(centre.root, centre.end, NOW - HOUR, key, _delegate(centre.root, key))
        assert centre.status(answer.der()).status is UNKNOWN


def test_unfamiliar_extensions_that_are_not_critical_do_no_harm(centre: Centre) -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert centre.status(centre.good(extensions=((odd, False),)).der()).status is GOOD


# --- how long an answer holds -----------------------------------------------------------------------------------------


@pytest.mark.clause("DIR-35")
@pytest.mark.parametrize(
    ("valid_for", "age", "expected"),
    [
        (HOUR, timedelta(0), GOOD),
        (HOUR, HOUR, GOOD),
        (HOUR, HOUR + timedelta(seconds=1), UNKNOWN),
        (None, DAY, GOOD),
        (None, DAY + timedelta(seconds=1), UNKNOWN),
        (9 * DAY, 9 * DAY, GOOD),
    ],
)
def test_an_answer_holds_until_its_next_update_or_a_day(
    centre: Centre, valid_for: timedelta | None, age: timedelta, expected: CertificateStatus
) -> None:
    answer = centre.good(NOW, valid_for=valid_for).der()
    assert centre.status(answer, at=NOW + age).status is expected


def test_an_answer_from_the_end_of_time_is_no_fault(centre: Centre) -> None:
    answer = centre.good(datetime(9999, 12, 31, 12, tzinfo=UTC), valid_for=None).der()
    assert centre.status(answer).status is UNKNOWN


@pytest.mark.clause("DIR-35")
@pytest.mark.parametrize("kind", ["list", "ocsp"])
def test_no_answer_is_used_longer_than_a_day_without_asking_anew(centre: Centre, kind: str) -> None:
    answer = centre.root.crl(NOW, 9 * DAY) if kind == "list" else centre.good(NOW, valid_for=9 * DAY).der()
    index = RevocationIndex([answer], {answer: NOW + HOUR})
    for later, expected in ((DAY + HOUR, GOOD), (DAY + HOUR + timedelta(seconds=1), UNKNOWN)):
        assert index.status(centre.end, centre.root.certificate_der, NOW + later).status is expected
    assert RevocationIndex([answer]).status(centre.end, centre.root.certificate_der, NOW + 2 * DAY).status is GOOD


def test_an_answer_that_has_lapsed_accuses_all_the_same(centre: Centre) -> None:
    answer = centre.good(NOW, status=ocsp.OCSPCertStatus.REVOKED, revoked_at=NOW - DAY).der()
    index = RevocationIndex([answer], {answer: NOW})
    assert index.status(centre.end, centre.root.certificate_der, NOW + 9 * DAY).status is REVOKED


def test_an_answer_given_later_speaks_for_the_moment_before_while_the_certificate_lasts(centre: Centre) -> None:
    """IN-26: a proof is judged for its reception, and the answer comes a moment later."""
    later = centre.good(NOW + 5 * DAY).der()
    assert centre.status(later).status is GOOD
    after_the_end = centre.good(NOW + 21 * DAY).der()
    assert centre.status(after_the_end).status is UNKNOWN


# --- revoked ----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("IN-22", "IN-26")
def test_a_revocation_counts_from_its_date_and_tells_its_reason(centre: Centre) -> None:
    answer = centre.good(
        status=ocsp.OCSPCertStatus.REVOKED, revoked_at=NOW - 2 * HOUR, reason=x509.ReasonFlags.key_compromise
    ).der()
    revoked = centre.status(answer)
    assert revoked == StatusAnswer(REVOKED, (answer,), Revocation(NOW - 2 * HOUR, "keyCompromise"))
    assert centre.status(answer, at=NOW - 3 * HOUR).status is GOOD
    verdict = PathJudge([centre.root.certificate_der], answers=[answer]).judge(centre.end, NOW)
    assert verdict.findings == ("certificate-revoked",)
    assert (verdict.revoked_at, verdict.revocation_reason) == (NOW - 2 * HOUR, "keyCompromise")


def test_list_and_answer_speak_with_one_voice(centre: Centre) -> None:
    """Whichever accuses is heard; a newer one of either kind lifts a hold, and nothing lifts another reason."""

    def listed(reason: str) -> bytes:
        authority = TestAuthority(centre.root.key, centre.root.certificate_der)
        authority.revoke(centre.serial, NOW - 4 * HOUR, reason)
        return authority.crl(NOW - 3 * HOUR, DAY)

    newer = centre.good(NOW - HOUR).der()
    older = centre.good(NOW - 4 * HOUR).der()
    assert centre.status(listed(HOLD), newer).status is GOOD
    assert centre.status(listed(HOLD), older).status is REVOKED
    assert centre.status(listed("keyCompromise"), newer).status is REVOKED
    held = centre.good(NOW - 3 * HOUR, status=ocsp.OCSPCertStatus.REVOKED, revoked_at=NOW - 4 * HOUR)
    held = replace(held, reason=x509.ReasonFlags.certificate_hold)
    lifted = TestAuthority(centre.root.key, centre.root.certificate_der).crl(NOW - HOUR, DAY)
    assert centre.status(held.der(), lifted).status is GOOD
    assert centre.status(held.der()).status is REVOKED


def test_an_answer_that_ended_leaves_the_list_that_has_not(centre: Centre) -> None:
    lapsed = centre.good(NOW - HOUR, valid_for=timedelta(minutes=10)).der()
    crl = TestAuthority(centre.root.key, centre.root.certificate_der).crl(NOW - 2 * HOUR, DAY)
    assert centre.status(lapsed, crl) == StatusAnswer(GOOD, (crl,))
    assert centre.status(lapsed).status is UNKNOWN


# --- asking -----------------------------------------------------------------------------------------------------------


def _fetched(centre: Centre, der: bytes, now: datetime = NOW) -> bytes:
    return fetched_answer(der, centre.end, centre.root.certificate_der, NONCE, now).der


@pytest.mark.parametrize("reason", [None, "keyCompromise", HOLD])
def test_the_test_authority_answers_what_it_is_asked(reason: str | None) -> None:
    centre = _centre("p256", generate_key)
    request = ocsp_request(centre.end, centre.root.certificate_der, NONCE)
    responder = TestResponder(centre.root, NOW)
    answer = responder.answer(request, NOW, HOUR)
    assert centre.status(_fetched(centre, answer)).status is GOOD
    centre.root.revoke(centre.serial, NOW - HOUR, reason)
    answer = responder.answer(request, NOW, HOUR)
    assert centre.status(_fetched(centre, answer)).revocation == Revocation(NOW - HOUR, reason)


def test_the_test_authority_answers_for_nobody_else(centre: Centre) -> None:
    responder = TestResponder(TestAuthority.create("TEST Other", NOW, key_kind="p256"), NOW)
    for request, reason in (
        (ocsp_request(centre.end, centre.root.certificate_der, NONCE), "unauthorized"),
        (b"garbage", "malformedRequest"),
    ):
        with pytest.raises(RevocationSourceUnavailable, match=reason):
            _fetched(centre, responder.answer(request, NOW, HOUR))


def test_an_answer_without_a_nonce_is_taken_and_one_with_another_is_not(centre: Centre) -> None:
    assert _fetched(centre, centre.good().der())
    assert _fetched(centre, centre.good(extensions=((x509.OCSPNonce(NONCE), False),)).der())
    replayed = centre.good(extensions=((x509.OCSPNonce(bytes(32)), False),)).der()
    with pytest.raises(RevocationSourceUnavailable, match="wrong-nonce"):
        _fetched(centre, replayed)


@pytest.mark.parametrize(
    ("shift", "reason"),
    [
        (timedelta(minutes=5), None),
        (timedelta(minutes=6), "from-the-future"),
        (-HOUR - timedelta(minutes=5), None),
        (-HOUR - timedelta(minutes=6), "stale"),
    ],
)
def test_clocks_may_differ_by_five_minutes(centre: Centre, shift: timedelta, reason: str | None) -> None:
    answer = centre.good(NOW + shift, valid_for=HOUR).der()
    if reason is None:
        assert _fetched(centre, answer) == answer
        return
    with pytest.raises(RevocationSourceUnavailable, match=reason):
        _fetched(centre, answer)


def test_what_proves_nothing_is_not_kept_and_says_why(centre: Centre) -> None:
    reasons = {}
    for what, answer in _unbelievable(centre).items():
        with pytest.raises(RevocationSourceUnavailable) as caught:
            _fetched(centre, answer)
        reasons[what] = str(caught.value)
    assert reasons["unknown"] == "not-known"
    assert reasons["TRY_LATER"] == "tryLater"
    assert reasons["critical extension"] == reasons["too large"] == "unreadable"
    assert reasons["another key"] == reasons["about another issuer"] == "wrong-responder"
    assert _refused(centre, b"no answer") == "unreadable"


def _refused(centre: Centre, der: bytes) -> str:
    with pytest.raises(RevocationSourceUnavailable) as caught:
        _fetched(centre, der)
    return str(caught.value)


def test_a_certificate_names_its_responder(key_of: KeyOf) -> None:
    root = TestAuthority.create("TEST Root", NOW - DAY, key_kind="p256")
    assert responder_urls(_end(root, key_of("p256"))) == ()
    root.ocsp_url = "http://ocsp.example/"
    assert responder_urls(_end(root, key_of("p256"))) == ("http://ocsp.example/",)


# --- second opinion ---------------------------------------------------------------------------------------------------


def _openssl(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [program("openssl"), "ocsp", *arguments]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)


def _write(tmp_path: Path, centre: Centre) -> None:
    (tmp_path / "root.pem").write_bytes(centre.root.certificate_pem)
    (tmp_path / "end.pem").write_bytes(der_to_pem(centre.end))
    (tmp_path / "delegate.pem").write_bytes(der_to_pem(centre.delegate))
    for name, key in (("root", centre.root.key), ("delegate", centre.key)):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.key").write_bytes(pem)


def test_openssl_agrees_on_every_answer(tmp_path: Path, centre: Centre) -> None:
    """What we refuse for a reason that OpenSSL knows it refuses, too, and it accepts what we accept."""
    _write(tmp_path, centre)
    cases = _unbelievable(centre)
    ours_alone = {"SHA-1 signature", "SHA-224 signature", "critical extension", "octets behind", "too large", "unknown"}
    cases = {what: answer for what, answer in cases.items() if what not in ours_alone}
    cases |= {"issuer": centre.good().der(), "delegate": centre.delegated().der()}
    for what, answer in cases.items():
        (tmp_path / "answer.der").write_bytes(answer)
        check = ("-respin", "answer.der", "-issuer", "root.pem", "-cert", "end.pem", "-CAfile", "root.pem")
        done = _openssl(tmp_path, *check, "-no_nonce")
        accepts = "Response verify OK" in done.stderr and "end.pem: good" in done.stdout
        assert accepts is (centre.status(answer).status is GOOD), (what, done.stdout, done.stderr)


@pytest.mark.parametrize("kind", ["rsa-3072", "p256", "brainpool-p256"])
@pytest.mark.parametrize("options", [(), ("-rsigopt", "rsa_padding_mode:pss")])
@pytest.mark.parametrize("state", ["V", "R"])
def test_answers_of_openssl_are_understood(
    tmp_path: Path, key_of: KeyOf, kind: str, options: tuple[str, ...], state: str
) -> None:
    if options and kind != "rsa-3072":
        return
    centre = _centre(kind, key_of)
    _write(tmp_path, centre)
    since = f"{NOW - HOUR:%y%m%d%H%M%SZ},keyCompromise" if state == "R" else ""
    (tmp_path / "index.txt").write_text(f"{state}\t400101000000Z\t{since}\t{centre.serial:X}\tunknown\t/CN=T\n")
    (tmp_path / "request.der").write_bytes(ocsp_request(centre.end, centre.root.certificate_der, NONCE))
    signer = ("-rsigner", "root.pem", "-rkey", "root.key") if options else ("-rsigner", "delegate.pem")
    signer = signer if options else (*signer, "-rkey", "delegate.key")
    files = ("-index", "index.txt", "-CA", "root.pem", "-reqin", "request.der", "-respout", "answer.der")
    done = _openssl(tmp_path, *files, *signer, *options, "-ndays", "1")
    assert done.returncode == 0, done.stderr
    der = (tmp_path / "answer.der").read_bytes()
    answer = read_answer(der)
    assert answer is not None
    assert answer.nonce == NONCE
    status = centre.status(_fetched(centre, der, datetime.now(UTC)), at=datetime.now(UTC))
    assert status.status is (GOOD if state == "V" else REVOKED)
    assert status.revocation == (None if state == "V" else Revocation(NOW - HOUR, "keyCompromise"))
