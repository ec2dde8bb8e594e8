"""Messages outside the memory: the same answers as in memory, in bounded memory and linear time."""

from __future__ import annotations

import binascii
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.checker import check_message
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import MAX_HEADER_OCTETS, ReadMessage, read_message
from demail_gateway.core.integrity import check_integrity, seal
from demail_gateway.core.large_message import LargeMessage, read_large_message
from demail_gateway.core.mime import Part, read_parts
from demail_gateway.core.primitives import CertificateStatus, HashName
from demail_gateway.core.windows import Windows
from tests.core.vector_trust import VECTORS, VERIFICATION_TIME, VectorJudge, VectorVerifier

WINDOWS = st.integers(1, 40)
PIECES = st.lists(
    st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"\r",
            b"--b",
            b"--",
            b"A: b",
            b"Content-Type: text/html",
            b">",
            b"x" * 80,
            b"\0",
            b"=",
            b"QUJD",
        ]
    )
    | st.binary(max_size=5),
    max_size=40,
).map(b"".join)
MULTIPART = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def large(octets: bytes, window_octets: int = 7) -> LargeMessage:
    return read_large_message(len(octets), reading(octets), window_octets=window_octets)


def reading(octets: bytes) -> Callable[[int, int], bytes]:
    return lambda start, size: octets[start : start + size]


def seen(part: Part) -> tuple[object, ...]:
    entity, raw = bytes(part.entity), bytes(part.raw)
    assert b"".join(part.entity_chunks()) == entity
    return part.path, part.content_type, part.filename, part.encoding, part.defects, entity, raw


def assert_same(one: ReadMessage, other: ReadMessage) -> None:
    assert (one.header, one.findings) == (other.header, other.findings)
    assert b"".join(one.body_chunks()) == b"".join(other.body_chunks())
    assert check_message(one) == check_message(other)
    results = [
        check_integrity(
            each, verifier=VectorVerifier(), judge=VectorJudge(CertificateStatus.GOOD), at=VERIFICATION_TIME
        )
        for each in (one, other)
    ]
    assert results[0] == results[1]
    parts = [[seen(part) for part in read_parts(each.header, each.body)] for each in (one, other)]
    assert parts[0] == parts[1]


@given(st.sampled_from([b"", b"A: b\r\n", MULTIPART, MULTIPART.replace(b"\r\n", b"\n")]), PIECES, WINDOWS)
def test_size_of_the_windows_changes_nothing(start: bytes, rest: bytes, window_octets: int) -> None:
    octets = start + rest
    try:
        expected = read_message(octets)
    except MalformedMessage:
        with pytest.raises(MalformedMessage):
            large(octets, window_octets)
        return
    assert_same(large(octets, window_octets), expected)


@pytest.mark.parametrize("path", sorted((VECTORS / "messages").glob("*.eml")), ids=lambda path: path.stem)
def test_vectors_have_the_same_answers(path: Path) -> None:
    octets = path.read_bytes()
    try:
        expected = read_message(octets)
    except MalformedMessage:
        with pytest.raises(MalformedMessage):
            large(octets)
        return
    assert_same(large(octets, 61), expected)


@given(PIECES, st.binary(min_size=1, max_size=4), st.integers(0, 60), st.integers(0, 60), WINDOWS)
def test_searching_and_slicing_are_those_of_bytes(
    octets: bytes, mark: bytes, start: int, end: int, window_octets: int
) -> None:
    windows = Windows(len(octets), reading(octets), window_octets=window_octets)
    assert len(windows) == len(octets)
    assert windows.find(mark, start, end) == octets.find(mark, start, end)
    assert windows.find(mark) == octets.find(mark)
    assert windows.startswith(mark, start) == octets.startswith(mark, start)
    assert windows.startswith(mark, start, end) == octets.startswith(mark, start, end)
    assert windows[start:end] == octets[start:end]
    assert b"".join(windows.chunks(start, min(end, len(octets)))) == octets[start : min(end, len(octets))]
    if octets:
        assert windows[start % len(octets)] == octets[start % len(octets)]
        assert windows[-1] == octets[-1]


@given(PIECES, st.integers(0, 60), st.integers(0, 60), WINDOWS, st.integers(0, 9))
def test_matches_are_those_in_bytes(octets: bytes, start: int, end: int, window_octets: int, more: int) -> None:
    start, end = sorted((min(start, len(octets)), min(end, len(octets))))
    pattern = re.compile(rb"\n--b(?:--)?[ \r]{0,3}+(?=\n|\Z)|--A")
    windows = Windows(len(octets), reading(octets), window_octets=window_octets)
    found = [(at + match.start(), match[0]) for at, match in windows.matches(pattern, 10 + more, start, end)]
    assert found == [(start + match.start(), match[0]) for match in pattern.finditer(octets[start:end])]


def test_delimiters_are_found_wherever_windows_end() -> None:
    octets = MULTIPART + b"".join(b"--b \r\n\r\n%d" % n + b"x" * (n * 997) + b"\r\n" for n in range(60)) + b"--b--"
    expected = read_message(octets)
    message = large(octets, 5_000)
    parts = [[seen(part) for part in read_parts(each.header, each.body)] for each in (expected, message)]
    assert parts[0] == parts[1]
    assert len(parts[1]) == 61


CONTENTS = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"QUJD", b"=", b"Q", b"\r\n", b"*", b"=3D", b"=\r", b" "]), max_size=20
).map(b"".join)


@given(CONTENTS, st.sampled_from(["base64", "quoted-printable", "8bit"]), WINDOWS)
def test_decoding_in_pieces_is_decoding(content: bytes, encoding: str, window_octets: int) -> None:
    octets = f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + content
    message = large(octets, window_octets)
    (part,) = read_parts(message.header, message.body)
    (whole,) = read_parts(message.header, content)
    assert b"".join(part.decoded_chunks()) == whole.decode() == part.decode()
    assert part.begins_with(whole.decode()[:5])
    assert not part.begins_with(whole.decode() + b"x")


@pytest.mark.parametrize("unit", [b"x" * 76 + b"=\r\n", b"=3D", b"=", b"x"])
def test_quoted_printable_of_any_size_is_decoded_in_stretches(unit: bytes) -> None:
    content = unit * (300_000 // len(unit))
    octets = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + content
    message = large(octets, 50_000)
    (part,) = read_parts(message.header, message.body)
    chunks = list(part.decoded_chunks())
    assert max(map(len, chunks)) <= 64 * 1024
    assert b"".join(chunks) == part.decode()
    if unit != b"=" and b"3D" not in unit:
        assert part.decode() == binascii.a2b_qp(content)


def test_octets_that_became_fewer_are_an_error_of_the_place_where_they_lie() -> None:
    octets = b"A: b\r\n\r\n" + b"x" * 100
    message = read_large_message(
        len(octets), lambda start, size: octets[start : min(start + size, 50)], window_octets=8
    )
    with pytest.raises(OSError, match="fewer"):
        list(message.body_chunks())


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_a_header_section_beyond_the_bound_is_refused_before_it_is_held(line_end: bytes) -> None:
    fitting = b"A: " + b"x" * (MAX_HEADER_OCTETS - 5)
    assert large(fitting + line_end * 2, 65536).header == read_message(fitting + line_end * 2).header
    for size in (MAX_HEADER_OCTETS, 3 * MAX_HEADER_OCTETS):
        with pytest.raises(MalformedMessage):
            large(b"A: " + b"x" * size + line_end * 2, 65536)


LINE = b"UEsDBBQAAAAIAGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJSktMTU5PUFFS\r\n"
FEW_BYTES = 8 * 1024 * 1024


class Endless:
    """A message of 100 MiB: a beginning, the same line again and again, an end."""

    def __init__(
        self, beginning: bytes, line: bytes = LINE, end: bytes = b"", size_bytes: int = 100 * 1024 * 1024
    ) -> None:
        times = (size_bytes - len(beginning) - len(end)) // len(line)
        self.beginning, self.end, self.size_bytes = beginning, end, len(beginning) + times * len(line) + len(end)
        self._line = line

    def read_at(self, start: int, size: int) -> bytes:
        found = self.beginning[start : start + size]
        inner_end = self.size_bytes - len(self.end)
        if start + size > len(self.beginning) and start < inner_end:
            first = max(start, len(self.beginning))
            shift = (first - len(self.beginning)) % len(self._line)
            wanted = min(start + size, inner_end) - first
            found += (self._line * (wanted // len(self._line) + 2))[shift : shift + wanted]
        return found + self.end[max(0, start - inner_end) : max(0, start + size - inner_end)]

    def read(self) -> LargeMessage:
        return read_large_message(self.size_bytes, self.read_at)


MIXED = (
    b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHallo\r\n"
    b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)


def test_hundred_mebibytes_are_checked_in_eight() -> None:
    message = Endless(MIXED, end=b"--b--\r\n")
    tracemalloc.start()
    try:
        read = message.read()
        found = check_message(read)
        integrity = check_integrity(
            read, verifier=VectorVerifier(), judge=VectorJudge(CertificateStatus.GOOD), at=VERIFICATION_TIME
        )
        parts = read_parts(read.header, read.body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < FEW_BYTES
    assert "size" in {item.code for item in found}
    assert integrity.code == "integrity-missing"
    assert [part.content_type for part in parts] == ["multipart/mixed", "text/plain", "application/pdf"]
    assert parts[2].begins_with(b"PK\x03\x04")


@pytest.mark.parametrize(
    ("beginning", "line"),
    [
        (MIXED, b"\r\n--bx--b"),
        (MIXED, b"x"),
        (MIXED, b"--b\r\nA: b\r\n\r\n" + b"x" * 10_000 + b"\r\n"),
        (b"A: b\r\n\r\n", b"\r\n"),
        (b"A: b\n\n", b"x\n"),
        (b"", b"x"),
        (b"", b"a:b\r\n"),
    ],
    ids=["near misses", "one line", "ten thousand parts", "empty lines", "LF", "no header", "fields"],
)
def test_hostile_messages_take_little_memory_and_linear_time(beginning: bytes, line: bytes) -> None:
    message = Endless(beginning, line, size_bytes=8 * 1024 * 1024)
    before = process_time()
    tracemalloc.start()
    try:
        read = message.read()
        check_message(read)
    except MalformedMessage:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < FEW_BYTES
    assert process_time() - before < 10


def test_a_sealed_message_of_any_size_holds() -> None:
    sealed = seal((VECTORS / "messages" / "sign-hash-sha256.in.eml").read_bytes() + LINE * 100_000,
                  hash_name=HashName.SHA256, domain="dmda-a.example", signer=None)  # fmt: skip
    for octets, code in ((sealed, "ok"), (sealed[:-9] + b"y" + sealed[-8:], "body-hash-mismatch")):
        result = check_integrity(
            large(octets, 65536),
            verifier=VectorVerifier(),
            judge=VectorJudge(CertificateStatus.GOOD),
            at=VERIFICATION_TIME,
        )
        assert result.code == code
