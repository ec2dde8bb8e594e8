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

from demail_gateway.application.ports.dispatches import AttemptBegin, AttemptOutcome, ClaimedCopy, HandOversSoFar
from demail_gateway.application.ports.work import Lease, WorkKind
from demail_gateway.core.delivery import CLOCKS, Clocks
from demail_gateway.storage.changes import Changes, Ended, Entry
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.contents import HANDED_OVER, SealedContent, insert_chunks, seal_content
from demail_gateway.storage.engine import batch_driver, statement_driver
from demail_gateway.storage.handing_over import read_copies
from demail_gateway.storage.outcomes import Attempted, apply_outcomes
from demail_gateway.storage.rows import storable
from demail_gateway.storage.standing import fetch_standings, lock_leased, lock_messages, locked_standings
from demail_gateway.tenancy.identifiers import Prefix, format_id, uuid7

CLAIM_BYTES = 32 * 1024 * 1024
"""A claim stops before its rows would bring more than this into memory; one row is always given."""
ATTEMPT_S = 240.0
"""A begun attempt keeps its lease at least so long: longer than the phases of a hand-over take together."""
REPLY_CHARS = 500

_CLAIM = "SELECT * FROM claim_work($1, $2, $3, $4, $5, $6, $7)"
_BEGIN = "SELECT * FROM begin_attempts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
_RELEASE = """
UPDATE outbox o SET lease_token = NULL, leased_until = NULL, leased_by = NULL, due_at = $4
  FROM unnest($2::uuid[], $3::uuid[]) AS l (id, token)
 WHERE o.tenant_id = $1 AND o.id = l.id AND o.lease_token = l.token
"""
_SO_FAR = """
SELECT copy_id, count(*) AS begun, max(begun_at) AS last_begun_at,
       (array_agg(absent_at ORDER BY begun_at DESC, id DESC))[1] AS absent_since
  FROM attempt WHERE tenant_id = $1 AND copy_id = ANY($2::uuid[]) GROUP BY copy_id
"""
_ABSENT = """
UPDATE attempt a SET absent_at = l.at
  FROM unnest($2::uuid[], $3::timestamptz[]) AS l (copy_id, at)
 WHERE a.tenant_id = $1 AND a.absent_at IS NULL AND a.id = (
   SELECT id FROM attempt WHERE tenant_id = $1 AND copy_id = l.copy_id ORDER BY begun_at DESC, id DESC LIMIT 1)
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
        async with statement_driver(self._engine) as connection:
            rows = await connection.fetch(_CLAIM, tenant_id, kinds, now, limit, until, worker, CLAIM_BYTES)
        return [
            Lease(
                row["id"], WorkKind(row["kind"]), row["subject_id"], row["lease_token"], row["tries"], row["trace_id"]
            )
            for row in rows
        ]

    async def load(self, tenant_id: UUID, leases: Sequence[Lease]) -> list[ClaimedCopy]:
        """Copies that exist, in the order of `leases`. Raises KeyUnavailable."""
        found = await read_copies(self._engine, tenant_id, [lease.subject_id for lease in leases])
        opened = found.open(await self._keys.of(tenant_id, found.deks()))
        so_far = await self._so_far(tenant_id, [each for each in leases if each.kind is WorkKind.RECONCILE])
        return [
            ClaimedCopy(lease, opened[lease.subject_id], so_far.get(lease.subject_id, HandOversSoFar()))
            for lease in leases
            if lease.subject_id in opened
        ]

    async def begin(self, tenant_id: UUID, attempts: Sequence[AttemptBegin]) -> frozenset[UUID]:
        keys = await self._keys.of(tenant_id)
        # what an earlier attempt composed is sent again unchanged: its octets are there already, and these are not kept
        contents = [seal_content(keys, _id(attempt), attempt.octets) for attempt in attempts]
        values = self._begin_arguments(tenant_id, attempts, contents)
        large = {content.id: content for content in contents if content.chunks}
        if not large:
            async with statement_driver(self._engine) as connection:
                begun = await connection.fetch(_BEGIN, *values)
        else:
            async with batch_driver(self._engine, tenant_id) as connection:
                begun = await connection.fetch(_BEGIN, *values)
                for new in (large[row["content_id"]] for row in begun if row["content_id"] in large):
                    await insert_chunks(connection, tenant_id, new.id, 0, new.chunks)
        return frozenset(row["copy_id"] for row in begun)

    async def finish(self, tenant_id: UUID, outcomes: Sequence[AttemptOutcome]) -> None:
        if not outcomes:
            return
        copies, leases = [outcome.copy_id for outcome in outcomes], [outcome.lease for outcome in outcomes]
        changes = Changes(max(outcome.at for outcome in outcomes), self._clocks)
        async with statement_driver(self._engine) as connection, connection.transaction():
            standings, held = await locked_standings(connection, tenant_id, copies, leases)
            by_copy = {copy.id: standing for standing in standings for copy in standing.facts.copies}
            valid = [
                Attempted(outcome, by_copy[outcome.copy_id].message_id)
                for outcome in outcomes
                if outcome.copy_id in by_copy and _counts(outcome, held, by_copy[outcome.copy_id].open_attempts)
            ]
            if not valid:
                return
            changes.ended += [_ended(each.outcome) for each in valid]
            if absent := [each.outcome for each in valid if each.outcome.absent]:
                told = [outcome.copy_id for outcome in absent], [outcome.at for outcome in absent]
                await connection.execute(_ABSENT, tenant_id, *told)
            apply_outcomes(changes, {standing.message_id: standing for standing in standings}, valid)
            await changes.write(connection, tenant_id)

    async def release(self, tenant_id: UUID, leases: Sequence[Lease], due_at: datetime) -> None:
        ids, tokens = [lease.work_id for lease in leases], [lease.token for lease in leases]
        async with batch_driver(self._engine, tenant_id) as connection:
            await connection.execute(_RELEASE, tenant_id, ids, tokens, due_at)

    async def done(self, tenant_id: UUID, lease: Lease) -> None:
        async with batch_driver(self._engine, tenant_id) as connection:
            await connection.execute(_DONE, tenant_id, lease.work_id, lease.token)

    async def review(self, tenant_id: UUID, lease: Lease, now: datetime) -> None:
        changes = Changes(now, self._clocks)
        async with batch_driver(self._engine, tenant_id) as connection:
            messages = await lock_messages(connection, tenant_id, [lease.subject_id])
            if not messages or not await lock_leased(connection, tenant_id, [lease]):
                return
            standing = (await fetch_standings(connection, tenant_id, messages))[lease.subject_id]
            delivery = changes.settle(standing, reviewing=True)
            if delivery.state is not standing.delivery.state:
                name = format_id(Prefix.MESSAGE, standing.message_id)
                changes.journal.append(Entry("message.reviewed", name, {"state": delivery.state}))
            await changes.write(connection, tenant_id)

    async def _so_far(self, tenant_id: UUID, leases: Sequence[Lease]) -> dict[UUID, HandOversSoFar]:
        if not leases:
            return {}
        async with batch_driver(self._engine, tenant_id) as connection:
            rows = await connection.fetch(_SO_FAR, tenant_id, [lease.subject_id for lease in leases])
        return {row["copy_id"]: HandOversSoFar(row["begun"], row["last_begun_at"], row["absent_since"]) for row in rows}

    def _begin_arguments(
        self, tenant_id: UUID, attempts: Sequence[AttemptBegin], contents: Sequence[SealedContent]
    ) -> tuple[Any, ...]:
        return (
            tenant_id,
            [attempt.lease.work_id for attempt in attempts],
            [attempt.lease.token for attempt in attempts],
            [attempt.attempt_id for attempt in attempts],
            [attempt.copy_id for attempt in attempts],
            [attempt.at for attempt in attempts],
            [attempt.at + self._attempt for attempt in attempts],
            HANDED_OVER,
            [content.id for content in contents],
            [content.size_bytes for content in contents],
            [content.sha256 for content in contents],
            [content.dek for content in contents],
            [content.data for content in contents],
        )


def _counts(outcome: AttemptOutcome, held: frozenset[UUID], open_attempts: frozenset[UUID]) -> bool:
    """Whether the outcome may be written: its attempt is open, or nothing was begun and its lease holds."""
    if outcome.attempt_id is not None and outcome.attempt_id in open_attempts:
        return True
    return outcome.lease.work_id in held


def _ended(outcome: AttemptOutcome) -> Ended:
    return Ended(outcome.copy_id, outcome.end, storable(outcome.reply)[:REPLY_CHARS], outcome.at)


def _id(attempt: AttemptBegin) -> UUID:
    return uuid7(attempt.at, os.urandom(10))
