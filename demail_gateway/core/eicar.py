"""The EICAR test file, found in files and messages, also inside ZIP archives: enough to show how malware is handled.

Played by the sandbox provider (TR 01201-3.1 steps 26 to 28 and 54 to 57) and by the gateway's test scanner. No
protection against anything else. What is encrypted or damaged, or unpacks to more than the limits, is not searched to
its end, and the answer says so.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import IO

from demail_gateway.core.header import Octets
from demail_gateway.core.mime import leaves, read_parts
from demail_gateway.core.zip_faults import ZIP_FAULTS

# In two halves, so that a scanner on the developer's machine does not take this file for the test file.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
ZIP = b"PK\x03\x04"
"""How a ZIP archive begins."""

_PIECE_BYTES = 64 * 1024
_MAX_DEPTH = 2
_MAX_MEMBERS = 2_000
_MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""Of one file altogether, which also bounds the memory."""


class Search(IntEnum):
    """What a search says; of several, the greatest holds."""

    NOTHING = 0
    INCOMPLETE = 1
    """Something could not be searched."""
    FOUND = 2


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


def search_message(message: Octets) -> Search:
    """Searches all decoded parts of this message."""
    parts = leaves(read_parts(message.header, message.body))
    return _worst(search_file(io.BytesIO(part.decode())) for part in parts)


def search_file(file: IO[bytes]) -> Search:
    """Searches this file from its beginning, and what it contains if it is an archive."""
    return _search(file, _MAX_DEPTH, _Budget(_MAX_UNPACKED_BYTES))


class _Budget:
    def __init__(self, octets: int) -> None:
        self.left = octets

    def pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        """Raises BadZipFile when more comes than is left."""
        while piece := file.read(_PIECE_BYTES):
            self.left -= len(piece)
            if self.left < 0:
                raise zipfile.BadZipFile("unpacks to more than is looked at")
            yield piece


def _worst(found: Iterable[Search]) -> Search:
    worst = Search.NOTHING
    for each in found:
        worst = max(worst, each)
        if worst is Search.FOUND:
            break
    return worst


def _search(file: IO[bytes], depth: int, budget: _Budget) -> Search:
    search = EicarSearch()
    file.seek(0)
    beginning = file.read(len(ZIP))
    search.feed(beginning)
    for piece in iter(lambda: file.read(_PIECE_BYTES), b""):
        search.feed(piece)
    if search.found:
        return Search.FOUND
    return _search_archive(file, depth, budget) if beginning == ZIP else Search.NOTHING


def _search_archive(file: IO[bytes], depth: int, budget: _Budget) -> Search:
    if depth == 0:
        return Search.INCOMPLETE
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            found = _worst(_search_member(archive, each, depth, budget) for each in members[:_MAX_MEMBERS])
            return max(found, Search.INCOMPLETE) if len(members) > _MAX_MEMBERS else found
    except ZIP_FAULTS:
        return Search.INCOMPLETE


def _search_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, depth: int, budget: _Budget) -> Search:
    """A file is searched as it is unpacked; an archive in the archive is kept in memory, as far as the budget goes."""
    search, inner = EicarSearch(), io.BytesIO()
    try:
        with archive.open(member) as packed:
            for number, piece in enumerate(budget.pieces(packed)):
                search.feed(piece)
                if inner.tell() or (number == 0 and piece.startswith(ZIP)):
                    inner.write(piece)
    except ZIP_FAULTS:
        return Search.FOUND if search.found else Search.INCOMPLETE
    if search.found:
        return Search.FOUND
    return _search(inner, depth - 1, budget) if inner.tell() else Search.NOTHING
