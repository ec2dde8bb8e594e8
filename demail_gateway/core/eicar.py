"""The EICAR test file, found in files and messages, also inside ZIP archives: enough to show how malware is handled.

Played by the sandbox provider (TR 01201-3.1 steps 26 to 28 and 54 to 57) and by the gateway's test scanner. No
protection against anything else. What is encrypted end to end cannot be scanned (SND-70).
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from demail_gateway.core.header import Octets
from demail_gateway.core.mime import leaves, read_parts

# In two halves, so that a scanner on the developer's machine does not take this file for the test file.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
ZIP = b"PK\x03\x04"
"""How a ZIP archive begins."""

_PIECE_BYTES = 64 * 1024
_MAX_DEPTH = 2
_MAX_MEMBERS = 200
_MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""Of one file altogether, which also bounds the memory; the rest of a larger one is not looked at."""


class EicarSearch:
    """A search through pieces of a stream, in constant memory."""

    def __init__(self) -> None:
        self.found = False
        self._tail = b""

    def feed(self, octets: bytes) -> None:
        """The next piece; may be empty."""
        seen = self._tail + octets
        self.found = self.found or EICAR in seen
        self._tail = seen[-len(EICAR) + 1 :]


def message_holds_test_file(message: Octets) -> bool:
    """Whether any decoded part of this message holds the test file."""
    parts = leaves(read_parts(message.header, message.body))
    return any(file_holds_test_file(io.BytesIO(part.decode())) for part in parts)


def file_holds_test_file(file: IO[bytes]) -> bool:
    """Whether this file, from its beginning, or a file in this archive is or holds the test file. Memory is bounded."""
    return _holds(file, _MAX_DEPTH, _Budget(_MAX_UNPACKED_BYTES))


class _Budget:
    def __init__(self, octets: int) -> None:
        self.left = octets

    def pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        while self.left > 0 and (piece := file.read(min(_PIECE_BYTES, self.left))):
            self.left -= len(piece)
            yield piece


def _holds(file: IO[bytes], depth: int, budget: _Budget) -> bool:
    search = EicarSearch()
    file.seek(0)
    beginning = file.read(len(ZIP))
    search.feed(beginning)
    for piece in iter(lambda: file.read(_PIECE_BYTES), b""):
        search.feed(piece)
    return search.found or (beginning == ZIP and depth > 0 and _archive_holds(file, depth, budget))


def _archive_holds(file: IO[bytes], depth: int, budget: _Budget) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return any(_member_holds(archive, each, depth, budget) for each in archive.infolist()[:_MAX_MEMBERS])
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError, OSError):
        # Damaged, encrypted or of an unknown method: not scannable, and passed on (SND-70).
        return False


def _member_holds(archive: zipfile.ZipFile, member: zipfile.ZipInfo, depth: int, budget: _Budget) -> bool:
    """A file is searched as it is unpacked; an archive in the archive is kept in memory, as far as the budget goes."""
    search, inner = EicarSearch(), io.BytesIO()
    with archive.open(member) as packed:
        for number, piece in enumerate(budget.pieces(packed)):
            search.feed(piece)
            if inner.tell() or (number == 0 and piece.startswith(ZIP)):
                inner.write(piece)
    return search.found or (inner.tell() > 0 and _holds(inner, depth - 1, budget))
