"""Checks of a message's octets, whatever they say (TR 01201-3.4 §3.1.21, RFC 5322 §2.1.1)."""

from __future__ import annotations

from collections.abc import Iterator

from demail_gateway.core.findings import Finding, finding
from demail_gateway.core.header import (
    MAX_LINE_OCTETS,
    NEWLINE_NORMALISED,
    NO_BODY_SEPARATOR,
    SOFT_LINE_OCTETS,
    Header,
    ReadMessage,
)
from demail_gateway.core.limits import GUIDELINE


def octet_findings(message: ReadMessage) -> Iterator[Finding]:
    """What is wrong with line ends, NUL, lengths and size of the whole message. Reads the body once."""
    has_separator = NO_BODY_SEPARATOR not in message.findings
    header, body = OctetScan(), OctetScan()
    header.update(message.header.raw)
    for chunk in message.body_chunks():
        body.update(chunk)
    if NEWLINE_NORMALISED in message.findings:
        yield finding("newline")
    if not has_separator:
        yield finding("no-body-separator")
    if header.has_bare_line_end or body.has_bare_line_end:
        yield finding("bare-newline")
    if header.has_nul or body.has_nul:
        yield finding("nul-octet")
    size_bytes = header.size_bytes + 2 * has_separator + body.size_bytes
    if GUIDELINE.gross_bytes is not None and size_bytes > GUIDELINE.gross_bytes:
        yield finding("size")
    yield from field_findings(message.header)
    yield from _line_findings(body.longest_line, "body")
    if message.header.first("content-type") and not message.header.first("mime-version"):
        yield finding("mime-version-missing")


def field_findings(header: Header) -> Iterator[Finding]:
    """Raw 8-bit octets (MF-9) and lines over the limits of RFC 5322, by field."""
    for item in header.fields:
        if not item.raw.isascii():
            yield finding("header-8bit", item.lower)
        if len(item.raw) > SOFT_LINE_OCTETS:
            yield from _line_findings(max(map(len, item.raw.split(b"\r\n"))), item.lower)


class OctetScan:
    """What octets consist of, given in pieces; where they are cut makes no difference."""

    __slots__ = ("_ends", "_held", "_line", "_longest", "_returns", "_single", "has_nul", "size_bytes")

    def __init__(self) -> None:
        self.size_bytes = 0
        self.has_nul = False
        self._returns = self._single = self._ends = 0
        self._held = False  # a CR at the end so far: half of a line end, or one alone
        self._line = self._longest = 0

    @property
    def has_bare_line_end(self) -> bool:
        """Whether there is a CR without LF or a LF without CR; else there are as many of each as line ends."""
        return self._held or not self._returns == self._single == self._ends

    @property
    def longest_line(self) -> int:
        """Octets of the longest line, without its line end. The last one need not have an end."""
        return max(self._longest, self._line)

    def update(self, piece: bytes | memoryview) -> None:
        for start in range(0, len(piece), _AT_ONCE):
            self._add(bytes(piece[start : start + _AT_ONCE]))

    def _add(self, octets: bytes) -> None:
        self.size_bytes += len(octets)
        self.has_nul = self.has_nul or b"\0" in octets
        octets = b"\r" + octets if self._held else octets
        self._held = octets.endswith(b"\r")
        octets = octets[:-1] if self._held else octets
        if octets:
            self._returns += octets.count(b"\r")
            self._single += octets.count(b"\n")
            self._measure(octets)

    def _measure(self, octets: bytes) -> None:
        lines = octets.splitlines()
        has_end = octets.endswith((b"\n", b"\r"))
        self._ends += len(lines) - (not has_end)
        first = self._line + len(lines[0])
        # a last line without end counts as far as it goes; what follows makes it only longer
        longest = max(map(len, lines))
        self._longest = max(self._longest, first, longest)
        self._line = 0 if has_end else first if len(lines) == 1 else len(lines[-1])


_AT_ONCE = 256 * 1024


def _line_findings(longest: int, header: str) -> Iterator[Finding]:
    if longest > MAX_LINE_OCTETS:
        yield finding("line-too-long", header)
    elif longest > SOFT_LINE_OCTETS:
        yield finding("line-over-78", header)
