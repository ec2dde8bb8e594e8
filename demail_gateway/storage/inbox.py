"""Recording an inbound De-Mail that is no proof of ours: an inbox entry."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from demail_gateway.application.ports.arrivals import NewInbound
from demail_gateway.application.ports.work import WorkKind
from demail_gateway.core.delivery import Clocks
from demail_gateway.core.vocabulary import Direction, MessageState
from demail_gateway.storage.changes import Changes, Entry, Told
from demail_gateway.storage.envelope import DataKey, TenantKeys
from demail_gateway.storage.rows import (
    head_of_message,
    name_of_attachment,
    options_to_jsonb,
    seal_document,
    storable,
    storable_or_none,
    to_jsonb,
)
from demail_gateway.tenancy.identifiers import Prefix, format_id

_MESSAGE = """
WITH processed AS (
  UPDATE received SET processed_at = $5 WHERE tenant_id = $1 AND id = $4 RETURNING connection_id
)
INSERT INTO message
  (tenant_id, id, direction, state, received_id, created_at, connection_id, sender, options, size_bytes, dek,
   sealed_head, mailbox, message_type, demail_message_id, private, quarantine, verification, sent_at)
SELECT $1, $2, 'inbound', $3, $4, $5, p.connection_id, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
  FROM processed p
"""
_ATTACHMENTS = """
INSERT INTO message_attachment (tenant_id, message_id, position, size_bytes, sealed_name)
SELECT $1, $2, a.position, a.size, a.name
  FROM unnest($3::integer[], $4::bigint[], $5::bytea[]) AS a (position, size, name)
"""


async def insert_inbound(
    connection: Any, tenant_id: UUID, keys: TenantKeys, inbound: NewInbound, clocks: Clocks
) -> None:
    """Within the caller's transaction, under a lease that holds: message, event ``inbound.received``, journal."""
    key = keys.new("message", inbound.id)
    await _insert_message(connection, tenant_id, key, inbound)
    if inbound.attachments:
        await _insert_attachments(connection, tenant_id, key, inbound)
    await _changes(inbound, clocks).write(connection, tenant_id)


async def _insert_message(connection: Any, tenant_id: UUID, key: DataKey, inbound: NewInbound) -> None:
    head = {
        "subject": inbound.subject,
        "reply_to": None,
        "to": list(inbound.to),
        "cc": list(inbound.cc),
        "private_id": inbound.private_id,
        "auth_level": inbound.auth_level,
    }
    await connection.execute(
        _MESSAGE,
        tenant_id,
        inbound.id,
        MessageState.RECEIVED,
        inbound.received_id,
        inbound.at,
        storable(inbound.sender),
        options_to_jsonb(inbound.options),
        inbound.size_bytes,
        key.wrapped,
        seal_document(key, head_of_message(inbound.id), head),
        inbound.mailbox_address,
        storable(inbound.message_type),
        storable_or_none(inbound.demail_message_id),
        inbound.options.private,
        inbound.quarantine,
        to_jsonb(inbound.verification),
        inbound.sent_at,
    )


async def _insert_attachments(connection: Any, tenant_id: UUID, key: DataKey, inbound: NewInbound) -> None:
    numbers, filenames, content_types, sizes = zip(*inbound.attachments, strict=True)
    names = [
        seal_document(key, name_of_attachment(inbound.id, number), {"filename": filename, "content_type": content_type})
        for number, filename, content_type in zip(numbers, filenames, content_types, strict=True)
    ]
    await connection.execute(_ATTACHMENTS, tenant_id, inbound.id, numbers, sizes, names)


def _changes(inbound: NewInbound, clocks: Clocks) -> Changes:
    changes = Changes(inbound.at, clocks)
    changes.removed.add((WorkKind.RECEIVED, inbound.received_id))
    changes.events.append(Told(f"{Direction.INBOUND}.received", inbound.id, None, None, MessageState.RECEIVED))
    detail = {"outcome": str(inbound.verification.get("outcome", ""))}
    if inbound.quarantine:
        detail["quarantine"] = inbound.quarantine
    changes.journal.append(Entry("inbound.received", format_id(Prefix.MESSAGE, inbound.id), detail))
    return changes
