"""A scanner for `dev`, `demo` and tests: it knows the EICAR test file alone, and says so in every result."""

from __future__ import annotations

import asyncio
import tempfile

from demail_gateway.application.ports.scanning import Scan, ScanResult, ScanVerdict
from demail_gateway.core.eicar import ZIP, EicarSearch, file_holds_test_file, message_holds_test_file
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import read_message

ENGINE = "eicar-test 1"
_MEMORY_BYTES = 1024 * 1024


class EicarScanner:
    """Meets the port `Scanner`."""

    def file(self) -> Scan:
        return _FileScan()

    async def message(self, octets: bytes) -> ScanResult:
        return _result(await asyncio.to_thread(_in_message, octets))


class _FileScan:
    """Searches a stream as it passes; an archive is kept beside, beyond 1 MiB in a temporary file."""

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
            return _result(self._search.found)
        with self._archive:
            return _result(await asyncio.to_thread(file_holds_test_file, self._archive))


def _in_message(octets: bytes) -> bool:
    try:
        return message_holds_test_file(read_message(octets))
    except MalformedMessage:
        search = EicarSearch()
        search.feed(octets)
        return search.found


def _result(found: bool) -> ScanResult:
    if found:
        return ScanResult(ScanVerdict.INFECTED, ENGINE, "Eicar-Test-Signature")
    return ScanResult(ScanVerdict.CLEAN, ENGINE)
