"""What a tenant can look at (ports.Reading): messages, history, proofs, octets. Always within a TenantScope.

Each call reads one moment of the database. What is sealed is opened after the connection has gone back to its pool:
the tenant's keys may need one too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.page import Page
from demail_gateway.application.ports.reading import (
    EventView,
    EvidenceMaterial,
    EvidenceView,
    MessageFilter,
    MessageView,
)
from demail_gateway.core.errors import NotFound
from demail_gateway.core.vocabulary import Direction
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.contents import StoredContents, fetch_contents
from demail_gateway.storage.cursors import make_cursor
from demail_gateway.storage.engine import tenant_snapshot
from demail_gateway.storage.message_rows import MessageRows, fetch_message, fetch_page
from demail_gateway.storage.rows import name_of_attachment, open_document
from demail_gateway.storage.views import event_view, evidence_view, journal_item, message_view
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import TenantScope

_EVENTS = "SELECT * FROM event WHERE tenant_id = $1 AND message_id = $2 ORDER BY at, xact, position"
_EVIDENCE = """
SELECT e.*, r.received_at, r.content_id
  FROM evidence e JOIN received r ON r.tenant_id = e.tenant_id AND r.id = e.received_id
 WHERE e.tenant_id = $1 AND e.message_id = $2 ORDER BY e.recorded_at, e.id
"""
_EVIDENCE_CONTENT = """
SELECT r.content_id FROM evidence e JOIN received r ON r.tenant_id = e.tenant_id AND r.id = e.received_id
 WHERE e.tenant_id = $1 AND e.message_id = $2 AND e.id = $3
"""
_RAW = """
SELECT content_id FROM (
  SELECT c.content_id, r.kind, r.position FROM recipient r
    JOIN message_copy c ON c.tenant_id = r.tenant_id AND c.id = r.copy_id
   WHERE r.tenant_id = $1 AND r.message_id = $2 AND ($3::uuid IS NULL OR r.id = $3)
  UNION ALL
  SELECT v.content_id, 'to', 0 FROM message m
    JOIN received v ON v.tenant_id = m.tenant_id AND v.id = m.received_id
   WHERE m.tenant_id = $1 AND m.id = $2 AND $3::uuid IS NULL
) found ORDER BY array_position(ARRAY['to', 'cc', 'bcc'], kind), position LIMIT 1
"""
"""The chosen recipient's copy, else that of the first `to` recipient (nothing while it is not composed, so that the
answer does not change later); of an inbound message, which has no recipients, what was received."""
_ATTACHMENT = """
SELECT a.content_id, a.sealed_name, m.dek
  FROM message_attachment a JOIN message m ON m.tenant_id = a.tenant_id AND m.id = a.message_id
 WHERE a.tenant_id = $1 AND a.message_id = $2 AND a.position = $3
"""
_HANDED_OVER = """
SELECT id, content_id FROM message_copy
 WHERE tenant_id = $1 AND message_id = $2 AND content_id IS NOT NULL ORDER BY position
"""
_JOURNAL = "SELECT * FROM journal WHERE tenant_id = $1 AND object = $2 ORDER BY seq"


class PostgresReading:
    """ports.Reading on PostgreSQL."""

    def __init__(self, engine: AsyncEngine, keys: ContentKeys) -> None:
        self._engine = engine
        self._keys = keys

    async def message(self, scope: TenantScope, message_id: UUID) -> MessageView:
        async with tenant_snapshot(self._engine, scope.tenant_id) as connection:
            found = await fetch_message(connection, scope.tenant_id, message_id)
        return await self._view(scope.tenant_id, found)

    async def messages(
        self, scope: TenantScope, where: MessageFilter, limit: int, cursor: str | None
    ) -> Page[MessageView]:
        async with tenant_snapshot(self._engine, scope.tenant_id) as connection:
            found = await fetch_page(connection, scope.tenant_id, where, limit + 1, cursor)
        last = found[limit - 1].message if len(found) > limit else None
        keys = await self._keys.of(scope.tenant_id, [each.message["dek"] for each in found])
        views = tuple(message_view(keys, *each) for each in found[:limit])
        return Page(views, make_cursor("messages", last["created_at"], last["id"]) if last else None)

    async def events_of(self, scope: TenantScope, message_id: UUID) -> tuple[EventView, ...]:
        """The oldest first; none of a message that is not the tenant's."""
        async with tenant_snapshot(self._engine, scope.tenant_id) as connection:
            return tuple(event_view(row) for row in await connection.fetch(_EVENTS, scope.tenant_id, message_id))

    async def evidence_of(self, scope: TenantScope, message_id: UUID) -> tuple[EvidenceView, ...]:
        """In the order of recording; none of a message that is not the tenant's."""
        async with tenant_snapshot(self._engine, scope.tenant_id) as connection:
            return tuple(evidence_view(row) for row in await connection.fetch(_EVIDENCE, scope.tenant_id, message_id))

    async def evidence_octets(self, scope: TenantScope, message_id: UUID, evidence_id: UUID) -> bytes:
        """Raises NotFound."""
        return await self._octets(scope, _EVIDENCE_CONTENT, message_id, evidence_id)

    async def raw(self, scope: TenantScope, message_id: UUID, recipient_id: UUID | None) -> bytes:
        return await self._octets(scope, _RAW, message_id, recipient_id)

    async def attachment(self, scope: TenantScope, message_id: UUID, number: int) -> tuple[str, str, bytes]:
        """Raises NotFound."""
        async with tenant_snapshot(self._engine, scope.tenant_id) as connection:
            row = await connection.fetchrow(_ATTACHMENT, scope.tenant_id, message_id, number)
            if row is None or row["content_id"] is None:
                raise NotFound
            stored = await fetch_contents(connection, scope.tenant_id, [row["content_id"]])
        keys = await self._keys.of(scope.tenant_id, [row["dek"], *stored.deks()])
        message_key = keys.open("message", message_id, row["dek"])
        name = open_document(message_key, name_of_attachment(message_id, number), row["sealed_name"])
        return name["filename"], name["content_type"], stored.open(keys)[row["content_id"]]

    async def evidence_material(self, scope: TenantScope, message_id: UUID) -> EvidenceMaterial:
        """Raises NotFound: no outbound message of the tenant. Journal: what is chained by now."""
        mine = (scope.tenant_id, message_id)
        async with tenant_snapshot(self._engine, scope.tenant_id) as connection:
            found = await fetch_message(connection, *mine)
            if found.message["direction"] != Direction.OUTBOUND:
                raise NotFound
            copies = await connection.fetch(_HANDED_OVER, *mine)
            proofs = await connection.fetch(_EVIDENCE, *mine)
            wanted = [row["content_id"] for row in (*copies, *proofs)]
            stored = await fetch_contents(connection, scope.tenant_id, wanted)
            events = await connection.fetch(_EVENTS, *mine)
            journal = await connection.fetch(_JOURNAL, scope.tenant_id, format_id(Prefix.MESSAGE, message_id))
        octets = await self._opened(scope.tenant_id, stored)
        return EvidenceMaterial(
            message=await self._view(scope.tenant_id, found),
            handed_over=tuple((row["id"], octets[row["content_id"]]) for row in copies),
            evidence=tuple((evidence_view(row), octets[row["content_id"]]) for row in proofs),
            certificates=_distinct(proofs, "certificates"),
            status_answers=_distinct(proofs, "crls"),
            events=tuple(event_view(row) for row in events),
            journal=tuple(journal_item(row) for row in journal),
        )

    async def _octets(self, scope: TenantScope, query: str, *values: UUID | None) -> bytes:
        """The content whose id `query` finds. Raises NotFound."""
        async with tenant_snapshot(self._engine, scope.tenant_id) as connection:
            content_id = await connection.fetchval(query, scope.tenant_id, *values)
            if content_id is None:
                raise NotFound
            stored = await fetch_contents(connection, scope.tenant_id, [content_id])
        return (await self._opened(scope.tenant_id, stored))[content_id]

    async def _opened(self, tenant_id: UUID, stored: StoredContents) -> Mapping[UUID, bytes]:
        return stored.open(await self._keys.of(tenant_id, stored.deks()))

    async def _view(self, tenant_id: UUID, found: MessageRows) -> MessageView:
        return message_view(await self._keys.of(tenant_id, [found.message["dek"]]), *found)


def _distinct(rows: Sequence[Any], column: str) -> tuple[bytes, ...]:
    return tuple(sorted({octets for row in rows for octets in row[column]}))
