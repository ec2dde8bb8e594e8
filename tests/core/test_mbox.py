"""mbox: MF-29, TR 01201-3.4 §3.6."""

from __future__ import annotations

import mailbox
import re
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.address import Address
from demail_gateway.core.errors import ComposeFailed, MalformedMessage
from demail_gateway.core.integrity import check_integrity
from demail_gateway.core.mbox import is_mbox, read_mbox, write_mbox_message
from demail_gateway.core.primitives import CertificateStatus
from tests.core.vector_trust import VECTORS, VERIFICATION_TIME, VectorJudge, VectorVerifier

AT = datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC)
ADDRESS = Address("poststelle", "a.example")
LINES = st.lists(
    st.sampled_from([b"From ", b">From ", b">>From x", b"From", b">", b"", b"Fro", b"From: a", b"x", b">F"])
    | st.binary(max_size=8).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"")),
    max_size=12,
)
MESSAGES = LINES.map(lambda lines: b"".join(line + b"\r\n" for line in lines))
FILES = st.lists(
    st.sampled_from([b"From ", b">From ", b">", b"\n", b"\r\n", b"\r", b"F", b"rom ", b"A: b", b"x"])
    | st.binary(max_size=4),
    max_size=30,
).map(b"".join)


def cut(octets: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield octets[:size]
        octets = octets[size:]
    yield octets


def written(*messages: bytes) -> bytes:
    return b"".join(piece for message in messages for piece in write_mbox_message([message], ADDRESS, AT))


def read(pieces: Iterable[bytes]) -> list[bytes]:
    return [b"".join(message) for message in read_mbox(pieces)]


CUTS = st.lists(st.integers(0, 7), max_size=40)


@given(st.lists(MESSAGES, max_size=4))
def test_what_was_written_is_read_again(messages: list[bytes]) -> None:
    assert read([written(*messages)]) == messages


@given(MESSAGES, CUTS)
def test_where_a_message_is_cut_changes_nothing(message: bytes, cuts: list[int]) -> None:
    assert b"".join(write_mbox_message(cut(message, cuts), ADDRESS, AT)) == written(message)


@given(FILES, CUTS)
def test_where_a_file_is_cut_changes_nothing(octets: bytes, cuts: list[int]) -> None:
    try:
        whole = read([octets])
    except MalformedMessage:
        with pytest.raises(MalformedMessage):
            read(cut(octets, cuts))
        return
    assert read(cut(octets, cuts)) == whole


@given(FILES.map(lambda rest: b"From x\n" + rest))
def test_any_file_is_read_as_the_rule_says(octets: bytes) -> None:
    plain = octets.replace(b"\r\n", b"\n")
    expected = []
    for block in re.split(rb"(?m)^From [^\n]*(?:\n|\Z)", plain)[1:]:
        content = re.sub(rb"(?m)^>(>*From )", rb"\1", block)
        if content == b"\n" or content.endswith(b"\n\n"):
            content = content[:-1]
        expected.append(content.replace(b"\n", b"\r\n"))
    assert read([octets]) == expected


@pytest.mark.clause("TR 01201-3.4 §3.6 mbox")
@given(FILES)
def test_quoting_is_reversible_for_arbitrary_lines(octets: bytes) -> None:
    message = octets.replace(b"\r", b"").replace(b"\n", b"\r\n")
    content = written(message).partition(b"\n")[2]
    assert content == re.sub(rb"(?m)^(>*From )", rb">\1", message.replace(b"\r\n", b"\n")) + (
        b"\n" if message.endswith(b"\r\n") or not message else b"\n\n"
    )
    assert read([b"From x\n" + content]) == [message if message.endswith(b"\r\n") or not message else message + b"\r\n"]


@pytest.mark.clause("TR 01201-3.4 §3.6 integrity")
@pytest.mark.parametrize("path", sorted((VECTORS / "messages").glob("*.eml")), ids=lambda path: path.stem)
def test_a_round_trip_leaves_the_verdict_of_the_integrity(path: Path) -> None:
    octets = path.read_bytes()

    def verdict(message: bytes) -> object:
        judge = VectorJudge(CertificateStatus.GOOD)
        result = check_integrity(message, verifier=VectorVerifier(), judge=judge, at=VERIFICATION_TIME)
        return result.verdict, result.code, result.body_hash, result.header_hash

    if not octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r"):
        with pytest.raises(ComposeFailed, match="mbox-bare-newline"):
            written(octets)
        return
    (again,) = read([written(octets)])
    assert verdict(again) == verdict(octets)


@pytest.mark.clause("TR 01201-3.4 §3.6 mbox")
def test_separator_has_sender_and_utc_time_of_24_characters() -> None:
    berlin = datetime.fromisoformat("2026-03-02T09:14:05+01:00")
    assert b"".join(write_mbox_message([b"A: b\r\n\r\nx\r\n"], ADDRESS, berlin)) == (
        b"From poststelle@a.example Mon Mar  2 08:14:05 2026\nA: b\n\nx\n\n"
    )
    assert next(write_mbox_message([], None, AT)) == b"From MAILER-DAEMON Mon Mar  2 08:14:05 2026\n"


@pytest.mark.parametrize("message", [b"a\rb\r\n", b"a\nb\r\n", b"a\r\r\n", b"a\n", b"a\r"])
def test_a_message_that_would_be_damaged_is_refused(message: bytes) -> None:
    for pieces in ([message], list(cut(message, [1] * len(message)))):
        with pytest.raises(ComposeFailed, match="mbox-bare-newline"):
            list(write_mbox_message(pieces, ADDRESS, AT))


@pytest.mark.clause("TR 01201-3.4 §3.6 number")
@pytest.mark.parametrize(
    ("octets", "messages"),
    [
        (b"", []),
        (b"From x\n", [b""]),
        (b"From x", [b""]),
        (b"From x\nA: b\n\nc", [b"A: b\r\n\r\nc"]),
        (b"From x\r\nA: b\r\n\r\nc\r\n\r\nFrom y\r\nD: e\r\n\r\n", [b"A: b\r\n\r\nc\r\n", b"D: e\r\n"]),
        (b"From x\nA: b\n\n\n\nFrom y\n", [b"A: b\r\n\r\n\r\n", b""]),
        (b"From x\nA: b\nFrom y\nC: d\n", [b"A: b\r\n", b"C: d\r\n"]),
        (b"From x\nFrom y\nA: b\n", [b"", b"A: b\r\n"]),
    ],
)
def test_files_are_cut_into_messages(octets: bytes, messages: list[bytes]) -> None:
    assert read([octets]) == messages


@pytest.mark.parametrize("octets", [b"\n", b"A: b\n", b">From x\n", b"from x\n", b"\nFrom x\n", b"From"])
def test_a_file_must_begin_with_a_separator(octets: bytes) -> None:
    assert not is_mbox(octets)
    with pytest.raises(MalformedMessage) as caught:
        read([octets])
    assert caught.value.reason == "mbox-separator-missing"


def test_what_is_not_read_of_a_message_is_passed_over() -> None:
    first = [next(message) for message in read_mbox([written(b"A: b\r\n\r\nx\r\n", b"C: d\r\n\r\ny\r\n")])]
    assert first == [b"A: b\r\n\r\nx\r\n", b"C: d\r\n\r\ny\r\n"]


def test_agrees_with_the_standard_library(tmp_path: Path) -> None:
    """`mailbox.mbox` knows no quoting of ``>From `` (it is mboxo), so nothing of that is in this message."""
    path = tmp_path / "all.mbox"
    path.write_bytes(written(b"A: b\r\n\r\nx\r\n\r\n", b"C: d\r\n\r\ny\r\n"))
    box = mailbox.mbox(path, create=False)
    assert [box.get_bytes(key) for key in box.keys()] == [b"A: b\n\nx\n\n", b"C: d\n\ny\n"]  # noqa: SIM118
    box.close()


@pytest.mark.parametrize("line", [b">", b"x", b"From ", b"\nFrom ", b"\n>From x", b"\n", b"\r", b"\n\n"])
def test_hostile_files_take_little_memory_and_linear_time(line: bytes) -> None:
    piece = line * (16 * 1024 // len(line))
    before = process_time()
    tracemalloc.start()
    try:
        for message in read_mbox([b"From x\n", *[piece] * 12]):
            for _ in message:
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 600 * 1024
    assert process_time() - before < 10


def test_writing_takes_little_memory() -> None:
    tracemalloc.start()
    try:
        for piece in (b">" * 16384, b"\r\nFrom " * 512, b"x" * 16384):
            for _ in write_mbox_message([piece] * 60, ADDRESS, AT):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 600 * 1024
