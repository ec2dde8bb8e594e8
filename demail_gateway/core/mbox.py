"""Many messages in one text file: mbox (RFC 4155) with the reversible quoting of qmail (TR 01201-3.4 §3.6, MF-29).

Both directions take and give pieces of any size and hold next to nothing; where the pieces are cut changes nothing.

The file has LF as line end and a message CRLF. A message with a lone CR or LF would come back as another one, so it
cannot be written; it is exported as a file of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter

from demail_gateway.core.address import Address
from demail_gateway.core.errors import ComposeFailed, MalformedMessage

NO_SENDER = "MAILER-DAEMON"
"""Stands in the separator where there is no sender."""
BARE_NEWLINE = "mbox-bare-newline"
SEPARATOR_MISSING = "mbox-separator-missing"


def write_mbox_message(message: Iterable[bytes], sender: Address | None, at: datetime) -> Iterator[bytes]:
    """One message as it stands in an mbox file, in pieces; a file of 0 to n messages is just these one after another.

    `sender` and `at` fill the separator line; readers do not look at them. A body without final line end gains one,
    which its hash does not cover.

    Raises:
        ComposeFailed: ``mbox-bare-newline``, when it is met; what was given out before is worthless then.
    """
    yield f"From {sender or NO_SENDER} {_asctime(at)}\n".encode("ascii")
    last = b"\n"
    for starts, octets in _blocks(_strictly_lf(message), quotes_kept=0):
        yield _quoted(octets, starts)
        last = octets[-1:] or last
    yield b"\n" if last == b"\n" else b"\n\n"


def read_mbox(pieces: Iterable[bytes]) -> Iterator[Iterator[bytes]]:
    """The messages of an mbox file, each as pieces with CRLF as line end; none for an empty file.

    A message is to be read before the next one is taken; then what was not read of it is passed over.

    Raises:
        MalformedMessage: ``mbox-separator-missing``: something stands in front of the first message.
    """
    for number, found in groupby(_numbered(pieces), key=itemgetter(0)):
        if number == 0:
            raise MalformedMessage(SEPARATOR_MISSING)
        lines = _without_final_empty_line(octets for _, octets in found)
        yield (octets.replace(b"\n", b"\r\n") for octets in lines)


def is_mbox(beginning: bytes) -> bool:
    """Whether a file that begins so is an mbox with at least one message: no field name has a blank in it."""
    return beginning.startswith(b"From ")


_SEPARATOR = b"\nFrom "
_TO_QUOTE = re.compile(rb"\n(>*From )")
_TO_UNQUOTE = re.compile(rb"\n>(>*From )")
_UNDECIDED = re.compile(rb"(>*)(?:F(?:r(?:om?)?)?)?")
"""The beginning of a line that may become a separator or a quoted one."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _asctime(at: datetime) -> str:
    """24 characters, UTC (RFC 4155 appendix A); strftime would follow the locale."""
    utc = at.astimezone(UTC)
    return f"{_DAYS[utc.weekday()]} {_MONTHS[utc.month - 1]} {utc.day:2} {utc:%H:%M:%S} {utc.year:04}"


def _blocks(pieces: Iterable[bytes], quotes_kept: int) -> Iterator[tuple[bool, bytes]]:
    """The octets cut anew, so that no beginning of a line is torn where that matters, and whether a block starts one.

    Of a line that has only ``>`` so far, all but `quotes_kept` are given out as they come (one of them stands for
    all), so that a line of nothing else is not held.
    """
    held, starts = b"", True
    for piece in pieces:
        octets = held + piece
        line = octets.rfind(b"\n") + 1
        undecided = _UNDECIDED.fullmatch(octets, line) if line or starts else None
        end = max(line, undecided.end(1) - quotes_kept) if undecided else len(octets)
        yield starts, octets[:end]
        held, starts = octets[end:], undecided is not None
    yield starts, held


def _quoted(octets: bytes, starts: bool) -> bytes:
    """The block with one more ``>`` in front of each line that matches ``^>*From ``."""
    if starts:
        return _TO_QUOTE.sub(rb"\n>\1", b"\n" + octets)[1:]
    return _TO_QUOTE.sub(rb"\n>\1", octets)


def _numbered(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The content of all messages, unquoted, with the number of its message; 0 is in front of the first.

    Each message has at least one, empty, item.
    """
    number, in_separator = 0, False
    for starts, octets in _blocks(_lf(pieces), quotes_kept=1):
        # every line then begins behind a line end, also the first one of a block
        data = b"\n" + octets if starts else octets
        at = int(starts)
        while at < len(data):
            if in_separator:
                line_end = data.find(b"\n", at)
                if line_end < 0:
                    break
                at, in_separator = line_end + 1, False
            found = data.find(_SEPARATOR, max(at - 1, 0))
            end = len(data) if found < 0 else found + 1
            if at < end:
                yield number, _unquoted(data, at, end)
            if found < 0:
                break
            number, in_separator, at = number + 1, True, found + len(_SEPARATOR)
            yield number, b""


def _unquoted(data: bytes, start: int, end: int) -> bytes:
    """That stretch with one ``>`` less in front of each line that matches ``^>+From ``."""
    line_end = min(start, 1)
    return _TO_UNQUOTE.sub(rb"\n\1", data[start - line_end : end])[line_end:]


def _without_final_empty_line(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held, last = b"", b"\n"
    for piece in pieces:
        octets = held + piece
        ends_empty = octets.endswith(b"\n\n") or (octets == b"\n" == last)
        octets, held = (octets[:-1], b"\n") if ends_empty else (octets, b"")
        if octets:
            yield octets
            last = octets[-1:]


def _lf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The octets with LF in place of CRLF; what is LF alone, or CR alone, stays."""
    for octets in _with_whole_line_ends(pieces):
        yield octets.replace(b"\r\n", b"\n")


def _strictly_lf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """As `_lf`. Raises ComposeFailed for a CR or LF alone."""
    for octets in _with_whole_line_ends(pieces):
        pairs = octets.count(b"\r\n")
        if not pairs == octets.count(b"\r") == octets.count(b"\n"):
            raise ComposeFailed(BARE_NEWLINE)
        yield octets.replace(b"\r\n", b"\n")


def _with_whole_line_ends(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The octets cut anew: a CR at the end of a piece waits for the next one."""
    held = b""
    for piece in pieces:
        octets = held + piece
        held = b"\r" if octets.endswith(b"\r") else b""
        yield octets.removesuffix(held)
    yield held
