"""The fifteen steps of `confirmations.md` §8: each can fail, and each failure has its consequence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.address import TrustedDomains, parse_address
from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation_check import ConfirmationReport, Verdict, check_confirmation
from demail_gateway.core.confirmation_reading import is_confirmation, read_confirmation
from demail_gateway.core.confirmation_report import Standing
from demail_gateway.core.correlation import Correlation
from demail_gateway.core.digests import body_digest, header_digest
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import HeaderField, read_message
from demail_gateway.core.integrity_field import HEADER_LIST, finished, write_certificate, write_field
from demail_gateway.core.options import SendOptions
from demail_gateway.core.primitives import (
    CertificateVerdict,
    DigestSigner,
    ExaminedXml,
    HashName,
    SignatureScheme,
    VerifiedXml,
)
from demail_gateway.core.vocabulary import ConfirmationKind
from demail_gateway.trust.verifier import CryptographyVerifier
from tests.core import proofs
from tests.core.proofs import (
    ASSIGNED,
    AT,
    ERIKA,
    ORIGINAL,
    ORIGINAL_OCTETS,
    OTHER_SIGNER,
    PROVIDER_B,
    RECEIVED_AT,
    REVOKED,
    SENT,
    SIGNATURES,
    SIGNER,
    STAMP,
    STATUS_UNKNOWN,
    TRUSTED,
    report,
    sealed,
    unsealed,
    xml_of,
)
from tests.core.vector_trust import VECTORS, VectorJudge, VectorSigner

RECEIPT = unsealed(ConfirmationKind.RECEIPT)
SEALED = sealed(RECEIPT)
STEPS = [
    "confirmation.01-integrity",
    "confirmation.02-matrix",
    "confirmation.03-issuer",
    "confirmation.04-structure",
    "confirmation.05-schema",
    "confirmation.06-xml-signature",
    "confirmation.07-sender",
    "confirmation.08-hash",
    "confirmation.09-metadata-proof",
    "confirmation.10-correlation",
    "confirmation.11-body-proof",
    "confirmation.12-metadata-submitted",
    "confirmation.13-private-id",
    "confirmation.14-times",
    "confirmation.15-requested",
]


def outcome(found: ConfirmationReport, step: int) -> Outcome:
    return found.checks[step - 1].outcome


def failed(found: ConfirmationReport) -> list[int]:
    return [number for number, check in enumerate(found.checks, 1) if check.outcome is Outcome.FAILED]


def with_xml(change: Callable[[bytes], bytes], message: bytes = RECEIPT, *, resign: bool = True) -> bytes:
    """The confirmation with its XML changed, signed anew unless told otherwise, and sealed."""
    xml = xml_of(message)
    if resign:
        bare = re.sub(rb"<ds:Signature.*</ds:Signature>", b"", xml, flags=re.DOTALL)
        xml = SIGNATURES.sign(change(bare), SIGNER)
    else:
        xml = change(xml)
    return sealed(proofs.with_xml(message, xml))


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(xml: bytes) -> bytes:
        assert old in xml, old
        return xml.replace(old, new)

    return change


def element(name: str, value: bytes | None) -> Callable[[bytes], bytes]:
    """Replaces the last element of this name, or drops it."""

    def change(xml: bytes) -> bytes:
        tag = name.encode()
        written = b"" if value is None else b"<%s>%s</%s>" % (tag, value, tag)
        changed, count = re.subn(
            rb"(.*)<%s>.*?</%s>" % (tag, tag), lambda m: m[1] + written, xml, count=1, flags=re.DOTALL
        )
        assert count
        return changed

    return change


def certificate_of(name: str) -> bytes:
    return VectorSigner(name, SignatureScheme.RSA).certificate_der


def header(old: bytes, new: bytes, message: bytes = RECEIPT) -> bytes:
    assert old in message, old
    return sealed(message.replace(old, new, 1))


# --- what is right ---------------------------------------------------------------------------------------------------


@pytest.mark.clause("TR 01201-3.1 steps 60–61")
@pytest.mark.parametrize("kind", list(ConfirmationKind))
def test_a_proper_confirmation_is_confirmed_by_all_fifteen_steps(kind: ConfirmationKind) -> None:
    found = report(sealed(unsealed(kind)))
    expected = Verdict.CONFIRMED_WITH_REMARKS if kind is ConfirmationKind.RETRIEVE else Verdict.CONFIRMED
    assert found.verdict is expected
    assert [check.name for check in found.checks] == STEPS
    assert all(check.source for check in found.checks)
    assert found.outcome is Outcome.PASSED
    assert failed(found) == ([15] if kind is ConfirmationKind.RETRIEVE else [])


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("b-dispatch", Verdict.CONFIRMED),
        ("b-receipt", Verdict.CONFIRMED),
        ("b-retrieve", Verdict.CONFIRMED_WITH_REMARKS),
    ],
)
def test_the_shared_confirmations_are_confirmed(name: str, verdict: Verdict) -> None:
    octets = (VECTORS / "messages" / f"{name}.eml").read_bytes()
    found = report(octets, at=RECEIVED_AT + timedelta(days=2))
    assert found.verdict is verdict
    assert found.demail_message_id == "a-20260302-000017@dmda-a.example"


def test_a_report_tells_what_the_states_need() -> None:
    original = read_message(ORIGINAL_OCTETS.replace(b"-retrieve: no", b"-retrieve: yes"))
    login = AT + timedelta(minutes=1)
    message = unsealed(ConfirmationKind.RETRIEVE, stamp=replace(STAMP, at=login), original=original)
    found = report(sealed(message))
    assert (found.issued_at, found.delivery_time) == (login, AT)
    assert (found.recipient, found.concerns) == (ERIKA, ERIKA)
    assert found.private_id == SENT.private_id
    assert found.issuer == "Abholbestaetigung@dmda-b.example"
    assert found.original_integrity == "".join((ORIGINAL.header.value("x-de-mail-integrity") or "").split())
    assert found.validation["certificates"]


def test_a_confirmation_that_stands_alone_is_judged_without_the_sent_message() -> None:
    found = report(SEALED, correlation=None, sent=None)
    assert found.verdict is Verdict.CONFIRMED
    assert [n for n in range(1, 16) if outcome(found, n) is Outcome.NOT_APPLICABLE] == [10, 11, 12, 15]


def test_a_report_says_what_the_proof_was_held_against() -> None:
    none = Correlation(None, finding="correlation-none")
    for standing, expected, changes in (
        (Standing.ALONE, "standing-alone", {"correlation": None, "sent": None}),
        (Standing.UNASSIGNED, "correlation-none; no-sent-message", {"correlation": none, "sent": None}),
        (Standing.WITH_SENT, "with-sent-message", {}),
    ):
        found = report(SEALED, **changes)
        assert (found.standing, found.checks[9].detail) == (standing, expected)
        assert standing not in found.findings


# --- what is wrong, step by step -------------------------------------------------------------------------------------


@pytest.mark.clause("TR 01201-3.1 step 61", "TR 01201-3.4 §3.5.1 sender", "TR 01201-3.4 §3.5.1 signature")
@pytest.mark.parametrize(
    ("message", "changes", "step", "finding", "verdict"),
    [
        (SEALED.replace(b"*Eingangsbest", b"*Abholbest"), {}, 1, "signature-mismatch", Verdict.REJECTED),
        (sealed(RECEIPT, None), {}, 1, "signature-required", Verdict.REJECTED),
        (header(b"x-de-mail-version: 1.8", b"x-de-mail-version: neu"), {}, 2, "version-syntax",
         Verdict.CONFIRMED_WITH_REMARKS),
        (header(b"x-de-mail-sender: Eingangs", b"x-de-mail-sender: Versand"), {}, 3, "system-sender", Verdict.REJECTED),
        (SEALED, {"trusted": TrustedDomains(frozenset({"dmda-a.example"}))}, 3, "system-sender", Verdict.REJECTED),
        (header(b"multipart/mixed", b"multipart/related"), {}, 4, "structure-not-multipart-mixed",
         Verdict.CONFIRMED_WITH_REMARKS),
        (header(b"\r\n\r\nJVBERi", b"\r\n\r\nAAAA"), {}, 4, "structure-pdf-missing", Verdict.CONFIRMED_WITH_REMARKS),
        (with_xml(replaced(b"<Subject>", b"<Betreff></Betreff><Subject>")), {}, 5, "xml-schema",
         Verdict.CONFIRMED_WITH_REMARKS),
        (with_xml(lambda xml: b"<!DOCTYPE a>" + xml[xml.index(b"<Ack") :], resign=False), {}, 5, "xml-missing",
         Verdict.REJECTED),
        (with_xml(replaced(b"<Text>", b"<Text>Nicht: "), resign=False), {}, 6, "xml-signature-invalid",
         Verdict.REJECTED),
        (with_xml(replaced(b"<Sender>E", b"<Sender>X")), {}, 7, "xml-sender-mismatch", Verdict.CONFIRMED_WITH_REMARKS),
        (with_xml(element("Sender", None)), {}, 7, "xml-sender-mismatch", Verdict.CONFIRMED_WITH_REMARKS),
        (with_xml(element("Hash", b"v=1; a=sha256")), {}, 8, "hash-metadata-mismatch", Verdict.REJECTED),
        (with_xml(element("Hash", None)), {}, 8, "hash-metadata-mismatch", Verdict.REJECTED),
        (with_xml(replaced(b"x-de-mail-private: no", b"x-de-mail-private: yes")), {}, 9, "metadata-proof-mismatch",
         Verdict.REJECTED),
        (SEALED, {"correlation": Correlation(None, finding="correlation-none"), "sent": None}, 10, "correlation-none",
         Verdict.UNASSIGNED),
        (SEALED, {"correlation": Correlation(None, finding="correlation-conflict"), "sent": None}, 10,
         "correlation-conflict", Verdict.UNASSIGNED),
        (SEALED, {"sent": replace(SENT, octets=ORIGINAL_OCTETS + b"P.S.\r\n")}, 11, "body-proof-mismatch",
         Verdict.CONFIRMED_WITH_REMARKS),
        (header(SENT.private_id.encode(), b"urn:uuid:other"), {}, 13, "private-id-mismatch",
         Verdict.CONFIRMED_WITH_REMARKS),
        (with_xml(element("Time", b"2026-03-02T10:00:00+01:00")), {}, 14, "time-implausible",
         Verdict.CONFIRMED_WITH_REMARKS),
        (with_xml(element("Time", b"2026-03-02T09:00:00+01:00")), {}, 14, "time-implausible",
         Verdict.CONFIRMED_WITH_REMARKS),
        (with_xml(element("Time", b"gestern")), {}, 14, "time-implausible", Verdict.CONFIRMED_WITH_REMARKS),
        (SEALED, {"sent": replace(SENT, options=SendOptions(confirmation_of_dispatch=True))}, 15,
         "confirmation-unrequested", Verdict.CONFIRMED_WITH_REMARKS),
    ],
)  # fmt: skip
def test_each_step_fails_with_its_finding_and_consequence(
    message: bytes, changes: dict[str, Any], step: int, finding: str, verdict: Verdict
) -> None:
    found = report(message, **changes)
    assert outcome(found, step) is Outcome.FAILED
    assert any(code.startswith(finding) for code in found.findings), found.findings
    assert found.verdict is verdict
    assert found.verdict.moves is (found.outcome is Outcome.PASSED)


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("x-de-mail-sender", replace(SENT, sender=ERIKA)),
        ("x-de-mail-chosen-recipient", replace(SENT, octets=ORIGINAL_OCTETS.replace(b"to=erika.", b"to=erik."))),
        ("subject", replace(SENT, subject="Mahnung")),
        ("x-de-mail-private", replace(SENT, options=replace(SENT.options, private=True))),
        ("x-de-mail-authoritative", replace(SENT, options=replace(SENT.options, authoritative=True))),
        ("x-de-mail-private-id", replace(SENT, private_id="urn:uuid:other")),
        ("reply-to", replace(SENT, reply_to=ERIKA)),
    ],
)
def test_metadata_other_than_submitted_are_named(field: str, sent: Any) -> None:
    """Step 12."""
    found = report(SEALED, sent=sent)
    assert f"metadata-changed:{field}" in found.findings
    assert outcome(found, 12) is Outcome.FAILED
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


def test_without_any_private_id_step_13_does_not_count() -> None:
    bare = re.sub(rb"x-de-mail-(integrity|signature-certificate|private-id):(.*\r\n)( .*\r\n)*", b"", ORIGINAL_OCTETS)
    original = read_message(sealed(bare, OTHER_SIGNER))
    found = report(sealed(unsealed(ConfirmationKind.RECEIPT, original)), sent=replace(SENT, octets=original.data))
    assert outcome(found, 13) is Outcome.NOT_APPLICABLE
    assert found.private_id is None


def test_a_copy_that_is_no_longer_kept_leaves_the_body_undecided() -> None:
    found = report(SEALED, sent=replace(SENT, octets=None))
    assert (outcome(found, 11), outcome(found, 12)) == (Outcome.INDETERMINATE, Outcome.PASSED)
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


def test_an_unreadable_kept_copy_is_not_compared() -> None:
    found = report(SEALED, sent=replace(SENT, octets=b"\x00\r\n\r\nx"))
    assert outcome(found, 12) is Outcome.PASSED


# --- certificates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("judge", "verdict", "code"),
    [
        (STATUS_UNKNOWN, Verdict.INDETERMINATE, "certificate-status-unknown"),
        (REVOKED, Verdict.REJECTED, "certificate-revoked"),
        (VectorJudge(anchor="other-ca.crt.pem"), Verdict.REJECTED, "certificate-untrusted"),
    ],
)
def test_the_certificate_decides(judge: VectorJudge, verdict: Verdict, code: str) -> None:
    found = report(SEALED, judge=judge)
    assert found.verdict is verdict
    assert code in found.findings
    assert not found.verdict.moves


class NoAnchors:
    def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict:
        return CertificateVerdict(anchored=False)


def test_without_any_anchor_each_step_names_the_anchor_and_no_list() -> None:
    found = report(SEALED, judge=NoAnchors())
    assert found.verdict is Verdict.INDETERMINATE
    undecided = {check.name: check.detail for check in found.checks if check.outcome is Outcome.INDETERMINATE}
    assert {"confirmation.01-integrity", "confirmation.06-xml-signature"} <= undecided.keys()
    assert all("trust-anchor-missing" in detail for detail in undecided.values())
    assert "certificate-status-unknown" not in found.findings


def test_an_undecided_certificate_is_undecided_also_without_a_message_of_ours() -> None:
    none = Correlation(None, finding="correlation-none")
    assert report(SEALED, judge=STATUS_UNKNOWN, correlation=none, sent=None).verdict is Verdict.INDETERMINATE


@pytest.mark.parametrize("name", ["p256-expired", "p256-untrusted"])
def test_the_xml_signature_s_own_certificate_is_judged(name: str) -> None:
    signer = VectorSigner(name, SignatureScheme.EC_DSA)
    found = report(sealed(unsealed(ConfirmationKind.RECEIPT, signer=signer)))
    assert (outcome(found, 1), outcome(found, 6)) == (Outcome.PASSED, Outcome.FAILED)
    assert found.verdict is Verdict.REJECTED


def test_header_and_xml_may_be_signed_with_different_certificates() -> None:
    """CO-14."""
    assert report(sealed(RECEIPT, OTHER_SIGNER)).verdict is Verdict.CONFIRMED


# --- issuer and recipient --------------------------------------------------------------------------------------------


def test_an_issuer_of_another_provider_is_a_remark() -> None:
    """CO-2: shared domains and re-sending cannot be told from fraud by the name alone."""
    found = report(sealed(unsealed(ConfirmationKind.RECEIPT, recipient=parse_address("max@dmda-a.example"))))
    assert "issuer-unconfirmed" in found.findings
    assert outcome(found, 3) is Outcome.PASSED
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


def test_the_connection_s_own_system_domains_confirm_the_issuer_of_a_dispatch() -> None:
    message = sealed(unsealed(ConfirmationKind.DISPATCH, issuer=PROVIDER_B))
    unknown = report(message)
    assert "issuer-unconfirmed" in unknown.findings
    assert unknown.verdict is Verdict.CONFIRMED_WITH_REMARKS, "offline nobody knows which provider took the message"
    assert unknown.verdict.moves
    known = replace(SENT, provider_domains=frozenset({"dmda-b.example"}))
    assert report(message, sent=known).verdict is Verdict.CONFIRMED


@pytest.mark.clause("CO-2", "TR 01201-3.1 step 61")
def test_another_provider_s_versandbestaetigung_moves_nothing() -> None:
    """A for dispatch: only the provider that took the message can have sent it on."""
    known = replace(SENT, provider_domains=frozenset({"dmda-a.example"}))
    found = report(sealed(unsealed(ConfirmationKind.DISPATCH, issuer=PROVIDER_B)), sent=known)
    assert (outcome(found, 3), found.verdict) == (Outcome.FAILED, Verdict.REJECTED)
    assert "issuer-mismatch" in found.findings
    assert report(sealed(unsealed(ConfirmationKind.DISPATCH)), sent=known).verdict is Verdict.CONFIRMED
    assert report(SEALED, sent=known).verdict is Verdict.CONFIRMED, "a receipt comes from the recipient's provider"


def test_an_issuer_below_a_listed_domain_needs_its_own_recipients_to_be_confirmed() -> None:
    below = TrustedDomains(frozenset({"example"}))
    assert report(SEALED, trusted=below).verdict is Verdict.CONFIRMED
    elsewhere = sealed(unsealed(ConfirmationKind.RECEIPT, recipient=parse_address("max@dmda-a.example")))
    assert "issuer-unconfirmed" in report(elsewhere, trusted=below).findings


def test_a_from_that_differs_is_a_remark() -> None:
    found = report(header(b"From: Eingangsbestaetigung@", b"From: Eingang@"))
    assert "from-sender-mismatch" in found.findings
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


def test_an_address_that_was_no_recipient_is_a_redirection_to_the_only_one() -> None:
    """CO-15, SND-46."""
    new = parse_address("erika.neu@dmda-b.example")
    message = sealed(unsealed(ConfirmationKind.RECEIPT, recipient=new))
    found = report(message)
    assert (found.recipient, found.concerns) == (new, ERIKA)
    assert "recipient-redirected" in found.findings
    two = replace(SENT, served=(ERIKA, parse_address("max@dmda-b.example")))
    assert report(message, sent=two).concerns is None


def test_without_cc_the_recipient_is_found_in_the_metadata_and_then_in_the_text() -> None:
    recipients = (b"; cc=erika.mustermann@dmda-b.example", b";\r\n cc=erika.mustermann@dmda-b.example")
    bare = RECEIPT
    for text in recipients:
        bare = bare.replace(text, b"")
    assert report(sealed(bare)).recipient == ERIKA
    without_metadata = replaced(b"<Value>to=erika.mustermann@dmda-b.example</Value>", b"<Value>?</Value>")

    def unnamed(xml: bytes) -> bytes:
        xml = without_metadata(xml)
        return xml.replace(b"x-de-mail-chosen-recipient: to=", b"x-other: ")

    assert report(with_xml(unnamed, bare)).recipient == ERIKA

    def nowhere(xml: bytes) -> bytes:
        return unnamed(xml).replace("Empfänger: erika".encode(), "Empfänger: ? erika".encode())

    def unlabelled(xml: bytes) -> bytes:
        return unnamed(xml).replace("Empfänger:".encode(), b"Wer:")

    for change in (nowhere, unlabelled):
        found = report(with_xml(change, bare))
        assert found.recipient is None
        assert found.concerns is None
        assert "recipient-unknown" in found.findings


# --- times -----------------------------------------------------------------------------------------------------------


def test_a_time_without_zone_is_legal_time_and_a_remark() -> None:
    """CO-10."""
    found = report(with_xml(element("Time", b"2026-03-02T09:20:00")))
    assert found.issued_at == AT
    assert "time-without-zone" in found.findings
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


@pytest.mark.clause("TR 01201-3.4 §3.5.1 retrieve")
def test_a_delivery_time_belongs_to_the_abholbestaetigung() -> None:
    retrieve = unsealed(ConfirmationKind.RETRIEVE)
    assert "delivery-time-missing" in report(with_xml(element("DeliveryTime", None), retrieve)).findings
    extra = replaced(b"</Time>", b"</Time><DeliveryTime>2026-03-02T09:19:00+01:00</DeliveryTime>")
    found = report(with_xml(extra))
    assert "delivery-time-unexpected" in found.findings
    assert outcome(found, 14) is Outcome.PASSED
    late = with_xml(element("DeliveryTime", b"2026-03-02T09:20:01+01:00"), retrieve)
    assert "time-implausible" in report(late).findings


def test_clocks_may_differ_by_five_minutes() -> None:
    assert outcome(report(SEALED, at=AT - timedelta(minutes=5)), 14) is Outcome.PASSED
    assert outcome(report(SEALED, at=AT - timedelta(minutes=5, seconds=1)), 14) is Outcome.FAILED


# --- proof of metadata -----------------------------------------------------------------------------------------------


CARRIED = b"<OriginalHeader>x-de-mail-"


CERTIFICATE_VALUE = b"<Name>x-de-mail-signature-certificate</Name><Value>"


def certificate_behind(text: bytes) -> Callable[[bytes], bytes]:
    """The original's certificate with `text` before it, in Value as in the field."""

    def change(xml: bytes) -> bytes:
        field = CARRIED + b"signature-certificate:"
        return replaced(field, field + text)(replaced(CERTIFICATE_VALUE, CERTIFICATE_VALUE + text + b" ")(xml))

    return change


def test_a_missing_original_header_counts_as_absent() -> None:
    """CO-19: what was covered is missed by the proof, what was absent is not."""

    def without(name: bytes) -> Callable[[bytes], bytes]:
        return lambda xml: re.sub(rb"<Metadate><Name>%s</Name>.*?</Metadate>" % name, b"", xml, flags=re.DOTALL)

    assert report(with_xml(without(b"x-de-mail-actual-recipient"))).verdict is Verdict.CONFIRMED
    assert report(with_xml(without(b"x-de-mail-version"))).verdict is Verdict.REJECTED


@pytest.mark.parametrize(
    "change",
    [
        replaced(CARRIED + b"version:", b"<OriginalHeader>x-other:"),
        replaced(CARRIED + b"integrity:", b"<OriginalHeader>no field"),
        replaced(b"v=1; a=sha256", b"v=2; a=sha256"),
        replaced(b"v=1; a=sha256", b"v=1; a=md5"),
        replaced(CARRIED + b"signature-certificate:", b"<OriginalHeader>x-other:"),
        certificate_behind(b"!"),
        certificate_behind(b"AAAA"),
        lambda xml: re.sub(rb"<OriginalHeader>x-de-mail-version.*?</OriginalHeader>", b"", xml, flags=re.DOTALL),
    ],
)  # fmt: skip
def test_an_unusable_original_header_makes_the_proof_impossible_and_is_a_remark(
    change: Callable[[bytes], bytes],
) -> None:
    found = report(with_xml(change))
    assert outcome(found, 9) is Outcome.INDETERMINATE
    assert "metadata-proof-impossible" in found.findings
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


def test_an_entry_without_usable_name_is_a_remark_and_nothing_more() -> None:
    nameless = b"<Metadata><Metadate><Name></Name><Value>x</Value><OriginalHeader>x</OriginalHeader></Metadate>"
    found = report(with_xml(replaced(b"<Metadata>", nameless)))
    assert outcome(found, 9) is Outcome.PASSED
    assert "original-header-unusable:" in found.findings
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


def test_line_ends_of_original_headers_may_be_written_in_any_way() -> None:
    """CO-11."""
    for changed in (b"\n", b"&#13;"):
        assert report(with_xml(replaced(b"&#13;\n", changed))).verdict is Verdict.CONFIRMED
    stripped = with_xml(replaced(b"&#13;\n</OriginalHeader>", b"</OriginalHeader>"))
    assert report(stripped).verdict is Verdict.CONFIRMED


@pytest.mark.clause("TR 01201-3.4 §3.5.1 table 23")
@pytest.mark.parametrize("place", [b"<Hash>", b"<Value>", CARRIED + b"integrity: "])
def test_the_hash_is_that_of_the_field_as_received_and_of_its_value(place: bytes) -> None:
    """Step 8: two that agree do not outvote the third."""
    found = report(with_xml(replaced(place + b"v=1;", place + b"v=2;")))
    assert outcome(found, 8) is Outcome.FAILED
    assert "hash-metadata-mismatch" in found.findings
    assert found.verdict is Verdict.REJECTED


def test_a_value_other_than_the_field_as_received_is_named() -> None:
    """CO-12: the clerk reads Value, the seal covers the field."""
    found = report(with_xml(replaced(b"<Value>Bescheid", b"<Value>Mahnung")))
    assert [code for code in found.findings if "value" in code] == ["metadata-value-mismatch:subject"]
    assert failed(found) == [9]
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


@pytest.mark.parametrize(
    "written", ["Bescheid \r\n\tüber Müll", "=?utf-8?q?Bescheid_=C3=BCber?= =?utf-8?q?_M=C3=BCll?="]
)
def test_a_value_may_be_folded_or_decoded(written: str) -> None:
    """CO-12."""
    subject = b"Subject: =?utf-8?q?Bescheid_=C3=BCber?=\r\n =?utf-8?q?_M=C3=BCll?="
    bare = re.sub(rb"x-de-mail-(integrity|signature-certificate):(.*\r\n)( .*\r\n)*", b"", ORIGINAL_OCTETS)
    original = read_message(sealed(re.sub(rb"Subject:.*", subject + b"\r", bare), None))
    message = unsealed(ConfirmationKind.RECEIPT, original)
    entry = rb"(?<=<Name>Subject</Name><Value>)[^<]*"
    assert re.search(entry, xml_of(message))
    changed = with_xml(lambda xml: re.sub(entry, lambda _: written.replace("\r", "&#13;").encode(), xml), message)
    sent = replace(SENT, subject=original.header.value("subject") or "", octets=original.data)
    assert outcome(report(changed, sent=sent), 9) is Outcome.PASSED


@pytest.mark.clause("TR 01201-3.4 §3.1.21 h")
@pytest.mark.parametrize("name", ["From", "x-de-mail-private-id"])
def test_a_carried_field_that_the_original_s_seal_leaves_out_is_named(name: str) -> None:
    """IN-20."""
    original = read_message(_sealed_without(name))
    found = report(sealed(unsealed(ConfirmationKind.RECEIPT, original)), sent=replace(SENT, octets=original.data))
    assert f"h-incomplete:{name.lower()}" in found.findings
    assert failed(found) == [9]
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


def test_two_fields_in_one_original_header_prove_nothing() -> None:
    """One octet string, two fields: the hash over it would hold, and the second would be hidden in the first."""

    def merged(xml: bytes) -> bytes:
        second = re.search(
            rb"<Metadate><Name>Date</Name>.*?<OriginalHeader>(.*?)</OriginalHeader></Metadate>", xml, re.DOTALL
        )
        assert second is not None
        xml = xml.replace(second[0], b"")
        return re.sub(
            rb"(<OriginalHeader>From:.*?)(?=</OriginalHeader>)",
            lambda first: first[1] + second[1],
            xml,
            flags=re.DOTALL,
        )

    found = report(with_xml(merged))
    assert outcome(found, 9) is not Outcome.PASSED
    assert "original-header-unusable:from" in found.findings
    assert found.verdict is not Verdict.CONFIRMED


def test_a_name_with_a_colon_is_no_stand_in_for_another_field() -> None:
    smuggled = (
        b"<Metadata><Metadate><Name>Subject: Mahnung</Name><Value>x</Value><OriginalHeader></OriginalHeader></Metadate>"
    )
    found = report(with_xml(replaced(b"<Metadata>", smuggled)))
    assert "metadata-changed:subject" not in found.findings
    assert outcome(found, 9) is Outcome.PASSED


def _sealed_without(name: str) -> bytes:
    """The original with a hash alone, over all fields of the list but `name`."""
    bare = re.sub(rb"x-de-mail-(integrity|signature-certificate):(.*\r\n)( .*\r\n)*", b"", ORIGINAL_OCTETS)
    message = read_message(bare)
    names = [each for each in HEADER_LIST if each.lower() != name.lower()]
    front = write_field("sha256", "dmda-a.example", names, body_digest(message.body, HashName.SHA256), None)
    lowered = tuple(map(str.lower, names))
    digest = header_digest(message.header.first, lowered, HeaderField(front), HashName.SHA256)
    return bare.replace(b"\r\n\r\n", b"\r\n" + finished(front, digest) + b"\r\n", 1)


def test_the_metadata_proof_of_a_message_with_a_hash_alone() -> None:
    bare = re.sub(rb"x-de-mail-(integrity|signature-certificate):(.*\r\n)( .*\r\n)*", b"", ORIGINAL_OCTETS)
    original = read_message(sealed(bare, None))
    sent = replace(SENT, octets=original.data)
    message = unsealed(ConfirmationKind.RECEIPT, original)
    assert report(sealed(message), sent=sent).verdict is Verdict.CONFIRMED
    changed = with_xml(replaced(b"Stadt Musterstadt", b"Stadt Anderswo"), message)
    assert "metadata-proof-mismatch" in report(changed, sent=sent).findings


def test_a_revoked_certificate_of_the_original_is_a_remark() -> None:
    """The confirmation itself is signed with another certificate that holds."""

    class OnlyOther(VectorJudge):
        def judge(self, certificate_der: bytes, at: Any) -> Any:
            mine = certificate_der == SIGNER.certificate_der
            return (VectorJudge() if mine else REVOKED).judge(certificate_der, at)

    found = report(SEALED, judge=OnlyOther())
    assert outcome(found, 9) is Outcome.FAILED
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


@pytest.mark.parametrize("key", ["rsa1024", "p256", "rsa2048"])
def test_another_certificate_in_the_metadata_proves_nothing(key: str) -> None:
    # the original is signed with p256; its own certificate changes nothing
    der = VectorSigner(key, SignatureScheme.EC_DSA if key == "p256" else SignatureScheme.RSA).certificate_der
    field = write_certificate(der).decode().replace("\r", "&#13;").encode()

    def change(xml: bytes) -> bytes:
        return re.sub(
            rb"<OriginalHeader>x-de-mail-signature-certificate:.*?</OriginalHeader>",
            lambda _: b"<OriginalHeader>" + field + b"</OriginalHeader>",
            xml,
            flags=re.DOTALL,
        )

    verdict = report(with_xml(change)).verdict
    assert verdict is (Verdict.CONFIRMED if key == "p256" else Verdict.REJECTED)


def test_a_wrong_signature_in_the_original_s_integrity_proves_nothing() -> None:
    bare = re.sub(rb"x-de-mail-(integrity|signature-certificate):(.*\r\n)( .*\r\n)*", b"", ORIGINAL_OCTETS)
    tampered = read_message(sealed(bare, OTHER_SIGNER).replace(b"x-de-mail-private: no", b"x-de-mail-private: yes"))
    found = report(sealed(unsealed(ConfirmationKind.RECEIPT, tampered)))
    assert "metadata-proof-mismatch" in found.findings
    assert found.verdict is Verdict.REJECTED


# --- hostile ---------------------------------------------------------------------------------------------------------


@pytest.mark.clause("TR 01201-3.1 step 60", "TR 01201-3.4 §3.5.1 type")
def test_only_class_b_is_a_confirmation() -> None:
    assert is_confirmation(read_message(SEALED).header)
    assert not is_confirmation(ORIGINAL.header)
    for octets in (ORIGINAL, read_message(b"Subject: x\r\n\r\n")):
        with pytest.raises(MalformedMessage, match="message-type"):
            read_confirmation(octets, SIGNATURES)


def test_without_xml_nothing_is_proven() -> None:
    message = sealed(RECEIPT.replace(b"application/xml", b"application/foo").replace(b".xml", b".foo"))
    found = report(message)
    assert found.verdict is Verdict.REJECTED
    assert [n for n in (7, 8, 9, 11, 12, 13, 14) if outcome(found, n) is Outcome.INDETERMINATE] == [
        7,
        8,
        9,
        11,
        12,
        13,
        14,
    ]
    assert (found.issued_at, found.demail_message_id, found.private_id) == (None, None, SENT.private_id)


def test_xml_of_another_kind_before_the_real_one_is_passed_over() -> None:
    decoy = b'Content-Type: text/xml\r\n\r\n<a xmlns="urn:de-mail"/>\r\n'
    first = re.search(rb"--=_m\w+\r\n", RECEIPT)
    assert first is not None
    message = RECEIPT[: first.start()] + first[0] + decoy + RECEIPT[first.start() :]
    assert report(sealed(message)).verdict is Verdict.CONFIRMED


class _Claiming:
    """XML signatures of a broken verifier: whatever it claims must not get through."""

    def __init__(self, verified: VerifiedXml) -> None:
        self._verified = verified

    def examine(self, xml: bytes) -> ExaminedXml:
        return ExaminedXml((), self._verified)

    def verify_assertion(self, xml: bytes) -> VerifiedXml:
        return self._verified

    def sign(self, xml: bytes, signer: DigestSigner) -> bytes:
        return xml


def claimed(certificate_der: bytes) -> ConfirmationReport:
    genuine = read_confirmation(read_message(SEALED), SIGNATURES).verified
    assert genuine is not None
    signatures = _Claiming(replace(genuine, certificate_der=certificate_der))
    confirmation = read_confirmation(read_message(SEALED), signatures)
    return check_confirmation(
        confirmation, correlation=ASSIGNED, sent=SENT, verifier=CryptographyVerifier(), judge=VectorJudge(),
        trusted=TRUSTED, at=RECEIVED_AT,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("der", "finding"),
    [(b"no certificate", "certificate-malformed"), (certificate_of("rsa1024"), "key-not-permitted")],
)
def test_an_impossible_certificate_of_the_xml_signature_rejects(der: bytes, finding: str) -> None:
    found = claimed(der)
    assert finding in found.findings
    assert found.verdict is Verdict.REJECTED


def test_a_key_that_is_only_deprecated_is_shown_and_no_remark() -> None:
    """IN-14."""
    signer = VectorSigner("rsa2048", SignatureScheme.RSA)
    found = report(sealed(unsealed(ConfirmationKind.RECEIPT, signer=signer)))
    assert "key-size-deprecated" in found.findings
    assert found.verdict is Verdict.CONFIRMED


@given(st.data())
def test_any_single_changed_octet_is_never_confirmed_by_mistake(data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(SEALED) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda value: value != SEALED[position]))
    message = SEALED[:position] + bytes([octet]) + SEALED[position + 1 :]
    try:
        found = report(message)
    except MalformedMessage:
        return
    # what the integrity does not cover may change without harm; what it covers must not
    if found.verdict.moves:
        name = _field_at(position)
        assert name in ("to", "cc", "mime-version", "content-type", "x-de-mail-actual-recipient",
                        "x-de-mail-integrity", "x-de-mail-signature-certificate")  # fmt: skip


def _field_at(position: int) -> str:
    offset = 0
    for field in read_message(SEALED).header.fields:
        offset += len(field.raw)
        if position < offset:
            return field.lower
    return "body"
