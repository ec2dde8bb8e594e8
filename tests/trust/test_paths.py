from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pyhanko_certvalidator.path import ValidationPath

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.primitives import CertificateStatus, CertificateVerdict
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import read_certificate
from demail_gateway.trust.chains import _run
from demail_gateway.trust.cms import der
from demail_gateway.trust.keys import PrivateKey, generate_key
from demail_gateway.trust.paths import KnownSigners, PathJudge

KeyOf = Callable[[str], PrivateKey]
GOOD, REVOKED, UNKNOWN = CertificateStatus.GOOD, CertificateStatus.REVOKED, CertificateStatus.UNKNOWN
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Centre:
    """Root, intermediate and an end certificate of two days around `now`."""

    root: TestAuthority
    sub: TestAuthority
    end: bytes
    serial: int

    def judge(self, crls: Sequence[bytes] = ()) -> PathJudge:
        return PathJudge([self.root.certificate_der], [self.sub.certificate_der], crls)

    def crls(self, at: datetime, valid_for: timedelta = DAY) -> list[bytes]:
        return [self.root.crl(at, valid_for), self.sub.crl(at, valid_for)]


@pytest.fixture
def centre(now: datetime, key_of: KeyOf) -> Centre:
    return _centre(now, "p256", key_of("p256"))


def _centre(now: datetime, kind: str, key: PrivateKey) -> Centre:
    root = TestAuthority.create("TEST Root", now - 100 * DAY, key_kind=kind)
    sub = root.subordinate("TEST Sub", now - 50 * DAY, key_kind=kind)
    end = sub.issue(key.public_key(), Profile.PROVIDER_SIGNATURE, "T", not_before=now - DAY, not_after=now + DAY)
    return Centre(root, sub, end, x509.load_der_x509_certificate(end).serial_number)


@pytest.mark.parametrize("kind", ["rsa-3072", "p256", "p384", "brainpool-p256", "brainpool-p384"])
def test_path_is_found_for_every_kind_of_authority(now: datetime, key_of: KeyOf, kind: str) -> None:
    centre = _centre(now, kind, key_of("p256"))
    crls = centre.crls(now)
    verdict = centre.judge(crls).judge(centre.end, now)
    chain = (centre.end, centre.sub.certificate_der, centre.root.certificate_der)
    assert verdict == CertificateVerdict((), GOOD, chain, (crls[1], crls[0]))


async def test_judging_works_inside_an_event_loop(centre: Centre, now: datetime) -> None:
    asyncio.get_running_loop()
    assert centre.judge().judge(centre.end, now).chain


def test_without_anchors_nothing_is_said(centre: Centre, now: datetime) -> None:
    assert PathJudge([], [], centre.crls(now)).judge(centre.end, now + 9 * DAY) == CertificateVerdict(anchored=False)


def test_without_lists_the_status_is_unknown(centre: Centre, now: datetime) -> None:
    verdict = centre.judge().judge(centre.end, now)
    assert (verdict.findings, verdict.status) == ((), UNKNOWN)


def test_every_authority_of_the_path_needs_a_list(centre: Centre, now: datetime) -> None:
    for crl in centre.crls(now):
        assert centre.judge([crl]).judge(centre.end, now).status is UNKNOWN


@pytest.mark.parametrize(
    ("days", "findings"),
    [(-1, ()), (-1.01, ("certificate-not-yet-valid",)), (1, ()), (1.01, ("certificate-expired",))],
)
def test_validity_ends_to_the_second_and_is_one_finding(
    centre: Centre, now: datetime, days: float, findings: tuple[str, ...]
) -> None:
    verdict = centre.judge().judge(centre.end, now + days * DAY)
    assert verdict.findings == findings
    assert len(verdict.chain) == 3


def test_other_authority_of_the_same_name_is_untrusted(centre: Centre, now: datetime) -> None:
    other = TestAuthority.create("TEST Root", now - 100 * DAY, key_kind="p256")
    judge = PathJudge([other.certificate_der], [centre.sub.certificate_der], centre.crls(now))
    assert judge.judge(centre.end, now) == CertificateVerdict(("certificate-untrusted",))


def test_missing_intermediate_can_be_brought_along(centre: Centre, now: datetime) -> None:
    judge = PathJudge([centre.root.certificate_der], answers=centre.crls(now))
    assert judge.judge(centre.end, now).findings == ("certificate-untrusted",)
    more = judge.with_intermediates([b"unreadable", centre.sub.certificate_der])
    assert more.judge(centre.end, now).status is GOOD


def test_expired_intermediate_leads_nowhere(now: datetime, key_of: KeyOf) -> None:
    root = TestAuthority.create("TEST Root", now - 3600 * DAY, key_kind="p256")
    sub = root.subordinate("TEST Sub", now - 3600 * DAY)
    end = sub.issue(key_of("p256").public_key(), "smime", "T", not_before=now, not_after=now + 900 * DAY)
    judge = PathJudge([root.certificate_der], [sub.certificate_der])
    assert judge.judge(end, now + 10 * DAY).findings == ()
    assert judge.judge(end, now + 800 * DAY).findings == ("certificate-untrusted",)
    assert judge.judge(end, now + 10 * DAY).findings == ()


def test_end_certificate_issues_nothing(centre: Centre, now: datetime, key_of: KeyOf) -> None:
    """The classical fault of path validation: basicConstraints not looked at."""
    impostor = TestAuthority(key_of("p256"), centre.end)
    forged = impostor.issue(generate_key("p256").public_key(), "smime", "T", not_before=now, not_after=now + DAY)
    judge = centre.judge().with_intermediates([centre.end])
    assert judge.judge(forged, now).findings == ("certificate-untrusted",)


def test_path_length_is_kept(centre: Centre, now: datetime, key_of: KeyOf) -> None:
    deeper = centre.sub.subordinate("TEST Deeper", now - DAY)
    end = deeper.issue(key_of("p256").public_key(), "smime", "T", not_before=now, not_after=now + DAY)
    judge = centre.judge().with_intermediates([deeper.certificate_der])
    assert judge.judge(end, now).findings == ("certificate-untrusted",)


@pytest.mark.parametrize(
    ("profile", "allowed"), [(Profile.PROVIDER_SIGNATURE, True), (Profile.SMIME, True), (None, False)]
)
def test_key_usage_must_allow_signatures(
    centre: Centre, now: datetime, key_of: KeyOf, profile: Profile | None, allowed: bool
) -> None:
    key = key_of("p256").public_key()
    if profile is None:
        end = centre.sub.subordinate("TEST CA", now - DAY).certificate_der
    else:
        end = centre.sub.issue(key, profile, "T", not_before=now - DAY, not_after=now + DAY)
    assert ("certificate-key-usage" in centre.judge().judge(end, now).findings) is not allowed


def test_certificate_without_key_usage_may_sign(now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = _self_signed(key, now)
    assert PathJudge([der]).judge(der, now).findings == ()


def test_anchor_itself_has_no_status(centre: Centre, now: datetime) -> None:
    anchor = centre.root.certificate_der
    verdict = centre.judge(centre.crls(now)).judge(anchor, now)
    assert (verdict.status, verdict.chain) == (UNKNOWN, (anchor,))


@pytest.mark.parametrize("weak", ["sha1", "md5", "rsa-1024"])
def test_weak_algorithms_lead_nowhere(now: datetime, key_of: KeyOf, weak: str) -> None:
    ca_key = rsa.generate_private_key(65537, 1024 if weak == "rsa-1024" else 2048)
    root = TestAuthority(ca_key, _self_signed(ca_key, now, ca=True))
    end = root.issue(key_of("p256").public_key(), "smime", "T", not_before=now - DAY, not_after=now + DAY)
    if weak != "rsa-1024":
        end = _resigned(end, ca_key, weak)
    assert PathJudge([root.certificate_der]).judge(end, now).findings == ("certificate-untrusted",)


def test_rsa_2048_is_enough_for_an_authority(now: datetime, key_of: KeyOf) -> None:
    """IN-14."""
    ca_key = rsa.generate_private_key(65537, 2048)
    root = TestAuthority(ca_key, _self_signed(ca_key, now, ca=True))
    end = root.issue(key_of("p256").public_key(), "smime", "T", not_before=now - DAY, not_after=now + DAY)
    assert PathJudge([root.certificate_der]).judge(end, now).findings == ()


def test_malformed_certificates_are_named(centre: Centre, now: datetime) -> None:
    with pytest.raises(CertificateMalformed):
        centre.judge().judge(b"x", now)
    with pytest.raises(CertificateMalformed):
        PathJudge([b"x"])
    with pytest.raises(CertificateMalformed):
        PathJudge([centre.root.certificate_der], [b"x"])


def test_certificate_that_only_one_library_reads_leads_nowhere(centre: Centre, now: datetime) -> None:
    """An extension that `cryptography` does not know and asn1crypto cannot read (subjectDirectoryAttributes)."""
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.9"), b"\x04\x01x")
    der = _self_signed(generate_key("p256"), now, ca=True, extension=odd)
    with pytest.raises(CertificateMalformed):
        PathJudge([der])
    judge = centre.judge().with_intermediates([der])
    assert judge.judge(centre.end, now).chain
    assert judge.judge(der, now).findings == ("certificate-untrusted",)


def test_work_that_waits_for_the_network_is_given_up() -> None:
    async def wait() -> ValidationPath:
        await asyncio.sleep(0)
        raise AssertionError

    with pytest.raises(ValueError, match="wait"):
        _run(wait())


def test_found_paths_are_kept_and_do_not_grow_without_bound(centre: Centre, now: datetime) -> None:
    judge = centre.judge()
    paths = judge._finder._paths
    paths.update({bytes((n >> 8, n & 255)): object() for n in range(1024)})  # type: ignore[misc]
    assert judge.judge(centre.end, now).chain
    assert list(paths) == [centre.end]
    other = judge.with_answers(centre.crls(now))
    assert other.judge(centre.end, now).status is GOOD
    assert judge.judge(centre.end, now).status is UNKNOWN


# --- who may sign at all ----------------------------------------------------------------------------------------------


def test_only_the_named_certificates_sign_where_any_are_named(centre: Centre, now: datetime) -> None:
    facts, crls = read_certificate(centre.end), centre.crls(now)
    anchors, below = [centre.root.certificate_der], [centre.sub.certificate_der]
    for known in (
        KnownSigners(frozenset({facts.fingerprint_sha256})),
        KnownSigners(frozenset(), frozenset({facts.subject})),
    ):
        judge = PathJudge(anchors, below, crls, known)
        assert judge.judge(centre.end, now).findings == ()
    stranger = PathJudge(anchors, below, (), KnownSigners(frozenset({"0" * 64}), frozenset({"CN=?"})))
    for judge in (stranger, stranger.with_answers(crls), stranger.with_intermediates([])):
        assert judge.judge(centre.end, now).findings == ("signer-unknown",)


# --- revocation -------------------------------------------------------------------------------------------------------


def test_revocation_counts_from_its_date(centre: Centre, now: datetime) -> None:
    centre.sub.revoke(centre.serial, now)
    crls = centre.crls(now + timedelta(hours=1))
    judge = centre.judge(crls)
    verdict = judge.judge(centre.end, now + timedelta(hours=2))
    assert (verdict.findings, verdict.status) == (("certificate-revoked",), REVOKED)
    assert verdict.revocation == (crls[1],)
    assert judge.judge(centre.end, now - timedelta(hours=1)).status is GOOD


def test_list_issued_later_speaks_of_the_time_before(centre: Centre, now: datetime) -> None:
    early = centre.crls(now - timedelta(hours=2))
    assert centre.judge(early).judge(centre.end, now).status is GOOD
    centre.sub.revoke(centre.serial, now - timedelta(hours=1))
    late = centre.crls(now + timedelta(hours=5))
    verdict = centre.judge([*early, *late]).judge(centre.end, now)
    assert (verdict.status, verdict.revocation) == (REVOKED, (late[1],))


def test_stale_list_accuses_but_does_not_acquit(centre: Centre, now: datetime) -> None:
    stale = centre.crls(now - timedelta(hours=3), valid_for=timedelta(hours=1))
    assert centre.judge(stale).judge(centre.end, now).status is UNKNOWN
    centre.sub.revoke(centre.serial, now - timedelta(hours=4))
    stale = centre.crls(now - timedelta(hours=3), valid_for=timedelta(hours=1))
    assert centre.judge(stale).judge(centre.end, now).status is REVOKED


def test_list_issued_later_acquits_while_the_certificate_has_not_expired(centre: Centre, now: datetime) -> None:
    """Of expired certificates lists may say nothing any more (RFC 5280 §3.3)."""
    ends = x509.load_der_x509_certificate(centre.end).not_valid_after_utc
    in_time, too_late = centre.crls(ends), centre.crls(ends + timedelta(seconds=1))
    verdict = centre.judge(in_time).judge(centre.end, now)
    assert (verdict.findings, verdict.status, verdict.revocation) == ((), GOOD, (in_time[1], in_time[0]))
    assert centre.judge(too_late).judge(centre.end, now).status is UNKNOWN


def test_list_issued_after_the_end_of_the_certificate_still_accuses(centre: Centre, now: datetime) -> None:
    centre.sub.revoke(centre.serial, now)
    assert centre.judge(centre.crls(now + 5 * DAY)).judge(centre.end, now).status is REVOKED


def test_newest_list_must_be_fresh(centre: Centre, now: datetime) -> None:
    long = centre.crls(now - timedelta(hours=5), valid_for=DAY)
    short = centre.crls(now - timedelta(hours=3), valid_for=timedelta(hours=1))
    assert centre.judge([*short, *long]).judge(centre.end, now).status is UNKNOWN


def test_revoked_intermediate_takes_all_below_with_it(centre: Centre, now: datetime) -> None:
    intermediate = x509.load_der_x509_certificate(centre.sub.certificate_der)
    centre.root.revoke(intermediate.serial_number, now - DAY)
    assert centre.judge(centre.crls(now)).judge(centre.end, now).findings == ("certificate-revoked",)


def test_forged_list_says_nothing(centre: Centre, now: datetime) -> None:
    impostor = TestAuthority(generate_key("p256"), centre.sub.certificate_der)
    impostor.revoke(centre.serial, now - DAY)
    crls = [centre.root.crl(now, DAY), impostor.crl(now, DAY), b"unreadable", centre.sub.crl(now, DAY)]
    assert centre.judge(crls).judge(centre.end, now).status is GOOD
    assert centre.judge(crls[:3]).judge(centre.end, now).status is UNKNOWN


def test_changed_list_says_nothing(centre: Centre, now: datetime) -> None:
    root_crl, sub_crl = centre.crls(now)
    changed = sub_crl[:-4] + bytes([sub_crl[-4] ^ 1]) + sub_crl[-3:]
    assert centre.judge([root_crl, changed]).judge(centre.end, now).status is UNKNOWN


def test_list_of_another_authority_says_nothing(centre: Centre, now: datetime) -> None:
    assert centre.judge([centre.root.crl(now, DAY)] * 2).judge(centre.end, now).status is UNKNOWN


def _self_signed(
    key: PrivateKey, now: datetime, *, ca: bool = False, extension: x509.ExtensionType | None = None
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST self")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 5, now - DAY, now + DAY)
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _resigned(certificate_der: bytes, key: rsa.RSAPrivateKey, hash_name: str) -> bytes:
    """The certificate with an old hash in its signature, which the library does not make any more."""
    algorithm: hashes.HashAlgorithm = hashes.SHA1() if hash_name == "sha1" else hashes.MD5()
    number = {"sha1": "1.2.840.113549.1.1.5", "md5": "1.2.840.113549.1.1.4"}[hash_name]
    identifier = der.tlv(der.SEQUENCE, der.oid(number), der.tlv(der.NULL))
    old = der.tlv(der.SEQUENCE, der.oid("1.2.840.113549.1.1.11"), der.tlv(der.NULL))
    fields = [child.raw for child in der.parse(certificate_der).children()[0].children()]
    tbs = der.tlv(der.SEQUENCE, *(identifier if field == old else field for field in fields))
    signature = key.sign(tbs, padding.PKCS1v15(), algorithm)
    return der.tlv(der.SEQUENCE, tbs, identifier, der.tlv(der.BIT_STRING, b"\x00", signature))
