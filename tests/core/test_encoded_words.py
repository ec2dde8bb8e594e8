"""Text outside ASCII in header values: MF-9, RFC 2047."""

from __future__ import annotations

import email.header
import email.policy
from email.parser import BytesParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from demail_gateway.core.charset import decode, is_known
from demail_gateway.core.encoded_words import decode_words, encode_words
from demail_gateway.core.header import fold

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\t"), max_size=200)
LONGEST_TEXT_FIELD = "x-de-mail-account-holder"


@given(TEXT)
@example("=?utf-8?q?a?=")
@example(" Grüße ")
@example("x" * 2000)
@example("ü" * 500)
@example("😀 " * 80)
def test_decoding_gives_the_encoded_text_again(text: str) -> None:
    assert decode_words(encode_words(text)) == text


@given(TEXT)
def test_encoded_text_can_always_be_folded_to_78_octets(text: str) -> None:
    value = encode_words(text)
    if "=?" in value:
        assert all(len(line) <= 78 for line in fold(LONGEST_TEXT_FIELD, value).split(b"\r\n"))


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=80))
def test_the_standard_parser_reads_the_same_text(text: str) -> None:
    message = BytesParser(policy=email.policy.default).parsebytes(fold("Subject", encode_words(text)) + b"\r\n")
    assert message["Subject"] == text


def test_plain_text_stays_plain() -> None:
    assert encode_words("Bescheid zum Antrag 2026-0815") == "Bescheid zum Antrag 2026-0815"
    assert encode_words("") == ""


def test_shorter_of_the_two_encodings_is_taken() -> None:
    assert encode_words("Bescheid über Abgaben") == "=?utf-8?q?Bescheid_=C3=BCber_Abgaben?="
    assert encode_words("Grüße") == "=?utf-8?b?R3LDvMOfZQ==?="
    assert encode_words("Καλημέρα").startswith("=?utf-8?b?")


@pytest.mark.parametrize("text", ["a\r\nBcc: x", "a\nb", "a\rb", "a\0", "\x1b[2J", "\x7f", "\x85", "\ud800"])
def test_control_characters_are_never_encoded(text: str) -> None:
    with pytest.raises(ValueError, match=r"control|surrogate"):
        encode_words(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?q?Versandbest=C3=A4tigung?= x", "Versandbestätigung x"),
        ("=?iso-8859-1?Q?Gr=FC=DFe?=", "Grüße"),
        ("=?ISO-8859-1*de?B?R3L832U=?=", "Grüße"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= \t =?iso-8859-1?q?=FC?=", "aü"),
        ("=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
        ("x=?utf-8?q?a?=y", "xay"),
        ("=?utf-8?b?w7w?=", "ü"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        ("=?utf-8?q?=C3?=", "\ufffd"),
        ("=?rot13?q?abc?=", "=?rot13?q?abc?="),
        ("=?idna?q?abc?=", "=?idna?q?abc?="),
        ("=?no-such?q?abc?= =?utf-8?q?b?=", "=?no-such?q?abc?= b"),
        ("=?utf-8?q?b?= =?no-such?q?abc?=", "b =?no-such?q?abc?="),
        ("=?utf-8?b?A?=", "=?utf-8?b?A?="),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=?utf-8?q?a=0D=0ABcc:_x?=", "a\ufffd\ufffdBcc: x"),
        ("=?utf-8?q??=", ""),
        ("Gr\udcc3\udcbc\udcdfe", "Grü\ufffde"),
        ("a\nb", "a\ufffdb"),
    ],
)
def test_foreign_words_are_read(value: str, text: str) -> None:
    assert decode_words(value) == text


@given(st.text(max_size=100))
def test_any_value_is_displayable_on_one_line(value: str) -> None:
    assert not {"\r", "\n", "\0"} & set(decode_words(value))


def test_many_word_beginnings_take_no_time() -> None:
    assert decode_words("=?a?q?" * 20_000) == "=?a?q?" * 20_000


@pytest.mark.parametrize("name", ["utf-7", "idna", "punycode", "base64", "unicode_escape", "a\0b", ""])
def test_dangerous_codecs_are_not_used(name: str) -> None:
    assert not is_known(name)
    assert decode(b"a+AGE-", name) == "a+AGE-"


def test_agrees_with_the_standard_library_on_the_vectors_subject() -> None:
    value = "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln=3A_=C3=9Cbermittlung_de?= =?utf-8?q?r?="
    parts = email.header.decode_header(value)
    assert decode_words(value) == str(email.header.make_header(parts)) == "Grüße aus Köln: Übermittlung der"
