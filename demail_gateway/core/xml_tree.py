"""XML of others as a tree of the standard library; what must not be read is refused (CO-6).

Entities cannot be declared, so none can be expanded; depth, number of tags and size are bounded, so that memory and
time stay in proportion to honest documents whatever arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from demail_gateway.core.errors import XmlRefused
from demail_gateway.core.xml_time import parse_time

MAX_XML_OCTETS = 8 * 1024 * 1024
"""A confirmation repeats the header section (at most 2 MiB here) twice, with escapes."""
MAX_XML_DEPTH = 16
"""The schema of confirmations needs 4, a signature 6, an Ident-Bestätigung 7."""
MAX_XML_TAGS = 50_000
"""A confirmation has eight for each metadata field, some two hundred; each costs some hundred octets of memory."""

ENCODINGS = frozenset({"UTF-8", "US-ASCII", "ASCII", "ISO-8859-1", "ISO-8859-15", "WINDOWS-1252"})
"""All write ``<`` as one octet: what looks like no markup is none."""


def parse_xml(xml: bytes) -> Element:
    """The root element; names with a namespace are written ``{namespace}name``.

    Comments and processing instructions leave no trace: they do not divide a text.

    Raises:
        XmlRefused: DOCTYPE, another encoding, not well-formed, too large, too deep or too many tags.
    """
    check_bounds(xml)
    builder = _Builder()
    _feed(xml, builder.start, builder.end, builder.data)
    return builder.close()


def root_tag(xml: bytes) -> str | None:
    """Name of the root element as `parse_xml` writes it; None if there is none to be seen.

    Only the beginning is read: what follows may be not well-formed.
    """
    try:
        _feed(xml[:MAX_XML_OCTETS], _found, None, None)
    except _Found as found:
        return found.tag
    except XmlRefused:
        return None
    return None


def check_bounds(xml: bytes) -> None:
    """Raises XmlRefused if there is more of it than any honest document has."""
    if len(xml) > MAX_XML_OCTETS:
        raise XmlRefused("too large")
    if xml.count(b"<") > MAX_XML_TAGS:
        raise XmlRefused("too many tags")


def text_of(parent: Element, tag: str) -> str | None:
    """Text of the first child of this name; None if there is none."""
    found = parent.find(tag)
    return None if found is None else (found.text or "")


def time_of(text: str | None, findings: list[str]) -> datetime | None:
    """The moment of an xs:dateTime, None if unreadable; ``time-without-zone`` is added to the findings (CO-10)."""
    if text is None:
        return None
    moment, zoned = parse_time(text)
    if not zoned:
        findings.append("time-without-zone")
    return moment


class _Found(Exception):
    def __init__(self, tag: str) -> None:
        super().__init__("root element")
        self.tag = tag


def _found(name: str, _: dict[str, str]) -> None:
    raise _Found("{" + name if "}" in name else name)


def _feed(
    xml: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None,
    data: Callable[[str], None] | None,
) -> None:
    parser = expat.ParserCreate(namespace_separator="}")
    parser.XmlDeclHandler = _declaration
    parser.StartDoctypeDeclHandler = _doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.buffer_text = True
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError) as error:  # ValueError: octets that are none in their encoding
        raise XmlRefused("not well-formed") from error


def _declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.upper() not in ENCODINGS:
        raise XmlRefused("encoding")


def _doctype(*_: object) -> None:
    raise XmlRefused("DOCTYPE")


class _Builder:
    """Expat's events into a tree of bounded depth."""

    def __init__(self) -> None:
        tree = TreeBuilder()
        self.data, self.close = tree.data, tree.close
        self._open, self._close = tree.start, tree.end
        self._depth = 0
        self._tags: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_XML_DEPTH:
            raise XmlRefused("too deep")
        self._open(self._tag(name), attributes)

    def end(self, name: str) -> None:
        self._depth -= 1
        self._close(self._tags[name])

    def _tag(self, name: str) -> str:
        tag = self._tags.get(name)
        if tag is None:
            tag = self._tags[name] = "{" + name if "}" in name else name
        return tag
