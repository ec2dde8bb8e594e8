"""Gigantic and hostile header sections: every reader takes linear time and bounded memory, and none raises."""

from __future__ import annotations

import tracemalloc
from time import process_time

import pytest

from demail_gateway.core.address import Address
from demail_gateway.core.checker import check_message
from demail_gateway.core.errors import CertificateMalformed, MalformedMessage
from demail_gateway.core.header import MAX_HEADER_OCTETS, HeaderField, read_message
from demail_gateway.core.integrity import check_integrity
from demail_gateway.core.integrity_field import MAX_FIELD_CHARS, read_certificate, read_field, tag_list
from demail_gateway.core.mime import read_parts
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.core.recipients import Mailbox, RecipientLists, format_recipients, parse_mailboxes, parse_recipients
from tests.core.vector_trust import VERIFICATION_TIME, VectorJudge, VectorVerifier

UNITS = [
    '"', '\\"', '"\\', "\\", "(", ")", "\\(", "()", "<", "<a", "a@b.c,", "a b <a@b.c>, ", "to=a@b.c;", ";", ",", ":",
    "=?utf-8?q?a?= ", "=?", "?=", "=C3", "=", ";a=", ';a="', ";a*0=a", " ", "\r\n ", "12 ", "h=a:", ".", "a-", "\udcff",
]  # fmt: skip
FIELDS = {
    "From": "", "x-de-mail-chosen-recipient": "to=", "x-de-mail-sender": "a@", "Subject": "", "Date": "Mon, ",
    "x-de-mail-integrity": "v=1; a=sha256; h=From; bh=QQ==; b=", "x-de-mail-signature-certificate": "",
    "Content-Type": "a/b; c=", "x-de-mail-message-type": "normal ", "Message-ID": "<", "x-de-mail-version": "1.",
    "x-de-mail-originator-provider": "a",
}  # fmt: skip


def examine(message: bytes) -> None:
    read = read_message(message)
    assert check_message(read)
    check_integrity(read, verifier=VectorVerifier(), judge=VectorJudge(CertificateStatus.GOOD), at=VERIFICATION_TIME)
    assert read_parts(read.header, read.body)


def message(field: str, unit: str, chars: int) -> bytes:
    value = FIELDS[field] + unit * (chars // len(unit))
    return f"{field}: {value}\r\n\r\nx".encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("field", FIELDS)
def test_no_value_takes_more_than_linear_time(field: str) -> None:
    """32 KiB of a quadratic pattern would take longer (an unclosed quoted string with escaped quotes once did)."""
    before = process_time()
    for unit in UNITS:
        examine(message(field, unit, 32 * 1024))
    assert process_time() - before < 20


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        ("From", '\\"'), ("From", "("), ("x-de-mail-chosen-recipient", "a b <a@b.c>, "), ("Subject", "\udcff"),
        ("x-de-mail-integrity", ";a="), ("x-de-mail-signature-certificate", "A "), ("x-de-mail-message-type", "12 "),
        ("Content-Type", ";a*0=a"),
    ],
)  # fmt: skip
def test_half_a_mebibyte_of_one_value_takes_little_memory(field: str, unit: str) -> None:
    octets = message(field, unit, MAX_HEADER_OCTETS // 2)
    tracemalloc.start()
    try:
        examine(octets)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


def test_ten_thousand_recipients_with_names_are_read() -> None:
    many = tuple(Mailbox(f"Amt, Zimmer {number}", Address(f"a{number}", "b.example")) for number in range(10_000))
    lists = RecipientLists(to=many)
    assert parse_recipients(format_recipients(lists)) == (lists, ())


def test_of_a_longer_list_the_rest_is_reported() -> None:
    mailboxes, codes = parse_mailboxes("a@b.example," * 100_000)
    assert len(mailboxes) == 30_000
    assert codes == ("recipient-syntax",)


@pytest.mark.parametrize("value", ['"' + "a" * 10_001 + '" <a@b.example>', "(" * 10_001 + ")" * 10_001 + "a@b.example"])
def test_a_name_nobody_has_is_no_name(value: str) -> None:
    assert parse_mailboxes(value) == ((), ("recipient-syntax",))


def test_integrity_and_certificate_have_a_largest_size() -> None:
    fitting = "a=" + "x" * (MAX_FIELD_CHARS - 2)
    assert tag_list(fitting) == {"a": fitting[2:]}
    with pytest.raises(MalformedMessage):
        tag_list(fitting + "x")
    with pytest.raises(MalformedMessage):
        read_field(HeaderField(f"x-de-mail-integrity: {fitting}x\r\n".encode()))
    assert read_certificate(HeaderField(b"x-de-mail-signature-certificate: " + b"A" * MAX_FIELD_CHARS + b"\r\n"))
    with pytest.raises(CertificateMalformed):
        read_certificate(HeaderField(b"x-de-mail-signature-certificate: " + b"A" * (MAX_FIELD_CHARS + 4) + b"\r\n"))
