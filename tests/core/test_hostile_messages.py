"""Messages made or changed to break a reader: each one gives findings, the same ones however it is read, and no error.

What once broke one, and what nearly did, is kept in `corpus/reading`.
"""

from __future__ import annotations

from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demail_gateway.core.address import parse_address
from demail_gateway.core.attachments import attachments_of
from demail_gateway.core.checker import check_message, check_submission
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.forwarding import Onward, addressed_mailboxes, circle, forwarded, resent_on, with_envelope_to
from demail_gateway.core.header import ChunkedMessage, read_message
from demail_gateway.core.integrity import IntegrityResult, check_integrity
from demail_gateway.core.large_message import read_large_message
from demail_gateway.core.mime import read_parts
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.core.streamed_message import read_streamed_message
from demail_gateway.core.transfer import identity_of
from tests.core.vector_trust import VECTORS, VERIFICATION_TIME, VectorJudge, VectorVerifier

CORPUS = sorted((Path(__file__).parent / "corpus" / "reading").glob("*.eml"))
GOOD = [
    (VECTORS / "messages" / f"{name}.eml").read_bytes()
    for name in ("folded", "rsa-sha256", "bcc-copy", "b-retrieve", "weiterleitung", "lf-only")
]
TOKENS = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b"\xff", b'"', b'\\"', b"(", b"<", b";", b"=", b"=?utf-8?q?", b"--",
        b"x-de-mail-integrity: ", b"x-de-mail-private: Yes\r\n", b"Resent-From: a@b.example\r\n", b"bcc=a@b.example; ",
        b"Content-Type: multipart/mixed; boundary=b\r\n", b"\r\n--b\r\n", b"x-de-mail-message-type: normal\r\n",
        b"Content-Transfer-Encoding: base64\r\n", b"From ", b" " * 80, b"x" * 1000,
    ]
)  # fmt: skip
CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 30), TOKENS | st.binary(max_size=3)), max_size=6)
ONWARD = Onward(by=parse_address("a@b.example"), to=parse_address("c@d.example"))


def integrity(message: ChunkedMessage | bytes) -> IntegrityResult:
    judge = VectorJudge(CertificateStatus.GOOD)
    return check_integrity(message, verifier=VectorVerifier(), judge=judge, at=VERIFICATION_TIME)


def examine(octets: bytes) -> None:
    """Everything that reads a message reads this one, and the three forms of it are judged alike."""
    findings, result = check_message(octets), integrity(octets)
    try:
        message = read_message(octets)
    except MalformedMessage:
        assert [item.code for item in findings] == ["message-unparsable"]
        assert result.code == "message-malformed"
        return
    large = read_large_message(len(octets), lambda start, size: octets[start : start + size], window_octets=50)
    assert check_message(large) == findings
    assert integrity(large) == integrity(read_streamed_message([octets])) == result
    for part in read_parts(message.header, message.body):
        assert b"".join(part.decoded_chunks()) == part.decode()
        part.text()
    attachments_of(octets)
    check_submission(message.header)
    identity_of(message.header)
    addressed_mailboxes(message.header)
    circle(message.header, ONWARD)
    for made in (
        forwarded(message, ONWARD, at=VERIFICATION_TIME, message_id="<1@b.example>"),
        resent_on(message, ONWARD.to),
        with_envelope_to(message, ONWARD.to),
    ):
        assert bytes(read_message(made).body) == bytes(message.body)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_kept_files_are_read_in_no_time(path: Path) -> None:
    before = process_time()
    examine(path.read_bytes())
    assert process_time() - before < 10


@given(st.sampled_from(GOOD), CHANGES)
@settings(max_examples=150)
def test_good_messages_changed_anywhere_are_read_without_an_error(
    octets: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    for place, removed, put in changes:
        at = place % (len(octets) + 1)
        octets = octets[:at] + put + octets[at + removed :]
    examine(octets)


@given(st.lists(TOKENS | st.just(b"A: b"), max_size=20).map(b"".join))
def test_messages_of_nothing_but_traps_are_read_without_an_error(octets: bytes) -> None:
    examine(octets)


@given(st.sampled_from(GOOD), st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_octet_under_the_seal_never_passes(octets: bytes, place: int, octet: int) -> None:
    """Every octet of the body is sealed, but for empty lines at its end."""
    offset = read_message(octets).body_offset
    if b"\r\n" not in octets:
        return
    at = offset + place % (len(octets) - offset)
    changed = octets[:at] + bytes([octet]) + octets[at + 1 :]
    if changed.rstrip(b"\r\n") != octets.rstrip(b"\r\n"):
        assert integrity(changed).code == "body-hash-mismatch"
