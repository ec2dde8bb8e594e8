"""Forwarding, re-sending, Envelope-to: MF-3, MF-23 to MF-25, SND-80, TR 01201-3.4 §3.1.22, §3.2, §3.3."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.address import parse_address
from demail_gateway.core.checker import check_message
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.forwarding import (
    ISSUED,
    MAX_HOPS,
    Circle,
    Forwarded,
    Onward,
    addressed_mailboxes,
    circle,
    forwarded,
    resent_on,
    what_is_forwarded,
    with_envelope_to,
)
from demail_gateway.core.header import Octets, read_header, read_message
from demail_gateway.core.integrity import check_integrity
from demail_gateway.core.matrix import MATRIX, InTransit
from demail_gateway.core.metadata import TransportState, read_metadata
from demail_gateway.core.notification import notification_addressee
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.core.vocabulary import ConfirmationKind
from tests.core.vector_trust import VECTORS, VERIFICATION_TIME, VectorJudge, VectorVerifier

AT = datetime(2026, 3, 2, 8, 14, 25, tzinfo=UTC)
ERIKA, MAX = parse_address("erika.mustermann@dmda-b.example"), parse_address("max.mustermann@dmda-a.example")
ONWARD = Onward(by=ERIKA, to=MAX)
SEALED = ["hash-sha256", "rsa-sha256", "folded", "bcc-copy", "name-case", "umlaut-subject", "b-dispatch", "trace-added"]


def vector(name: str) -> bytes:
    return (VECTORS / "messages" / f"{name}.eml").read_bytes()


def forward(octets: bytes, onward: Onward = ONWARD) -> bytes:
    return forwarded(read_message(octets), onward, at=AT, message_id="<r-1@dmda-b.example>")


def verdict(octets: bytes) -> tuple[str, str | None, str | None]:
    judge = VectorJudge(CertificateStatus.GOOD)
    result = check_integrity(octets, verifier=VectorVerifier(), judge=judge, at=VERIFICATION_TIME)
    return result.code, result.body_hash, result.header_hash


@pytest.mark.clause(
    "TR 01201-3.1 step 72", "TR 01201-3.4 §3.2 resent", "TR 01201-3.4 §3.2 recipient", "TR 01201-3.4 §3.2 unchanged"
)
def test_forwarding_makes_the_vector_octet_by_octet() -> None:
    expected = vector("weiterleitung")
    original = expected.partition(b"Resent-Message-ID: <r-1@dmda-b.example>\r\n")[2].replace(
        b"actual-recipient: to=max.mustermann@dmda-a.example", b"actual-recipient: to=erika.mustermann@dmda-b.example"
    )
    assert forward(original) == expected
    assert check_message(forward(original)) == ()


@pytest.mark.clause("TR 01201-3.1 step 50", "TR 01201-3.4 §3.3 recipient", "TR 01201-3.4 §3.3 unchanged")
def test_re_sending_makes_the_vector_octet_by_octet() -> None:
    expected = vector("nachsendung")
    target = read_metadata(read_message(expected).header).actual_recipients.addresses[0]
    chosen = read_message(expected).header.value("x-de-mail-chosen-recipient")
    original = expected.replace(f"actual-recipient: to={target}".encode(), f"actual-recipient: {chosen}".encode())
    assert original != expected
    assert resent_on(read_message(original), target) == expected


@pytest.mark.clause("TR 01201-3.4 §3.2 unchanged", "TR 01201-3.4 §3.3 unchanged")
@pytest.mark.parametrize("name", SEALED)
def test_what_is_sent_on_keeps_every_other_octet_and_its_integrity(name: str) -> None:
    octets = vector(name)
    before = read_message(octets)
    for sent_on, state in (
        (forward(octets), TransportState.WEITERLEITUNG),
        (resent_on(before, MAX), TransportState.NACHSENDUNG),
    ):
        after = read_message(sent_on)
        assert verdict(sent_on) == verdict(octets)
        assert bytes(after.body) == bytes(before.body)
        rewritten = {row.header for row in MATRIX if row.in_transit is not InTransit.KEPT}
        assert [item for item in after.header.fields if item.lower not in rewritten] == [
            item for item in before.header.fields if item.lower not in rewritten
        ]
        metadata = read_metadata(after.header)
        assert metadata.transport is state
        assert [str(address) for address in metadata.actual_recipients.addresses] == [str(MAX)]


@given(
    st.lists(st.sampled_from([b"A: b\r\n", b"x-de-mail-actual-recipient: x\r\n", b"Envelope-To: y\r\n"]), min_size=1)
)
def test_sent_on_there_is_one_actual_recipient_and_nothing_else_is_lost(fields: list[bytes]) -> None:
    message = read_message(b"".join(fields) + b"\r\nbody")
    others = [item for item in message.header.fields if item.lower != "x-de-mail-actual-recipient"]
    again = read_message(resent_on(message, MAX))
    assert [item for item in again.header.fields if item.lower != "x-de-mail-actual-recipient"] == others
    assert [item.value for item in again.header.all("x-de-mail-actual-recipient")] == [f"to={MAX}"]
    assert bytes(again.body) == b"body"


def test_a_message_without_body_stays_one() -> None:
    message = read_message(b"A: b\r\nC: d")
    assert resent_on(message, MAX) == f"x-de-mail-actual-recipient: to={MAX}\r\nA: b\r\nC: d".encode()


def test_a_second_forwarding_puts_its_block_on_top() -> None:
    third = parse_address("lisa@dmda-c.example")
    twice = read_message(forward(forward(vector("hash-sha256")), Onward(by=MAX, to=third))).header
    assert [item.value for item in twice.all("resent-from")] == [str(MAX), str(ERIKA)]
    assert twice.value("x-de-mail-actual-recipient") == f"to={third}"


def test_an_id_that_is_none_cannot_begin_a_line() -> None:
    with pytest.raises(ComposeFailed):
        forwarded(read_message(vector("folded")), ONWARD, at=AT, message_id="<a>\r\nBcc: x")


def header(*lines: str) -> Octets:
    return read_message("".join(f"{line}\r\n" for line in (*lines, "")).encode())


@pytest.mark.clause("TR 01201-3.1 step 72 FC-01", "TR 01201-3.1 step 50 FC-01")
@pytest.mark.parametrize(
    ("lines", "by", "to", "expected"),
    [
        ([f"x-de-mail-chosen-recipient: to={ERIKA}"], ERIKA, MAX, None),
        ([], ERIKA, ERIKA, Circle.OWN_ADDRESS),
        (["Resent-From: Max <MAX.Mustermann@dmda-a.example>"], ERIKA, MAX, Circle.RETURNS),
        (["Resent-From: lisa@c.example", f"Resent-From: {MAX}"], ERIKA, MAX, Circle.RETURNS),
        (["Resent-From: lisa@c.example", f"Resent-From: {ERIKA}"], ERIKA, MAX, Circle.RETURNS),
        (["Resent-From: lisa@c.example"], ERIKA, MAX, None),
        ([f"x-de-mail-chosen-recipient: to={MAX}", f"x-de-mail-actual-recipient: to={ERIKA}"], ERIKA, MAX,
         Circle.RETURNS),
        ([f"x-de-mail-chosen-recipient: to={MAX}, {ERIKA}"], ERIKA, MAX, None),
        (["Received: by a"] * (MAX_HOPS - 1), ERIKA, MAX, None),
        (["Received: by a"] * MAX_HOPS, ERIKA, MAX, Circle.TOO_MANY_HOPS),
        (["Resent-From: unreadable"], ERIKA, MAX, None),
    ],
)  # fmt: skip
def test_circles_are_found(lines: list[str], by: object, to: object, expected: Circle | None) -> None:
    found = circle(header("A: b", *lines).header, Onward(by=parse_address(str(by)), to=parse_address(str(to))))
    assert found is expected


def test_forwarding_between_two_ends_when_it_comes_back() -> None:
    octets, onward, back = vector("hash-sha256"), ONWARD, Onward(by=MAX, to=ERIKA)
    assert circle(read_message(octets).header, onward) is None
    assert circle(read_message(forward(octets)).header, back) is Circle.RETURNS


def test_every_circle_of_forwarding_ends() -> None:
    boxes = [parse_address(f"m{number}@a.example") for number in range(7)]
    octets = f"x-de-mail-chosen-recipient: to={boxes[0]}\r\n\r\n".encode()
    for hop in range(20):
        onward = Onward(by=boxes[hop % 7], to=boxes[(hop + 1) % 7])
        if circle(read_message(octets).header, onward):
            break
        octets = forward(octets, onward)
    assert hop == 6


@pytest.mark.parametrize(
    ("options", "excluded", "expected"),
    [
        ([], True, Forwarded.COPY),
        (["private"], False, Forwarded.COPY),
        (["private"], True, Forwarded.NOTICE),
        (["confirmation-of-retrieve"], False, Forwarded.NOTICE),
        (["confirmation-of-retrieve", "private"], False, Forwarded.NOTICE),
        (["confirmation-of-receipt", "confirmation-of-dispatch", "authoritative"], True, Forwarded.COPY),
    ],
)
def test_options_decide_whether_a_copy_goes_on(options: list[str], excluded: bool, expected: Forwarded) -> None:
    metadata = read_metadata(header("A: b", *(f"x-de-mail-{name}: yes" for name in options)).header)
    assert what_is_forwarded(metadata, private_excluded=excluded) is expected


@pytest.mark.clause("TR 01201-3.1 step 36", "TR 01201-3.1 step 67")
def test_a_forwarded_copy_is_confirmed_by_nobody_and_a_re_sent_message_where_it_ends() -> None:
    kinds = {
        state: sorted(ISSUED[read_metadata(read_message(octets).header).transport])
        for state, octets in (
            ("original", vector("hash-sha256")),
            ("forwarded", forward(vector("hash-sha256"))),
            ("re-sent", resent_on(read_message(vector("hash-sha256")), MAX)),
        )
    }
    every = [ConfirmationKind.DISPATCH, ConfirmationKind.RECEIPT, ConfirmationKind.RETRIEVE]
    assert kinds == {"original": every, "forwarded": [], "re-sent": every[1:]}


@pytest.mark.clause("SND-80")
def test_whoever_forwarded_last_learns_that_the_copy_was_not_delivered() -> None:
    octets = forward(vector("folded"))
    assert notification_addressee(read_message(octets).header) == ERIKA
    third = parse_address("lisa@dmda-c.example")
    assert notification_addressee(read_message(forward(octets, Onward(by=MAX, to=third))).header) == MAX
    re_sent = read_message(resent_on(read_message(vector("folded")), MAX)).header
    assert notification_addressee(re_sent) == read_metadata(re_sent).reply_to


@pytest.mark.clause("TR 01201-3.4 §3.1.22")
def test_envelope_to_is_one_however_many_there_were() -> None:
    message = read_message(b"envelope-to: a@b.example\r\nA: b\r\nENVELOPE-TO: c@d.example\r\n\r\nx")
    stored = with_envelope_to(message, MAX)
    assert stored == f"Envelope-to: {MAX}\r\nA: b\r\n\r\nx".encode()
    assert verdict(with_envelope_to(read_message(vector("rsa-sha256")), MAX)) == verdict(vector("rsa-sha256"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        ([f"To: {ERIKA}", f"x-de-mail-chosen-recipient: to={ERIKA}"], []),
        ([f"x-de-mail-actual-recipient: to={ERIKA}; cc={MAX}", f"To: {MAX}"], [str(ERIKA), str(MAX)]),
        ([f"Envelope-to: {MAX}", f"Envelope-to: {ERIKA}", f"x-de-mail-actual-recipient: to={ERIKA}"], [str(MAX)]),
        (["Envelope-to: unreadable", f"x-de-mail-actual-recipient: to={ERIKA}"], [str(ERIKA)]),
    ],
)
def test_without_a_session_the_topmost_envelope_to_tells_the_mailbox(lines: list[str], expected: list[str]) -> None:
    found = addressed_mailboxes(read_header("".join(f"{line}\r\n" for line in ("A: b", *lines)).encode()))
    assert [str(address) for address in found] == expected
