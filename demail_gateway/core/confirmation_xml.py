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
from xml.etree.ElementTree import Element

from demail_gateway.core.errors import MalformedMessage, XmlRefused
from demail_gateway.core.header import HeaderField
from demail_gateway.core.xml_time import format_time
from demail_gateway.core.xml_tree import parse_xml, text_of, time_of

NAMESPACE = "urn:de-mail"
ACKNOWLEDGEMENT = f"{{{NAMESPACE}}}Acknowledge-Message"
"""Root element of a confirmation."""
NOTIFICATION = f"{{{NAMESPACE}}}Notification-Message"
"""Root element of a notification."""


@dataclass(frozen=True, slots=True)
class Metadate:
    """One metadata field of the original (tables 23, 2.1)."""

    name: str
    value: str = field(repr=False)
    original_header: str | None = field(repr=False)
    """The field as received, folding kept; None if the element is missing."""
    lower: str = field(init=False, compare=False, repr=False)
    """Name in lower case, as fields are looked up by."""
    header_field: HeaderField | None = field(init=False, compare=False, repr=False)
    """The octets of the field rebuilt (CO-11); None if the text is unusable for the proof."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", self.name.strip().lower())
        object.__setattr__(self, "header_field", self._rebuilt())

    def _rebuilt(self) -> HeaderField | None:
        if self.original_header is None:
            return None
        lines = self.original_header.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        if _SECOND_FIELD.search(lines):
            return None
        try:
            rebuilt = HeaderField(lines.replace("\n", "\r\n").encode("utf-8") + b"\r\n")
        except MalformedMessage:
            return None
        return rebuilt if rebuilt.lower == self.lower else None


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
    _by_name: dict[str, Metadate] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {each.lower: each for each in reversed(self.metadata)})

    def metadate(self, name: str) -> Metadate | None:
        """The first entry of this name, without regard to case (CO-11)."""
        return self._by_name.get(name.lower())


@dataclass(frozen=True, slots=True)
class NotificationText:
    """The contents of a `Notification-Message` (table 25)."""

    subject: str | None = field(repr=False)
    text: str | None = field(repr=False)
    time: datetime | None
    sender: str | None
    """Unique name of the provider, not an address."""
    findings: tuple[str, ...] = ()
    """``xml-schema`` (other elements than these four in this order, or elements inside), ``time-without-zone``."""


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
        f"<Metadate>{_element('Name', each.name)}{_element('Value', readable_value(each))}"
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
    root = _root(xml, ACKNOWLEDGEMENT)
    findings: list[str] = []
    metadata = tuple(map(_metadate, root.iterfind(f"{_NS}Metadata/{_NS}Metadate")))
    findings += [f"original-header-unusable:{each.lower}" for each in metadata if each.header_field is None]
    return AcknowledgeMessage(
        sender=_text(root, "Sender"),
        metadata=metadata,
        subject=_text(root, "Subject"),
        text=_text(root, "Text"),
        hash=_text(root, "Hash"),
        time=time_of(_text(root, "Time"), findings),
        delivery_time=time_of(_text(root, "DeliveryTime"), findings),
        findings=tuple(dict.fromkeys(findings)),
    )


def read_notification(xml: bytes) -> NotificationText:
    """The contents of a `Notification-Message`. Raises XmlRefused as `read_acknowledgement`."""
    root = _root(xml, NOTIFICATION)
    fits = [child.tag for child in root] == [_NS + name for name in _NOTIFICATION_PARTS] and not any(map(len, root))
    findings = [] if fits else ["xml-schema"]
    return NotificationText(
        subject=_text(root, "Subject"),
        text=_text(root, "Text"),
        time=time_of(_text(root, "Time"), findings),
        sender=_text(root, "Sender"),
        findings=tuple(dict.fromkeys(findings)),
    )


def readable_value(field: HeaderField) -> str:
    """The field's value as it stands in `Value`: on one line, 8-bit octets read as UTF-8 (CO-12)."""
    return collapsed(field.value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def collapsed(value: str) -> str:
    """`value` for comparison: every run of blanks, tabs and line ends is one blank (CO-12)."""
    return _BLANKS.sub(" ", value).strip(" ")


_NS = f"{{{NAMESPACE}}}"
_NOTIFICATION_PARTS = ("Subject", "Text", "Time", "Sender")
_NAME, _VALUE, _ORIGINAL_HEADER = (_NS + name for name in ("Name", "Value", "OriginalHeader"))
_SECOND_FIELD = re.compile(r"\n(?![ \t])")
"""A line that is no continuation of its field (RFC 5322 §2.2.3): one entry must not prove two fields."""
_BLANKS = re.compile(r"[ \t\r\n]+")
# everything that XML 1.0 cannot hold, not even as a character reference
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _document(root: str, *parts: str) -> bytes:
    body = "".join(parts)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{body}</{root}>'.encode()


def _element(name: str, text: str) -> str:
    escaped = _NOT_XML.sub("\ufffd", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{name}>{escaped.replace(chr(13), '&#xD;')}</{name}>"


def _root(xml: bytes, tag: str) -> Element:
    root = parse_xml(xml)
    if root.tag != tag:
        raise XmlRefused("another root element")
    return root


def _metadate(element: Element) -> Metadate:
    texts = {child.tag: child.text or "" for child in reversed(element)}  # the first of each name counts
    return Metadate(texts.get(_NAME, ""), texts.get(_VALUE, ""), texts.get(_ORIGINAL_HEADER))


def _text(parent: Element, name: str) -> str | None:
    return text_of(parent, _NS + name)
