"""The PDF of a proof: PDF/A-3, the XML inside octet by octet, and everything that the XML says on its pages.

Read with pypdf, which has no part in making it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader
from pypdf.generic import DictionaryObject

from demail_gateway.core.confirmation_xml import read_acknowledgement, read_notification
from demail_gateway.core.dates import legal_time
from demail_gateway.core.header import read_message
from demail_gateway.core.mime import leaves, read_parts
from demail_gateway.core.notification import build_malware_notification
from demail_gateway.core.vocabulary import ConfirmationKind, NotificationType
from demail_gateway.trust.pdf import confirmation_pdf
from tests.core import idents
from tests.core.proofs import (
    AT,
    ERIKA,
    ORIGINAL,
    PROVIDER_B,
    SIGNATURES,
    STAMP,
    notice,
    notification_report,
    report,
    sealed,
    unsealed,
    xml_of,
)

KINDS = list(ConfirmationKind)


def pdf(title: str, rows: Sequence[tuple[str, str]], text: str, xml: bytes) -> bytes:
    return confirmation_pdf(title, rows, text, xml, AT)


def pdf_of(message: bytes) -> bytes:
    octets = read_message(message)
    parts = leaves(read_parts(octets.header, octets.body))
    return next(part.decode() for part in parts if part.content_type == "application/pdf")


def shown(document: bytes) -> str:
    """Everything on the pages, without their feet and without white space, which is where lines are broken."""
    reader = PdfReader(BytesIO(document), strict=True)
    pages = _squeezed("".join(page.extract_text() for page in reader.pages))
    return re.sub(r"De-Mail\(BSITR01201\)Seite\d+von\d+", "", pages)


def _squeezed(text: str) -> str:
    return re.sub(r"[\s\u200b]+", "", text)


CONFIRMATIONS = {kind: unsealed(kind, pdf=pdf) for kind in KINDS}
NOTICES = {
    kind: notice(kind, "Der Empfänger ist nicht bekannt, und „so“ weiter.", pdf=pdf) for kind in NotificationType
}
MALWARE = build_malware_notification(ORIGINAL, issuer=PROVIDER_B, stamp=STAMP, recipient=ERIKA, pdf=pdf)


@pytest.mark.clause("TR 01201-3.4 §3.4.1 parts")
@pytest.mark.parametrize("kind", KINDS)
def test_the_pages_show_everything_that_the_xml_of_a_confirmation_says(kind: ConfirmationKind) -> None:
    message = CONFIRMATIONS[kind]
    said = read_acknowledgement(SIGNATURES.verify(xml_of(message)).canonical)
    pages = shown(pdf_of(message))
    assert said.sender is not None
    assert said.subject is not None
    assert said.text is not None
    assert said.hash is not None
    assert said.time is not None
    for text in (said.sender, said.subject, said.hash, *said.text.splitlines()):
        assert _squeezed(text) in pages
    for moment in filter(None, (said.time, said.delivery_time)):
        assert _squeezed(legal_time(moment).strftime("%d.%m.%Y %H:%M")) in pages
    assert len(said.metadata) >= 20
    for entry in said.metadata:
        assert _squeezed(entry.name + entry.value) in pages


@pytest.mark.clause("TR 01201-3.4 §3.4.1 parts")
@pytest.mark.parametrize("message", [*NOTICES.values(), MALWARE])
def test_the_pages_show_everything_that_the_xml_of_a_notification_says(message: bytes) -> None:
    said = read_notification(xml_of(message))
    pages = shown(pdf_of(message))
    assert said.text is not None
    for text in (said.subject, said.sender, *said.text.splitlines()):
        assert _squeezed(text or "") in pages
    assert "02.03.202609:20:00" in pages


@pytest.mark.parametrize(
    ("message", "name"),
    [*((message, "bestaetigung.xml") for message in CONFIRMATIONS.values()), (MALWARE, "meldung.xml")],
)
def test_the_xml_lies_inside_octet_by_octet(message: bytes, name: str) -> None:
    reader = PdfReader(BytesIO(pdf_of(message)), strict=True)
    assert reader.attachments == {name: [xml_of(message)]}


def test_it_is_pdf_a_3b_by_its_marks() -> None:
    """ISO 19005-3 §6.2.2, §6.6.2, §6.8: output intent, identification, embedded files with their relationship."""
    reader = PdfReader(BytesIO(pdf_of(CONFIRMATIONS[ConfirmationKind.RECEIPT])), strict=True)
    root: Any = reader.trailer["/Root"]
    intent = root["/OutputIntents"][0].get_object()
    assert intent["/S"] == "/GTS_PDFA1"
    assert intent["/DestOutputProfile"].get_object().get_data()[36:40] == b"acsp", "an ICC profile"
    metadata = root["/Metadata"].get_data()
    assert b"<pdfaid:part>3</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>" in metadata
    (file,) = root["/AF"]
    assert file.get_object()["/AFRelationship"] == "/Source"
    stream = file.get_object()["/EF"]["/F"].get_object()
    assert stream["/Subtype"] == "/application/xml"
    assert "/ModDate" in stream["/Params"]
    assert root["/Lang"] == "de"
    assert "/ID" in reader.trailer
    assert not reader.is_encrypted
    assert not {"/JavaScript", "/OpenAction", "/AA", "/AcroForm"} & set(root)


def test_every_font_is_embedded() -> None:
    """ISO 19005-3 §6.2.11.4.1."""
    reader = PdfReader(BytesIO(pdf_of(CONFIRMATIONS[ConfirmationKind.RECEIPT])), strict=True)
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]  # type: ignore[index]
    assert fonts
    for font in fonts:
        descriptor: DictionaryObject = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert {"/FontFile2", "/FontFile3"} & set(descriptor)
        assert "/ToUnicode" in font


# --- what the check makes of it --------------------------------------------------------------------------------------


def found_in(document: bytes, xml_octets: bytes | None = None) -> tuple[str, ...]:
    """Findings of a confirmation whose PDF is `document`."""
    message = unsealed(ConfirmationKind.RECEIPT, pdf=lambda *_: document)
    return report(sealed(message)).findings


def attachment(xml: bytes, *, deflated: bool = True, extra: bytes = b"") -> bytes:
    """What is looked at of a PDF: one embedded file."""
    octets, filters = (zlib.compress(xml), b"/Filter/FlateDecode") if deflated else (xml, b"")
    head = b"%PDF-1.7\n1 0 obj\n<</Type/EmbeddedFile" + filters + extra
    return head + b">>\nstream\r\n" + octets + b"\nendstream\nendobj\n%%EOF"


RECEIPT_XML = xml_of(CONFIRMATIONS[ConfirmationKind.RECEIPT])
UNSIGNED = re.sub(rb"<ds:Signature.*</ds:Signature>", b"", RECEIPT_XML, flags=re.DOTALL)


def test_a_pdf_with_the_same_xml_is_no_remark() -> None:
    found = report(sealed(CONFIRMATIONS[ConfirmationKind.RECEIPT]))
    assert found.findings == ()
    assert notification_report(sealed(MALWARE)).findings == ()


@pytest.mark.parametrize("deflated", [True, False])
def test_a_pdf_whose_xml_says_something_else_is_a_remark_of_step_4(deflated: bool) -> None:
    other = UNSIGNED.replace(b"2026-03-02T09:20:00", b"2026-03-01T09:20:00")
    message = unsealed(ConfirmationKind.RECEIPT, pdf=lambda *_: attachment(other, deflated=deflated))
    found = report(sealed(message))
    assert "structure-pdf-differs" in found.findings
    assert found.checks[3].detail == "structure-pdf-differs"
    assert found.verdict == "confirmed-with-remarks"


def test_the_xml_inside_may_be_written_otherwise_if_it_says_the_same() -> None:
    assert found_in(attachment(UNSIGNED)) == ()
    assert found_in(attachment(UNSIGNED.replace(b"<Sender>", b"<!-- x --><Sender>"), deflated=False)) == ()


@pytest.mark.parametrize(
    "document",
    [
        b"%PDF-1.7\n/EmbeddedFile",
        b"%PDF-1.7\n/EmbeddedFile" * 10_000,
        b"%PDF-1.7\n/EmbeddedFile endobj stream\nx\nendstream",
        b"%PDF-1.7\nobj/EmbeddedFile/FlateDecode stream\nx\nendstream",
        attachment(b"<a/>"),
        attachment(xml_of(MALWARE)),
        attachment(UNSIGNED[:-9], extra=b"/Filter/ASCIIHexDecode", deflated=False),
        attachment(b"x" * 20_000_000),
    ],
    ids=range(8),
)
def test_what_is_no_xml_of_this_kind_contradicts_nothing(document: bytes) -> None:
    assert found_in(document) == ()


def test_xml_inside_that_cannot_be_read_contradicts() -> None:
    assert "structure-pdf-differs" in found_in(attachment(UNSIGNED[:-9]))


def test_notifications_and_ident_confirmations_are_compared_too() -> None:
    other = xml_of(MALWARE).replace(b"Schadsoftware", b"Werbung")
    message = build_malware_notification(
        ORIGINAL, issuer=PROVIDER_B, stamp=STAMP, recipient=ERIKA, pdf=lambda *_: attachment(other)
    )
    assert "structure-pdf-differs" in notification_report(sealed(message)).findings
    assertion = idents.ASSERTION.replace(b"Mustermann", b"Musterfrau")
    assert assertion != idents.ASSERTION
    document = idents.unsealed(idents.ASSERTION, pdf=attachment(assertion))
    assert "structure-pdf-differs" in idents.report(sealed(document)).findings
