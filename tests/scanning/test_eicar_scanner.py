"""The test scanner knows one file, wherever it lies, and says which scanner it is."""

from __future__ import annotations

import base64
import io
import random
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.application.ports.scanning import ScanResult, ScanVerdict
from demail_gateway.core.eicar import EICAR, ZIP
from demail_gateway.scanning.eicar_scanner import ENGINE, EicarScanner
from demail_gateway.scanning.no_scanner import NoScanner

SCANNER = EicarScanner()
INFECTED = ScanResult(ScanVerdict.INFECTED, ENGINE, "Eicar-Test-Signature")
CLEAN = ScanResult(ScanVerdict.CLEAN, ENGINE)
UNSCANNABLE = ScanResult(ScanVerdict.UNSCANNABLE, ENGINE)


def zipped(octets: bytes, name: str = "datei", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("leer.txt", b"")
        archive.writestr(name, octets)
    return file.getvalue()


def encrypted(archive: bytes) -> bytes:
    """The archive with the flag "encrypted" of its members set, in both of their headers."""
    octets = bytearray(archive)
    for sign, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = octets.find(sign)
        while at >= 0:
            octets[at + offset] |= 1
            at = octets.find(sign, at + 1)
    return bytes(octets)


ENCRYPTED = encrypted(zipped(b"geheim"))


async def scanned(octets: bytes, size: int = 1000) -> ScanResult:
    scan = SCANNER.file()
    for start in range(0, len(octets), size):
        await scan.feed(octets[start : start + size])
    return await scan.end()


@pytest.mark.parametrize(
    "octets",
    [EICAR, b"x" * 500 + EICAR + b"y", zipped(EICAR), zipped(zipped(EICAR)), zipped(b"\0" * 3_000_000 + EICAR)],
    ids=["plain", "inside", "zip", "zip in zip", "late in a large member"],
)
async def test_the_test_file_is_found(octets: bytes) -> None:
    assert await scanned(octets) == INFECTED


@pytest.mark.parametrize(
    "octets",
    [b"", b"PK", EICAR[:-1], zipped(EICAR[1:]), zipped(zipped(b"harmlos")), EICAR[::-1]],
)
async def test_what_is_not_the_test_file_is_clean(octets: bytes) -> None:
    assert await scanned(octets) == CLEAN


@pytest.mark.parametrize(
    "octets",
    [
        ZIP + b" no archive",
        zipped(EICAR)[:-30],
        zipped(zipped(zipped(EICAR))),
        zipped(bytes(70_000_000)),
        ENCRYPTED,
    ],
    ids=["no archive", "cut off", "too deep", "too large", "encrypted"],
)
async def test_what_cannot_be_searched_to_its_end_is_not_said_to_be_clean(octets: bytes) -> None:
    assert await scanned(octets, 100_000) == UNSCANNABLE


async def test_an_archive_whose_member_lies_beyond_all_files_is_no_fault() -> None:
    whole = zipped(b"Bescheid")
    entry = whole.rindex(b"PK\x01\x02")
    name = int.from_bytes(whole[entry + 28 : entry + 30], "little")
    extra = struct.pack("<HHQ", 1, 8, 2**64 - 1)
    directory = bytearray(whole[entry : entry + 46 + name] + extra)
    directory[30:32], directory[42:46] = len(extra).to_bytes(2, "little"), b"\xff" * 4
    end = bytearray(whole[-22:])
    size = int.from_bytes(end[12:16], "little") + len(extra)
    end[12:16] = size.to_bytes(4, "little")
    assert await scanned(whole[:entry] + bytes(directory) + bytes(end)) == UNSCANNABLE


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_archives_changed_at_random_are_no_fault(method: int) -> None:
    chance = random.Random(7)
    whole = zipped(b"Bescheid " * 50, method=method)
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(4, len(changed))] = chance.randrange(256)
        assert (await scanned(bytes(changed))).verdict in (ScanVerdict.CLEAN, ScanVerdict.UNSCANNABLE)


@given(size=st.integers(1, 200), before=st.binary(max_size=100))
async def test_cutting_the_stream_anywhere_changes_nothing(size: int, before: bytes) -> None:
    assert await scanned(before + EICAR, size) == INFECTED
    assert await scanned(zipped(EICAR), size) == INFECTED


async def test_a_message_is_searched_in_its_decoded_parts() -> None:
    head = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert await SCANNER.message(head + base64.encodebytes(zipped(EICAR))) == INFECTED
    assert await SCANNER.message(head + base64.encodebytes(b"harmlos")) == CLEAN


@pytest.mark.parametrize("octets", [b"", b"\x00", b"\xff\xfe: x"])
async def test_octets_that_are_no_message_are_searched_as_they_are(octets: bytes) -> None:
    assert await SCANNER.message(octets) == CLEAN
    assert await SCANNER.message(octets + EICAR) == INFECTED


async def test_without_a_scanner_nothing_is_said_to_be_clean() -> None:
    scan = NoScanner().file()
    await scan.feed(EICAR)
    assert await scan.end() == await NoScanner().message(EICAR) == ScanResult(ScanVerdict.NONE)
