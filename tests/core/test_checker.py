"""The message checker: MF-1 to MF-31."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.checker import Finding, Severity, check_message, check_submission
from demail_gateway.core.header import read_header, read_message
from demail_gateway.core.integrity_field import HEADER_LIST
from demail_gateway.core.matrix import MATRIX, Presence, SetBy
from demail_gateway.core.vocabulary import MessageClass
from tests.core.vector_trust import VECTORS


def vector(name: str) -> bytes:
    return (VECTORS / "messages" / f"{name}.eml").read_bytes()


def codes(message: bytes) -> set[str]:
    return {f"{item.code} {item.header}".strip() for item in check_message(message)}


NORMAL = "hash-sha256"
SIGNED = "rsa-sha256"
DISPATCH = "b-dispatch"
RETRIEVE = "b-retrieve"
NOTIFICATION = "m-unknown-recipient"
IDENT = "ident"


@pytest.mark.clause("TR 01201-3.1 step 41", "TR 01201-3.4 §3.1.1 table 1")
@pytest.mark.parametrize(
    "name",
    [
        "hash-sha256", "rsa-sha512", "pss-sha384", "ecdsa-sha256-bp256", "folded", "folded-tab", "umlaut-subject",
        "bcc-main", "bcc-copy", "name-case", "empty-body", "body-trailing-lines", "trace-added", "nachsendung",
        "weiterleitung", "original-with-private-id", "b-dispatch", "b-receipt", "b-retrieve", "m-unknown-recipient",
    ],
)  # fmt: skip
def test_good_vectors_have_no_findings(name: str) -> None:
    assert check_message(vector(name)) == ()


RESENT = "Resent-To: a@b.example\r\nResent-From: b@b.example\r\nResent-Date: x\r\nResent-Message-ID: x\r\n"
CASES: list[tuple[str, str, str, set[str]]] = [
    # message, what is replaced, by what, findings
    (NORMAL, "From: Post", "Fröm: Post", {"message-unparsable"}),
    (NORMAL, "Subject: Bescheid", "Subject: Gr\xfc\xdfe", {"header-8bit subject"}),
    (NORMAL, "liegt bei", "liegt\rbei", {"bare-newline"}),
    (NORMAL, "liegt bei", "liegt\nbei", {"bare-newline"}),
    (NORMAL, "liegt bei", "liegt\0bei", {"nul-octet"}),
    (NORMAL, "liegt bei", "x" * 999, {"line-too-long body"}),
    (NORMAL, "liegt bei", "x" * 79, {"line-over-78 body"}),
    (NORMAL, "Subject: Bescheid", "Subject: " + "x" * 999, {"line-too-long subject"}),
    (NORMAL, "Subject: Bescheid", "Subject: " + "x" * 70, {"line-over-78 subject"}),
    (NORMAL, "x-de-mail-private: no\r\n", "", {"header-missing x-de-mail-private"}),
    (NORMAL, "Subject: Bescheid zum Antrag 2026-0815\r\n", "", {"header-missing subject"}),
    (NORMAL, "x-de-mail-message-type: normal", "x-de-mail-message-type: normal\r\nx-de-mail-notification-type: other",
     {"header-forbidden x-de-mail-notification-type"}),
    (DISPATCH, "x-de-mail-private: no", "x-de-mail-authoritative: no", {"header-forbidden x-de-mail-authoritative"}),
    (NORMAL, "x-de-mail-private: no", "x-de-mail-private: no\r\nX-De-Mail-Private: yes",
     {"duplicate-header x-de-mail-private"}),
    (NORMAL, "Subject: ", "Resent-From: a@b.example\r\nSubject: ", {"resent-incomplete"}),
    (NORMAL, "message-type: normal", "message-type: Normal", {"value-case x-de-mail-message-type"}),
    (NORMAL, "message-type: normal", "message-type: letter", {"message-type x-de-mail-message-type"}),
    (NORMAL, "auth-level: high", "auth-level: HIGH", {"value-case x-de-mail-auth-level"}),
    (NORMAL, "auth-level: high", "auth-level: hoch", {"auth-level-value x-de-mail-auth-level"}),
    (SIGNED, "auth-level: high", "auth-level: normal", {"auth-level-insufficient x-de-mail-auth-level"}),
    (NORMAL, "authoritative: no", "authoritative: Yes", {"option-value x-de-mail-authoritative"}),
    (NORMAL, "x-de-mail-sender: poststelle", "x-de-mail-sender: Post <poststelle", {"sender-syntax x-de-mail-sender"}),
    (NORMAL, "x-de-mail-sender: p", "x-de-mail-sender: P", {"address-case x-de-mail-sender"}),
    (NORMAL, "x-de-mail-sender: p", "x-de-mail-sender: x", {"from-sender-mismatch from"}),
    (NORMAL, "From: Post", "From: a@b.example,\r\n Post", {"from-multiple from"}),
    (NORMAL, "From: Poststelle", "From: Amt: ", {"from-syntax from"}),
    (NORMAL, "<poststelle@", "<Poststelle@", {"address-case from"}),
    (NORMAL, "<poststelle@", "<" + "a" * 65 + "@", {"address-local-too-long from", "line-over-78 from"}),
    (NORMAL, "Subject: ", "Reply-To: A@b.example\r\nSubject: ", {"address-case reply-to"}),
    (NORMAL, "Subject: ", "Reply-To: " + "a" * 65 + "@b.example\r\nSubject: ",
     {"address-local-too-long reply-to", "line-over-78 reply-to"}),
    (NORMAL, "Subject: ", "Reply-To: \r\nSubject: ", {"reply-to-syntax reply-to"}),
    (NORMAL, "Subject: ", "Envelope-to: A@b.example\r\nSubject: ", {"address-case envelope-to"}),
    (NORMAL, "Subject: ", f"{RESENT}Subject: ", set()),
    (NORMAL, "Subject: ", f"{RESENT}{RESENT}Subject: ", set()),
    (NORMAL, "Subject: ", f"Resent-From: c@b.example\r\n{RESENT}Subject: ", {"resent-incomplete"}),
    (NORMAL, "actual-recipient: to=", "actual-recipient: ", {"recipient-syntax x-de-mail-actual-recipient"}),
    (NORMAL, "actual-recipient: to=", "actual-recipient: to=a@b.example; to=",
     {"recipient-duplicate-element x-de-mail-actual-recipient"}),
    (NORMAL, "actual-recipient: to=", "actual-recipient: cc=; to=", {"recipient-empty x-de-mail-actual-recipient"}),
    (NORMAL, "actual-recipient: to=", "actual-recipient: to=a@b.example; ",
     {"recipient-semicolon-list x-de-mail-actual-recipient"}),
    (NORMAL, "actual-recipient: to=erika.mustermann@dmda-b.example", "actual-recipient: to=a@b.example;",
     {"recipient-trailing-semicolon x-de-mail-actual-recipient"}),
    (NORMAL, "actual-recipient: to=", "actual-recipient: bcc=a@b.example, ",
     {"recipient-multiple-bcc x-de-mail-actual-recipient"}),
    (NORMAL, "actual-recipient: to=", "actual-recipient: to=" + "a" * 65 + "@b.example,\r\n ",
     {"address-local-too-long x-de-mail-actual-recipient", "line-over-78 x-de-mail-actual-recipient"}),
    (NORMAL, "actual-recipient: to=", "actual-recipient: to=a@" + ("d" * 60 + ".") * 3 + "d" * 10 + ",\r\n ",
     {"address-domain-too-long x-de-mail-actual-recipient", "line-over-78 x-de-mail-actual-recipient"}),
    (NORMAL, "actual-recipient: to=",
     "actual-recipient: to=" + "a" * 64 + "@" + ("d" * 60 + ".") * 3 + "d" * 6 + ",\r\n ",
     {"address-too-long x-de-mail-actual-recipient", "line-over-78 x-de-mail-actual-recipient"}),
    (NORMAL, "x-de-mail-sender: poststelle", "x-de-mail-sender: " + "a" * 60 + "poststelle",
     {"address-local-too-long x-de-mail-sender", "line-over-78 x-de-mail-sender"}),
    (NORMAL, "Subject: ", "Reply-To: a@b\r\nSubject: ", {"reply-to-syntax reply-to"}),
    (NORMAL, "Subject: ", "Reply-To: a@b.example, c@d.example\r\nSubject: ", {"reply-to-syntax reply-to"}),
    (NORMAL, "Subject: ", "Envelope-to: a\r\nSubject: ", {"envelope-to-syntax envelope-to"}),
    (NORMAL, "Date: Mon, 02", "Date: Mon, 32", {"date-syntax date"}),
    (NORMAL, "originator-provider: ", "originator-provider: .",
     {"originator-provider-syntax x-de-mail-originator-provider"}),
    (NORMAL, "Message-ID: <", "Message-ID: ", {"message-id-syntax message-id"}),
    (NORMAL, "version: 1.8", "version: eins", {"version-syntax x-de-mail-version"}),
    (NORMAL, "version: 1.8", "version: 1.9", {"version-unknown x-de-mail-version"}),
    ("original-with-private-id", "private-id: urn", "private-id: " + "x \r\n " * 350 + "urn",
     {"private-id-too-long x-de-mail-private-id"}),
    (NORMAL, "x-de-mail-account-holder: Stadt Musterstadt", "x-de-mail-account-holder: ",
     {"empty-value x-de-mail-account-holder"}),
    (NORMAL, "auth-mechanism: gateway-token", "auth-mechanism:", {"empty-value x-de-mail-auth-mechanism"}),
    (NOTIFICATION, "type: unknown-recipient", "type: Unknown", {"notification-type-value x-de-mail-notification-type"}),
    (NOTIFICATION, "x-de-mail-notification-type: unknown-recipient\r\n", "",
     {"header-missing x-de-mail-notification-type"}),
    (NORMAL, "of-retrieve: no", "of-retrieve: yes", {"retrieve-requires-private x-de-mail-private"}),
    (SIGNED, "poststelle@", "pn_post@", {"pseudonym-authoritative x-de-mail-authoritative"}),
    (DISPATCH, "Versandbestaetigung@", "Versand@",
     {"system-sender x-de-mail-sender", "address-case x-de-mail-sender", "address-case from"}),
    (DISPATCH, "Versandbestaetigung@", "versandbestaetigung@", set()),
    (DISPATCH, "Versandbestaetigung@", "Meldung@", {"system-sender x-de-mail-sender"}),
    (NOTIFICATION, "Meldung@", "Ident-Meldung@", set()),
    (RETRIEVE, "private: yes", "private: no", {"retrieve-private x-de-mail-private"}),
    (IDENT, "private: yes", "private: no", {"ident-private x-de-mail-private"}),
    (IDENT, "Subject: =?utf-8?q?Ident-Best=C3=A4tigung?=", "Subject: Ident", {"ident-subject subject"}),
    (IDENT, "", "", set()),
    (NORMAL, "b=", "b=*", {"integrity-malformed x-de-mail-integrity"}),
    (NORMAL, "a=sha256", "a=sha1", {"integrity-algorithm x-de-mail-integrity"}),
    (NORMAL, "c=simple/simple", "c=simple", {"integrity-tag-c x-de-mail-integrity"}),
    (NORMAL, "c=simple/simple", "c=relaxed/simple",
     {"integrity-tag-c x-de-mail-integrity", "integrity-malformed x-de-mail-integrity"}),
    (NORMAL, "v=1; a=", "a a=", {"integrity-malformed x-de-mail-integrity"}),
    (NORMAL, "s=de-mail;", "s=de-mail; l=5;", {"integrity-tag-l x-de-mail-integrity"}),
    (SIGNED, "q=x-header", "q=dns", {"integrity-tag-q x-de-mail-integrity"}),
    (SIGNED, "x-de-mail-signature-certificate:", "x-other:", {"certificate-missing x-de-mail-signature-certificate"}),
    (NORMAL, "Subject: ", "x-de-mail-signature-certificate: AAAA\r\nSubject: ",
     {"certificate-unexpected x-de-mail-signature-certificate"}),
    (NORMAL, "authoritative: no", "authoritative: yes", {"signature-required x-de-mail-integrity"}),
    (NORMAL, "MIME-Version: 1.0\r\n", "", {"mime-version-missing"}),
    (NOTIFICATION, "multipart/mixed", "multipart/related", {"structure-not-multipart-mixed body"}),
    (NOTIFICATION, 'application/xml; name="meldung.xml"', "application/x", {"structure-xml-missing body"}),
    (NOTIFICATION, "JVBERi0xLjQK", "AAAAAAAAAAAA", {"structure-pdf-missing body"}),
]  # fmt: skip


def message_of(name: str) -> bytes:
    if name != IDENT:
        return vector(name)
    return (
        vector("b-retrieve")
        .replace(b"Abholbestaetigung@", b"Ident-Bestaetigung@")
        .replace(b"type: confirmation of retrieve", b"type: identification")
        .replace(b"Subject: " + _subject("b-retrieve"), b"Subject: =?utf-8?q?Ident-Best=C3=A4tigung?=")
        .replace(b"x-de-mail-private-id: ", b"x-other: ")
    )


def _subject(name: str) -> bytes:
    found = read_message(vector(name)).header.first("subject")
    assert found is not None
    return found.raw.removeprefix(b"Subject: ").removesuffix(b"\r\n")


@pytest.mark.clause(
    "TR 01201-3.1 step 10",
    "TR 01201-3.1 step 41 FC-02",
    "TR 01201-3.1 step 86 FC-02",
    "TR 01201-3.4 §3.1.1 table 1",
    "TR 01201-3.4 §3.1.1 duplicates",
    "TR 01201-3.4 §3.1.2",
    "TR 01201-3.4 §3.1.3",
    "TR 01201-3.4 §3.1.4",
    "TR 01201-3.4 §3.1.5",
    "TR 01201-3.4 §3.1.6",
    "TR 01201-3.4 §3.1.7",
    "TR 01201-3.4 §3.1.8 syntax",
    "TR 01201-3.4 §3.1.9",
    "TR 01201-3.4 §3.1.10",
    "TR 01201-3.4 §3.1.11",
    "TR 01201-3.4 §3.1.12",
    "TR 01201-3.4 §3.1.13 hash",
    "TR 01201-3.4 §3.1.16",
    "TR 01201-3.4 §3.1.17 length",
    "TR 01201-3.4 §3.1.18",
    "TR 01201-3.4 §3.1.19",
    "TR 01201-3.4 §3.1.20",
    "TR 01201-3.4 §3.1.21 folding",
    "TR 01201-3.4 §3.1.21 mime",
    "TR 01201-3.4 §3.1.21 c",
    "TR 01201-3.4 §3.1.21 l",
    "TR 01201-3.4 §3.1.21 q",
)
@pytest.mark.parametrize(("name", "old", "new", "expected"), CASES)
def test_one_fault_gives_its_finding_and_no_other(name: str, old: str, new: str, expected: set[str]) -> None:
    message = message_of(name)
    assert old.encode() in message
    assert codes(message.replace(old.encode("latin-1"), new.encode("latin-1"))) == expected


OUTSIDE_THE_CASES = {"newline", "no-body-separator", "size"}
"""Codes that the following tests show."""


@pytest.mark.clause("TR 01201-3.4 §3.1.21 crlf")
def test_lf_alone_is_a_warning() -> None:
    assert codes(vector("lf-only")) == {"newline"}


def test_message_without_a_body() -> None:
    message = vector(NORMAL).partition(b"\r\n\r\n")[0] + b"\r\n"
    assert codes(message) == {"no-body-separator"}


def test_more_than_45_mib_is_a_warning() -> None:
    assert codes(vector(NORMAL) + b"\r\n" * (23 * 1024 * 1024)) == {"size"}


def test_absent_fields_are_reported_once_and_not_as_syntax() -> None:
    message = b"".join(
        line + b"\r\n"
        for line in vector(NORMAL).split(b"\r\n")
        if not line.lower().startswith((b"from:", b"x-de-mail-sender"))
    )
    assert codes(message) == {"header-missing from", "header-missing x-de-mail-sender"}
    assert codes(b"Subject: x\r\n\r\n") >= {
        "header-missing x-de-mail-chosen-recipient",
        "message-type x-de-mail-message-type",
    }


def test_last_line_without_end_is_measured_too() -> None:
    assert codes(vector(NORMAL) + b"x" * 78) == set()
    assert codes(vector(NORMAL) + b"x" * 79) == {"line-over-78 body"}
    assert codes(vector(NORMAL) + b"x" * 998 + b"\r\n") == {"line-over-78 body"}
    assert codes(vector(NORMAL) + b"x" * 999 + b"\r\n") == {"line-too-long body"}


def test_severities_are_those_of_the_table() -> None:
    (item,) = check_message(vector(NORMAL).replace(b"version: 1.8", b"version: 1.9"))
    assert item == Finding("version-unknown", "x-de-mail-version", Severity.WARNING)
    (missing,) = check_message(vector(NOTIFICATION).replace(b"x-de-mail-notification-type: unknown-recipient\r\n", b""))
    assert missing.severity is Severity.WARNING


@pytest.mark.clause("TR 01201-3.4 §4", "TR 01201-3.4 §3.1.16", "TR 01201-3.4 §3.1.19")
@pytest.mark.parametrize(
    ("version", "removed", "expected"),
    [
        ("1.0", "x-de-mail-account-holder", set()),
        ("1.1", "x-de-mail-account-holder", {"header-missing x-de-mail-account-holder"}),
        (
            "9.9",
            "x-de-mail-account-holder",
            {"header-missing x-de-mail-account-holder", "version-unknown x-de-mail-version"},
        ),
    ],
)
def test_matrix_follows_the_version(version: str, removed: str, expected: set[str]) -> None:
    message = vector(NORMAL).replace(b"version: 1.8", f"version: {version}".encode())
    assert codes(message.replace(removed.encode() + b": Stadt Musterstadt\r\n", b"")) == expected


@pytest.mark.clause("TR 01201-3.4 §4", "TR 01201-3.4 §3.1.17 length")
def test_private_id_had_no_limit_before_1_2() -> None:
    message = vector("original-with-private-id").replace(
        b"private-id: urn", b"private-id: " + b"x \r\n " * 350 + b"urn"
    )
    assert codes(message.replace(b"version: 1.8", b"version: 1.1")) == set()


@given(st.binary(max_size=400))
def test_arbitrary_octets_give_findings_not_errors(data: bytes) -> None:
    assert check_message(data)


@given(st.data())
def test_a_changed_octet_never_breaks_the_checker(data: st.DataObject) -> None:
    message = bytearray(vector("b-retrieve"))
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] = data.draw(st.integers(0, 255))
    check_message(bytes(message))


DRAFT = b"".join(
    line + b"\r\n"
    for line in (
        b"From: Amt <amt@a.example>",
        b"Date: Mon, 02 Mar 2026 09:14:05 +0100",
        b"Message-ID: <1@g.example>",
        b"Subject: x",
        b"x-de-mail-confirmation-of-dispatch: no",
        b"x-de-mail-confirmation-of-receipt: no",
        b"x-de-mail-confirmation-of-retrieve: no",
        b"x-de-mail-authoritative: yes",
        b"x-de-mail-private: no",
        b"x-de-mail-sender: amt@a.example",
        b"x-de-mail-chosen-recipient: to=b@b.example; bcc=c@b.example, d@b.example",
    )
)


@pytest.mark.clause("TR 01201-3.4 §2.1")
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"", b"", []),
        (b"Subject: x\r\n", b"", [("header-missing", "subject", "error")]),
        (b"Subject: x", b"Subject: x\r\nx-de-mail-version: 1.8", [("header-forbidden", "x-de-mail-version", "error")]),
        (b"Subject: x", b"Subject: x\r\nSubject: y", [("duplicate-header", "subject", "warning")]),
        (b"Subject: x", b"Subject: x\r\nResent-To: y", [("header-forbidden", "resent-to", "error")]),
        (b"<amt@a", b"<bmt@a", [("from-sender-mismatch", "from", "error")]),
        (b"amt@", b"pn_amt@", [("pseudonym-authoritative", "x-de-mail-authoritative", "error")]),
        (b"private: no", b"private: nein", [("option-value", "x-de-mail-private", "error")]),
        (b"to=b@b.example", b"to=", [("recipient-empty", "x-de-mail-chosen-recipient", "error")]),
        (b"Subject: x", b"Subject: \xfc", [("header-8bit", "subject", "error")]),
    ],
)
def test_drafts_are_checked_by_the_submission_profile(
    old: bytes, new: bytes, expected: list[tuple[str, str, str]]
) -> None:
    found = check_submission(read_header(DRAFT.replace(old, new) if old else DRAFT))
    assert [(item.code, item.header, item.severity.value) for item in found] == expected


@pytest.mark.clause("TR 01201-3.4 §3.1.1 table 1")
def test_matrix_has_the_26_numbers_of_the_table() -> None:
    assert sorted({row.number for row in MATRIX}) == list(range(1, 27))
    assert {row.header for row in MATRIX if row.covered} == {name.lower() for name in HEADER_LIST}
    assert {row.set_by for row in MATRIX} == set(SetBy)
    assert all(row.presence(kind, "1.8") in Presence for row in MATRIX for kind in MessageClass)
