"""What came in (ports.Arrivals): stored before it is looked at, matched, recorded as proof or as inbox entry."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.arrivals import (
    Arrival,
    Mailbox,
    NewEvidence,
    NewInbound,
    SentCopyRecord,
    StoredArrival,
)
from demail_gateway.application.ports.work import Lease
from demail_gateway.core.delivery import CLOCKS, Clocks
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.contents import RECEIVED, fetch_contents, insert_chunks, seal_content
from demail_gateway.storage.engine import batch_driver, statement_driver
from demail_gateway.storage.inbox import insert_inbound
from demail_gateway.storage.proofs import insert_proof
from demail_gateway.storage.rows import storable
from demail_gateway.storage.sent_copies import find_sent_copies
from demail_gateway.storage.standing import lock_leased
from demail_gateway.tenancy.identifiers import uuid7

_STORE = """
WITH new AS (
  INSERT INTO received
    (tenant_id, id, mailbox, connection_id, content_id, sha256, envelope_sender, peer_fingerprint, received_at)
  SELECT $1, a.id, a.mailbox, a.connection_id, a.content_id, a.sha256, a.envelope_sender, a.peer, a.at
    FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::bytea[], $7::text[], $8::text[], $9::timestamptz[])
      AS a (id, mailbox, connection_id, content_id, sha256, envelope_sender, peer, at)
  ON CONFLICT (tenant_id, mailbox, sha256) DO NOTHING
  RETURNING id, content_id, received_at
), contents AS (
  INSERT INTO content (tenant_id, id, role, size_bytes, sha256, dek, sealed_data, created_at)
  SELECT $1, c.id, $10, c.size, c.sha256, c.dek, c.sealed, new.received_at
    FROM unnest($5::uuid[], $11::bigint[], $6::bytea[], $12::bytea[], $13::bytea[]) AS c (id, size, sha256, dek, sealed)
    JOIN new ON new.content_id = c.id
), works AS (
  INSERT INTO outbox (tenant_id, id, kind, subject_id, due_at, size_bytes, trace_id, created_at)
  SELECT $1, w.id, 'received', new.id, new.received_at, w.size, w.trace_id, new.received_at
    FROM unnest($2::uuid[], $14::uuid[], $11::bigint[], $15::text[]) AS w (received_id, id, size, trace_id)
    JOIN new ON new.id = w.received_id
)
SELECT content_id FROM new
"""
_LOAD = """
SELECT r.id, r.mailbox, r.connection_id, r.content_id, r.received_at
  FROM outbox o JOIN received r ON r.tenant_id = o.tenant_id AND r.id = o.subject_id
 WHERE o.tenant_id = $1 AND o.id = $2 AND o.lease_token = $3
"""
_POSTPONE = """
UPDATE outbox SET lease_token = NULL, leased_until = NULL, leased_by = NULL, due_at = $4, tries = tries + 1
 WHERE tenant_id = $1 AND id = $2 AND lease_token = $3
"""


class PostgresArrivals:
    """ports.Arrivals on PostgreSQL."""

    def __init__(self, engine: AsyncEngine, keys: ContentKeys, *, clocks: Clocks = CLOCKS) -> None:
        self._engine = engine
        self._keys = keys
        self._clocks = clocks

    async def mailbox(self, address: str) -> Mailbox | None:
        async with statement_driver(self._engine) as connection:
            row = await connection.fetchrow("SELECT * FROM mailbox_of($1)", storable(address))
        return Mailbox(*row) if row else None

    async def store(self, arrivals: Sequence[Arrival]) -> frozenset[UUID]:
        """One transaction per tenant; when a later one fails, what went before is there, and found again next time."""
        by_tenant: dict[UUID, list[Arrival]] = defaultdict(list)
        for arrival in arrivals:
            by_tenant[arrival.mailbox.tenant_id].append(arrival)
        new = [await self._store(tenant_id, group) for tenant_id, group in by_tenant.items()]
        return frozenset[UUID]().union(*new)

    async def _store(self, tenant_id: UUID, arrivals: Sequence[Arrival]) -> set[UUID]:
        keys = await self._keys.of(tenant_id)
        contents = [seal_content(keys, _id(arrival), arrival.octets) for arrival in arrivals]
        async with batch_driver(self._engine, tenant_id) as connection:
            rows = await connection.fetch(
                _STORE,
                tenant_id,
                [arrival.id for arrival in arrivals],
                [arrival.mailbox.address for arrival in arrivals],
                [arrival.connection_id for arrival in arrivals],
                [content.id for content in contents],
                [content.sha256 for content in contents],
                [storable(arrival.envelope_sender) for arrival in arrivals],
                [arrival.peer_fingerprint for arrival in arrivals],
                [arrival.received_at for arrival in arrivals],
                RECEIVED,
                [content.size_bytes for content in contents],
                [content.dek for content in contents],
                [content.data for content in contents],
                [_id(arrival) for arrival in arrivals],
                [arrival.trace_id for arrival in arrivals],
            )
            new = {row[0] for row in rows}
            for content in contents:
                if content.id in new:
                    await insert_chunks(connection, tenant_id, content.id, 0, content.chunks)
        return {arrival.id for arrival, content in zip(arrivals, contents, strict=True) if content.id in new}

    async def load(self, tenant_id: UUID, lease: Lease) -> StoredArrival | None:
        """None when the lease no longer holds. Raises KeyUnavailable."""
        async with batch_driver(self._engine, tenant_id) as connection:
            row = await connection.fetchrow(_LOAD, tenant_id, lease.work_id, lease.token)
            if row is None:
                return None
            stored = await fetch_contents(connection, tenant_id, [row["content_id"]])
        octets = stored.open(await self._keys.of(tenant_id, stored.deks()))[row["content_id"]]
        return StoredArrival(row["id"], row["mailbox"], row["connection_id"], octets, row["received_at"])

    async def find_sent(
        self,
        tenant_id: UUID,
        *,
        private_id: str | None,
        demail_message_id: str | None,
        integrity_value: str | None,
        internet_message_id: str | None,
    ) -> Mapping[str, SentCopyRecord]:
        wanted = {
            "private_id": private_id,
            "demail_message_id": demail_message_id,
            "integrity_value": integrity_value,
            "internet_message_id": internet_message_id,
        }
        given = {name: storable(value) for name, value in wanted.items() if value}
        if not given:
            return {}
        async with batch_driver(self._engine, tenant_id) as connection:
            found = await find_sent_copies(connection, tenant_id, given)
        return found.open(await self._keys.of(tenant_id, found.deks()))

    async def record_evidence(self, tenant_id: UUID, lease: Lease, evidence: NewEvidence) -> None:
        """Nothing happens when the lease no longer holds: whoever has the next one records it."""
        async with batch_driver(self._engine, tenant_id) as connection:
            await insert_proof(connection, tenant_id, lease, evidence, self._clocks)

    async def record_inbound(self, tenant_id: UUID, lease: Lease, inbound: NewInbound) -> None:
        """As `record_evidence`."""
        keys = await self._keys.of(tenant_id)
        async with batch_driver(self._engine, tenant_id) as connection:
            if await lock_leased(connection, tenant_id, [lease]):
                await insert_inbound(connection, tenant_id, keys, inbound, self._clocks)

    async def postpone(self, tenant_id: UUID, lease: Lease, due_at: datetime) -> None:
        async with batch_driver(self._engine, tenant_id) as connection:
            await connection.execute(_POSTPONE, tenant_id, lease.work_id, lease.token, due_at)


def _id(arrival: Arrival) -> UUID:
    return uuid7(arrival.received_at, os.urandom(10))
