"""From BER to DER as far as CMS needs it: streaming senders write indefinite lengths and strings in pieces.

Lengths become definite and minimal, constructed OCTET STRINGs primitive; order and everything else stays. What was DER
comes out unchanged, so certificates inside keep their signature.
"""

from __future__ import annotations

from demail_gateway.trust.cms.der import OCTET_STRING, DerError, header

MAX_DEPTH = 32
"""CMS with a certificate inside needs about 15."""
MAX_ELEMENTS = 200_000
"""45 MiB in the pieces of 1 KiB that common senders write are 46,080."""

_CONSTRUCTED = 0x20


def to_der(data: bytes) -> bytes:
    """DER of the one element that fills `data`; time and memory are linear in its size.

    Raises:
        DerError: not BER, octets behind it, deeper than MAX_DEPTH, or more than MAX_ELEMENTS elements.
    """
    walk = _Walk(data)
    tag, contents = walk.element(len(data), MAX_DEPTH)
    if walk.at != len(data):
        raise DerError("trailing octets")
    return header(tag, len(contents)) + contents


class _Walk:
    __slots__ = ("at", "data", "left")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.left = MAX_ELEMENTS

    def element(self, limit: int, depth: int) -> tuple[int, bytes]:
        """Tag and contents of the element at `at`, which moves behind it."""
        self.left -= 1
        if depth == 0 or self.left < 0:
            raise DerError("too deep or too many elements")
        tag, size = self._header(limit)
        if not tag & _CONSTRUCTED:
            if size is None:
                raise DerError("indefinite length of a primitive element")
            start, self.at = self.at, self.at + size
            return tag, self.data[start : self.at]
        children = self._children(limit if size is None else self.at + size, depth - 1, until_mark=size is None)
        if tag == OCTET_STRING | _CONSTRUCTED:
            return OCTET_STRING, _joined(children)
        return tag, b"".join(part for tag, body in children for part in (header(tag, len(body)), body))

    def _children(self, limit: int, depth: int, *, until_mark: bool) -> list[tuple[int, bytes]]:
        children: list[tuple[int, bytes]] = []
        while self.at < limit:
            if until_mark and self.data[self.at : self.at + 2] == b"\0\0":
                self.at += 2
                return children
            children.append(self.element(limit, depth))
        if until_mark:
            raise DerError("truncated")
        return children

    def _header(self, limit: int) -> tuple[int, int | None]:
        """Tag and length; None for the indefinite form."""
        if limit - self.at < 2:
            raise DerError("truncated")
        tag, size = self.data[self.at], self.data[self.at + 1]
        self.at += 2
        if tag & 0x1F == 0x1F:
            raise DerError("tag of several octets")
        if size == 0x80:
            return tag, None
        if size & 0x80:
            count = size & 0x7F
            if count > 8:
                raise DerError("length of more than 8 octets")
            size = int.from_bytes(self.data[self.at : self.at + count], "big")
            self.at += count
        if size > limit - self.at:
            raise DerError("truncated")
        return tag, size


def _joined(pieces: list[tuple[int, bytes]]) -> bytes:
    if any(tag != OCTET_STRING for tag, _ in pieces):
        raise DerError("octet string of other pieces")
    return b"".join(body for _, body in pieces)
