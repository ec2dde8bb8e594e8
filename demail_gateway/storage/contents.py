"""Exact octets at rest: sealed in one piece up to 256 KiB, beyond that in chunk rows (`storage.envelope`)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.core.errors import KeyUnavailable
from demail_gateway.storage.envelope import CHUNK_BYTES, DataKey, Place, TenantKeys

ATTACHMENT = "attachment"
HANDED_OVER = "handed-over"
RECEIVED = "received"
UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class SealedContent:
    """A content with its rows, ready to be written."""

    id: UUID
    size_bytes: int
    sha256: bytes
    dek: bytes
    data: bytes | None = field(repr=False)
    chunks: tuple[bytes, ...] = field(default=(), repr=False)
    """Instead of `data` for what is larger than 256 KiB."""


def seal_content(keys: TenantKeys, content_id: UUID, octets: bytes) -> SealedContent:
    """`octets` under a fresh key of their own."""
    key = keys.new("content", content_id)
    digest = hashlib.sha256(octets).digest()
    if len(octets) <= CHUNK_BYTES:
        data = key.seal(_data(content_id), octets)
        return SealedContent(content_id, len(octets), digest, key.wrapped, data)
    pieces = range(0, len(octets), CHUNK_BYTES)
    chunks = tuple(
        seal_chunk(key, content_id, seq, octets[start : start + CHUNK_BYTES], last=seq == len(pieces) - 1)
        for seq, start in enumerate(pieces)
    )
    return SealedContent(content_id, len(octets), digest, key.wrapped, None, chunks)


def seal_chunk(key: DataKey, content_id: UUID, seq: int, octets: bytes, *, last: bool) -> bytes:
    """One row of `content_chunk`; all but the last hold 256 KiB."""
    return key.seal_chunk(_chunk(content_id), seq, last, octets)


async def insert_contents(
    connection: Any, tenant_id: UUID, role: str, contents: Sequence[SealedContent], at: datetime
) -> None:
    """Writes contents with their chunks, within the caller's transaction of the tenant."""
    await connection.execute(
        "INSERT INTO content (tenant_id, id, role, size_bytes, sha256, dek, sealed_data, created_at)"
        " SELECT $1, c.id, $2, c.size, c.sha256, c.dek, c.sealed, $3"
        " FROM unnest($4::uuid[], $5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[])"
        " AS c (id, size, sha256, dek, sealed)",
        tenant_id,
        role,
        at,
        [c.id for c in contents],
        [c.size_bytes for c in contents],
        [c.sha256 for c in contents],
        [c.dek for c in contents],
        [c.data for c in contents],
    )
    for content in contents:
        await insert_chunks(connection, tenant_id, content.id, 0, content.chunks)


async def insert_chunks(
    connection: Any, tenant_id: UUID, content_id: UUID, first: int, chunks: Sequence[bytes]
) -> None:
    """Writes chunks numbered from `first`."""
    if chunks:
        rows = [(tenant_id, content_id, first + n, chunk) for n, chunk in enumerate(chunks)]
        await connection.executemany("INSERT INTO content_chunk VALUES ($1, $2, $3, $4)", rows)


@dataclass(frozen=True, slots=True)
class StoredContents:
    """Sealed rows of some contents, read; opened when the tenant's keys are at hand, outside the transaction."""

    rows: tuple[Any, ...]
    chunks: dict[UUID, list[bytes]]

    def deks(self) -> Iterable[bytes]:
        """Their data keys, for `ContentKeys.of`."""
        return (row["dek"] for row in self.rows)

    def open(self, keys: TenantKeys) -> dict[UUID, bytes]:
        """The exact octets by content id.

        Raises:
            KeyUnavailable: changed, moved or incomplete, or their key is not here.
        """
        return {row["id"]: self._opened(keys, row) for row in self.rows}

    def _opened(self, keys: TenantKeys, row: Any) -> bytes:
        content_id, key = row["id"], keys.open("content", row["id"], row["dek"])
        if row["sealed_data"] is not None:
            octets = key.open(_data(content_id), row["sealed_data"])
        else:
            octets = b"".join(key.open_chunks(_chunk(content_id), self.chunks[content_id]))
        if len(octets) != row["size_bytes"]:
            raise KeyUnavailable("a content is not as long as its row says")
        return octets


async def fetch_contents(connection: Any, tenant_id: UUID, ids: Sequence[UUID]) -> StoredContents:
    """Rows of the tenant's contents `ids`, those that exist."""
    rows = await connection.fetch(
        "SELECT id, size_bytes, dek, sealed_data FROM content WHERE tenant_id = $1 AND id = ANY($2::uuid[])",
        tenant_id,
        list(ids),
    )
    chunks: dict[UUID, list[bytes]] = defaultdict(list)
    if chunked := [row["id"] for row in rows if row["sealed_data"] is None]:
        for content_id, sealed in await connection.fetch(
            "SELECT content_id, sealed_data FROM content_chunk"
            " WHERE tenant_id = $1 AND content_id = ANY($2::uuid[]) ORDER BY content_id, seq",
            tenant_id,
            chunked,
        ):
            chunks[content_id].append(sealed)
    return StoredContents(tuple(rows), chunks)


def _data(content_id: UUID) -> Place:
    return Place("content", "sealed_data", str(content_id))


def _chunk(content_id: UUID) -> Place:
    return Place("content_chunk", "sealed_data", str(content_id))
