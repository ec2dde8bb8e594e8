"""The header section as octets: MF-9, MF-10, MF-13, MF-14, IN-16."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import (
    MAX_FIELDS,
    MAX_HEADER_OCTETS,
    Header,
    HeaderField,
    fold,
    read_header,
    read_message,
)

NAMES = st.from_regex(r"\A[!-9;-~]{1,20}\Z")
LINE_OCTETS = st.binary(max_size=60).filter(lambda octets: b"\n" not in octets)


@st.composite
def raw_fields(draw: st.DrawFn) -> bytes:
    """A field of any octets, folded or not."""
    name = draw(NAMES).encode()
    lines = [name + draw(st.sampled_from([b"", b" ", b"\t "])) + b":" + draw(LINE_OCTETS)]
    lines += [
        draw(st.sampled_from([b" ", b"\t"])) + line for line in draw(st.lists(LINE_OCTETS.filter(bool), max_size=3))
    ]
    return b"".join(line + b"\r\n" for line in lines)


MESSAGES = st.tuples(st.lists(raw_fields(), min_size=1, max_size=8), st.binary(max_size=200))


@pytest.mark.clause("TR 01201-3.4 §3.1 others")
@given(MESSAGES)
def test_reading_then_writing_is_the_identity(parts: tuple[list[bytes], bytes]) -> None:
    fields, body = parts
    data = b"".join(fields) + b"\r\n" + body
    octets = read_message(data)
    assert octets.data == data
    assert [item.raw for item in octets.header.fields] == fields
    assert octets.header.raw + b"\r\n" + bytes(octets.body) == data
    assert octets.findings == ()


@given(st.binary(max_size=300))
def test_arbitrary_octets_are_read_unchanged_or_refused(data: bytes) -> None:
    try:
        octets = read_message(data)
    except MalformedMessage:
        return
    separator = b"" if "no-body-separator" in octets.findings else b"\r\n"
    whole = octets.header.raw + separator + bytes(octets.body)
    assert whole == octets.data
    assert whole == (data.replace(b"\n", b"\r\n") if "newline-normalised" in octets.findings else data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\r\nbody",
        b"\r\n\r\nbody",
        b" continued: first\r\n\r\n",
        b"no colon here\r\n\r\n",
        b"From sender Mon Mar  2 09:14:05 2026\r\nFrom: a@b.example\r\n\r\n",
        b": no name\r\n\r\n",
        b"Na me: x\r\n\r\n",
        b"Sub\xc3\xbcject: x\r\n\r\n",
        b"A: 1\r\nbroken\r\n\r\n",
    ],
)
def test_what_is_no_header_section_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage, match="message-unparsable"):
        read_message(data)


def test_lf_alone_is_read_as_line_end_with_a_finding() -> None:
    octets = read_message(b"A: 1\n B\nC: 2\n\nbody\n")
    assert octets.data == b"A: 1\r\n B\r\nC: 2\r\n\r\nbody\r\n"
    assert octets.header.value("a") == "1 B"
    assert octets.findings == ("newline-normalised",)


def test_lone_lf_beside_crlf_is_no_line_end() -> None:
    octets = read_message(b"A: 1\nB: 2\r\n\r\nbody")
    assert octets.header.fields[0].lower == "a"
    assert octets.header.value("b") is None


def test_message_without_empty_line_has_an_empty_body() -> None:
    octets = read_message(b"A: 1\r\nB: 2")
    assert [item.raw for item in octets.header.fields] == [b"A: 1\r\n", b"B: 2"]
    assert bytes(octets.body) == b""
    assert octets.findings == ("no-body-separator",)


def test_blank_line_with_a_space_does_not_end_the_section() -> None:
    octets = read_message(b"A: 1\r\n \r\nB: 2\r\n\r\nbody")
    assert octets.header.value("B") == "2"
    assert octets.header.fields[0].raw == b"A: 1\r\n \r\n"


@pytest.mark.clause("TR 01201-3.4 §3.1 case", "TR 01201-3.4 §3.1.1 duplicates")
def test_topmost_instance_counts() -> None:
    header = read_header(b"Subject: upper\r\nFrom: a\r\nsubject: lower\r\n")
    assert header.value("SUBJECT") == "upper"
    assert [item.value for item in header.all("Subject")] == ["upper", "lower"]
    assert header.duplicates(["From", "Subject", "Date"]) == ("subject",)
    assert header.first("Date") is None
    assert header.all("Date") == ()


def test_value_is_unfolded_and_keeps_inner_blanks() -> None:
    item = HeaderField(b"X-De-Mail-Sender \t:\t a  b\r\n\t c \r\n")
    assert (item.name, item.lower) == ("X-De-Mail-Sender", "x-de-mail-sender")
    assert item.value == "a  b\t c"


def test_eight_bit_octets_survive_in_the_value() -> None:
    value = HeaderField(b"Subject: Gr\xc3\xbc\xdfe\r\n").value
    assert value.encode("ascii", "surrogateescape") == b"Gr\xc3\xbc\xdfe"


def test_representation_shows_no_content() -> None:
    octets = read_message(b"Subject: geheim\r\n\r\nKennwort")
    assert "geheim" not in repr(octets)
    assert "Kennwort" not in repr(octets)


def test_more_fields_than_any_honest_message_are_refused() -> None:
    assert len(read_header(b"a:\r\n" * MAX_FIELDS).fields) == MAX_FIELDS
    with pytest.raises(MalformedMessage):
        read_header(b"a:\r\n" * (MAX_FIELDS + 1))


def test_oversized_section_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        read_header(b"a: " + b"x" * MAX_HEADER_OCTETS + b"\r\n")


PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.just("\t"), max_size=400)


@pytest.mark.clause("TR 01201-3.4 §3.1 fields", "TR 01201-3.4 §3.1.21 folding")
@given(NAMES, PLAIN)
def test_unfolding_a_folded_value_gives_it_back(name: str, value: str) -> None:
    raw = fold(name, value)
    lines = raw.split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) <= 998 for line in lines)
    assert all(line.strip(b" \t") for line in lines)
    assert HeaderField(raw).value == value.strip(" \t")
    assert Header((HeaderField(raw),)).value(name) == value.strip(" \t")


@pytest.mark.clause("TR 01201-3.4 §3.1.21 folding")
@given(st.lists(st.text("abc", min_size=1, max_size=30), min_size=1, max_size=60))
def test_lines_stay_within_78_octets_where_there_are_blanks(words: list[str]) -> None:
    assert all(len(line) <= 78 for line in fold("x-de-mail-private-id", " ".join(words)).split(b"\r\n"))


@given(st.lists(st.text("abc", min_size=1, max_size=30), min_size=1, max_size=30), st.data())
def test_refolding_changes_octets_but_not_the_value(words: list[str], data: st.DataObject) -> None:
    gaps = [data.draw(st.sampled_from([" ", "\r\n ", " \r\n\t"])) for _ in words]
    raw = ("A:" + "".join(gap + word for gap, word in zip(gaps, words, strict=True)) + "\r\n").encode()
    assert HeaderField(raw).value.split() == words
    assert HeaderField(raw).raw == raw


@pytest.mark.clause("TR 01201-3.4 §3.1.21 mime")
@pytest.mark.parametrize("value", ["a\r\nBcc: x@y", "a\nb", "a\rb", "a\0b", "a\x1bb", "a\x7fb", "ü", "\udcfc"])
def test_line_ends_controls_and_raw_umlauts_cannot_be_written(value: str) -> None:
    with pytest.raises(ValueError, match="control or non-ASCII"):
        fold("Subject", value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "a\n"])
def test_only_field_names_can_be_written(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        fold(name, "x")


def test_word_longer_than_a_line_is_refused() -> None:
    assert len(fold("A", "x" * 995)) == 1000
    with pytest.raises(ValueError, match="folded"):
        fold("A", "x" * 996)
    with pytest.raises(ValueError, match="folded"):
        fold("A", "a " + "x" * 998)


def test_empty_value_is_written_without_blank() -> None:
    assert fold("Subject", "  ") == b"Subject:\r\n"
