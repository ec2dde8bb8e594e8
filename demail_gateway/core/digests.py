"""The two digests that X-de-mail-integrity rests on: of the body, of the covered fields (TR 01201-3.4 §3.1.21).

Canonicalisation is "simple" for both (RFC 6376 §3.4.1, §3.4.3): octets as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from demail_gateway.core.header import HeaderField
from demail_gateway.core.integrity_field import emptied
from demail_gateway.core.primitives import HashName

Buffer = bytes | bytearray | memoryview

_HASH = {HashName.SHA256: hashlib.sha256, HashName.SHA384: hashlib.sha384, HashName.SHA512: hashlib.sha512}
_LINES_AT_ONCE = 32 * 1024
_LINES = b"\r\n" * _LINES_AT_ONCE


def body_digest(body: Buffer, hash_name: HashName) -> bytes:
    """Digest of the whole body: all CRLF at its end replaced by one; an empty body is one CRLF."""
    hasher = BodyHasher(hash_name)
    hasher.update(body)
    return hasher.digest()


class BodyHasher:
    """`body_digest` for a body that comes in chunks; where it is cut makes no difference."""

    __slots__ = ("_cr", "_hash", "_lines")

    def __init__(self, hash_name: HashName) -> None:
        self._hash = _HASH[hash_name]()
        self._lines = 0  # CRLFs at the end so far, held back: they count only if something follows
        self._cr = False  # a CR behind them that may be half of one more

    def update(self, chunk: Buffer) -> None:
        view = memoryview(chunk)
        if self._cr and view:
            self._cr = False
            if view[0] == _LF:
                self._lines += 1
                view = view[1:]
            else:
                self._release()
                self._hash.update(b"\r")
        end = _end_of_content(view)
        if end:
            self._release()
            self._hash.update(view[:end])
        rest = len(view) - end
        self._lines += rest // 2
        self._cr = self._cr or bool(rest % 2)

    def digest(self) -> bytes:
        """The digest of what was given so far; more may follow."""
        final = self._hash.copy()
        if self._cr:
            _write_lines(final.update, self._lines)
            final.update(b"\r")
        final.update(b"\r\n")
        return final.digest()

    def _release(self) -> None:
        _write_lines(self._hash.update, self._lines)
        self._lines = 0


def header_digest(
    topmost: Callable[[str], HeaderField | None], names: Sequence[str], integrity: HeaderField, hash_name: HashName
) -> bytes:
    """Digest of the covered fields in the order of `names`, then the integrity field with its ``b`` emptied.

    `topmost` gives the field of a name that counts: ``header.first``, or that of the fields a confirmation
    carries. Names without field, and repetitions, contribute nothing (IN-20).

    Raises:
        MalformedMessage: the integrity field has no ``b`` tag.
    """
    found = map(topmost, dict.fromkeys(map(str.lower, names)))
    return covered_digest([each.raw for each in found if each is not None], emptied(integrity), hash_name)


def covered_digest(fields: Sequence[bytes], integrity: bytes, hash_name: HashName) -> bytes:
    """`header_digest` for the octets of the covered fields and of the integrity field with its ``b`` emptied."""
    return _HASH[hash_name](b"".join((*fields, integrity))).digest()


_LF = 0x0A
_CR = 0x0D


def _end_of_content(view: memoryview) -> int:
    """Where the final run of CRLF (and of a CR that may begin one more) starts."""
    end = len(view) - 1 if view and view[-1] == _CR else len(view)
    # blocks first: a hostile body of millions of empty lines must not be walked in Python
    while end >= len(_LINES) and view[end - len(_LINES) : end] == _LINES:
        end -= len(_LINES)
    while end >= 2 and view[end - 1] == _LF and view[end - 2] == _CR:
        end -= 2
    return end


def _write_lines(update: Callable[[bytes], None], lines: int) -> None:
    for _ in range(lines // _LINES_AT_ONCE):
        update(_LINES)
    update(b"\r\n" * (lines % _LINES_AT_ONCE))
