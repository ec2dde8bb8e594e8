"""DER (ITU-T X.690 §10): writing elements, and a reader that takes nothing else.

Only what CMS needs: tags of one octet, definite and minimal lengths. BER of streaming senders passes through
`ber.to_der` first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31
CONTEXT = 0x80
"""Primitive context tag 0; `CONTEXT | n` is [n] IMPLICIT of a primitive type."""
CONTEXT_CONSTRUCTED = 0xA0

MAX_ELEMENTS = 4096
"""Children that one element may have; a message to a thousand recipients stays below."""


class DerError(ValueError):
    """Not DER, or not of the expected structure."""


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element with the concatenation of `parts` as its contents."""
    size = sum(map(len, parts))
    return b"".join((header(tag, size), *parts))


def header(tag: int, size: int) -> bytes:
    """Tag and length octets for contents of `size` octets."""
    if size < 0x80:
        return bytes((tag, size))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def integer(value: int) -> bytes:
    """INTEGER, also negative ones (a serial number of the other side may be)."""
    return tlv(INTEGER, value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from its dotted form."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return tlv(OID, b"".join(_base128(arc) for arc in (first * 40 + second, *rest)))


def around(size: int, *levels: tuple[int, bytes, bytes]) -> tuple[bytes, bytes]:
    """What stands before and behind contents of `size` octets that are not at hand.

    A level is the tag of an element, and what it holds before and behind the level (or the contents) inside it; the
    innermost comes first.
    """
    front, back = b"", b""
    for tag, before, behind in levels:
        whole = len(before) + len(front) + size + len(back) + len(behind)
        front, back = header(tag, whole) + before + front, back + behind
    return front, back


def set_of(elements: Iterable[bytes]) -> bytes:
    """SET OF: the elements in ascending order of their octets (X.690 §11.6)."""
    return tlv(SET, *sorted(elements))


def time(at: datetime) -> bytes:
    """Time as RFC 5652 §11.3 asks: UTCTime for 1950 to 2049, else GeneralizedTime; to the second."""
    at = at.astimezone(UTC)
    if 1950 <= at.year < 2050:
        return tlv(UTC_TIME, b"%02d" % (at.year % 100) + _month_to_second(at))
    return tlv(GENERALIZED_TIME, b"%04d" % at.year + _month_to_second(at))


class Element(NamedTuple):
    """One element inside a buffer that it shares with others; a tuple because hundreds are made per structure."""

    buffer: bytes
    tag: int
    start: int
    body: int
    """Where the contents begin."""
    end: int

    @property
    def value(self) -> bytes:
        return self.buffer[self.body : self.end]

    @property
    def raw(self) -> bytes:
        return self.buffer[self.start : self.end]

    def children(self, limit: int = MAX_ELEMENTS) -> list[Element]:
        """Elements inside; raises DerError for a primitive one and for more than `limit`."""
        if not self.tag & 0x20:
            raise DerError("not constructed")
        found, at = [], self.body
        while at < self.end:
            found.append(_element(self.buffer, at, self.end))
            at = found[-1].end
            if len(found) > limit:
                raise DerError("too many elements")
        return found


class Fields:
    """Takes the children of a constructed element one after the other."""

    __slots__ = ("_at", "_children")

    def __init__(self, element: Element, tag: int = SEQUENCE) -> None:
        if element.tag != tag:
            raise DerError("unexpected tag")
        self._children = element.children()
        self._at = 0

    def take(self, *tags: int) -> Element:
        """The next child; its tag must be one of `tags`, if any are given."""
        if self._at == len(self._children):
            raise DerError("element is missing")
        child = self._children[self._at]
        if tags and child.tag not in tags:
            raise DerError("unexpected tag")
        self._at += 1
        return child

    def maybe(self, *tags: int) -> Element | None:
        """The next child if its tag is one of `tags` (any, if none is given); else None and nothing is taken."""
        if self._at == len(self._children) or (tags and self._children[self._at].tag not in tags):
            return None
        return self.take()

    def done(self) -> None:
        """Raises DerError if anything is left."""
        if self._at != len(self._children):
            raise DerError("unexpected element")


def parse(data: bytes) -> Element:
    """The one element that fills `data`. Raises DerError, also for octets behind it."""
    element = _element(data, 0, len(data))
    if element.end != len(data):
        raise DerError("trailing octets")
    return element


def read_integer(element: Element) -> int:
    """Value of an INTEGER of at most 16 octets: versions and lengths, no keys."""
    value = element.value
    if element.tag != INTEGER or not 0 < len(value) <= 16:
        raise DerError("not a small integer")
    return int.from_bytes(value, "big", signed=True)


def read_time(element: Element) -> datetime:
    """UTCTime or GeneralizedTime in the one form that RFC 5280 §4.1.2.5 permits: to the second, ending in Z."""
    year_digits = {UTC_TIME: 2, GENERALIZED_TIME: 4}.get(element.tag, 0)
    text = element.value
    digits = text[:-1]
    if not year_digits or len(digits) != year_digits + 10 or not digits.isdigit() or text[-1:] != b"Z":
        raise DerError("not a time")
    year = int(digits[:year_digits])
    if element.tag == UTC_TIME:
        year += 1900 if year >= 50 else 2000
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(year_digits, len(digits), 2))
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise DerError("not a time") from error


@lru_cache(maxsize=1024)
def issuer_and_serial(certificate_der: bytes) -> tuple[bytes, bytes]:
    """Issuer (Name) and serial number (INTEGER) of a certificate, exactly as it writes them.

    Raises:
        DerError
    """
    tbs = Fields(Fields(parse(certificate_der)).take(SEQUENCE))
    tbs.maybe(CONTEXT_CONSTRUCTED)
    serial = tbs.take(INTEGER)
    tbs.take(SEQUENCE)
    return tbs.take(SEQUENCE).raw, serial.raw


def _element(buffer: bytes, start: int, limit: int) -> Element:
    if limit - start < 2:
        raise DerError("truncated")
    tag, size = buffer[start], buffer[start + 1]
    body = start + 2
    if tag & 0x1F == 0x1F:
        raise DerError("tag of several octets")
    if size & 0x80:
        count = size & 0x7F
        octets = buffer[body : body + count]
        size = int.from_bytes(octets, "big")
        if not 0 < count <= 6 or octets[:1] == b"\0" or size < 0x80:
            raise DerError("length is not minimal")
        body += count
    if size > limit - body:
        raise DerError("truncated")
    return Element(buffer, tag, start, body, body + size)


def _month_to_second(at: datetime) -> bytes:
    return b"%02d%02d%02d%02d%02dZ" % (at.month, at.day, at.hour, at.minute, at.second)


def _base128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(arc & 0x7F | 0x80)
    return bytes(reversed(octets))
