"""Metadata read from a header section: MF-1, MF-8, MF-12, MF-14, MF-22, MF-23."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from demail_gateway.core.checker import check_message
from demail_gateway.core.header import read_header, read_message
from demail_gateway.core.integrity import check_integrity
from demail_gateway.core.matrix import MATRIX
from demail_gateway.core.metadata import Metadata, TransportState, read_metadata
from demail_gateway.core.vocabulary import AuthLevel, MessageClass, MessageType, NotificationType
from tests.core.vector_trust import VECTORS, VERIFICATION_TIME, VectorJudge, VectorVerifier


def metadata(*lines: str) -> Metadata:
    return read_metadata(read_header("".join(f"{line}\r\n" for line in ("X: y", *lines)).encode("utf-8")))


@pytest.mark.clause(
    "TR 01201-3.4 §2.1.1",
    "TR 01201-3.4 §3.1 case",
    "TR 01201-3.4 §3.1.7",
    "TR 01201-3.4 §3.1.10",
    "TR 01201-3.4 §3.1.11",
    "TR 01201-3.4 §3.1.18",
    "TR 01201-3.4 §3.1.19",
)
def test_all_metadata_of_a_normal_message_are_read() -> None:
    found = metadata(
        "From: =?utf-8?q?B=C3=BCrgeramt?= <poststelle@stadt.example>",
        "Reply-To: Fach <antwort@stadt.example>",
        "Date: Mon, 02 Mar 2026 09:14:05 +0100",
        "Message-ID: <1@g.example>",
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
        "x-de-mail-confirmation-of-dispatch: yes",
        "x-de-mail-confirmation-of-retrieve: yes",
        "x-de-mail-private: yes",
        "X-De-Mail-Sender: Poststelle@Stadt.example",
        "x-de-mail-chosen-recipient: to=a@b.example;",
        " cc=c@b.example",
        "x-de-mail-actual-recipient: cc=c@b.example; to=a@b.example",
        "x-de-mail-auth-level: HIGH",
        "x-de-mail-auth-mechanism: token",
        "x-de-mail-originator-provider: mail.a.example",
        "x-de-mail-message-type: normal",
        "x-de-mail-version: 1.8",
        "x-de-mail-private-id: =?utf-8?q?=C3=BC?=",
        "x-de-mail-message-id: id-1",
        "x-de-mail-account-holder: Stadt =?utf-8?q?K=C3=B6ln?=",
        "x-de-mail-integrity: v=1; a=sha256;",
        " b=x",
    )
    assert str(found.sender) == "poststelle@stadt.example"
    assert found.from_mailbox is not None
    assert found.from_mailbox.display == "Bürgeramt"
    assert str(found.reply_to) == "antwort@stadt.example"
    assert found.subject == "Grüße"
    assert found.private_id == "=?utf-8?q?=C3=BC?="
    assert found.account_holder == "Stadt Köln"
    assert [str(address) for address in found.chosen_recipients.addresses] == ["a@b.example", "c@b.example"]
    options = (
        found.confirmation_of_dispatch, found.confirmation_of_receipt, found.confirmation_of_retrieve,
        found.authoritative, found.private,
    )  # fmt: skip
    assert options == (True, False, True, False, True)
    assert found.auth_level is AuthLevel.HIGH
    assert found.date == datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC)
    assert (found.message_id, found.internet_message_id) == ("id-1", "<1@g.example>")
    assert found.message_type is MessageType.NORMAL
    assert found.integrity == "v=1; a=sha256; b=x"
    assert (found.version, found.auth_mechanism, found.originator_provider) == ("1.8", "token", "mail.a.example")
    assert found.transport is TransportState.ORIGINAL


@pytest.mark.clause(
    "TR 01201-3.4 §3.1.2",
    "TR 01201-3.4 §3.1.3",
    "TR 01201-3.4 §3.1.4",
    "TR 01201-3.4 §3.1.5",
    "TR 01201-3.4 §3.1.6",
)
def test_nothing_is_invented_for_an_empty_section() -> None:
    found = metadata()
    assert (found.sender, found.reply_to, found.subject, found.date, found.message_type) == (None,) * 5
    assert found.chosen_recipients.is_empty
    assert found.message_class is MessageClass.N
    assert not any((found.private, found.authoritative, found.confirmation_of_dispatch))
    assert found.notification_type is None
    assert found.transport is TransportState.ORIGINAL


@pytest.mark.clause("TR 01201-3.4 §3.1.5", "TR 01201-3.4 §3.1.6")
@pytest.mark.parametrize("value", ["Yes", "ja", "true", "", "YES"])
def test_misspelt_option_counts_as_private_but_as_nothing_else(value: str) -> None:
    found = metadata(f"x-de-mail-private: {value}", f"x-de-mail-authoritative: {value}")
    assert found.private
    assert not found.authoritative


@pytest.mark.clause("TR 01201-3.4 §3.1.12")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("confirmation  of\tdispatch", MessageType.CONFIRMATION_OF_DISPATCH),
        ("Confirmation of Receipt", MessageType.CONFIRMATION_OF_RECEIPT),
        ("confirmation", None),
    ],
)
def test_message_type_is_compared_after_collapsing_blanks(value: str, expected: MessageType | None) -> None:
    assert metadata(f"x-de-mail-message-type: {value}").message_type is expected


@pytest.mark.clause("TR 01201-3.1 step 41", "TR 01201-3.4 §3.1.20")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("unknown-recipient", NotificationType.UNKNOWN_RECIPIENT),
        ("Unknown-Recipient", NotificationType.OTHER),
        ("whatever", NotificationType.OTHER),
        (None, NotificationType.OTHER),
    ],
)
def test_unknown_notification_type_counts_as_other(value: str | None, expected: NotificationType) -> None:
    lines = [] if value is None else [f"x-de-mail-notification-type: {value}"]
    assert metadata("x-de-mail-message-type: notification", *lines).notification_type is expected


@pytest.mark.clause("TR 01201-3.4 §3.1.20")
def test_notification_type_means_nothing_outside_class_m() -> None:
    assert metadata("x-de-mail-message-type: normal", "x-de-mail-notification-type: other").notification_type is None


@pytest.mark.clause("TR 01201-3.4 §3.1.1 duplicates")
def test_topmost_instance_is_read() -> None:
    assert metadata("Subject: oben", "Subject: unten").subject == "oben"


@pytest.mark.clause("TR 01201-3.1 steps 36, 67", "TR 01201-3.4 §3.1.15")
@pytest.mark.parametrize(
    ("lines", "state"),
    [
        (["Resent-To: a@b.example"], TransportState.WEITERLEITUNG),
        (["x-de-mail-actual-recipient: to=neu@b.example"], TransportState.NACHSENDUNG),
        (["x-de-mail-actual-recipient: to=A@B.example"], TransportState.ORIGINAL),
        (["x-de-mail-actual-recipient: cc=a@b.example"], TransportState.NACHSENDUNG),
        (["x-de-mail-actual-recipient: neu@b.example"], TransportState.ORIGINAL),
        ([], TransportState.ORIGINAL),
    ],
)
def test_transport_state_is_told_by_resent_fields_and_recipients(lines: list[str], state: TransportState) -> None:
    assert metadata("x-de-mail-chosen-recipient: to=a@b.example", *lines).transport is state


def test_the_misspelt_private_id_of_a_known_program_is_an_unknown_field() -> None:
    """MF-15."""
    octets = vector("hash-sha256").replace(b"MIME-Version", b"X-de-mail-privat-id: AZ 1\r\nMIME-Version")
    assert read_metadata(read_message(octets).header).private_id is None
    assert check_message(octets) == ()


def test_several_from_mailboxes_are_none() -> None:
    assert metadata("From: a@b.example, c@b.example").from_mailbox is None


def test_unreadable_sender_and_level_are_none() -> None:
    found = metadata("x-de-mail-sender: <a@b.example>", "x-de-mail-auth-level: hoch")
    assert (found.sender, found.auth_level) == (None, None)


def vector(name: str) -> bytes:
    return (VECTORS / "messages" / f"{name}.eml").read_bytes()


FIELDS_OF_VECTORS = [
    (name, row.header)
    for name in ("rsa-sha256", "folded", "m-unknown-recipient", "b-retrieve")
    for row in MATRIX
    if read_message(vector(name)).header.first(row.header)
]


@pytest.mark.clause("TR 01201-3.4 §3.1.1 duplicates", "TR 01201-3.4 §3.1 case")
@pytest.mark.parametrize(("file", "name"), FIELDS_OF_VECTORS)
def test_a_second_field_below_changes_nothing_but_is_told(file: str, name: str) -> None:
    octets = vector(file)
    header = read_message(octets).header
    doubled = read_message(octets.replace(b"\r\n\r\n", f"\r\n{name.upper()}: yes\r\n\r\n".encode(), 1))
    assert read_metadata(doubled.header) == read_metadata(header)
    told = {(item.code, item.header) for item in check_message(doubled)} - {
        (item.code, item.header) for item in check_message(octets)
    }
    assert told == {("duplicate-header", name)}
    results = [
        check_integrity(each, verifier=VectorVerifier(), judge=VectorJudge(), at=VERIFICATION_TIME)
        for each in (octets, doubled.data)
    ]
    assert results[0].code == results[1].code == "ok"
