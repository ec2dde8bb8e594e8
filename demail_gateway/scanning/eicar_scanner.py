"""A scanner for `dev`, `demo` and tests: it knows the EICAR test file alone, and says so in every result.

An archive is kept as it passes, beyond 1 MiB in a temporary file **in clear**: one more reason why it is not for
production.
"""

from __future__ import annotations

import asyncio
import tempfile

from demail_gateway.application.ports.scanning import Scan, ScanResult, ScanVerdict
from demail_gateway.core.eicar import ZIP, EicarSearch, Search, search_file, search_message
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import read_message

ENGINE = "eicar-test 1"
_MEMORY_BYTES = 1024 * 1024
_VERDICTS = {
    Search.NOTHING: ScanVerdict.CLEAN,
    Search.INCOMPLETE: ScanVerdict.UNSCANNABLE,
    Search.FOUND: ScanVerdict.INFECTED,
}


class EicarScanner:
    """Meets the port `Scanner`."""

    def file(self) -> Scan:
        return _FileScan()

    async def message(self, octets: bytes) -> ScanResult:
        return _result(await asyncio.to_thread(_in_message, octets))


class _FileScan:
    """Searches a stream as it passes."""

    def __init__(self) -> None:
        self._search = EicarSearch()
        self._beginning = b""
        self._archive: tempfile.SpooledTemporaryFile[bytes] | None = None

    async def feed(self, octets: bytes) -> None:
        self._search.feed(octets)
        if self._archive is not None:
            self._archive.write(octets)
        elif len(self._beginning) < len(ZIP):
            self._beginning += octets
            if self._beginning.startswith(ZIP):
                self._archive = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115 (`end` closes it)
                self._archive.write(self._beginning)

    async def end(self) -> ScanResult:
        if self._archive is None or self._search.found:
            return _result(Search.FOUND if self._search.found else Search.NOTHING)
        with self._archive:
            return _result(await asyncio.to_thread(search_file, self._archive))


def _in_message(octets: bytes) -> Search:
    try:
        return search_message(read_message(octets))
    except MalformedMessage:
        search = EicarSearch()
        search.feed(octets)
        return Search.FOUND if search.found else Search.NOTHING


def _result(found: Search) -> ScanResult:
    signature = "Eicar-Test-Signature" if found is Search.FOUND else None
    return ScanResult(_VERDICTS[found], ENGINE, signature)
