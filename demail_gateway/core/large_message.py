"""A message that is not held in memory: its header section is read, its body stays where it lies (`windows.py`).

`check_integrity`, `check_message` and `read_parts` take it as they take `Octets`, with the same answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import (
    MAX_HEADER_OCTETS,
    NEWLINE_NORMALISED,
    NO_BODY_SEPARATOR,
    Header,
    read_header,
)
from demail_gateway.core.windows import WINDOW_OCTETS, ReadAt, Windows


@dataclass(frozen=True, slots=True)
class LargeMessage:
    """A message with its header section read, as `Octets`; memory needed is that of the header section.

    What reads its body raises what the reading function raises, OSError where the octets became fewer.
    """

    header: Header
    body: Windows = field(repr=False)
    findings: tuple[str, ...] = ()
    """``newline-normalised``, ``no-body-separator``."""

    def body_chunks(self) -> Iterator[bytes]:
        """Everything behind the first empty line, in pieces, with CRLF; each call reads anew."""
        return self.body.chunks()


def read_large_message(size_bytes: int, read_at: ReadAt, *, window_octets: int = WINDOW_OCTETS) -> LargeMessage:
    """The message of `size_bytes` octets that `read_at` gives; as `read_message`, in bounded memory.

    Raises:
        MalformedMessage: as `read_message`.
        OSError: from `read_at`.
    """
    octets = Windows(size_bytes, read_at, window_octets=window_octets)
    lf_alone = octets.find(b"\r\n") < 0 <= octets.find(b"\n")
    line_end = b"\n" if lf_alone else b"\r\n"
    # one octet more than may be there shows that it is too much
    end = octets.find(line_end * 2, 0, MAX_HEADER_OCTETS + len(line_end))
    offset = size_bytes if end < 0 else end + 2 * len(line_end)
    block = octets[: MAX_HEADER_OCTETS + 1] if end < 0 else octets[: end + len(line_end)]
    if lf_alone:
        block = block.replace(b"\n", b"\r\n")
    if end < 0 and size_bytes > MAX_HEADER_OCTETS:
        raise MalformedMessage("message-unparsable")
    findings = (NEWLINE_NORMALISED,) * lf_alone + (NO_BODY_SEPARATOR,) * (end < 0)
    body = octets.behind(offset, lf_is_line_end=lf_alone)
    return LargeMessage(read_header(block), body, findings)
