"""Confirmations as a provider makes them (`confirmations.md` §1 to §5)."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest

from demail_gateway.core.address import parse_address
from demail_gateway.core.checker import check_message
from demail_gateway.core.confirmation import confirmation_addressee
from demail_gateway.core.confirmation_xml import read_acknowledgement
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.findings import Severity
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.vocabulary import ConfirmationKind, MessageType
from tests.core.proofs import AT, ERIKA, ORIGINAL, ORIGINAL_OCTETS, SENDER, SENT, SIGNATURES, sealed, unsealed
from tests.core.vector_trust import VECTORS

KINDS = list(ConfirmationKind)


def changed(old: bytes, new: bytes) -> Octets:
    assert old in ORIGINAL_OCTETS
    return read_message(ORIGINAL_OCTETS.replace(old, new))


def parts(message: bytes) -> dict[str, Any]:
    """Content by type, read by the standard library."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert parsed.get_content_type() == "multipart/mixed"
    return {part.get_content_type(): part.get_content() for part in parsed.iter_parts()}


@pytest.mark.clause("TR 01201-3.4 §3.1.1 table 1")
@pytest.mark.parametrize("kind", KINDS)
def test_a_made_confirmation_breaks_no_rule_of_the_matrix(kind: ConfirmationKind) -> None:
    findings = check_message(read_message(sealed(unsealed(kind))))
    assert [f for f in findings if f.severity is Severity.ERROR] == []


@pytest.mark.clause(
    "TR 01201-3.1 steps 38, 56, 69",
    "TR 01201-3.1 function 1",
    "TR 01201-3.4 §3.5.1 type",
    "TR 01201-3.4 §3.5.1 sender",
    "TR 01201-3.4 §3.5.1 subject",
    "TR 01201-3.4 §3.1.17 copied",
    "TR 01201-3.4 §3.1.15",
)
@pytest.mark.parametrize(
    ("kind", "sender", "subject", "cc", "private"),
    [
        (ConfirmationKind.DISPATCH, "versandbestaetigung@dmda-a.example", "*Versandbestätigung*", (), "no"),
        (ConfirmationKind.RECEIPT, "eingangsbestaetigung@dmda-b.example", "*Eingangsbestätigung*", (ERIKA,), "no"),
        (ConfirmationKind.RETRIEVE, "abholbestaetigung@dmda-b.example", "*Abholbestätigung*", (ERIKA,), "yes"),
        (
            ConfirmationKind.MALWARE,
            "schadsoftware-warnung@dmda-b.example",
            "*Schadsoftware-Bestätigung*",
            (ERIKA,),
            None,
        ),
    ],
)
def test_the_header_section_is_that_of_the_table(
    kind: ConfirmationKind, sender: str, subject: str, cc: tuple[Any, ...], private: str | None
) -> None:
    header = read_message(unsealed(kind)).header
    metadata = read_metadata(header)
    assert str(metadata.sender) == sender
    assert metadata.from_mailbox is not None
    assert metadata.from_mailbox.address == metadata.sender
    assert metadata.subject == f"{subject} {SENT.subject}"
    assert [m.address for m in metadata.chosen_recipients.to] == [SENDER]
    assert tuple(m.address for m in metadata.chosen_recipients.cc) == cc
    assert metadata.actual_recipients == metadata.chosen_recipients
    assert header.value("x-de-mail-private") == private
    assert metadata.private_id == SENT.private_id
    assert metadata.message_type is MessageType(kind.value)


@pytest.mark.clause("TR 01201-3.1 steps 38, 69")
@pytest.mark.parametrize("kind", [ConfirmationKind.DISPATCH, ConfirmationKind.RECEIPT])
def test_a_confirmation_of_a_private_message_is_private(kind: ConfirmationKind) -> None:
    """SND-49, MF-2."""
    original = changed(b"x-de-mail-private: no", b"x-de-mail-private: yes")
    assert read_message(unsealed(kind, original)).header.value("x-de-mail-private") == "yes"


@pytest.mark.clause("TR 01201-3.1 steps 38, 69")
def test_a_confirmation_goes_to_reply_to() -> None:
    """TR 01201-3.1 table 2 Nr. 10."""
    original = changed(b"Subject: ", b"Reply-To: Amt <rueckantwort@musterstadt.dmda-a.example>\r\nSubject: ")
    expected = parse_address("rueckantwort@musterstadt.dmda-a.example")
    assert confirmation_addressee(original.header) == expected
    chosen = read_metadata(read_message(unsealed(ConfirmationKind.RECEIPT, original)).header).chosen_recipients
    assert [m.address for m in chosen.to] == [expected]


@pytest.mark.clause("TR 01201-3.4 §3.4.1 parts", "TR 01201-3.4 §3.5.1 facts", "TR 01201-3.4 §3.5.1 retrieve")
def test_text_xml_and_pdf_come_in_this_order_and_say_the_same() -> None:
    """CO-5."""
    content = parts(unsealed(ConfirmationKind.RETRIEVE))
    assert list(content) == ["text/plain", "application/xml", "application/pdf"]
    text = content["text/plain"]
    assert "sicher an seinem De-Mail-Konto angemeldet" in text
    labels = ["Zeitpunkt des Eingangs der Nachricht: 02.03.2026 09:20", f"Absender: {SENDER}", f"Empfänger: {ERIKA}"]
    labels += [
        "Datum: 02.03.2026 09:14",
        f"Betreff: {SENT.subject}",
        "Nachrichten-ID: a-20260302-000017@",
        "Prüfsumme: v=1;",
    ]
    positions = [text.index(label) for label in labels]
    assert positions == sorted(positions)
    assert content["application/pdf"].startswith(b"%PDF-")
    read = read_acknowledgement(SIGNATURES.verify(content["application/xml"]).canonical)
    assert read.text is not None
    assert read.text.split() == text.split()


@pytest.mark.clause("TR 01201-3.4 §3.5.1 table 23", "TR 01201-3.4 §3.5.1 table 24", "TR 01201-3.4 §3.5.3")
def test_the_xml_carries_every_metadata_field_octet_by_octet() -> None:
    xml = parts(unsealed(ConfirmationKind.RECEIPT))["application/xml"]
    assert SIGNATURES.examine(xml).schema_errors == ()
    read = read_acknowledgement(SIGNATURES.verify(xml).canonical)
    for entry in read.metadata:
        original = ORIGINAL.header.first(entry.name)
        assert original is not None
        rebuilt = entry.header_field
        assert rebuilt is not None
        assert rebuilt.raw == original.raw
    names = {entry.name.lower() for entry in read.metadata}
    assert names == {f.lower for f in ORIGINAL.header.fields} - {"to", "mime-version", "content-type",
                                                                  "content-transfer-encoding"}  # fmt: skip
    assert read.hash == ORIGINAL.header.value("x-de-mail-integrity")
    assert (read.time, read.delivery_time) == (AT, None)
    assert read.subject == f"Eingangsbestätigung: {SENT.subject}"


@pytest.mark.clause("TR 01201-3.1 step 56")
def test_a_malware_confirmation_says_what_was_requested_and_that_nobody_read_it() -> None:
    """TR 01201-3.1 step 56."""
    text = parts(unsealed(ConfirmationKind.MALWARE))["text/plain"]
    assert "Angeforderte Bestätigungen: Versandbestätigung, Eingangsbestätigung" in text.splitlines()
    assert "Von einer Kenntnisnahme durch den Empfänger kann nicht ausgegangen werden." in text
    silent = changed(b"-of-dispatch: yes", b"-of-dispatch: no")
    with_retrieve = read_message(
        silent.data.replace(b"-of-receipt: yes", b"-of-receipt: no").replace(b"-retrieve: no", b"-retrieve: yes")
    )
    lines = parts(unsealed(ConfirmationKind.MALWARE, with_retrieve))["text/plain"].splitlines()
    assert "Angeforderte Bestätigungen: Abholbestätigung" in lines
    nothing = read_message(with_retrieve.data.replace(b"-retrieve: yes", b"-retrieve: no"))
    lines = parts(unsealed(ConfirmationKind.MALWARE, nothing))["text/plain"].splitlines()
    assert "Angeforderte Bestätigungen: keine" in lines


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (ConfirmationKind.DISPATCH, {"recipient": ERIKA}),
        (ConfirmationKind.RECEIPT, {"recipient": None}),
        (ConfirmationKind.RECEIPT, {"delivery_time": AT}),
        (ConfirmationKind.RETRIEVE, {"delivery_time": None}),
        (ConfirmationKind.DISPATCH, {"original": changed(b"x-de-mail-integrity:", b"x-no-integrity:")}),
        (ConfirmationKind.DISPATCH, {"original": changed(b"x-de-mail-sender:", b"x-no-sender:")}),
    ],
)
def test_what_fits_no_kind_is_not_made(kind: ConfirmationKind, changes: dict[str, Any]) -> None:
    with pytest.raises(ComposeFailed):
        unsealed(kind, **changes)


@pytest.mark.clause("TR 01201-3.1 steps 36, 67", "TR 01201-3.1 function 1")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["weiterleitung", "nachsendung"])
def test_a_forwarded_or_re_sent_message_is_confirmed_only_where_the_guideline_says_so(
    kind: ConfirmationKind, way: str
) -> None:
    """Of a Nachsendung the final provider confirms receipt and retrieval; malware is always told."""
    original = read_message((VECTORS / "messages" / f"{way}.eml").read_bytes())
    is_told = kind is ConfirmationKind.MALWARE or (way == "nachsendung" and kind is not ConfirmationKind.DISPATCH)
    if is_told:
        assert unsealed(kind, original)
        return
    with pytest.raises(ComposeFailed, match="forwarded or re-sent"):
        unsealed(kind, original)
