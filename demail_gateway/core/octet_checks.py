"""Checks of a message's octets, whatever they say (TR 01201-3.4 §3.1.21, RFC 5322 §2.1.1)."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from demail_gateway.core.findings import Finding, finding
from demail_gateway.core.header import (
    MAX_LINE_OCTETS,
    NEWLINE_NORMALISED,
    NO_BODY_SEPARATOR,
    SOFT_LINE_OCTETS,
    Header,
    Octets,
)
from demail_gateway.core.limits import GUIDELINE


def octet_findings(octets: Octets) -> Iterator[Finding]:
    """What is wrong with line ends, NUL, lengths and size of the whole message."""
    data = octets.data
    if NEWLINE_NORMALISED in octets.findings:
        yield finding("newline")
    if NO_BODY_SEPARATOR in octets.findings:
        yield finding("no-body-separator")
    pairs = data.count(b"\r\n")
    if data.count(b"\r") != pairs or data.count(b"\n") != pairs:
        yield finding("bare-newline")
    if b"\0" in data:
        yield finding("nul-octet")
    if GUIDELINE.gross_bytes is not None and len(data) > GUIDELINE.gross_bytes:
        yield finding("size")
    yield from field_findings(octets.header)
    yield from _line_findings(_longest_body_line(octets), "body")
    if octets.header.first("content-type") and not octets.header.first("mime-version"):
        yield finding("mime-version-missing")


def field_findings(header: Header) -> Iterator[Finding]:
    """Raw 8-bit octets (MF-9) and lines over the limits of RFC 5322, by field."""
    for item in header.fields:
        if not item.raw.isascii():
            yield finding("header-8bit", item.lower)
        if len(item.raw) > SOFT_LINE_OCTETS:
            yield from _line_findings(max(map(len, item.raw.split(b"\r\n"))), item.lower)


def _line_findings(longest: int, header: str) -> Iterator[Finding]:
    if longest > MAX_LINE_OCTETS:
        yield finding("line-too-long", header)
    elif longest > SOFT_LINE_OCTETS:
        yield finding("line-over-78", header)


def _longest_body_line(octets: Octets) -> int:
    stream = BytesIO(octets.data)  # shares the octets; lines are made one at a time
    stream.seek(octets.body_offset)
    tail = len(octets.data) - max(octets.data.rfind(b"\n") + 1, octets.body_offset)
    return max(max(map(len, stream), default=2) - 2, tail)
