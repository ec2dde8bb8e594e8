"""Members of an evidence package: whatever is done to the archive, it is read or damaged, never another exception."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demail_gateway.application.package_members import Damaged, Members
from demail_gateway.core.package import MAX_MEMBERS
from tests.harness.mutations import Mutation, octet_mutations

FILES = {"a.txt": b"Guten Tag. " * 500, "evidence/1.eml": bytes(range(256)) * 20}
STORED, DEFLATED, BZIP2, LZMA = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA
DIRECTORY_ENTRY = b"PK\x01\x02"


def archive(compression: int = STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as made:
        for path, octets in FILES.items():
            made.writestr(path, octets)
    return target.getvalue()


def read_in_every_way(octets: bytes) -> dict[str, bytes]:
    members = Members(io.BytesIO(octets))
    read = {path: members[path] for path in members}
    for path in members:
        assert len(members.beginning(path, 10)) <= 10
        read_at = members.reading(path)
        read_at(5, 10)
        read_at(0, 10)
    members.digests()
    return read


@pytest.mark.parametrize("compression", [STORED, DEFLATED])
def test_members_are_read_as_they_were_packed(compression: int) -> None:
    assert read_in_every_way(archive(compression)) == FILES


@pytest.mark.parametrize("compression", [BZIP2, LZMA])
def test_no_other_compression_is_opened(compression: int) -> None:
    with pytest.raises(Damaged, match="package-damaged"):
        Members(io.BytesIO(archive(compression)))


def test_a_changed_octet_anywhere_in_front_of_the_directory_shows() -> None:
    """Also in the headers of the members, which zipfile does not look at."""
    octets = archive()
    for position in range(octets.index(DIRECTORY_ENTRY)):
        changed = octets[:position] + bytes([octets[position] ^ 1]) + octets[position + 1 :]
        with suppress(Damaged):
            assert read_in_every_way(changed) != FILES, position


def test_an_archive_written_in_one_stream_is_read() -> None:
    """Its sizes follow its members."""

    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.octets = b""

        def writable(self) -> bool:
            return True

        def write(self, octets: Any) -> int:
            self.octets += bytes(octets)
            return len(octets)

    stream = Stream()
    with zipfile.ZipFile(cast("Any", stream), "w", DEFLATED) as made:
        for path, content in FILES.items():
            made.writestr(path, content)
    assert read_in_every_way(stream.octets) == FILES


@settings(max_examples=150)
@given(compression=st.sampled_from([STORED, DEFLATED, BZIP2, LZMA]), mutate=octet_mutations())
def test_a_changed_archive_is_read_or_damaged(compression: int, mutate: Mutation) -> None:
    with suppress(Damaged):
        read_in_every_way(mutate(archive(compression)))


@settings(max_examples=150)
@given(
    compression=st.sampled_from([STORED, DEFLATED]), where=st.integers(4, 45), value=st.binary(min_size=1, max_size=8)
)
def test_a_changed_directory_is_read_or_damaged(compression: int, where: int, value: bytes) -> None:
    octets = archive(compression)
    at = octets.find(DIRECTORY_ENTRY) + where
    with suppress(Damaged):
        read_in_every_way(octets[:at] + value + octets[at + len(value) :])


@pytest.mark.parametrize("compression", [STORED, DEFLATED])
def test_a_changed_octet_of_a_member_is_damage(compression: int) -> None:
    octets = archive(compression)
    at = octets.find(b"a.txt") + len(b"a.txt") + 10
    changed = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
    with pytest.raises(Damaged, match="package-damaged"):
        Members(io.BytesIO(changed)).digests()


def test_a_member_beyond_all_files_is_damage() -> None:
    """Its place as zip64 writes it: eight octets."""
    octets = archive()
    at = octets.find(DIRECTORY_ENTRY)
    name, extra = octets[at + 46 : at + 51], struct.pack("<HHQ", 1, 8, 2**64 - 1)
    entry = octets[at : at + 30] + struct.pack("<H", len(extra)) + octets[at + 32 : at + 42] + b"\xff" * 4
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46 + len(name) + len(extra), at, 0)
    with pytest.raises(Damaged, match="package-damaged"):
        read_in_every_way(octets[:at] + entry + name + extra + end)


def test_a_directory_of_countless_members_is_not_read() -> None:
    octets = archive()
    at = octets.find(DIRECTORY_ENTRY)
    entry = octets[at : at + 51]
    number = 100 * MAX_MEMBERS // 5
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry) * number, at, 0)
    source = io.BytesIO(octets[:at] + entry * number + end)
    tracemalloc.start()
    try:
        with pytest.raises(Damaged, match="package-oversized"):
            Members(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1024 * 1024
