"""What a tenant can look at (ports.Reading): messages, history, proofs, octets. Always within a TenantScope."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports import (
    EventView,
    EvidenceMaterial,
    EvidenceView,
    MessageFilter,
    MessageView,
    Page,
)
from demail_gateway.core.errors import NotFound
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.contents import StoredContents, fetch_contents
from demail_gateway.storage.cursors import make_cursor, read_cursor
from demail_gateway.storage.engine import tenant_driver
from demail_gateway.storage.rows import name_of_attachment, open_document
from demail_gateway.storage.views import event_view, evidence_view, journal_item, message_view
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import TenantScope

_MESSAGE = (
    "SELECT m.*, (SELECT min(o.due_at) FROM outbox o JOIN message_copy c ON c.tenant_id = o.tenant_id"
    " AND c.id = o.subject_id WHERE o.tenant_id = m.tenant_id AND o.kind = 'dispatch' AND c.message_id = m.id)"
    " AS next_attempt_at, r.received_at FROM message m"
    " LEFT JOIN received r ON r.tenant_id = m.tenant_id AND r.id = m.received_id"
)


_RECIPIENTS = """
SELECT * FROM recipient WHERE tenant_id = $1 AND message_id = ANY($2::uuid[])
 ORDER BY array_position(ARRAY['to', 'cc', 'bcc'], kind), position
"""
_ATTACHMENTS = (
    "SELECT * FROM message_attachment WHERE tenant_id = $1 AND message_id = ANY($2::uuid[]) ORDER BY position"
)
_RAW = """
SELECT content_id FROM (
  SELECT c.content_id, r.kind, r.position FROM recipient r
    JOIN message_copy c ON c.tenant_id = r.tenant_id AND c.id = r.copy_id
   WHERE r.tenant_id = $1 AND r.message_id = $2 AND ($3::uuid IS NULL OR r.id = $3)
  UNION ALL
  SELECT v.content_id, 'to', 0 FROM message m
    JOIN received v ON v.tenant_id = m.tenant_id AND v.id = m.received_id
   WHERE m.tenant_id = $1 AND m.id = $2
) found ORDER BY array_position(ARRAY['to', 'cc', 'bcc'], kind), position LIMIT 1
"""
"""The chosen recipient's copy, else the first `to` copy; of an inbound message what was received."""


class PostgresReading:
    """ports.Reading on PostgreSQL. Opens nothing while it holds a connection: the tenant's keys may need one too."""

    def __init__(self, engine: AsyncEngine, keys: ContentKeys) -> None:
        self._engine = engine
        self._keys = keys

    async def message(self, scope: TenantScope, message_id: UUID) -> MessageView:
        query = f"{_MESSAGE} WHERE m.tenant_id = $1 AND m.id = $2"
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            found = await _with_parts(
                connection, scope.tenant_id, await connection.fetch(query, scope.tenant_id, message_id)
            )
        if not found:
            raise NotFound
        return (await self._views(scope.tenant_id, found))[0]

    async def messages(
        self, scope: TenantScope, where: MessageFilter, limit: int, cursor: str | None
    ) -> Page[MessageView]:
        condition, values = _condition(scope.tenant_id, where, cursor)
        query = f"{_MESSAGE} WHERE {condition} ORDER BY m.created_at DESC, m.id DESC LIMIT {limit + 1:d}"
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            rows = await connection.fetch(query, *values)
            found = await _with_parts(connection, scope.tenant_id, rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        following = make_cursor("messages", last["created_at"], last["id"]) if last else None
        return Page(await self._views(scope.tenant_id, found), following)

    async def events_of(self, scope: TenantScope, message_id: UUID) -> tuple[EventView, ...]:
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            return await _events(connection, scope.tenant_id, message_id)

    async def evidence_of(self, scope: TenantScope, message_id: UUID) -> tuple[EvidenceView, ...]:
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            return tuple(evidence_view(row) for row in await _evidence(connection, scope.tenant_id, message_id))

    async def evidence_octets(self, scope: TenantScope, message_id: UUID, evidence_id: UUID) -> bytes:
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            content_id = await connection.fetchval(
                "SELECT r.content_id FROM evidence e JOIN received r ON r.tenant_id = e.tenant_id"
                " AND r.id = e.received_id WHERE e.tenant_id = $1 AND e.message_id = $2 AND e.id = $3",
                scope.tenant_id,
                message_id,
                evidence_id,
            )
            stored = await _contents(connection, scope.tenant_id, [content_id])
        return (await self._opened(scope.tenant_id, stored))[content_id]

    async def raw(self, scope: TenantScope, message_id: UUID, recipient_id: UUID | None) -> bytes:
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            content_id = await connection.fetchval(_RAW, scope.tenant_id, message_id, recipient_id)
            stored = await _contents(connection, scope.tenant_id, [content_id])
        return (await self._opened(scope.tenant_id, stored))[content_id]

    async def attachment(self, scope: TenantScope, message_id: UUID, number: int) -> tuple[str, str, bytes]:
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            row = await connection.fetchrow(
                "SELECT a.content_id, a.sealed_name, m.dek FROM message_attachment a"
                " JOIN message m ON m.tenant_id = a.tenant_id AND m.id = a.message_id"
                " WHERE a.tenant_id = $1 AND a.message_id = $2 AND a.position = $3",
                scope.tenant_id,
                message_id,
                number,
            )
            stored = await _contents(connection, scope.tenant_id, [row["content_id"] if row else None])
        octets = (await self._opened(scope.tenant_id, stored))[row["content_id"]]
        keys = await self._keys.of(scope.tenant_id, [row["dek"]])
        key = keys.open("message", message_id, row["dek"])
        name = open_document(key, name_of_attachment(message_id, number), row["sealed_name"])
        return name["filename"], name["content_type"], octets

    async def evidence_material(self, scope: TenantScope, message_id: UUID) -> EvidenceMaterial:
        tenant_id = scope.tenant_id
        message = await self.message(scope, message_id)
        async with tenant_driver(self._engine, tenant_id) as connection:
            copies = await connection.fetch(
                "SELECT id, content_id FROM message_copy WHERE tenant_id = $1 AND message_id = $2"
                " AND content_id IS NOT NULL ORDER BY position",
                tenant_id,
                message_id,
            )
            proofs = await _evidence(connection, tenant_id, message_id)
            stored = await fetch_contents(connection, tenant_id, [row["content_id"] for row in (*copies, *proofs)])
            events = await _events(connection, tenant_id, message_id)
            journal = await connection.fetch(
                "SELECT * FROM journal WHERE tenant_id = $1 AND object = $2 ORDER BY seq",
                tenant_id,
                format_id(Prefix.MESSAGE, message_id),
            )
        octets = await self._opened(tenant_id, stored)
        return EvidenceMaterial(
            message=message,
            handed_over=tuple((row["id"], octets[row["content_id"]]) for row in copies),
            evidence=tuple((evidence_view(row), octets[row["content_id"]]) for row in proofs),
            certificates=_distinct(proofs, "certificates"),
            crls=_distinct(proofs, "crls"),
            events=events,
            journal=tuple(journal_item(row) for row in journal),
        )

    async def _opened(self, tenant_id: UUID, stored: StoredContents) -> Mapping[UUID, bytes]:
        return stored.open(await self._keys.of(tenant_id, stored.deks()))

    async def _views(self, tenant_id: UUID, found: Sequence[_MessageRows]) -> tuple[MessageView, ...]:
        keys = await self._keys.of(tenant_id, [each.message["dek"] for each in found])
        return tuple(message_view(keys, each.message, each.recipients, each.attachments) for each in found)


class _MessageRows(NamedTuple):
    message: Any
    recipients: Sequence[Any]
    attachments: Sequence[Any]


async def _with_parts(connection: Any, tenant_id: UUID, rows: Sequence[Any]) -> list[_MessageRows]:
    ids = [row["id"] for row in rows]
    if not ids:
        return []
    recipients = _by_message(await connection.fetch(_RECIPIENTS, tenant_id, ids))
    attachments = _by_message(await connection.fetch(_ATTACHMENTS, tenant_id, ids))
    return [_MessageRows(row, recipients[row["id"]], attachments[row["id"]]) for row in rows]


async def _contents(connection: Any, tenant_id: UUID, ids: Sequence[UUID | None]) -> StoredContents:
    """Raises NotFound when one is missing."""
    wanted = [each for each in ids if each is not None]
    stored = await fetch_contents(connection, tenant_id, wanted)
    if not wanted or len(stored.rows) != len(set(wanted)):
        raise NotFound
    return stored


def _condition(tenant_id: UUID, where: MessageFilter, cursor: str | None) -> tuple[str, list[Any]]:
    parts, values = ["m.tenant_id = $1"], [tenant_id]

    def add(condition: str, *given: Any) -> None:
        numbers = [f"${len(values) + n + 1}" for n in range(len(given))]
        parts.append(condition.format(*numbers))
        values.extend(given)

    if where.direction is not None:
        add("m.direction = {0}", where.direction)
    if where.states:
        add("m.state = ANY({0}::text[])", [str(state) for state in where.states])
    if where.reference is not None:
        add(
            "hashtextextended(m.reference, 0) = hashtextextended({0}, 0) AND m.reference = {1}", *(where.reference,) * 2
        )
    if where.created_after is not None:
        add("m.created_at > {0}", where.created_after)
    if where.created_before is not None:
        add("m.created_at < {0}", where.created_before)
    if where.mailbox is not None:
        add("m.mailbox = lower({0})", where.mailbox)
    if cursor is not None:
        add("(m.created_at, m.id) < ({0}, {1})", *read_cursor("messages", cursor))
    return " AND ".join(parts), values


def _by_message(rows: Sequence[Any]) -> Mapping[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row["message_id"]].append(row)
    return found


async def _events(connection: Any, tenant_id: UUID, message_id: UUID) -> tuple[EventView, ...]:
    rows = await connection.fetch(
        "SELECT * FROM event WHERE tenant_id = $1 AND message_id = $2 ORDER BY at, xact, position",
        tenant_id,
        message_id,
    )
    return tuple(event_view(row) for row in rows)


async def _evidence(connection: Any, tenant_id: UUID, message_id: UUID) -> Sequence[Any]:
    rows: Sequence[Any] = await connection.fetch(
        "SELECT e.*, r.received_at, r.content_id FROM evidence e JOIN received r ON r.tenant_id = e.tenant_id"
        " AND r.id = e.received_id WHERE e.tenant_id = $1 AND e.message_id = $2 ORDER BY e.recorded_at, e.id",
        tenant_id,
        message_id,
    )
    return rows


def _distinct(rows: Sequence[Any], column: str) -> tuple[bytes, ...]:
    return tuple(sorted({octets for row in rows for octets in row[column]}))
