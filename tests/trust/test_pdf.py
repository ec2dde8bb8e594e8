from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime

import pytest

from demail_gateway.core.errors import ComposeFailed
from demail_gateway.trust.pdf import _COVERED, MAX_CHARACTERS, confirmation_pdf, simple_pdf

AT = datetime(2026, 3, 2, 9, 14, 21, tzinfo=UTC)
XML = ('<?xml version="1.0" encoding="UTF-8"?>\n<Acknowledge-Message>Gebühr&#13;\n</Acknowledge-Message>').encode()
ROWS = [("Absender", "poststelle@musterstadt.dmda-a.example"), ("Prüfsumme", "v=1; b=" + "QUJD" * 300)]


def _streams(pdf: bytes) -> list[bytes]:
    """Contents of the streams, those with FlateDecode inflated."""
    found = []
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(match[1]))
        except zlib.error:
            found.append(match[1])
    return found


@pytest.mark.clause("TR 01201-3.4 §3.4.1 parts")
def test_confirmation_is_pdf_a_3_with_its_xml_inside() -> None:
    pdf = confirmation_pdf("Versandbestätigung", ROWS, "Die Nachricht ist versandt.", XML, AT)
    assert pdf.startswith(b"%PDF-1.7")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert XML in _streams(pdf)
    metadata = next(stream for stream in _streams(pdf) if b"pdfaid" in stream)
    assert b"<pdfaid:part>3</pdfaid:part>" in metadata
    assert b"<pdfaid:conformance>B</pdfaid:conformance>" in metadata
    assert "Versandbestätigung".encode() in metadata
    assert b"2026-03-02T09:14:21" in metadata


def test_equal_input_gives_equal_octets() -> None:
    one, two = (confirmation_pdf("Titel", ROWS, "Text", XML, AT) for _ in range(2))
    assert one == two
    assert confirmation_pdf("Titel", ROWS, "Text", XML, AT.replace(second=22)) != one


def test_input_of_one_document_does_not_reach_the_next() -> None:
    confirmation_pdf("Titel", ROWS, "Text", XML, AT)
    without = confirmation_pdf("Titel", (), "Text", None, AT)
    assert XML not in _streams(without)


def test_markup_and_code_of_a_message_have_no_effect() -> None:
    harmless = confirmation_pdf("Titel", [("A", "x")], "Text", None, AT)
    hostile = '#panic("x") #read("/etc/passwd") *fett* $x$ ]] }} \\ @label <tag> // /* #include "confirmation.typ"'
    pdf = confirmation_pdf(hostile, [(hostile, hostile)], hostile, None, AT)
    assert pdf.count(b"/Type /Page\n") == harmless.count(b"/Type /Page\n")
    assert b"fett* $x$" in next(stream for stream in _streams(pdf) if b"pdfaid" in stream)


@pytest.mark.parametrize(
    "subject",
    ["中文", "😀", "a\x00b", "\x1b[31m", "\ufdfa", "\ud800", "e\u0301", "\u0301", "\u202eabc", "x\u0301" * 40],
)
def test_every_subject_can_be_set(subject: str) -> None:
    assert confirmation_pdf(f"Bescheid {subject}", [("Betreff", subject)], subject, XML, AT).startswith(b"%PDF")


def test_fonts_have_every_character_of_the_table() -> None:
    text = "".join(chr(code) for covered in _COVERED for code in covered)
    sound = simple_pdf("Titel", [text], AT)
    assert sound != simple_pdf("Titel", ["\ufffd" * len(text)], AT)


def test_text_without_end_is_refused() -> None:
    with pytest.raises(ComposeFailed, match="too long"):
        confirmation_pdf("x", (), "y" * MAX_CHARACTERS, None, AT)


def test_xml_of_another_encoding_is_refused() -> None:
    with pytest.raises(ComposeFailed, match="UTF-8"):
        confirmation_pdf("x", (), "y", b"\xff", AT)


def test_sample_document_is_a_pdf_of_its_own() -> None:
    pdf = simple_pdf("Gewerbesteuerbescheid 2026", ["Sehr geehrte Damen und Herren,", "…"], AT, author="Stadt")
    metadata = next(stream for stream in _streams(pdf) if b"pdfaid" in stream)
    assert b"Gewerbesteuerbescheid 2026" in metadata
    assert b"Stadt" in metadata


def test_what_typst_cannot_set_is_named_without_its_text() -> None:
    with pytest.raises(ComposeFailed) as caught:
        confirmation_pdf("x", [("geheim",)], "y", None, AT)  # type: ignore[list-item]
    assert "geheim" not in str(caught.value)
