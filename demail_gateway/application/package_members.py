"""The members of an evidence package (.zip), read when they are asked for: never all of them are in memory."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, BinaryIO, cast

from demail_gateway.core.package import MAX_MEMBERS
from demail_gateway.core.windows import ReadAt
from demail_gateway.core.zip_faults import ZIP_FAULTS

MAX_UNPACKED_OCTETS = 1024 * 1024 * 1024
"""Ours: a package of the largest message (45 MiB) with its proofs stays far below; bounds a hostile archive."""
_CHUNK_OCTETS = 256 * 1024
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""As packages are made; what others raise over damage, each Python has of its own."""
_MAX_DIRECTORY_OCTETS = 4 * 1024 * 1024
"""Of the archive's directory, which zipfile reads whole: several times that of `MAX_MEMBERS` with long paths."""


class Damaged(Exception):
    """A package that cannot be unpacked: it was changed, so it fails, and is not merely unreadable."""


class Members(Mapping[str, bytes]):
    """Octets by path, unpacked at each access; every method raises Damaged over an archive that is not whole."""

    def __init__(self, source: BinaryIO) -> None:
        """`source` is seekable and stays open as long as this is used."""
        try:
            self._archive = zipfile.ZipFile(cast(BinaryIO, directory := _Directory(source)))
        except ZIP_FAULTS as error:
            raise Damaged("package-damaged") from error
        directory.is_read = True
        infos = self._archive.infolist()
        self._infos = {info.filename: info for info in infos}
        too_large = sum(info.file_size for info in infos) > MAX_UNPACKED_OCTETS
        if len(infos) > MAX_MEMBERS or too_large or len(self._infos) < len(infos):
            raise Damaged("package-oversized")
        if any(info.compress_type not in _COMPRESSIONS for info in infos) or not _all_as_listed(source, infos):
            raise Damaged("package-damaged")

    def __getitem__(self, path: str) -> bytes:
        return b"".join(self._chunks(path))

    def __contains__(self, path: object) -> bool:
        return path in self._infos

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def size_bytes(self, path: str) -> int:
        """Unpacked, as the archive says."""
        return self._infos[path].file_size

    def beginning(self, path: str, octets: int) -> bytes:
        """No more than so many octets of a member."""
        try:
            with self._archive.open(self._infos[path]) as member:
                return member.read(octets)
        except ZIP_FAULTS as error:
            raise Damaged("package-damaged") from error

    def reading(self, path: str) -> ReadAt:
        """Reads a member here and there; from its beginning to its end once is cheap."""
        member: IO[bytes] | None = None

        def read_at(offset: int, octets: int) -> bytes:
            nonlocal member
            try:
                member = member or self._archive.open(self._infos[path])
                member.seek(offset)
                return member.read(octets)
            except ZIP_FAULTS as error:
                raise Damaged("package-damaged") from error

        return read_at

    def digests(self) -> dict[str, str]:
        """SHA-256 in lower-case hex of every member, by path."""
        return {path: self._digest(path) for path in self}

    def _digest(self, path: str) -> str:
        digest = hashlib.sha256()
        for chunk in self._chunks(path):
            digest.update(chunk)
        return digest.hexdigest()

    def _chunks(self, path: str) -> Iterator[bytes]:
        try:
            with self._archive.open(self._infos[path]) as member:
                while chunk := member.read(_CHUNK_OCTETS):
                    yield chunk
        except ZIP_FAULTS as error:
            raise Damaged("package-damaged") from error


_LOCAL = struct.Struct("<4s5H3I2H")
"""A member's own header, without its name."""
_SIZES_FOLLOW = 0x08


def _all_as_listed(source: BinaryIO, infos: Iterable[zipfile.ZipInfo]) -> bool:
    """Whether the header in front of each member says what the directory says: zipfile believes the directory alone."""
    try:
        return all(_is_as_listed(source, info) for info in infos)
    except ZIP_FAULTS:
        return False


def _is_as_listed(source: BinaryIO, info: zipfile.ZipInfo) -> bool:
    source.seek(info.header_offset)
    octets = source.read(_LOCAL.size)
    if len(octets) < _LOCAL.size:
        return False
    signature, version, flags, method, time, date, crc, packed, size, name_octets, _ = _LOCAL.unpack(octets)
    year, month, day, hour, minute, second = info.date_time
    listed = ((hour << 11) | (minute << 5) | (second // 2), ((year - 1980) << 9) | (month << 5) | day)
    told = (crc, packed, size) if not flags & _SIZES_FOLLOW else (info.CRC, info.compress_size, info.file_size)
    return (
        (signature, version, flags, method) == (b"PK\x03\x04", info.extract_version, info.flag_bits, info.compress_type)
        and (time, date) == listed
        and told == (info.CRC, info.compress_size, info.file_size)
        and name_octets == len(info.orig_filename.encode("utf-8" if flags & 0x800 else "cp437"))
    )


class _Directory:
    """A source of which zipfile takes no more at once, until it has read the directory, than an honest one has."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.is_read = False
        self.seek, self.tell, self.seekable = source.seek, source.tell, source.seekable

    def read(self, octets: int = -1) -> bytes:
        if octets > _MAX_DIRECTORY_OCTETS and not self.is_read:
            raise Damaged("package-oversized")
        return self._source.read(octets)
