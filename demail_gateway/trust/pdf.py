"""PDF/A-3b files: the readable twin of a confirmation's XML (TR 01201-3.4 §3.4.1), with that XML inside.

Set by typst with the fonts that it carries in itself; nothing of the machine enters, so equal input gives equal octets.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import typst

from demail_gateway.core.confirmation_xml import NOTIFICATION
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.xml_tree import root_tag

_TEMPLATES = Path(__file__).parent / "templates"
MAX_CHARACTERS = 200_000
"""All text together, as JSON; setting takes time in proportion."""

_BREAK = "\u200b"
_LONG_WORD = re.compile(r"\S{24,}")
_PIECE = re.compile(r"\S{1,8}[\u0300-\u036f]*")
"""Never between a letter and its accents."""

_COVERED = (
    range(0x20, 0x7F),
    range(0xA0, 0x370),
    range(0x391, 0x3A2),
    range(0x3A3, 0x500),
    range(0x1E00, 0x1F00),
    range(0x200B, 0x200C),
    range(0x2010, 0x2028),
    range(0x2030, 0x2040),
    range(0x20A0, 0x20C1),
    range(0x2100, 0x211F),
    range(0x2190, 0x2400),
)
"""Characters that the embedded fonts certainly have: the Latin letters of DIN 91379, Greek, Cyrillic, signs.

PDF/A forbids a character without glyph, and a subject may hold any.
"""


def confirmation_pdf(title: str, rows: Sequence[tuple[str, str]], text: str, xml: bytes | None, at: datetime) -> bytes:
    """PDF/A-3b with `title`, the paragraphs of `text` (one per line), `rows` as a table and `xml` embedded.

    `xml` becomes the attachment ``bestaetigung.xml`` or ``meldung.xml``, octet for octet; it must be UTF-8. `at`
    (aware) is the date of the document. Texts are data: no markup in them has an effect. What no font has is shown as a
    replacement character.

    Raises:
        ComposeFailed: too long, `xml` is not UTF-8, or typst cannot set it.
    """
    return _set(title, tuple(rows), text.splitlines(), xml, at, author="De-Mail-Diensteanbieter")


def simple_pdf(title: str, paragraphs: Sequence[str], at: datetime, *, author: str = "") -> bytes:
    """PDF/A-3b of a title and paragraphs, for samples such as the demo's Bescheid. Raises ComposeFailed."""
    return _set(title, (), paragraphs, None, at, author=author)


def _set(
    title: str,
    rows: Sequence[tuple[str, str]],
    paragraphs: Sequence[str],
    xml: bytes | None,
    at: datetime,
    *,
    author: str,
) -> bytes:
    data: dict[str, object] = {
        "title": title,
        "author": author,
        "rows": [[_breakable(cell) for cell in row] for row in rows],
        "paragraphs": [_breakable(paragraph) for paragraph in paragraphs],
    }
    if len(json.dumps(data)) > MAX_CHARACTERS:
        raise ComposeFailed("text is too long for a PDF")
    try:
        embedded = "" if xml is None else xml.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ComposeFailed("XML is not UTF-8") from error
    try:
        return _compile(data, embedded, at)
    except typst.TypstError:
        return _compile_displayable(data, embedded, at)


def _breakable(text: str) -> str:
    """The text with places to break in long words: values such as X-de-mail-integrity have no blanks."""
    return _LONG_WORD.sub(lambda word: _BREAK.join(_PIECE.findall(word[0])), text)


def _compile_displayable(data: object, xml: str, at: datetime) -> bytes:
    try:
        return _compile(_displayable(data), xml, at)
    except typst.TypstError as error:
        # typst's own text quotes the document; it stays in the chained exception.
        raise ComposeFailed("PDF cannot be set") from error


def _displayable(data: object) -> object:
    """The same data with a replacement character for every one that the fonts may not have."""
    if isinstance(data, str):
        return "".join(c if any(ord(c) in covered for covered in _COVERED) else "\ufffd" for c in data)
    if isinstance(data, dict):
        return {name: _displayable(value) for name, value in data.items()}
    assert isinstance(data, list | tuple)
    return [_displayable(value) for value in data]


def _attachment_name(xml: str) -> str:
    return "meldung.xml" if root_tag(xml.encode()) == NOTIFICATION else "bestaetigung.xml"


_lock = threading.Lock()
"""The compiler keeps the inputs of its last run."""
_compilers: list[typst.Compiler] = []


def _compile(data: object, xml: str, at: datetime) -> bytes:
    inputs = {"data": json.dumps(data), "xml": xml, "name": _attachment_name(xml)}
    whole = at.replace(microsecond=0)  # PDF knows seconds alone
    with _lock:
        if not _compilers:
            template = str(_TEMPLATES / "confirmation.typ")
            _compilers.append(typst.Compiler(template, root=_TEMPLATES, ignore_system_fonts=True))
        pdf = _compilers[0].compile(format="pdf", sys_inputs=inputs, pdf_standards=["a-3b"], timestamp=whole)
    assert isinstance(pdf, bytes)
    return pdf
