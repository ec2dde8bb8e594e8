"""BER of a file, read element by element: what is large passes through in chunks and is never held.

The caller says what it expects, so a string is known as one whatever its tag and in however many pieces it comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from demail_gateway.trust.cms.ber import to_der
from demail_gateway.trust.cms.der import OCTET_STRING, DerError, Element, parse

CHUNK_BYTES = 64 * 1024
MAX_ELEMENT_BYTES = 4 * 1024 * 1024
"""Of an element that is held: certificates, recipients, signatures. A thousand RSA-4096 recipients are below 1 MiB."""
MAX_PIECES = 500_000
"""500 MiB in the pieces of 1 KiB that common senders write."""
MAX_DEPTH = 32

_CONSTRUCTED = 0x20
_COST_BYTES = 48
"""What an element of indefinite length counts beside its octets, so that millions of empty ones are refused, too."""

Mark = tuple[int, tuple[int | None, ...]]
"""A place to return to."""


class BerReader:
    """Goes forward through `file` from where it stands; `enter` and `leave` go in and out of constructed elements.

    Everything raises DerError for what is not BER or not what was asked for, and OSError as the file does.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ends: list[int | None] = []
        """Where the open elements end; None for the indefinite form."""
        self._at = file.tell()

    def enter(self, tag: int) -> None:
        """Into the next element, which is constructed and has this tag."""
        found, size = self._header()
        if found != tag:
            raise DerError("unexpected tag")
        self._push(size)

    def leave(self) -> None:
        """Out of the open element, all of which was read."""
        if not self.is_at_end():
            raise DerError("unexpected element")
        if self._ends.pop() is None:
            self._take(2)

    def is_at_end(self) -> bool:
        """Whether the open element has nothing more."""
        end = self._ends[-1]
        return self._peek(2) == b"\0\0" if end is None else self._at == end

    def element(self, *tags: int) -> Element:
        """The next element in DER, whole; its tag must be one of `tags`, if any are given.

        It is held in memory: at most MAX_ELEMENT_BYTES.
        """
        pieces: list[bytes] = []
        self._collect(pieces, MAX_ELEMENT_BYTES, MAX_DEPTH)
        found = parse(to_der(b"".join(pieces)))
        if tags and found.tag not in tags:
            raise DerError("unexpected tag")
        return found

    def octets(self, tag: int = OCTET_STRING) -> Iterator[bytes]:
        """Contents of the next element, a string with this primitive `tag`, in whatever pieces it comes."""
        found, size = self._header()
        left = [MAX_PIECES]
        if found == tag:
            yield from self._contents(size)
        elif found == tag | _CONSTRUCTED:
            self._push(size)
            yield from self._pieces(left, MAX_DEPTH)
        else:
            raise DerError("unexpected tag")

    def finish(self) -> None:
        """Raises DerError if anything follows."""
        if self._ends or self._file.read(1):
            raise DerError("trailing octets")

    def mark(self) -> Mark:
        return self._at, tuple(self._ends)

    def reset(self, mark: Mark) -> None:
        """Back to where `mark` was called. The file must be seekable."""
        self._at, ends = mark
        self._ends = list(ends)
        self._file.seek(self._at)

    def _pieces(self, left: list[int], depth: int) -> Iterator[bytes]:
        if not depth:
            raise DerError("too deep")
        while not self.is_at_end():
            left[0] -= 1
            if left[0] < 0:
                raise DerError("too many elements")
            tag, size = self._header()
            if tag == OCTET_STRING:
                yield from self._contents(size)
            elif tag == OCTET_STRING | _CONSTRUCTED:
                self._push(size)
                yield from self._pieces(left, depth - 1)
            else:
                raise DerError("octet string of other pieces")
        self.leave()

    def _contents(self, size: int | None) -> Iterator[bytes]:
        if size is None:
            raise DerError("indefinite length of a primitive element")
        while size:
            chunk = self._take(min(size, CHUNK_BYTES))
            size -= len(chunk)
            yield chunk

    def _collect(self, pieces: list[bytes], room: int, depth: int) -> int:
        """Appends the next element as it stands; what is left of `room`."""
        start = self._at
        tag, size = self._header()
        head = self._again(start)
        pieces.append(head)
        room -= len(head) + (size or 0) + _COST_BYTES
        if room < 0 or not depth:
            raise DerError("too large or too deep")
        if size is not None:
            pieces.append(self._take(size))
            return room
        if not tag & _CONSTRUCTED:
            raise DerError("indefinite length of a primitive element")
        while self._peek(2) != b"\0\0":
            room = self._collect(pieces, room, depth - 1)
        pieces.append(self._take(2))
        return room

    def _header(self) -> tuple[int, int | None]:
        tag, size = self._take(2)
        if tag & 0x1F == 0x1F:
            raise DerError("tag of several octets")
        if size == 0x80:
            return tag, None
        if size & 0x80:
            count = size & 0x7F
            if count > 8:
                raise DerError("length of more than 8 octets")
            size = int.from_bytes(self._take(count), "big")
        return tag, size

    def _push(self, size: int | None) -> None:
        end = None if size is None else self._at + size
        outer = self._outer_end()
        if end is not None and outer is not None and end > outer:
            raise DerError("truncated")
        self._ends.append(end)

    def _outer_end(self) -> int | None:
        return next((end for end in reversed(self._ends) if end is not None), None)

    def _take(self, size: int) -> bytes:
        outer = self._outer_end()
        if outer is not None and size > outer - self._at:
            raise DerError("truncated")
        octets = self._file.read(size)
        if len(octets) != size:
            raise DerError("truncated")
        self._at += size
        return octets

    def _peek(self, size: int) -> bytes:
        octets = self._file.read(size)
        self._file.seek(self._at)
        return octets

    def _again(self, start: int) -> bytes:
        """What was taken since `start`."""
        self._file.seek(start)
        return self._file.read(self._at - start)
