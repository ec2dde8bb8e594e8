"""Messages that come in pieces and once: the same answers as in memory, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import MAX_HEADER_OCTETS, read_message
from demail_gateway.core.integrity import IntegrityResult, check_integrity
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.core.streamed_message import StreamedMessage, read_streamed_message
from tests.core.vector_trust import VECTORS, VERIFICATION_TIME, VectorJudge, VectorVerifier

PIECES = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b"\n\n", b"\r\n\r\n", b"A: b", b"A: b\r\n\r\n", b"A: b\n\n", b"x"]),
    max_size=16,
)


def check(message: StreamedMessage | bytes) -> IntegrityResult:
    judge = VectorJudge(CertificateStatus.GOOD)
    return check_integrity(message, verifier=VectorVerifier(), judge=judge, at=VERIFICATION_TIME)


def outcome(octets: bytes) -> object:
    try:
        message = read_message(octets)
    except MalformedMessage:
        return None
    return message.header, message.findings, bytes(message.body)


def streamed(pieces: Iterable[bytes]) -> object:
    try:
        message = read_streamed_message(pieces)
        return message.header, message.findings, b"".join(message.body_chunks())
    except MalformedMessage:
        return None


def in_pieces(octets: bytes, size: int) -> Iterator[bytes]:
    return (octets[at : at + size] for at in range(0, len(octets), size))


@given(PIECES)
def test_pieces_are_read_as_the_whole(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert streamed(pieces) == outcome(whole)
    assert streamed(in_pieces(whole, 1)) == outcome(whole)


@pytest.mark.parametrize("path", sorted((VECTORS / "messages").glob("*.eml")), ids=lambda path: path.stem)
def test_vectors_have_the_same_verdict(path: Path) -> None:
    octets = path.read_bytes()
    try:
        message = read_streamed_message(in_pieces(octets, 7))
    except MalformedMessage:
        assert check(octets).code == "message-malformed"
        return
    assert check(message) == check(octets)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"A: b\n\n", b"x\n" * MAX_HEADER_OCTETS, b"\r\n"],
        [b"A: b\n\n", b"x\n" * MAX_HEADER_OCTETS, b"\r", b"\n"],
        [b"A: b\n\n" + b"x" * (MAX_HEADER_OCTETS - 3) + b"\r", b"\n"],
        [b"A: b\r\n" * MAX_HEADER_OCTETS, b"\r\n"],
        [b"x" * (MAX_HEADER_OCTETS + 9)],
        [b"A: " + b"x" * MAX_HEADER_OCTETS + b"\n\n"],
        [],
    ],
)  # fmt: skip
def test_what_is_no_message_as_a_whole_is_none_in_pieces(pieces: list[bytes]) -> None:
    assert outcome(b"".join(pieces)) is None
    assert streamed(pieces) is None


def test_an_end_of_line_that_changes_late_fails_the_check() -> None:
    octets = (VECTORS / "messages" / "lf-only.eml").read_bytes()
    late = [octets, b"x\n" * MAX_HEADER_OCTETS, b"\r\n"]
    assert check(read_streamed_message(late)).code == check(b"".join(late)).code == "message-malformed"


def test_hundred_mebibytes_are_checked_in_eight() -> None:
    sealed = (VECTORS / "messages" / "hash-sha256.eml").read_bytes()
    piece = b"x" * 65534 + b"\r\n"
    tracemalloc.start()
    try:
        result = check(read_streamed_message([sealed, *[piece] * 1600]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.code == "body-hash-mismatch"
    assert peak < 8 * 1024 * 1024
