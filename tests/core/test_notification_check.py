"""Notifications as made and as understood (`confirmations.md` §9, `sending-and-receiving.md` §5.3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from time import perf_counter
from typing import Any

import pybase64
import pytest

from demail_gateway.core.address import TrustedDomains, parse_address
from demail_gateway.core.checker import check_message
from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation_report import Standing, Verdict
from demail_gateway.core.correlation import Correlation
from demail_gateway.core.delivery import Effect
from demail_gateway.core.errors import ComposeFailed, MalformedMessage
from demail_gateway.core.findings import Severity
from demail_gateway.core.header import read_message
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.notification import (
    INTEGRITY_FAILED,
    build_malware_notification,
    build_notification,
    notification_addressee,
)
from demail_gateway.core.notification_check import is_notification, read_notification_message
from demail_gateway.core.notification_patterns import PATTERNS, meaning, only_named, pattern
from demail_gateway.core.vocabulary import MessageType, NotificationType, UndeliverableReason
from tests.core.proofs import (
    AT,
    ERIKA,
    ORIGINAL,
    ORIGINAL_OCTETS,
    PROVIDER_B,
    RECEIVED_AT,
    REVOKED,
    SENDER,
    SENT,
    STAMP,
    STATUS_UNKNOWN,
    notice,
    notification_report,
    pdf,
    sealed,
)
from tests.core.vector_trust import VECTORS

UNKNOWN = notice(NotificationType.UNKNOWN_RECIPIENT, "Der Empfänger ist nicht bekannt.")
NEEDS_HIGH = "Der Empfänger kann sich nicht mit dem Authentisierungsniveau „hoch“ anmelden."
HASH_DIFFERS = "Der Hashwert der Nachricht stimmt nicht mit dem Hashwert in ihren Metadaten überein."
MALWARE = build_malware_notification(ORIGINAL, issuer=PROVIDER_B, stamp=STAMP, recipient=ERIKA, pdf=pdf)
NONE = Correlation(None, finding="correlation-none")


# --- as made ---------------------------------------------------------------------------------------------------------


@pytest.mark.clause("TR 01201-3.4 §3.4.1 parts", "TR 01201-3.4 §3.1.1 table 1")
@pytest.mark.parametrize("message", [UNKNOWN, MALWARE])
@pytest.mark.parametrize("signed", [True, False])
def test_a_made_notification_breaks_no_rule_of_the_matrix(message: bytes, signed: bool) -> None:
    findings = check_message(read_message(sealed(message) if signed else sealed(message, None)))
    assert [f for f in findings if f.severity is Severity.ERROR] == []


@pytest.mark.clause(
    "TR 01201-3.1 step 45",
    "TR 01201-3.4 §3.1.17 copied",
    "TR 01201-3.4 §3.5.2 type",
    "TR 01201-3.4 §3.5.2 sender",
)
def test_a_notification_goes_to_the_sender_with_the_private_id_and_its_type() -> None:
    header = read_message(UNKNOWN).header
    metadata = read_metadata(header)
    assert [m.address for m in metadata.chosen_recipients.to] == [SENDER]
    assert header.value("x-de-mail-sender") == "Meldung@dmda-b.example"
    assert header.value("x-de-mail-notification-type") == "unknown-recipient"
    assert metadata.private_id == SENT.private_id


@pytest.mark.clause("TR 01201-3.1 step 56", "TR 01201-3.4 §3.5.2 type", "TR 01201-3.4 §3.5.2 sender")
def test_a_malware_notification_goes_to_sender_and_recipient_and_has_type_other() -> None:
    """TR 01201-3.1 step 56, MF-12."""
    header = read_message(MALWARE).header
    metadata = read_metadata(header)
    assert [m.address for m in metadata.chosen_recipients.to] == [SENDER, ERIKA]
    assert metadata.message_type is MessageType.MALWARE_NOTIFICATION
    assert header.value("x-de-mail-notification-type") == "other"
    assert header.value("x-de-mail-sender") == "Schadsoftware-Warnung@dmda-b.example"


@pytest.mark.clause("TR 01201-3.1 step 45")
def test_a_notification_about_a_forwarded_message_goes_to_the_forwarder() -> None:
    """SND-80, step 45."""
    forwarded = read_message((VECTORS / "messages" / "weiterleitung.eml").read_bytes())
    assert notification_addressee(forwarded.header) == ERIKA


def test_a_message_without_readable_sender_has_nobody_to_notify() -> None:
    anonymous = read_message(ORIGINAL_OCTETS.replace(b"x-de-mail-sender:", b"x-no-sender:"))
    with pytest.raises(ComposeFailed):
        build_notification(
            NotificationType.OTHER, anonymous, issuer=PROVIDER_B, stamp=STAMP, recipient=None, text="x", pdf=pdf
        )


@pytest.mark.clause("TR 01201-3.1 step 45")
def test_no_notification_is_made_about_a_message_of_a_system_address() -> None:
    """Two providers would notify each other for ever."""
    proof = read_message((VECTORS / "messages" / "b-receipt.eml").read_bytes())
    with pytest.raises(ComposeFailed, match="system address"):
        build_notification(
            NotificationType.OTHER, proof, issuer=PROVIDER_B, stamp=STAMP, recipient=None, text="x", pdf=pdf
        )
    with pytest.raises(ComposeFailed, match="system address"):
        build_malware_notification(proof, issuer=PROVIDER_B, stamp=STAMP, recipient=ERIKA, pdf=pdf)


def test_a_notification_says_something() -> None:
    with pytest.raises(ComposeFailed, match="without text"):
        notice(NotificationType.OTHER, " \n")


# --- as understood ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (NotificationType.UNKNOWN_RECIPIENT, UndeliverableReason.UNKNOWN_RECIPIENT),
        (NotificationType.CLOSED_ACCOUNT, UndeliverableReason.CLOSED_ACCOUNT),
        (NotificationType.INVALID_FORMAT, UndeliverableReason.INVALID_FORMAT),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_a_typed_notification_makes_its_recipient_undeliverable(
    kind: NotificationType, reason: UndeliverableReason, signed: bool
) -> None:
    message = notice(kind, "Grund.")
    found = notification_report(sealed(message) if signed else sealed(message, None))
    assert (found.verdict, found.outcome) == (Verdict.CONFIRMED, Outcome.PASSED)
    assert (found.type, found.effect, found.reason) == (kind, Effect.UNDELIVERABLE, reason)
    assert (found.recipient, found.issued_at, found.private_id) == (ERIKA, AT, SENT.private_id)
    assert found.issuer == "Meldung@dmda-b.example"
    assert "Grund." in found.text


def test_the_shared_notification_is_understood() -> None:
    found = notification_report((VECTORS / "messages" / "m-unknown-recipient.eml").read_bytes())
    assert (found.verdict, found.effect, found.recipient) == (Verdict.CONFIRMED, Effect.UNDELIVERABLE, ERIKA)
    assert found.subject == "Nachricht nicht zustellbar"


def test_an_invalid_format_of_the_draft_rejects_it() -> None:
    """CO-20."""
    message = sealed(notice(NotificationType.INVALID_FORMAT, "Der Nachrichtenentwurf hat ein ungültiges Format."))
    assert notification_report(message).effect is Effect.REJECTED


@pytest.mark.parametrize(
    ("text", "effect", "reason"),
    [
        (NEEDS_HIGH, Effect.UNDELIVERABLE, UndeliverableReason.NEEDS_HIGH_LOGIN),
        ("Das Anmeldeniveau „hoch“ steht dem Empfänger nicht zur Verfügung.", Effect.UNDELIVERABLE,
         UndeliverableReason.NEEDS_HIGH_LOGIN),
        ("Der Empfänger ist nicht in der Lage, sich mit hohem Niveau Hoch anzumelden.", Effect.UNDELIVERABLE,
         UndeliverableReason.NEEDS_HIGH_LOGIN),
        ("Der Empfänger kann sich nicht sicher anmelden.", Effect.UNDELIVERABLE, UndeliverableReason.NEEDS_HIGH_LOGIN),
        ("The recipient cannot log in at level high.", Effect.UNDELIVERABLE, UndeliverableReason.NEEDS_HIGH_LOGIN),
        (HASH_DIFFERS, Effect.INTEGRITY_FAILED, None),
        ("Die Prüfsumme weicht ab: Prüfsumme abweichend.", Effect.INTEGRITY_FAILED, None),
        ("Es wurde Schadsoftware gefunden.", Effect.INFECTED, None),
        ("Ihr Speicherplatz wird knapp.", Effect.UNCLEAR, None),
        ("?", Effect.UNCLEAR, None),
    ],
)  # fmt: skip
def test_the_text_of_an_other_decides_or_a_person_must_read_it(
    text: str, effect: Effect, reason: UndeliverableReason | None
) -> None:
    found = notification_report(sealed(notice(NotificationType.OTHER, text)))
    assert (found.effect, found.reason) == (effect, reason)


def test_a_hash_mismatch_is_believed_from_a_signed_notification_alone() -> None:
    """TR 01201-3.1 step 69."""
    message = notice(NotificationType.OTHER, HASH_DIFFERS, subject=INTEGRITY_FAILED, also_to=(ERIKA,))
    assert notification_report(sealed(message)).effect is Effect.INTEGRITY_FAILED
    assert notification_report(sealed(message, None)).effect is Effect.UNCLEAR


def test_a_malware_notification_infects() -> None:
    found = notification_report(sealed(MALWARE, None))
    assert (found.effect, found.message_type) == (Effect.INFECTED, MessageType.MALWARE_NOTIFICATION)
    from_meldung = MALWARE.replace(b"Schadsoftware-Warnung@", b"Meldung@")
    assert notification_report(sealed(from_meldung, None)).verdict is Verdict.CONFIRMED


def test_a_notification_about_no_message_of_ours_means_nothing() -> None:
    found = notification_report(sealed(UNKNOWN, None), correlation=NONE, sent=None)
    assert (found.verdict, found.outcome) == (Verdict.UNASSIGNED, Outcome.INDETERMINATE)
    assert (found.effect, found.recipient) == (None, None)


def test_a_notification_that_stands_alone_is_judged_by_itself() -> None:
    found = notification_report(sealed(UNKNOWN, None), correlation=None, sent=None)
    assert (found.verdict, found.effect) == (Verdict.CONFIRMED, Effect.UNDELIVERABLE)


def test_a_report_says_what_the_notification_was_held_against() -> None:
    for standing, expected, changes in (
        (Standing.ALONE, "standing-alone", {"correlation": None, "sent": None}),
        (Standing.UNASSIGNED, "correlation-none; no-sent-message", {"correlation": NONE, "sent": None}),
        (Standing.WITH_SENT, "with-sent-message", {}),
    ):
        found = notification_report(sealed(UNKNOWN, None), **changes)
        assert (found.standing, found.checks[-1].detail) == (standing, expected)
        assert standing not in found.findings


def test_a_provider_s_own_patterns_go_first() -> None:
    own = pattern(r"fehler 4711", Effect.UNDELIVERABLE, UndeliverableReason.CLOSED_ACCOUNT)
    message = sealed(notice(NotificationType.OTHER, "Fehler 4711: Schadsoftware"))
    found = notification_report(message, patterns=(own, *PATTERNS))
    assert found.reason is UndeliverableReason.CLOSED_ACCOUNT


# --- what does not count ---------------------------------------------------------------------------------------------


@pytest.mark.clause("TR 01201-3.1 steps 41, 61", "TR 01201-3.1 step 41 FC-02", "TR 01201-3.1 step 86 FC-02")
@pytest.mark.parametrize(
    ("message", "changes", "verdict", "finding"),
    [
        (sealed(UNKNOWN, None).replace(b"unknown-recipient", b"closed-account", 1) + b"x", {}, Verdict.REJECTED,
         "body-hash-mismatch"),
        (sealed(UNKNOWN.replace(b"x-de-mail-sender: Meldung@", b"x-de-mail-sender: amt@"), None), {},
         Verdict.REJECTED, "system-sender"),
        (sealed(UNKNOWN, None), {"trusted": TrustedDomains(frozenset({"dmda-a.example"}))}, Verdict.REJECTED,
         "system-sender"),
        (sealed(UNKNOWN.replace(b"x-de-mail-originator-provider", b"x-other"), None), {}, Verdict.REJECTED,
         "unreadable:x-de-mail-originator-provider"),
        (sealed(UNKNOWN.replace(b"Subject: ", b"X-Subject: "), None), {}, Verdict.REJECTED, "unreadable:subject"),
        (sealed(UNKNOWN), {"judge": REVOKED}, Verdict.REJECTED, "certificate-revoked"),
        (sealed(UNKNOWN), {"judge": STATUS_UNKNOWN}, Verdict.INDETERMINATE, "certificate-status-unknown"),
    ],
)  # fmt: skip
def test_hash_system_address_and_six_fields_decide(
    message: bytes, changes: dict[str, Any], verdict: Verdict, finding: str
) -> None:
    """SND-42, SND-94."""
    found = notification_report(message, **changes)
    assert found.verdict is verdict
    assert finding in found.findings
    assert not found.verdict.moves


@pytest.mark.clause("TR 01201-3.1 step 41 FC-02", "TR 01201-3.1 step 86 FC-02")
@pytest.mark.parametrize(
    "malformed",
    [
        UNKNOWN.replace(b"x-de-mail-notification-type: unknown-recipient", b"x-de-mail-notification-type: weg"),
        UNKNOWN.replace(b"x-de-mail-version: 1.8", b"x-de-mail-version: neu"),
        UNKNOWN.replace(b"application/xml", b"application/foo").replace(b".xml", b".foo"),
        UNKNOWN.replace(b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed", b"Content-Type: text/plain"),
    ],
)
def test_a_malformed_notification_still_counts(malformed: bytes) -> None:
    """SND-94, step 41."""
    found = notification_report(sealed(malformed, None))
    assert found.verdict.moves
    assert found.findings
    assert found.effect is not None


def test_without_xml_the_text_for_people_is_read() -> None:
    message = notice(NotificationType.OTHER, NEEDS_HIGH)
    bare = message.replace(b"application/xml", b"application/foo").replace(b".xml", b".foo")
    found = notification_report(sealed(bare, None))
    assert found.reason is UndeliverableReason.NEEDS_HIGH_LOGIN
    assert found.recipient == ERIKA
    assert found.issued_at == AT


def test_xml_with_missing_elements_is_a_remark() -> None:
    half = b'<Notification-Message xmlns="urn:de-mail"><Text>x</Text></Notification-Message>'
    start = UNKNOWN.index(b'filename="meldung.xml"\r\n\r\n') + len(b'filename="meldung.xml"\r\n\r\n')
    end = UNKNOWN.index(b"--", start)
    message = UNKNOWN[:start] + pybase64.b64encode(half) + b"\r\n" + UNKNOWN[end:]
    found = notification_report(sealed(message, None))
    assert "xml-schema" in found.findings
    assert found.verdict is Verdict.CONFIRMED_WITH_REMARKS


@pytest.mark.clause("TR 01201-3.1 step 60")
def test_only_class_m_is_a_notification() -> None:
    assert is_notification(read_message(UNKNOWN).header)
    assert not is_notification(ORIGINAL.header)
    with pytest.raises(MalformedMessage, match="message-type"):
        read_notification_message(ORIGINAL)


# --- who is meant ----------------------------------------------------------------------------------------------------

MAX = parse_address("max@dmda-b.example")
LONGER = parse_address("der.max@dmda-b.example")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("An max@dmda-b.example nicht zustellbar.", MAX),
        ("Nicht zustellbar: MAX@dmda-b.example.", MAX),
        ("<max@dmda-b.example>", MAX),
        ("der.max@dmda-b.example", LONGER),
        ("max@dmda-b.example.org", None),
        ("max@dmda-b.example-x", None),
        ("max@dmda-b.example, der.max@dmda-b.example", None),
        ("niemand", None),
    ],
)
def test_the_recipient_is_taken_from_the_text_only_if_exactly_one_is_named(text: str, named: Any) -> None:
    """CO-20."""
    assert only_named(text, (MAX, LONGER)) == named


def test_of_several_recipients_none_is_guessed() -> None:
    two = replace(SENT, served=(ERIKA, MAX))
    assert (
        notification_report(sealed(notice(NotificationType.CLOSED_ACCOUNT, "x", recipient=None)), sent=two).recipient
        is None
    )


@pytest.mark.parametrize(
    "piece", ["nicht ", "hash ", "niveau ", "keine sicher an", "entwurf", "a@b.", "cannot log in "]
)
def test_a_hostile_text_costs_linear_time(piece: str) -> None:
    text = piece * (2_000_000 // len(piece))
    begin = perf_counter()
    meaning(text)
    only_named(text, (MAX,))
    assert perf_counter() - begin < 2


def test_the_times_of_a_notification_are_its_own() -> None:
    later = replace(STAMP, at=AT + timedelta(seconds=5))
    message = sealed(notice(NotificationType.OTHER, "x", stamp=later), None)
    assert notification_report(message, at=RECEIVED_AT).issued_at == later.at
