"""Rows of messages with those of their recipients and attachments: one by its id, or a page of a list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from demail_gateway.application.ports.reading import MessageFilter
from demail_gateway.core.errors import NotFound
from demail_gateway.core.vocabulary import Direction
from demail_gateway.storage.cursors import read_cursor

# a next attempt is one after a first that failed and before it is taken up
_MESSAGES = """
SELECT m.*, r.received_at, (
         SELECT min(o.due_at) FROM outbox o JOIN message_copy c ON c.tenant_id = o.tenant_id AND c.id = o.subject_id
          WHERE o.tenant_id = m.tenant_id AND o.kind = 'dispatch' AND o.tries > 0 AND o.lease_token IS NULL
            AND o.due_at < 'infinity' AND c.message_id = m.id) AS next_attempt_at
  FROM message m LEFT JOIN received r ON r.tenant_id = m.tenant_id AND r.id = m.received_id
 WHERE m.tenant_id = $1 AND m.id = ANY($2::uuid[])
 ORDER BY m.created_at DESC, m.id DESC
"""
_RECIPIENTS = """
SELECT * FROM recipient WHERE tenant_id = $1 AND message_id = ANY($2::uuid[])
 ORDER BY array_position(ARRAY['to', 'cc', 'bcc'], kind), position
"""
_ATTACHMENTS = """
SELECT * FROM message_attachment WHERE tenant_id = $1 AND message_id = ANY($2::uuid[]) ORDER BY position
"""


class MessageRows(NamedTuple):
    """One message, in the order that `views.message_view` takes them."""

    message: Any
    recipients: Sequence[Any]
    attachments: Sequence[Any]


async def fetch_message(connection: Any, tenant_id: UUID, message_id: UUID) -> MessageRows:
    """Raises NotFound."""
    found = await _fetch(connection, tenant_id, [message_id])
    if not found:
        raise NotFound
    return found[0]


async def fetch_page(
    connection: Any, tenant_id: UUID, where: MessageFilter, limit: int, cursor: str | None
) -> list[MessageRows]:
    """At most `limit` messages, the newest first, behind `cursor`. Raises CursorInvalid."""
    query, values = page_query(tenant_id, where, limit, cursor)
    return await _fetch(connection, tenant_id, [row["id"] for row in await connection.fetch(query, *values)])


def page_query(tenant_id: UUID, where: MessageFilter, limit: int, cursor: str | None) -> tuple[str, list[Any]]:
    """One branch for each direction: the index of the list begins with it, and so gives each in order."""
    condition, values = _condition(where, cursor)
    directions = [where.direction] if where.direction else list(Direction)
    branches = " UNION ALL ".join(
        f"(SELECT id, created_at FROM message WHERE direction = '{direction}' AND {condition}"  # noqa: S608  see _condition
        " ORDER BY created_at DESC, id DESC LIMIT $2)"
        for direction in directions
    )
    # as a table of its own: a single bracketed branch with its own ORDER BY takes no second one
    page = f"SELECT id FROM ({branches}) AS found ORDER BY created_at DESC, id DESC LIMIT $2"  # noqa: S608  as above
    return page, [tenant_id, limit, *values]


async def _fetch(connection: Any, tenant_id: UUID, ids: Sequence[UUID]) -> list[MessageRows]:
    if not ids:
        return []
    recipients = _by_message(await connection.fetch(_RECIPIENTS, tenant_id, ids))
    attachments = _by_message(await connection.fetch(_ATTACHMENTS, tenant_id, ids))
    messages = await connection.fetch(_MESSAGES, tenant_id, ids)
    return [MessageRows(row, recipients[row["id"]], attachments[row["id"]]) for row in messages]


def _by_message(rows: Sequence[Any]) -> Mapping[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row["message_id"]].append(row)
    return found


def _condition(where: MessageFilter, cursor: str | None) -> tuple[str, list[Any]]:
    """The filter as SQL of constant parts; what was asked for goes into the values alone, from $3 on."""
    asked: list[tuple[str, Sequence[Any]]] = [
        ("state = ANY({}::text[])", [list(where.states)] if where.states else []),
        # by its hash, as it is indexed; the value decides
        ("hashtextextended(reference, 0) = hashtextextended({0}::text, 0) AND reference = {0}", _one(where.reference)),
        ("created_at > {}", _one(where.created_after)),
        ("created_at < {}", _one(where.created_before)),
        ("mailbox = lower({})", _one(where.mailbox)),
        ("(created_at, id) < ({}, {})", () if cursor is None else read_cursor("messages", cursor)),
    ]
    parts, values = ["tenant_id = $1"], list[Any]()
    for condition, given in asked:
        if given:
            parts.append(condition.format(*(f"${3 + len(values) + n}" for n in range(len(given)))))
            values.extend(given)
    return " AND ".join(parts), values


def _one(value: Any) -> Sequence[Any]:
    return () if value is None else (value,)
