"""Handing copies over (ports.Dispatches): claims with leases, attempts recorded before the first octet, outcomes.

Fences: whatever rests on a lease names its token. An outcome of an attempt that was begun is a fact of its own and
counts as long as that attempt is open, also when the lease ran out meanwhile: only one attempt of a copy is open at a
time, because `begin` asks for a copy that waits.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports import AttemptBegin, AttemptOutcome, ClaimedCopy, Lease, WorkKind
from demail_gateway.core.delivery import CLOCKS, Clocks
from demail_gateway.storage.changes import Changes, Entry
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.contents import HANDED_OVER, insert_contents, seal_content
from demail_gateway.storage.engine import tenant_driver
from demail_gateway.storage.handing_over import read_copies
from demail_gateway.storage.outcomes import Attempted, apply_outcomes
from demail_gateway.storage.rows import storable
from demail_gateway.storage.standing import fetch_standings, lock_leased, lock_messages, lock_messages_of_copies
from demail_gateway.tenancy.identifiers import Prefix, format_id, uuid7

CLAIM_BYTES = 32 * 1024 * 1024
"""A claim stops before its rows would bring more than this into memory; one row is always given."""
ATTEMPT_S = 240.0
"""A begun attempt keeps its lease at least so long: longer than the phases of a hand-over take together."""
REPLY_CHARS = 500

_CLAIM = """
WITH picked AS (
  SELECT o.id, k.rank, o.due_at, o.size_bytes
    FROM unnest($2::text[]) WITH ORDINALITY AS k (kind, rank)
   CROSS JOIN LATERAL (
     SELECT id, due_at, size_bytes FROM outbox
      WHERE tenant_id = $1 AND kind = k.kind AND lease_token IS NULL AND due_at <= $3
      ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) o
), ranked AS (
  SELECT id, rank, due_at, sum(size_bytes) OVER w AS total, row_number() OVER w AS number
    FROM picked WINDOW w AS (ORDER BY rank, due_at, id)
), claimed AS (
  UPDATE outbox o SET lease_token = gen_random_uuid(), leased_until = $5, leased_by = $6
    FROM ranked r
   WHERE o.tenant_id = $1 AND o.id = r.id AND r.number <= $4 AND (r.number = 1 OR r.total <= $7)
  RETURNING o.id, o.kind, o.subject_id, o.lease_token, o.tries, o.trace_id, r.number
)
SELECT id, kind, subject_id, lease_token, tries, trace_id FROM claimed ORDER BY number
"""
_LOCK_WAITING = """
SELECT id, content_id FROM message_copy WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND hand_over = 'waiting'
 ORDER BY id FOR UPDATE
"""
_BEGIN = """
WITH begun AS (
  INSERT INTO attempt (tenant_id, id, copy_id, begun_at)
  SELECT $1, a.id, a.copy_id, a.at
    FROM unnest($2::uuid[], $3::uuid[], $5::timestamptz[]) AS a (id, copy_id, at)
), kept AS (
  UPDATE outbox o SET leased_until = greatest(o.leased_until, w.until)
    FROM unnest($6::uuid[], $7::timestamptz[]) AS w (id, until) WHERE o.tenant_id = $1 AND o.id = w.id
)
UPDATE message_copy c SET hand_over = 'uncertain', hand_over_at = a.at, content_id = a.content_id
  FROM unnest($3::uuid[], $4::uuid[], $5::timestamptz[]) AS a (copy_id, content_id, at)
 WHERE c.tenant_id = $1 AND c.id = a.copy_id
"""
_COPIES = """
SELECT c.id, c.message_id, (SELECT array_agg(a.id) FROM attempt a
                             WHERE a.tenant_id = $1 AND a.copy_id = c.id AND a.outcome IS NULL) AS open_attempts
  FROM message_copy c WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])
"""
_END_ATTEMPTS = """
WITH ended AS (
  UPDATE attempt a SET ended_at = e.at, outcome = e.outcome, reply = e.reply
    FROM unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[]) AS e (copy_id, outcome, reply, at)
   WHERE a.tenant_id = $1 AND a.copy_id = e.copy_id AND a.outcome IS NULL
)
UPDATE message_copy c SET last_reply = e.reply
  FROM unnest($2::uuid[], $4::text[]) AS e (copy_id, reply)
 WHERE c.tenant_id = $1 AND c.id = e.copy_id
"""
_RELEASE = """
UPDATE outbox o SET lease_token = NULL, leased_until = NULL, leased_by = NULL, due_at = $4
  FROM unnest($2::uuid[], $3::uuid[]) AS l (id, token)
 WHERE o.tenant_id = $1 AND o.id = l.id AND o.lease_token = l.token
"""
_DONE = "DELETE FROM outbox WHERE tenant_id = $1 AND id = $2 AND lease_token = $3"


class PostgresDispatches:
    """ports.Dispatches on PostgreSQL. `attempt_s`: see `ATTEMPT_S`; shorter where hand-overs are known to be short."""

    def __init__(
        self, engine: AsyncEngine, keys: ContentKeys, *, clocks: Clocks = CLOCKS, attempt_s: float = ATTEMPT_S
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._clocks = clocks
        self._attempt = timedelta(seconds=attempt_s)

    async def claim(
        self, tenant_id: UUID, kinds: Sequence[WorkKind], now: datetime, limit: int, lease_s: float, worker: str
    ) -> list[Lease]:
        """Kinds in the order given, the oldest of each first; together at most `CLAIM_BYTES` of content."""
        until = now + timedelta(seconds=lease_s)
        async with tenant_driver(self._engine, tenant_id) as connection:
            rows = await connection.fetch(_CLAIM, tenant_id, list(kinds), now, limit, until, worker, CLAIM_BYTES)
        return [
            Lease(
                row["id"], WorkKind(row["kind"]), row["subject_id"], row["lease_token"], row["tries"], row["trace_id"]
            )
            for row in rows
        ]

    async def load(self, tenant_id: UUID, leases: Sequence[Lease]) -> list[ClaimedCopy]:
        """Copies that exist, in the order of `leases`. Raises KeyUnavailable."""
        async with tenant_driver(self._engine, tenant_id) as connection:
            found = await read_copies(connection, tenant_id, [lease.subject_id for lease in leases])
        opened = found.open(await self._keys.of(tenant_id, found.deks()))
        return [ClaimedCopy(lease, opened[lease.subject_id]) for lease in leases if lease.subject_id in opened]

    async def begin(self, tenant_id: UUID, attempts: Sequence[AttemptBegin]) -> frozenset[UUID]:
        keys = await self._keys.of(tenant_id)
        async with tenant_driver(self._engine, tenant_id) as connection:
            held = await lock_leased(connection, tenant_id, [attempt.lease for attempt in attempts])
            leased = [attempt for attempt in attempts if attempt.lease.work_id in held]
            rows = await connection.fetch(_LOCK_WAITING, tenant_id, [attempt.copy_id for attempt in leased])
            stored: dict[UUID, UUID | None] = dict(rows)
            begun = [attempt for attempt in leased if attempt.copy_id in stored]
            if begun:
                # what an earlier attempt composed is sent again unchanged: its octets are there already
                new = [attempt for attempt in begun if stored[attempt.copy_id] is None]
                contents = [seal_content(keys, _id(attempt), attempt.octets) for attempt in new]
                stored |= {attempt.copy_id: content.id for attempt, content in zip(new, contents, strict=True)}
                if contents:
                    await insert_contents(connection, tenant_id, HANDED_OVER, contents, begun[0].at)
                await connection.execute(
                    _BEGIN,
                    tenant_id,
                    [attempt.attempt_id for attempt in begun],
                    [attempt.copy_id for attempt in begun],
                    [stored[attempt.copy_id] for attempt in begun],
                    [attempt.at for attempt in begun],
                    [attempt.lease.work_id for attempt in begun],
                    [attempt.at + self._attempt for attempt in begun],
                )
        return frozenset(attempt.copy_id for attempt in begun)

    async def finish(self, tenant_id: UUID, outcomes: Sequence[AttemptOutcome]) -> None:
        if not outcomes:
            return
        copies = [outcome.copy_id for outcome in outcomes]
        changes = Changes(max(outcome.at for outcome in outcomes), self._clocks)
        async with tenant_driver(self._engine, tenant_id) as connection:
            messages = await lock_messages_of_copies(connection, tenant_id, copies)
            held = await lock_leased(connection, tenant_id, [outcome.lease for outcome in outcomes])
            standings = await fetch_standings(connection, tenant_id, messages)
            rows = {row["id"]: row for row in await connection.fetch(_COPIES, tenant_id, copies)}
            valid = [
                Attempted(outcome, rows[outcome.copy_id]["message_id"])
                for outcome in outcomes
                if outcome.copy_id in rows and _counts(outcome, held, rows[outcome.copy_id]["open_attempts"] or ())
            ]
            if not valid:
                return
            await connection.execute(_END_ATTEMPTS, tenant_id, *_ends(valid))
            apply_outcomes(changes, standings, valid)
            await changes.write(connection, tenant_id)

    async def release(self, tenant_id: UUID, leases: Sequence[Lease], due_at: datetime) -> None:
        ids, tokens = [lease.work_id for lease in leases], [lease.token for lease in leases]
        async with tenant_driver(self._engine, tenant_id) as connection:
            await connection.execute(_RELEASE, tenant_id, ids, tokens, due_at)

    async def done(self, tenant_id: UUID, lease: Lease) -> None:
        async with tenant_driver(self._engine, tenant_id) as connection:
            await connection.execute(_DONE, tenant_id, lease.work_id, lease.token)

    async def review(self, tenant_id: UUID, lease: Lease, now: datetime) -> None:
        changes = Changes(now, self._clocks)
        async with tenant_driver(self._engine, tenant_id) as connection:
            messages = await lock_messages(connection, tenant_id, [lease.subject_id])
            if not messages or not await lock_leased(connection, tenant_id, [lease]):
                return
            standing = (await fetch_standings(connection, tenant_id, messages))[lease.subject_id]
            delivery = changes.settle(standing, reviewing=True)
            if delivery.state is not standing.delivery.state:
                name = format_id(Prefix.MESSAGE, standing.message_id)
                changes.journal.append(Entry("message.reviewed", name, {"state": delivery.state}))
            await changes.write(connection, tenant_id)


def _counts(outcome: AttemptOutcome, held: frozenset[UUID], open_attempts: Sequence[UUID]) -> bool:
    """Whether the outcome may be written: its attempt is open, or nothing was begun and its lease holds."""
    if outcome.attempt_id is not None and outcome.attempt_id in open_attempts:
        return True
    return outcome.lease.work_id in held


def _ends(attempted: Sequence[Attempted]) -> tuple[list[Any], ...]:
    return (
        [each.outcome.copy_id for each in attempted],
        [each.outcome.end for each in attempted],
        [storable(each.outcome.reply)[:REPLY_CHARS] for each in attempted],
        [each.outcome.at for each in attempted],
    )


def _id(attempt: AttemptBegin) -> UUID:
    return uuid7(attempt.at, os.urandom(10))
