"""Encryption at rest: a fresh key for each message or content, wrapped by its tenant's key, wrapped by a master key.

AES-256-GCM throughout. The master key lies outside the database and its backup, so that destroying a tenant's key (or
the master key) leaves nothing to read (GWT-36, traps E21, E23). Associated data names tenant, table, column, row and
key version: a ciphertext that was moved to another place does not open (trap E22).

Large content is sealed in chunks by the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015): the nonce is
7 random octets, a 4-octet counter, a flag for the last chunk. A stream with a chunk dropped, doubled, moved or cut off
does not open.

A tenant's key wraps at most 2^32 times under random nonces; at five wraps a message that is 800 million messages before
the next version is due.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from demail_gateway.core.errors import KeyUnavailable

CHUNK_BYTES = 256 * 1024
"""Clear octets of one chunk row; also the limit of what is sealed in one piece."""

_KEY_BYTES = 32
_NONCE_BYTES = 12
_PREFIX_BYTES = 7
_FORMAT = 1
_HEAD = struct.Struct(">BI")
"""Of a wrapped data key: format, version of the tenant's key."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """Key encryption key of the installation."""

    id: str
    octets: bytes = field(repr=False)
    """32 octets."""

    def __post_init__(self) -> None:
        if len(self.octets) != _KEY_BYTES:
            raise KeyUnavailable("a master key is 32 octets")


class Place(NamedTuple):
    """Where a sealed value stands: part of what is authenticated."""

    table: str
    column: str
    row: str
    """The row's key without the tenant."""


class WrappedTenantKey(NamedTuple):
    """A row of `tenant_content_key`."""

    tenant_id: UUID
    version: int
    master_key_id: str
    wrapped: bytes


class MasterKeys:
    """The current master key and former ones that still unwrap (rotation)."""

    def __init__(self, current: MasterKey, former: Iterable[MasterKey] = ()) -> None:
        self._current = current
        self._ciphers = {key.id: AESGCM(key.octets) for key in (*former, current)}

    @property
    def current_id(self) -> str:
        return self._current.id

    def new_tenant_key(self, tenant_id: UUID, version: int = 1) -> WrappedTenantKey:
        """A fresh content key for a tenant, wrapped by the current master key. Write it with the tenant's row."""
        return self._wrapped(tenant_id, version, os.urandom(_KEY_BYTES))

    def rewrap(self, row: WrappedTenantKey) -> WrappedTenantKey:
        """The same tenant key under the current master key. Raises KeyUnavailable."""
        return self._wrapped(row.tenant_id, row.version, self._unwrapped(row))

    def unwrap(self, rows: Iterable[WrappedTenantKey]) -> TenantKeys:
        """All versions of one tenant's key, ready for use.

        Raises:
            KeyUnavailable: there is none, its master key is not here, or it was changed.
        """
        ciphers = {row.version: (row.tenant_id, AESGCM(self._unwrapped(row))) for row in rows}
        if not ciphers:
            raise KeyUnavailable("no content key for this tenant")
        tenant_id = next(iter(ciphers.values()))[0]
        return TenantKeys(tenant_id, {version: cipher for version, (_, cipher) in ciphers.items()})

    def seal(self, place: Place, clear: bytes) -> bytes:
        """A value that belongs to no tenant: master key id, NUL, nonce and ciphertext."""
        key_id = self._current.id.encode()
        return key_id + b"\0" + _sealed(self._ciphers[self._current.id], clear, _bound("operator", place, 0))

    def open(self, place: Place, sealed: bytes) -> bytes:
        """Inverse of `seal`. Raises KeyUnavailable."""
        key_id, _, body = sealed.partition(b"\0")
        cipher = self._ciphers.get(key_id.decode("ascii", "replace"))
        if cipher is None:
            raise KeyUnavailable("sealed by a master key that is not here")
        return _opened(cipher, body, _bound("operator", place, 0))

    def _wrapped(self, tenant_id: UUID, version: int, key: bytes) -> WrappedTenantKey:
        cipher, bound = self._ciphers[self._current.id], _bound_tenant_key(tenant_id, version, self._current.id)
        return WrappedTenantKey(tenant_id, version, self._current.id, _sealed(cipher, key, bound))

    def _unwrapped(self, row: WrappedTenantKey) -> bytes:
        cipher = self._ciphers.get(row.master_key_id)
        if cipher is None:
            raise KeyUnavailable("a tenant's key is wrapped by a master key that is not here")
        return _opened(cipher, row.wrapped, _bound_tenant_key(row.tenant_id, row.version, row.master_key_id))


class TenantKeys:
    """One tenant's content keys, unwrapped; makes and opens data keys. Holds no lock, waits for nothing."""

    def __init__(self, tenant_id: UUID, ciphers: Mapping[int, AESGCM]) -> None:
        self.tenant_id = tenant_id
        self._ciphers = ciphers
        self._current = max(ciphers)

    def knows(self, wrapped: Iterable[bytes]) -> bool:
        """Whether every one of these data keys is wrapped by a version that is here."""
        return all(_version(each) in self._ciphers for each in wrapped)

    def new(self, table: str, row: UUID | str) -> DataKey:
        """A fresh data key for one row of `table`; `.wrapped` goes into its column `dek`."""
        material = os.urandom(_KEY_BYTES + _PREFIX_BYTES)
        head = _HEAD.pack(_FORMAT, self._current)
        bound = _bound(str(self.tenant_id), Place(table, "dek", str(row)), self._current)
        wrapped = head + _sealed(self._ciphers[self._current], material, bound)
        return DataKey(self.tenant_id, self._current, wrapped, material)

    def open(self, table: str, row: UUID | str, wrapped: bytes) -> DataKey:
        """The data key of a row.

        Raises:
            KeyUnavailable: unknown version, another row's key, or changed.
        """
        version = _version(wrapped)
        cipher = self._ciphers.get(version)
        if cipher is None:
            raise KeyUnavailable("a data key is wrapped by an unknown version of the tenant's key")
        bound = _bound(str(self.tenant_id), Place(table, "dek", str(row)), version)
        return DataKey(self.tenant_id, version, wrapped, _opened(cipher, wrapped[_HEAD.size :], bound))


class DataKey:
    """The key of one message or content. Seals few values: its nonces are random, or counted in a stream."""

    __slots__ = ("_cipher", "_prefix", "_tenant", "_version", "wrapped")

    def __init__(self, tenant_id: UUID, version: int, wrapped: bytes, material: bytes) -> None:
        self.wrapped = wrapped
        self._tenant = str(tenant_id)
        self._version = version
        self._cipher = AESGCM(material[:_KEY_BYTES])
        self._prefix = material[_KEY_BYTES:]

    def seal(self, place: Place, clear: bytes) -> bytes:
        """Nonce and ciphertext of a value at `place`; 28 octets longer than `clear`."""
        return _sealed(self._cipher, clear, _bound(self._tenant, place, self._version))

    def open(self, place: Place, sealed: bytes) -> bytes:
        """Inverse of `seal`. Raises KeyUnavailable: changed, or not of this place."""
        return _opened(self._cipher, sealed, _bound(self._tenant, place, self._version))

    def seal_chunk(self, place: Place, seq: int, last: bool, clear: bytes) -> bytes:
        """One chunk of a stream, `seq` from 0. Each number is used once per key; 16 octets longer than `clear`."""
        return self._cipher.encrypt(self._nonce(seq, last), clear, _bound(self._tenant, place, self._version))

    def open_chunks(self, place: Place, sealed: Iterable[bytes]) -> Iterator[bytes]:
        """The clear chunks of a whole stream, in order.

        Raises:
            KeyUnavailable: a chunk is missing, doubled, out of order, changed, or the end is cut off.
        """
        bound = _bound(self._tenant, place, self._version)
        chunks = iter(sealed)
        current = next(chunks, None)
        if current is None:
            raise KeyUnavailable("a stream without chunks")
        seq = 0
        while current is not None:
            following = next(chunks, None)
            yield _decrypted(self._cipher, self._nonce(seq, following is None), current, bound)
            current, seq = following, seq + 1

    def _nonce(self, seq: int, last: bool) -> bytes:
        return self._prefix + seq.to_bytes(4, "big") + (b"\1" if last else b"\0")


def _version(wrapped: bytes) -> int:
    if len(wrapped) <= _HEAD.size:
        raise KeyUnavailable("a data key is too short")
    form, version = _HEAD.unpack_from(wrapped)
    if form != _FORMAT:
        raise KeyUnavailable("a data key of an unknown format")
    return int(version)


def _bound_tenant_key(tenant_id: UUID, version: int, master_key_id: str) -> bytes:
    return _bound(str(tenant_id), Place("tenant_content_key", "wrapped", master_key_id), version)


def _bound(owner: str, place: Place, version: int) -> bytes:
    # none of the parts can hold a NUL: names of tables and columns, uuids, numbers, key ids by their settings' pattern
    return f"{owner}\0{place.table}\0{place.column}\0{place.row}\0{version}".encode()


def _sealed(cipher: AESGCM, clear: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, clear, bound)


def _opened(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    return _decrypted(cipher, sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)


def _decrypted(cipher: AESGCM, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, sealed, bound)
    except (InvalidTag, ValueError) as error:
        raise KeyUnavailable("a sealed value does not open: other key, other place, or changed") from error
