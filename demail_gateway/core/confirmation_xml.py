"""The XML of confirmations and notifications, written and read (TR 01201-3.4 §3.5, namespace ``urn:de-mail``).

Writing is by hand, so that every octet is ours: CR becomes a character reference (CO-11), the order is the schema's
(CO-6). Reading is tolerant: what is missing is None and told as a finding; only XML that must not be read at all is
refused. A confirmation is read from the canonical octets that its signature covers, never from the document (CO-14).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from demail_gateway.core.errors import MalformedMessage, XmlRefused
from demail_gateway.core.header import HeaderField
from demail_gateway.core.xml_time import format_time, parse_time

NAMESPACE = "urn:de-mail"

MAX_XML_OCTETS = 8 * 1024 * 1024
"""A confirmation repeats the header section (at most 2 MiB here) twice, with escapes."""
MAX_XML_DEPTH = 16
"""The schema needs 4, a signature 6."""


@dataclass(frozen=True, slots=True)
class Metadate:
    """One metadata field of the original (tables 23, 2.1)."""

    name: str
    value: str = field(repr=False)
    original_header: str | None = field(repr=False)
    """The field as received, folding kept; None if the element is missing."""

    def header_field(self) -> HeaderField | None:
        """The octets of the field rebuilt (CO-11); None if the text is unusable for the proof."""
        if self.original_header is None:
            return None
        text = _LINE_END.sub("\r\n", self.original_header).rstrip("\r\n") + "\r\n"
        try:
            rebuilt = HeaderField(text.encode("utf-8"))
        except MalformedMessage:
            return None
        return rebuilt if rebuilt.lower == self.name.strip().lower() else None


@dataclass(frozen=True, slots=True)
class AcknowledgeMessage:
    """The contents of an `Acknowledge-Message`; None where an element is missing or unreadable."""

    sender: str | None = field(repr=False)
    """The issuer's address (CO-7)."""
    metadata: tuple[Metadate, ...]
    subject: str | None = field(repr=False)
    text: str | None = field(repr=False)
    hash: str | None = field(repr=False)
    """Complete value of X-de-mail-integrity of the original (CO-9)."""
    time: datetime | None
    """Creation (CO-10), UTC."""
    delivery_time: datetime | None
    """When the original was stored in the mailbox; only in an Abholbestätigung. UTC."""
    findings: tuple[str, ...] = ()
    """``time-without-zone``, ``original-header-unusable:<name>``."""

    def metadate(self, name: str) -> Metadate | None:
        """The first entry of this name, without regard to case (CO-11)."""
        return next((each for each in self.metadata if each.name.strip().lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class NotificationText:
    """The contents of a `Notification-Message` (table 25)."""

    subject: str | None = field(repr=False)
    text: str | None = field(repr=False)
    time: datetime | None
    sender: str | None
    """Unique name of the provider, not an address."""
    findings: tuple[str, ...] = ()


def write_acknowledgement(
    *,
    sender: str,
    metadata: Iterable[HeaderField],
    subject: str,
    text: str,
    integrity: str,
    time: datetime,
    delivery_time: datetime | None,
) -> bytes:
    """An `Acknowledge-Message` without signature; `metadata` are the original's fields, octet by octet."""
    entries = "".join(
        f"<Metadate>{_element('Name', each.name)}{_element('Value', collapsed(_readable(each.value)))}"
        f"{_element('OriginalHeader', each.raw.decode('utf-8', 'replace'))}</Metadate>"
        for each in metadata
    )
    return _document(
        "Acknowledge-Message",
        _element("Sender", sender),
        f"<Metadata>{entries}</Metadata>",
        _element("Subject", subject),
        _element("Text", text),
        _element("Hash", integrity),
        _element("Time", format_time(time)),
        "" if delivery_time is None else _element("DeliveryTime", format_time(delivery_time)),
    )


def write_notification(*, subject: str, text: str, time: datetime, sender: str) -> bytes:
    """A `Notification-Message` (table 25); it has no signature."""
    return _document(
        "Notification-Message",
        _element("Subject", subject),
        _element("Text", text),
        _element("Time", format_time(time)),
        _element("Sender", sender),
    )


def read_acknowledgement(xml: bytes) -> AcknowledgeMessage:
    """The contents of verified canonical octets.

    Raises:
        XmlRefused: DOCTYPE, not well-formed, too large or deep, or another root element.
    """
    root = _root(xml, "Acknowledge-Message")
    findings: list[str] = []
    metadata = tuple(_metadate(element) for element in root.iterfind(f"{_NS}Metadata/{_NS}Metadate"))
    for each in metadata:
        if each.header_field() is None:
            findings.append(f"original-header-unusable:{each.name.strip().lower()}")
    return AcknowledgeMessage(
        sender=_text(root, "Sender"),
        metadata=metadata,
        subject=_text(root, "Subject"),
        text=_text(root, "Text"),
        hash=_text(root, "Hash"),
        time=_time(root, "Time", findings),
        delivery_time=_time(root, "DeliveryTime", findings),
        findings=tuple(dict.fromkeys(findings)),
    )


def read_notification(xml: bytes) -> NotificationText:
    """The contents of a `Notification-Message`. Raises XmlRefused as `read_acknowledgement`."""
    root = _root(xml, "Notification-Message")
    findings: list[str] = []
    return NotificationText(
        subject=_text(root, "Subject"),
        text=_text(root, "Text"),
        time=_time(root, "Time", findings),
        sender=_text(root, "Sender"),
        findings=tuple(dict.fromkeys(findings)),
    )


def root_name(xml: bytes) -> str | None:
    """Local name of the root element if it lies in the namespace; None for anything else, refused XML included."""
    try:
        tag = _parse(xml).tag
    except XmlRefused:
        return None
    return tag.removeprefix(_NS) if tag.startswith(_NS) else None


def collapsed(value: str) -> str:
    """`value` for comparison: every run of blanks, tabs and line ends is one blank (CO-12)."""
    return _BLANKS.sub(" ", value).strip(" ")


_NS = f"{{{NAMESPACE}}}"
_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANKS = re.compile(r"[ \t\r\n]+")
# everything that XML 1.0 cannot hold, not even as a character reference
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _document(root: str, *parts: str) -> bytes:
    body = "".join(parts)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{body}</{root}>'.encode()


def _element(name: str, text: str) -> str:
    escaped = _NOT_XML.sub("\ufffd", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{name}>{escaped.replace(chr(13), '&#xD;')}</{name}>"


def _readable(value: str) -> str:
    """A header value with its 8-bit octets read as UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _root(xml: bytes, name: str) -> Element:
    root = _parse(xml)
    if root.tag != _NS + name:
        raise XmlRefused("another root element")
    return root


def _parse(xml: bytes) -> Element:
    if len(xml) > MAX_XML_OCTETS:
        raise XmlRefused("too large")
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.tree.data
    parser.buffer_text = True
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: encodings that expat does not know
        raise XmlRefused("not well-formed") from error
    return builder.tree.close()


class _Builder:
    """Expat's events into a tree, refusing DOCTYPE and depth."""

    def __init__(self) -> None:
        self.tree = TreeBuilder()
        self._depth = 0

    def doctype(self, *_: object) -> None:
        raise XmlRefused("DOCTYPE")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_XML_DEPTH:
            raise XmlRefused("too deep")
        self.tree.start("{" + name if "}" in name else name, attributes)

    def end(self, name: str) -> None:
        self._depth -= 1
        self.tree.end("{" + name if "}" in name else name)


def _metadate(element: Element) -> Metadate:
    return Metadate(_text(element, "Name") or "", _text(element, "Value") or "", _text(element, "OriginalHeader"))


def _text(parent: Element, name: str) -> str | None:
    found = parent.find(_NS + name)
    return None if found is None else (found.text or "")


def _time(parent: Element, name: str, findings: list[str]) -> datetime | None:
    text = _text(parent, name)
    if text is None:
        return None
    moment, zoned = parse_time(text)
    if not zoned:
        findings.append("time-without-zone")
    return moment
