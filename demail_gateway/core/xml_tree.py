"""XML of others as a tree of the standard library; what must not be read is refused (CO-6).

Entities cannot be declared, so none can be expanded; size and number of tags are bounded, so that memory and time stay
in proportion to honest documents whatever arrives. Nothing here goes down a tree by recursion: depth does no harm.
"""

from __future__ import annotations

import re
from datetime import datetime
from xml.etree.ElementTree import Element, ParseError, XMLParser
from xml.parsers import expat

from demail_gateway.core.errors import XmlRefused
from demail_gateway.core.xml_time import parse_time

MAX_XML_OCTETS = 8 * 1024 * 1024
"""A confirmation repeats the header section (at most 2 MiB here) twice, with escapes."""
MAX_XML_TAGS = 50_000
"""A confirmation has eight for each metadata field, some two hundred; each costs some hundred octets of memory."""

MAX_NAMESPACE_WORK = 30_000_000
"""Tags times the square of namespace declarations, which canonical XML may cost: 0.2 s. Honest documents: thousands."""
MAX_ATTRIBUTES = 1_000
"""Of one element: canonical XML sorts them in quadratic time."""

ENCODINGS = frozenset({"UTF-8", "US-ASCII", "ASCII", "ISO-8859-1", "ISO-8859-15", "WINDOWS-1252"})
"""All write ``<`` and letters as one octet each: what looks like no markup is none."""


def parse_xml(xml: bytes) -> Element:
    """The root element; names with a namespace are written ``{namespace}name``.

    Comments and processing instructions leave no trace: they do not divide a text.

    Raises:
        XmlRefused: DOCTYPE, another encoding, not well-formed, too large or too many tags.
    """
    check_bounds(xml)
    _check_encoding(xml)
    parser = XMLParser()  # noqa: S314  what makes XML dangerous was refused in the lines above
    try:
        parser.feed(xml)
        root = parser.close()
    except (ParseError, ValueError) as error:  # ValueError: octets that are none in their encoding
        raise XmlRefused("not well-formed") from error
    assert isinstance(root, Element), "a tree without comments begins with an element"
    return root


def root_tag(xml: bytes) -> str | None:
    """Name of the root element as `parse_xml` writes it; None if there is none to be seen.

    Only the beginning is read: what follows may be not well-formed.
    """
    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler = _found
    try:
        _check_encoding(xml)
        parser.Parse(xml[:MAX_XML_OCTETS], True)
    except _Found as found:
        return found.tag
    except (XmlRefused, expat.ExpatError, ValueError):
        return None
    return None


def check_bounds(xml: bytes) -> None:
    """Raises XmlRefused if there is more of it than any honest document has."""
    if len(xml) > MAX_XML_OCTETS:
        raise XmlRefused("too large")
    tags = xml.count(b"<")
    if tags > MAX_XML_TAGS:
        raise XmlRefused("too many tags")
    if tags * xml.count(b"xmlns") ** 2 > MAX_NAMESPACE_WORK:
        raise XmlRefused("too many namespaces")
    if xml.count(b"=") > MAX_ATTRIBUTES and _most_attributes(xml) > MAX_ATTRIBUTES:
        raise XmlRefused("too many attributes")


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


_ATTRIBUTE = re.compile(rb"""=\s*["']""")


def _most_attributes(xml: bytes) -> int:
    """No fewer than one element has; the text behind a tag is counted with it."""
    return max(sum(1 for _ in _ATTRIBUTE.finditer(piece)) for piece in xml.split(b"<"))


_BOM = b"\xef\xbb\xbf"
_ENCODING = re.compile(rb"""encoding\s*=\s*["']([^"']*)["']""")


class _Found(Exception):
    def __init__(self, tag: str) -> None:
        super().__init__("root element")
        self.tag = tag


def _found(name: str, _: dict[str, str]) -> None:
    raise _Found("{" + name if "}" in name else name)


def _check_encoding(xml: bytes) -> None:
    """No encoding that could hide a DOCTYPE, and none of it to be seen: not in a comment either.

    Before any parser sees it: an entity bomb must not even be expanded in order to be refused.
    """
    start = len(_BOM) if xml.startswith(_BOM) else 0
    if b"\0" in xml:
        raise XmlRefused("encoding")
    if xml.startswith(b"<?xml", start):
        declaration = xml[start : xml.find(b"?>", start)]
        named = _ENCODING.search(declaration)
        if b"encoding" in declaration and (named is None or named[1].upper().decode("latin-1") not in ENCODINGS):
            raise XmlRefused("encoding")
    elif xml[start : start + 1] not in (b"<", b" ", b"\t", b"\r", b"\n"):
        raise XmlRefused("not well-formed, or another encoding")
    if b"<!DOCTYPE" in xml:
        raise XmlRefused("DOCTYPE")
