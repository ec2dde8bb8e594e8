"""A message that comes in pieces and only once, from a line or out of an archive: read without being held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import (
    MAX_HEADER_OCTETS,
    NEWLINE_NORMALISED,
    NO_BODY_SEPARATOR,
    Header,
    read_header,
)


@dataclass(frozen=True, slots=True)
class StreamedMessage:
    """A message with its header section read; its body can be read once, as `check_integrity` does."""

    header: Header
    findings: tuple[str, ...]
    """``newline-normalised``, ``no-body-separator``."""
    _body: Iterator[bytes] = field(repr=False)

    def body_chunks(self) -> Iterator[bytes]:
        """What was not yet read of the body, with CRLF.

        Raises:
            MalformedMessage: ``message-unparsable``: lines ended with LF alone up to here, and now with CRLF.
        """
        return self._body


def read_streamed_message(pieces: Iterable[bytes]) -> StreamedMessage:
    """The message whose octets are `pieces`, cut anywhere; as `read_message`, in bounded memory.

    Raises:
        MalformedMessage: as `read_message`.
    """
    source = iter(pieces)
    beginning, ended = _beginning(source)
    lf_alone = b"\r\n" not in beginning and b"\n" in beginning
    line_end = b"\n" if lf_alone else b"\r\n"
    end = beginning.find(line_end * 2)
    if end < 0 and not ended:
        raise MalformedMessage("message-unparsable")
    block = beginning if end < 0 else beginning[: end + len(line_end)]
    rest = b"" if end < 0 else beginning[end + 2 * len(line_end) :]
    if lf_alone:
        block = block.replace(b"\n", b"\r\n")
    findings = (NEWLINE_NORMALISED,) * lf_alone + (NO_BODY_SEPARATOR,) * (end < 0)
    body = chain((rest,), source)
    return StreamedMessage(read_header(block), findings, _with_crlf(body) if lf_alone else body)


_BEGINNING_OCTETS = MAX_HEADER_OCTETS + len(b"\r\n\r\n")


def _beginning(source: Iterator[bytes]) -> tuple[bytes, bool]:
    """Enough to hold the header section and to tell what its line ends are, and whether that is all there is."""
    found = bytearray()
    for piece in source:
        searched = max(0, len(found) - 3)
        found += piece
        if found.find(b"\r\n\r\n", searched) >= 0 or len(found) > _BEGINNING_OCTETS:
            return bytes(found), False
    return bytes(found), True


def _with_crlf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        octets = held + piece
        if b"\r\n" in octets:
            raise MalformedMessage("message-unparsable")
        held = b"\r" if octets.endswith(b"\r") else b""
        yield octets.removesuffix(held).replace(b"\n", b"\r\n")
    yield held
