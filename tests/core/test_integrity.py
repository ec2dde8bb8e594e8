"""X-de-mail-integrity beside the vectors: laws, refusals and the rules IN-3 to IN-27."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.checks import Outcome, worst
from demail_gateway.core.digests import BodyHasher, body_digest, header_digest
from demail_gateway.core.errors import CertificateMalformed, ComposeFailed, MalformedMessage
from demail_gateway.core.header import HeaderField, read_message
from demail_gateway.core.integrity import (
    HEADER_LIST,
    IntegrityResult,
    check_integrity,
    checks,
    key_findings,
    read_certificate,
    read_field,
    same_integrity_value,
    seal,
)
from demail_gateway.core.integrity_field import emptied, write_certificate, write_field
from demail_gateway.core.primitives import (
    CertificateFacts,
    CertificateStatus,
    CertificateVerdict,
    HashName,
    SignatureScheme,
)
from demail_gateway.core.vocabulary import Protection
from tests.core.vector_trust import VECTORS, VERIFICATION_TIME, VectorJudge, VectorSigner, VectorVerifier

UNSEALED = (VECTORS / "messages" / "sign-hash-sha256.in.eml").read_bytes()
SIGNERS = {
    "hash": None,
    "rsa": VectorSigner("rsa3072", SignatureScheme.RSA),
    "pss": VectorSigner("rsa3072", SignatureScheme.RSASSA_PSS),
    "p256": VectorSigner("p256", SignatureScheme.EC_DSA),
    "p521": VectorSigner("p521", SignatureScheme.EC_DSA),
    "bp256": VectorSigner("bp256", SignatureScheme.EC_DSA),
}
HASHES = st.sampled_from(HashName)
BODIES = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b" "]), max_size=30).map(b"".join),
)


def check(message: bytes, status: CertificateStatus = CertificateStatus.GOOD) -> IntegrityResult:
    return check_integrity(message, verifier=VectorVerifier(), judge=VectorJudge(status), at=VERIFICATION_TIME)


def sealed(message: bytes = UNSEALED, mode: str = "hash", hash_name: HashName = HashName.SHA256) -> bytes:
    return seal(message, hash_name=hash_name, domain="dmda-a.example", signer=SIGNERS[mode])


def with_field(value: str, message: bytes = UNSEALED) -> bytes:
    return f"x-de-mail-integrity: {value}\r\n".encode() + message


@pytest.mark.clause(
    "TR 01201-3.4 §3.1.21 algorithms",
    "TR 01201-3.4 §3.1.21 a",
    "TR 01201-3.4 §3.1.13 every",
    "TR 01201-3.4 §3.1.13 hash",
)
@given(BODIES, HASHES, st.sampled_from(["hash", "rsa", "pss", "p256", "p521", "bp256"]))
def test_what_was_sealed_holds_with_all_twelve_algorithms(body: bytes, hash_name: HashName, mode: str) -> None:
    message = read_message(UNSEALED).header.raw + b"\r\n" + body
    result = check(sealed(message, mode, hash_name))
    assert (result.code, result.verdict) == ("ok", Outcome.PASSED)
    assert result.protection is (Protection.HASH if mode == "hash" else Protection.SIGNATURE)
    assert result.algorithm is not None
    assert result.algorithm.startswith(hash_name.value)
    assert result.findings == ()


# made once: ECDSA signatures differ from run to run, and a property must draw from the same octets each time
SEALED = {"hash": sealed(), "p256": sealed(mode="p256")}


@pytest.mark.clause("TR 01201-3.1 step 48 FC-01", "TR 01201-3.4 §3.1.13 kept")
@pytest.mark.parametrize("mode", list(SEALED))
@given(data=st.data())
def test_one_changed_octet_in_field_or_body_is_noticed(mode: str, data: st.DataObject) -> None:
    message = bytearray(SEALED[mode])
    octets = read_message(bytes(message))
    spans = [(octets.body_offset, len(message) - 2)]  # the final CRLF is not covered
    position = 0
    for item in octets.header.fields:
        if item.lower in {name.lower() for name in HEADER_LIST}:
            spans.append((position, position + len(item.raw) - 2))
        position += len(item.raw)
    start, end = data.draw(st.sampled_from(spans))
    at = data.draw(st.integers(start, end - 1))
    message[at] ^= data.draw(st.integers(1, 255))
    assert check(bytes(message)).verdict is Outcome.FAILED


@pytest.mark.clause("TR 01201-3.1 step 48 FC-01", "TR 01201-3.4 §3.1.13 kept")
@given(st.data())
def test_one_changed_octet_in_the_integrity_field_is_noticed(data: st.DataObject) -> None:
    message = bytearray(sealed())
    end = len(read_message(bytes(message)).header.fields[0].raw) - 2
    # white space inside b= carries nothing (RFC 6376 §3.2), so octets are replaced by others than blanks
    at = data.draw(st.integers(0, end - 1).filter(lambda at: message[at] not in b" \t\r\n"))
    message[at] = data.draw(st.sampled_from([octet for octet in b"Ab9+=;:x" if octet != message[at]]))
    assert check(bytes(message)).verdict is Outcome.FAILED


@given(BODIES, st.lists(st.integers(0, 300), max_size=8), HASHES)
def test_where_the_body_is_cut_makes_no_difference(body: bytes, cuts: list[int], hash_name: HashName) -> None:
    octetwise = BodyHasher(hash_name)
    for octet in body:
        octetwise.update(bytes([octet]))
    assert octetwise.digest() == body_digest(body, hash_name)
    hasher = BodyHasher(hash_name)
    bounds = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(bounds):
        hasher.update(body[start:end])
    assert hasher.digest() == hasher.digest() == body_digest(body, hash_name)


@pytest.mark.clause("TR 01201-3.4 §3.1.21 c", "TR 01201-3.4 §3.1.21 dkim")
@given(BODIES)
def test_body_is_canonicalised_as_simple(body: bytes) -> None:
    expected = re.sub(rb"(\r\n)*\Z", b"", body, count=1) + b"\r\n"
    assert body_digest(body, HashName.SHA256) == hashlib.sha256(expected).digest()


def test_millions_of_empty_lines_are_skipped_quickly() -> None:
    body = b"x" + b"\r\n" * 5_000_000
    assert body_digest(body, HashName.SHA256) == hashlib.sha256(b"x\r\n").digest()
    assert body_digest(body + b"y", HashName.SHA512) == hashlib.sha512(body + b"y\r\n").digest()
    hasher = BodyHasher(HashName.SHA256)
    hasher.update(body)
    hasher.update(b"y")
    assert hasher.digest() == hashlib.sha256(body + b"y\r\n").digest()


@pytest.mark.clause("TR 01201-3.4 §3.1.21 folding")
@pytest.mark.parametrize("mode", list(SIGNERS))
def test_emitted_lines_have_at_most_78_octets(mode: str) -> None:
    written = sealed(mode=mode, hash_name=HashName.SHA512).removesuffix(UNSEALED)
    assert max(map(len, written.split(b"\r\n"))) <= 78


@pytest.mark.clause("TR 01201-3.4 §3.1.21 h")
def test_private_id_is_listed_only_if_present() -> None:
    with_id = sealed(b"X-De-Mail-Private-Id: a\r\n" + UNSEALED)
    assert "x-de-mail-private-id" in read_field(read_message(with_id).header.fields[0]).h
    assert "x-de-mail-private-id" not in read_field(read_message(sealed()).header.fields[0]).h
    assert check(with_id).code == "ok"


def test_a_sealed_message_is_not_sealed_again() -> None:
    with pytest.raises(ComposeFailed):
        sealed(sealed())


@pytest.mark.parametrize("domain", ["", "a b", "a;b", "a\r\nx: y", "A.example", "a..b"])
def test_domain_cannot_break_the_tag_list(domain: str) -> None:
    with pytest.raises(ComposeFailed):
        seal(UNSEALED, hash_name=HashName.SHA256, domain=domain, signer=None)


def test_unreadable_message_is_malformed() -> None:
    result = check(b"no header\r\n\r\n")
    assert (result.code, result.protection, result.verdict) == ("message-malformed", Protection.NONE, Outcome.FAILED)


GOOD_B64 = "AAAA"


@pytest.mark.clause("TR 01201-3.4 §3.1.21 c", "TR 01201-3.4 §3.1.21 dkim")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "b",
        "v=2; a=sha256; h=From; bh=AAAA; b=AAAA",
        "v=1; h=From; bh=AAAA; b=AAAA",
        "v=1; a=; h=From; bh=AAAA; b=AAAA",
        "v=1; a=sha256; c=relaxed/simple; h=From; bh=AAAA; b=AAAA",
        "v=1; a=sha256; c=simple/relaxed; h=From; bh=AAAA; b=AAAA",
        "v=1; a=sha256; c=; h=From; bh=AAAA; b=AAAA",
        "v=1; a=sha256; bh=AAAA; b=AAAA",
        "v=1; a=sha256; h=; bh=AAAA; b=AAAA",
        "v=1; a=sha256; h=From:; bh=AAAA; b=AAAA",
        "v=1; a=sha256; h=From:X-De-Mail-Integrity; bh=AAAA; b=AAAA",
        "v=1; a=sha256; h=Fr om; bh=AAAA; b=AAAA",
        "v=1; a=sha256; h=From; b=AAAA",
        "v=1; a=sha256; h=From; bh=; b=AAAA",
        "v=1; a=sha256; h=From; bh=AAAA",
        "v=1; a=sha256; h=From; bh=AAAA; b=",
        "v=1; a=sha256; h=From; bh=AA*A; b=AAAA",
        "v=1; a=sha256; h=From; bh=AAA; b=AAAA",
        "v=1; a=sha256; h=From; bh=AB==; b=AAAA",
        "v=1; a=sha256; h=From; bh=AA==AAAA; b=AAAA",
        "v=1; a=sha256; h=From; bh=AAAA; b=AAAA; b=AAAA",
        "v=1; a=sha256; h=From; bh=AAAA;; b=AAAA",
        "v=1; a=sha256; h=From; bh=AAAA; b=AAAA; ; ",
        "v=1; 1a=sha256; a=sha256; h=From; bh=AAAA; b=AAAA",
        "v=1; a=sha256; z=ü; h=From; bh=AAAA; b=AAAA",
    ],
)
def test_broken_tag_lists_are_malformed(value: str) -> None:
    result = check(with_field(value))
    assert (result.code, result.protection) == ("integrity-malformed", Protection.NONE)


@pytest.mark.clause("TR 01201-3.4 §3.1.21 a")
@pytest.mark.parametrize(
    "a", ["rsa-sha256", "sha1", "SHA256", "sha256/RSA", "sha256/", "sha256/rsa/x", "sha 256", "md5/rsa"]
)
def test_other_algorithms_are_unsupported(a: str) -> None:
    result = check(with_field(f"v=1; a={a}; c=simple/simple; h=From; bh=AAAA; b=AAAA"))
    assert (result.code, result.protection) == ("algorithm-unsupported", Protection.NONE)


@pytest.mark.clause("TR 01201-3.4 §3.1.21 l", "TR 01201-3.4 §3.1.21 q")
def test_missing_and_ignored_tags_are_findings() -> None:
    field = read_field(
        HeaderField(b"x-de-mail-integrity: a=sha256/rsa; l=3; x=9; h=Date:From:Date:To; bh=AAAA; b=AAAA;\r\n")
    )
    assert field.findings == (
        "h-order", "h-repeated", "tag-ignored:l", "tag-ignored:x", "tag-missing:c", "tag-missing:d",
        "tag-missing:s", "tag-missing:v", "tag-q",
    )  # fmt: skip
    assert field.scheme is SignatureScheme.RSA


def test_case_of_tag_names_counts() -> None:
    with pytest.raises(MalformedMessage):
        read_field(HeaderField(b"x-de-mail-integrity: A=sha256; h=From; bh=AAAA; b=AAAA\r\n"))


@pytest.mark.clause("TR 01201-3.4 §3.1.21 b", "TR 01201-3.4 §3.1.21 dkim")
@pytest.mark.parametrize(
    ("raw", "without"),
    [
        (b"i: v=1; b=AA\r\n AA\r\n", b"i: v=1; b="),
        (b"i: v=1; b =AA; x=b=c\r\n", b"i: v=1; b =; x=b=c"),
        (b"i:\tx=b=c;\r\n b\t=\tAA ;\r\n", b"i:\tx=b=c;\r\n b\t=;"),
        (b"i: bh=b=; b=A", b"i: bh=b=; b="),
        (b"i: v=1; b=A \r\n", b"i: v=1; b="),
        (b"i: b=A; c=d \r\n", b"i: b=; c=d "),
    ],
)
def test_only_the_value_of_b_is_deleted(raw: bytes, without: bytes) -> None:
    assert emptied(HeaderField(raw)) == without


def test_field_without_b_cannot_be_emptied() -> None:
    with pytest.raises(MalformedMessage):
        emptied(HeaderField(b"i: bh=b; x=b=c; b\r\n"))


@pytest.mark.clause("TR 01201-3.4 §3.1.21 h", "TR 01201-3.4 §3.1.21 duplicates")
def test_repeated_and_further_names_and_other_order_are_hashed_as_listed() -> None:
    names = [*reversed([name.lower() for name in HEADER_LIST]), "to", "from", "content-type"]
    bh = body_digest(read_message(UNSEALED).body, HashName.SHA256)

    header = read_message(UNSEALED).header
    digest = header_digest(
        header.first, names, HeaderField(write_field("sha256", "d.example", names, bh, None)), HashName.SHA256
    )
    message = write_field("sha256", "d.example", names, bh, digest) + UNSEALED
    result = check(message)
    assert (result.code, result.findings) == ("ok", ("h-order", "h-repeated"))
    assert check(message.replace(b"\r\nTo: ", b"\r\nTo:  ")).code == "header-hash-mismatch"


@pytest.mark.clause("TR 01201-3.4 §3.1.21 hash-only")
def test_certificate_beside_a_hash_is_unexpected_but_harmless() -> None:
    message = write_certificate(b"x") + sealed()
    result = check(message)
    assert (result.code, result.findings) == ("ok", ("certificate-unexpected",))


@pytest.mark.clause(
    "TR 01201-3.1 step 48 FC-04",
    "TR 01201-3.1 step 83 FC-04",
    "TR 01201-3.4 §3.1.13 signed",
    "TR 01201-3.4 §3.5.1 signed",
)
def test_hash_alone_is_too_little_for_sender_confirmed_and_classes_b_and_i() -> None:
    for old, new in (
        (b"authoritative: no", b"authoritative: yes"),
        (b"type: normal", b"type: confirmation of receipt"),
        (b"type: normal", b"type: identification"),
    ):
        assert check(sealed(UNSEALED.replace(old, new))).code == "signature-required"
        assert check(sealed(UNSEALED.replace(old, new), "p256")).code == "ok"
    assert check(sealed(UNSEALED.replace(b"type: normal", b"type: notification"))).code == "ok"
    assert check(sealed(UNSEALED.replace(b"type: normal", b"type: unknown"))).code == "ok"


@pytest.mark.clause("TR 01201-3.4 §3.1.1 duplicates", "TR 01201-3.4 §3.1.21 duplicates")
def test_duplicates_are_reported_and_the_topmost_counts() -> None:
    signed = sealed(mode="p256")
    result = check(
        signed.replace(
            b"\r\n\r\n", b"\r\nSubject: x\r\nX-De-Mail-Integrity: y\r\nX-de-mail-signature-certificate: z\r\n\r\n", 1
        )
    )
    assert result.code == "ok"
    assert result.findings == (
        "duplicate-header:subject", "duplicate-header:x-de-mail-integrity",
        "duplicate-header:x-de-mail-signature-certificate",
    )  # fmt: skip


@pytest.mark.clause("TR 01201-3.4 §3.1.14")
def test_armoured_certificate_is_read() -> None:
    der = SIGNERS["rsa"].certificate_der if SIGNERS["rsa"] else b""
    pem = (VECTORS / "keys" / "rsa3072.crt.pem").read_bytes().strip().replace(b"\n", b"\r\n ")
    field = HeaderField(b"x-de-mail-signature-certificate: " + pem + b"\r\n")
    assert read_certificate(field) == read_certificate(HeaderField(write_certificate(der))) == der


@pytest.mark.clause("TR 01201-3.4 §3.1.14")
@pytest.mark.parametrize(
    "armour",
    [
        b"-----BEGIN CERTIFICATE-----AAAA-----END CERTIFICATE-----" * 2,
        b"A*",
        b"",
    ],
)
def test_exactly_one_certificate_is_read(armour: bytes) -> None:
    with pytest.raises(CertificateMalformed):
        read_certificate(HeaderField(b"x-de-mail-signature-certificate: " + armour + b"\r\n"))


@dataclass(frozen=True)
class FixedJudge:
    verdict: CertificateVerdict

    def judge(self, certificate_der: bytes, at: object) -> CertificateVerdict:
        return self.verdict


@pytest.mark.clause(
    "TR 01201-3.1 step 48 FC-02",
    "TR 01201-3.1 step 48 FC-03",
    "TR 01201-3.1 step 83 FC-02",
    "TR 01201-3.1 step 83 FC-03",
    "TR 01201-3.4 §3.1.21 certificate",
)
@pytest.mark.parametrize(
    ("verdict", "code", "findings"),
    [
        (CertificateVerdict((), CertificateStatus.GOOD), "ok", ()),
        (CertificateVerdict((), CertificateStatus.UNKNOWN), "certificate-status-unknown", ()),
        (CertificateVerdict((), CertificateStatus.REVOKED), "certificate-invalid", ("certificate-revoked",)),
        (CertificateVerdict(("certificate-untrusted",)), "certificate-invalid", ("certificate-untrusted",)),
    ],
)
def test_verdict_on_the_certificate_decides_rows_14_and_15(
    verdict: CertificateVerdict, code: str, findings: tuple[str, ...]
) -> None:
    result = check_integrity(
        read_message(sealed(mode="p256")), verifier=VectorVerifier(), judge=FixedJudge(verdict), at=VERIFICATION_TIME
    )
    assert (result.code, result.findings) == (code, findings)
    assert result.certificate_verdict == verdict
    assert result.certificate is not None


def test_without_any_anchor_the_path_is_not_passed_and_no_list_is_blamed() -> None:
    """IN-22 rows 14 and 15: a check that could not be made is not passed, and the report names what is missing."""
    judge = FixedJudge(CertificateVerdict(anchored=False))
    message = read_message(sealed(mode="p256"))
    result = check_integrity(message, verifier=VectorVerifier(), judge=judge, at=VERIFICATION_TIME)
    assert (result.verdict, result.code) == (Outcome.INDETERMINATE, "certificate-status-unknown")
    assert result.findings == ("trust-anchor-missing",)
    assert [(c.name, c.detail) for c in checks(result) if c.outcome is Outcome.INDETERMINATE] == [
        ("certificate.path", "trust-anchor-missing"),
        ("certificate.status", "trust-anchor-missing"),
    ]


def facts(key_type: str, bits: int, curve: str | None = None) -> CertificateFacts:
    return CertificateFacts(b"", key_type, bits, curve, "", "", 1, VERIFICATION_TIME, VERIFICATION_TIME, "")


@pytest.mark.clause("TR 01201-3.4 §3.1.21 permitted")
@pytest.mark.parametrize(
    ("key", "findings"),
    [
        (facts("rsa", 2047), None),
        (facts("rsa", 2048), ("key-size-deprecated",)),
        (facts("rsa", 2999), ("key-size-deprecated",)),
        (facts("rsa", 3000), ()),
        (facts("ec", 256, "brainpoolP256r1"), ()),
        (facts("ec", 256, "secp256k1"), None),
        (facts("ed25519", 256), None),
    ],
)
def test_keys_are_permitted_by_size_and_curve(key: CertificateFacts, findings: tuple[str, ...] | None) -> None:
    assert key_findings(key) == findings


def test_values_are_compared_without_white_space() -> None:
    assert same_integrity_value("v=1; a=sha256; b=AA AA", "v=1;a=sha256;\tb=AAAA")
    assert not same_integrity_value("v=1; b=AAAA", "v=1; b=AAAB")


def outcomes(result: IntegrityResult) -> dict[str, str]:
    return {item.name: item.outcome.value for item in checks(result)}


def test_report_of_a_good_hash_leaves_signature_rows_out() -> None:
    found = outcomes(check(sealed()))
    assert found["integrity.hash"] == found["integrity.coverage"] == found["integrity.signature-required"] == "passed"
    assert found["integrity.signature"] == found["certificate.status"] == "not-applicable"
    assert worst(item.outcome for item in checks(check(sealed()))) is Outcome.PASSED


def test_report_names_the_failing_row_and_passes_nothing_behind_it() -> None:
    changed = check(sealed(mode="p256").replace(b"geehrte", b"geehrtE"))
    found = outcomes(changed)
    assert found["integrity.algorithm"] == "passed"
    assert found["integrity.hash"] == "failed"
    assert found["integrity.signature"] == found["certificate.path"] == "indeterminate"
    assert found["integrity.signature-required"] == "not-applicable"
    assert worst(item.outcome for item in checks(changed)) is Outcome.FAILED


def test_report_of_an_unknown_status_is_indeterminate() -> None:
    result = check(sealed(mode="p256"), CertificateStatus.UNKNOWN)
    found = outcomes(result)
    assert found["integrity.signature"] == found["certificate.path"] == "passed"
    assert found["certificate.status"] == "indeterminate"
    assert worst(item.outcome for item in checks(result)) is Outcome.INDETERMINATE


@pytest.mark.parametrize(
    "code", ["message-malformed", "integrity-missing", "integrity-malformed", "algorithm-unsupported"]
)
def test_report_without_a_readable_field_passes_no_later_row(code: str) -> None:
    result = IntegrityResult(Outcome.FAILED, Protection.NONE, code)
    values = list(outcomes(result).values())
    assert values.count("failed") == 1
    assert set(values[values.index("failed") + 1 :]) == {"indeterminate"}


def test_every_code_has_a_row_in_the_report() -> None:
    codes = {
        "message-malformed", "integrity-missing", "integrity-malformed", "algorithm-unsupported", "header-coverage",
        "body-hash-mismatch", "header-hash-mismatch", "signature-required", "certificate-missing",
        "certificate-malformed", "key-mismatch", "key-not-permitted", "signature-mismatch", "certificate-invalid",
        "certificate-status-unknown",
    }  # fmt: skip
    for code in codes:
        report = checks(IntegrityResult(Outcome.FAILED, Protection.SIGNATURE, code))
        assert [item.detail for item in report if item.outcome is Outcome.FAILED] == [code]


@pytest.mark.clause("TR 01201-3.1 step 48 FC-02")
def test_the_report_says_what_is_wrong_with_a_certificate() -> None:
    verdict = CertificateVerdict(
        ("certificate-expired", "certificate-revoked"),
        CertificateStatus.REVOKED,
        revoked_at=datetime(2026, 2, 1, 9, 30, tzinfo=UTC),
        revocation_reason="keyCompromise",
    )
    result = IntegrityResult(
        Outcome.FAILED,
        Protection.SIGNATURE,
        "certificate-invalid",
        ("certificate-key-usage", "certificate-revoked"),
        certificate_verdict=verdict,
    )
    (path,) = (check for check in checks(result) if check.name == "certificate.path")
    assert path.detail == (
        "certificate-invalid, certificate-key-usage, certificate-expired, "
        "certificate-revoked:2026-02-01T09:30:00+00:00 keyCompromise"
    )
