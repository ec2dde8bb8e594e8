"""Header section as octets: what was read is written again unchanged (MF-13).

The integrity of a message covers spelling, folding and trailing blanks of its fields (canonicalisation "simple",
TR 01201-3.4 §3.1.21). So nothing here parses into a model that would have to be written again: a field is its raw
octets, and everything else is a view of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.windows import Windows

NEWLINE_NORMALISED = "newline-normalised"
"""Finding: the message had LF alone and was read with CRLF (IN-16)."""
NO_BODY_SEPARATOR = "no-body-separator"
"""Finding: no empty line; the whole message is header section."""

MAX_LINE_OCTETS = 998
"""RFC 5322 §2.1.1, without CRLF."""
SOFT_LINE_OCTETS = 78
"""RFC 5322 §2.1.1, without CRLF."""

# A real section has about 40 fields and, with thousands of recipients, some hundred KiB. The bounds keep a hostile
# one (45 MiB of two-octet fields) from filling the memory with objects.
MAX_HEADER_OCTETS = 1024 * 1024
MAX_FIELDS = 5_000

_FIELD_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_TOKEN = re.compile(r"[ \t]*[^ \t]+")


_set = object.__setattr__


@dataclass(frozen=True, slots=True, init=False)
class HeaderField:
    """One field with its exact octets, folding and final CRLF included.

    Raises MalformedMessage if the octets do not begin with a field name (RFC 5322 §2.2) and a colon.
    """

    raw: bytes = field(repr=False)
    lower: str = field(init=False, compare=False)
    """Name in lower case: names are compared without regard to case (TR 01201-3.4 §3.1)."""

    def __init__(self, raw: bytes) -> None:
        # by hand, in one frame: a message has dozens of fields
        start = raw[: raw.find(b":") + 1]
        _set(self, "raw", raw)
        _set(self, "lower", (_known_name if len(start) <= SOFT_LINE_OCTETS else _lower_name)(start))

    @property
    def name(self) -> str:
        """Name as spelt."""
        return self.raw[: len(self.lower)].decode("ascii")

    @property
    def value(self) -> str:
        """Text behind the colon, unfolded, without leading and trailing blanks.

        8-bit octets appear as surrogates (``surrogateescape``); a lone CR or LF of a hostile sender stays in it.
        """
        return self.raw[self.raw.index(b":") + 1 :].replace(b"\r\n", b"").strip(b" \t").decode("ascii", _ESCAPE)


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of a header section, from the top. Of a duplicated field the topmost counts (TR 01201-3.4 §3.1.1)."""

    fields: tuple[HeaderField, ...]
    _by_name: dict[str, list[HeaderField]] = field(init=False, repr=False, compare=False)
    _values: dict[str, str] = field(init=False, repr=False, compare=False)
    """Those that were asked for: the same few are read by many checks."""

    def __post_init__(self) -> None:
        by_name: dict[str, list[HeaderField]] = {}
        for item in self.fields:
            by_name.setdefault(item.lower, []).append(item)
        object.__setattr__(self, "_by_name", by_name)
        object.__setattr__(self, "_values", {})

    @property
    def raw(self) -> bytes:
        """The octets of all fields, without the empty line behind them."""
        return b"".join(item.raw for item in self.fields)

    def first(self, name: str) -> HeaderField | None:
        """The topmost field of this name."""
        found = self._by_name.get(name.lower())
        return found[0] if found else None

    def topmost(self, names: Iterable[str]) -> list[bytes]:
        """Octets of the topmost field of each of `names`, in lower case, that there is."""
        return [found[0].raw for found in map(self._by_name.get, names) if found]

    def all(self, name: str) -> tuple[HeaderField, ...]:
        """All fields of this name, from the top."""
        return tuple(self._by_name.get(name.lower(), ()))

    def value(self, name: str) -> str | None:
        """Value of the topmost field of this name; None if there is none."""
        value = self._values.get(name)
        if value is None and (found := self.first(name)) is not None:
            value = self._values[name] = found.value
        return value

    def duplicates(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names`, in lower case, that occur more than once (MF-14)."""
        if len(self._by_name) == len(self.fields):
            return ()
        return tuple(name for name in map(str.lower, names) if len(self._by_name.get(name, ())) > 1)


class ChunkedMessage(Protocol):
    """A message with its header section read, whose body comes in pieces; of a `StreamedMessage` only once."""

    @property
    def header(self) -> Header: ...

    @property
    def findings(self) -> tuple[str, ...]: ...

    def body_chunks(self) -> Iterator[bytes | memoryview]:
        """The body in one or more pieces."""


class ReadMessage(ChunkedMessage, Protocol):
    """A message that can be looked at again and again: in memory (`Octets`) or not (`LargeMessage`)."""

    @property
    def body(self) -> memoryview | Windows: ...


@dataclass(frozen=True, slots=True)
class Octets:
    """A message as octets with its header section read."""

    data: bytes = field(repr=False)
    """The message; its own copy with CRLF if it came with LF alone."""
    header: Header
    body_offset: int
    """Where the body begins in `data`."""
    findings: tuple[str, ...] = ()
    """``newline-normalised``, ``no-body-separator``."""

    @property
    def body(self) -> memoryview:
        """Everything behind the first empty line, without a copy."""
        return memoryview(self.data)[self.body_offset :]

    def body_chunks(self) -> Iterator[memoryview]:
        """The body as one piece, without a copy."""
        yield self.body


def read_message(data: bytes) -> Octets:
    """The message with its header section split into fields; `data` itself stays as it is.

    A message without any CRLF is read with LF as line end (IN-16); where there is a CRLF, lone CR or LF octets are
    no line ends. Nothing of the body is looked at.

    Raises:
        MalformedMessage: no header section, a line that is no field, or more of them than any honest message has.
    """
    findings = []
    if b"\r\n" not in data and b"\n" in data:
        data = data.replace(b"\n", b"\r\n")
        findings.append(NEWLINE_NORMALISED)
    end = data.find(b"\r\n\r\n")
    if end < 0:
        findings.append(NO_BODY_SEPARATOR)
        block, offset = data, len(data)
    else:
        block, offset = data[: end + 2], end + 4
    return Octets(data, read_header(block), offset, tuple(findings))


def read_header(block: bytes) -> Header:
    """The fields of a header section given without its empty line.

    Raises MalformedMessage as `read_message`.
    """
    if len(block) > MAX_HEADER_OCTETS:
        raise MalformedMessage("message-unparsable")
    *ended, last = _FIELD_END.split(block, maxsplit=MAX_FIELDS)
    raws = [raw + b"\r\n" for raw in ended]
    if last:
        raws.append(last)
    if not 0 < len(raws) <= MAX_FIELDS:
        raise MalformedMessage("message-unparsable")
    return Header(tuple(map(HeaderField, raws)))


def fold(name: str, value: str) -> bytes:
    """The field `name: value` with its CRLF, folded before blanks to 78 octets where there are blanks.

    Unfolding gives the value again, without its outer blanks. The first word always stays beside the name, since
    some servers damage a field whose first line is empty.

    Raises:
        ValueError: the value has control characters (so no line can be smuggled in) or octets outside ASCII, or
            a word without blank does not fit in 998 octets (MF-10).
    """
    value = value.strip(" \t")
    if not value.isascii() or not value.replace("\t", " ").isprintable():
        raise ValueError("header value with control or non-ASCII characters")
    if not _is_field_name(name):
        raise ValueError("no header field name")
    line = f"{name}: {value}" if value else f"{name}:"
    if len(line) > SOFT_LINE_OCTETS:
        line = _folded(f"{name}:", value)
    return line.encode("ascii") + b"\r\n"


_ESCAPE = "surrogateescape"


def _lower_name(start: bytes) -> str:
    """The name in lower case of what stands up to the first colon. Raises MalformedMessage if that is none."""
    match = _FIELD_NAME.fullmatch(start)
    if match is None:
        raise MalformedMessage("message-unparsable")
    return match[1].lower().decode("ascii")


_known_name = lru_cache(maxsize=1024)(_lower_name)
"""For names of honest length: all messages have the same."""


@lru_cache(maxsize=128)
def _is_field_name(name: str) -> bool:
    return name.isascii() and _FIELD_NAME.fullmatch(name.encode("ascii") + b":") is not None


def _folded(start: str, value: str) -> str:
    lines: list[str] = []
    words = _TOKEN.findall(value)
    line = f"{start} {words[0]}"
    for word in words[1:]:
        if len(line) + len(word) > SOFT_LINE_OCTETS:
            lines.append(line)
            line = word
        else:
            line += word
    lines.append(line)
    if max(map(len, lines)) > MAX_LINE_OCTETS:
        raise ValueError("header value cannot be folded")
    return "\r\n".join(lines)
