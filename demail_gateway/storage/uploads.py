"""Files sent ahead of their message: streamed into chunk rows with constant memory.

Each group of chunks is a transaction of its own: a client on a slow line holds no connection, and no row lock, between
its octets. The upload exists only when its last transaction has committed; what a broken stream left is deleted, and
what a killed process left has no upload and can be swept.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.submissions import UploadFacts
from demail_gateway.core.errors import Conflict, RuleViolation, StoreUnavailable, Violation
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.contents import UPLOAD, insert_chunks, seal_chunk, seal_content
from demail_gateway.storage.engine import tenant_driver
from demail_gateway.storage.envelope import CHUNK_BYTES, DataKey
from demail_gateway.storage.rows import name_of_upload, open_document, seal_document
from demail_gateway.tenancy.scope import TenantScope

GROUP = 4
"""Chunks written together: 1 MiB in memory, once in clear and once sealed."""

_BEGIN = (
    "INSERT INTO content (tenant_id, id, role, size_bytes, sha256, dek, sealed_data, created_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
)
_END = "UPDATE content SET size_bytes = $3, sha256 = $4 WHERE tenant_id = $1 AND id = $2"
_UPLOAD = (
    "INSERT INTO upload (tenant_id, id, content_id, size_bytes, sealed_name, created_at)"
    " VALUES ($1, $2, $2, $3, $4, $5)"
)
_FACTS = (
    "SELECT u.id, u.content_id, u.size_bytes, u.sealed_name, c.dek, c.sha256 FROM upload u"
    " JOIN content c ON c.tenant_id = u.tenant_id AND c.id = u.content_id"
    " WHERE u.tenant_id = $1 AND u.id = ANY($2::uuid[])"
)
_FORGET = "DELETE FROM upload WHERE tenant_id = $1 AND id = $2"
_DISCARD = "DELETE FROM content WHERE tenant_id = $1 AND id = $2"


class Uploads:
    """Uploads of tenants. A content has the id of its upload."""

    def __init__(self, engine: AsyncEngine, keys: ContentKeys) -> None:
        self._engine = engine
        self._keys = keys

    async def store(
        self,
        scope: TenantScope,
        upload_id: UUID,
        filename: str,
        content_type: str,
        chunks: AsyncIterator[bytes],
        limit_bytes: int,
        expected_sha256: bytes | None,
        now: datetime,
    ) -> UploadFacts:
        """See `Submissions.upload`."""
        keys = await self._keys.of(scope.tenant_id)
        name = {"filename": filename, "content_type": content_type}
        pieces = _Pieces(chunks, limit_bytes)
        first = await pieces.next()
        if pieces.ended:
            sealed = seal_content(keys, upload_id, first)
            pieces.check(expected_sha256)
            key = keys.open("content", upload_id, sealed.dek)
            begun = (upload_id, UPLOAD, len(first), sealed.sha256, sealed.dek, sealed.data, now)
            async with tenant_driver(self._engine, scope.tenant_id) as connection:
                await connection.execute(_BEGIN, scope.tenant_id, *begun)
                await self._end(connection, scope, upload_id, key, name, pieces, now)
        else:
            key = keys.new("content", upload_id)
            await self._store_large(scope, upload_id, key, name, pieces, first, expected_sha256, now)
        return UploadFacts(upload_id, filename, content_type, pieces.size_bytes, pieces.sha256)

    async def facts(self, scope: TenantScope, ids: Sequence[UUID]) -> Mapping[UUID, UploadFacts]:
        """Those of the tenant's uploads `ids` that exist."""
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            rows = await connection.fetch(_FACTS, scope.tenant_id, list(ids))
        keys = await self._keys.of(scope.tenant_id, [row["dek"] for row in rows])
        found = {}
        for row in rows:
            key = keys.open("content", row["content_id"], row["dek"])
            name = open_document(key, name_of_upload(row["id"]), row["sealed_name"])
            found[row["id"]] = UploadFacts(
                row["id"], name["filename"], name["content_type"], row["size_bytes"], row["sha256"]
            )
        return found

    async def discard(self, scope: TenantScope, upload_id: UUID) -> None:
        """See `Submissions.discard_upload`."""
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            await connection.execute(_FORGET, scope.tenant_id, upload_id)
            await connection.execute(_DISCARD, scope.tenant_id, upload_id)

    async def _store_large(
        self,
        scope: TenantScope,
        upload_id: UUID,
        key: DataKey,
        name: Mapping[str, str],
        pieces: _Pieces,
        piece: bytes,
        expected_sha256: bytes | None,
        now: datetime,
    ) -> None:
        begun = (upload_id, UPLOAD, 0, b"", key.wrapped, None, now)
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            await connection.execute(_BEGIN, scope.tenant_id, *begun)
        try:
            written, group = 0, [seal_chunk(key, upload_id, 0, piece, last=False)]
            while not pieces.ended:
                piece = await pieces.next()
                group.append(seal_chunk(key, upload_id, written + len(group), piece, last=pieces.ended))
                if len(group) >= GROUP and not pieces.ended:
                    async with tenant_driver(self._engine, scope.tenant_id) as connection:
                        await insert_chunks(connection, scope.tenant_id, upload_id, written, group)
                    written, group = written + len(group), []
            pieces.check(expected_sha256)
            async with tenant_driver(self._engine, scope.tenant_id) as connection:
                await insert_chunks(connection, scope.tenant_id, upload_id, written, group)
                await connection.execute(_END, scope.tenant_id, upload_id, pieces.size_bytes, pieces.sha256)
                await self._end(connection, scope, upload_id, key, name, pieces, now)
        except BaseException:
            with contextlib.suppress(StoreUnavailable):
                async with tenant_driver(self._engine, scope.tenant_id) as connection:
                    await connection.execute(_DISCARD, scope.tenant_id, upload_id)
            raise

    async def _end(
        self,
        connection: Any,
        scope: TenantScope,
        upload_id: UUID,
        key: DataKey,
        name: Mapping[str, str],
        pieces: _Pieces,
        now: datetime,
    ) -> None:
        sealed = seal_document(key, name_of_upload(upload_id), name)
        await connection.execute(_UPLOAD, scope.tenant_id, upload_id, pieces.size_bytes, sealed, now)


class _Pieces:
    """A stream of any chunks as pieces of 256 KiB, counted and digested; the last may be shorter."""

    def __init__(self, chunks: AsyncIterator[bytes], limit_bytes: int) -> None:
        self._chunks = chunks
        self._limit_bytes = limit_bytes
        self._digest = hashlib.sha256()
        self._rest = bytearray()
        self._exhausted = False
        self.size_bytes = 0

    @property
    def ended(self) -> bool:
        """Whether the last piece has been given."""
        return self._exhausted and not self._rest

    @property
    def sha256(self) -> bytes:
        return self._digest.digest()

    async def next(self) -> bytes:
        """The next piece. Raises RuleViolation (``too-large``), and whatever the stream raises."""
        # one octet more than a piece tells that another follows
        while not self._exhausted and len(self._rest) <= CHUNK_BYTES:
            self._take(await anext(self._chunks, None))
        piece = bytes(memoryview(self._rest)[:CHUNK_BYTES])
        del self._rest[:CHUNK_BYTES]
        return piece

    def _take(self, chunk: bytes | None) -> None:
        if chunk is None:
            self._exhausted = True
            return
        self.size_bytes += len(chunk)
        if self.size_bytes > self._limit_bytes:
            raise RuleViolation([_too_large(self._limit_bytes)])
        self._digest.update(chunk)
        self._rest += chunk

    def check(self, expected_sha256: bytes | None) -> None:
        """Raises Conflict: ``digest-mismatch``."""
        if expected_sha256 is not None and expected_sha256 != self.sha256:
            raise Conflict("digest-mismatch")


def _too_large(limit_bytes: int) -> Violation:
    return Violation(
        "too-large",
        "SND-19",
        "",
        f"Die Datei ist größer als {limit_bytes} Byte.",
        f"The file is larger than {limit_bytes} bytes.",
    )
