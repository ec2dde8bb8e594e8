"""The operator's view of the outbox, and decisions about single copies (ports.Queues).

What is shown comes from functions that give ids, counts and times of all tenants (migrations 0008, 0009); a decision is
carried out within the one tenant that it concerns, by the same derivation as everything else, and reads no content
(GWT-37).

Fence: the decision holds the locks of the message and of the copy's work. A worker with a valid lease goes before it; a
worker whose lease has run out finds its row gone or its token worth nothing, and can neither begin nor end anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.dispatches import AttemptEnd
from demail_gateway.application.ports.page import Page
from demail_gateway.application.ports.queues import Decided, QueueTotals, WaitingCopy, WaitingFilter, WaitsFor
from demail_gateway.application.ports.work import WorkKind
from demail_gateway.core.decision import Decision, Undecided, decide
from demail_gateway.core.delivery import CLOCKS, Clocks, derive
from demail_gateway.core.errors import NotFound
from demail_gateway.core.vocabulary import HandOver, MessageState
from demail_gateway.storage.changes import Changes, Ended, Entry, Work
from demail_gateway.storage.cursors import make_cursor, read_cursor
from demail_gateway.storage.engine import batch_driver, operator_transaction
from demail_gateway.storage.rows import storable
from demail_gateway.storage.schema import Moment, tenant
from demail_gateway.storage.standing import COPY_WORK, Standing, fetch_standings, lock_messages
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope

_TOTALS = text("SELECT * FROM queue_totals(:tenants, :now)").bindparams(bindparam("now", type_=Moment))
_RETRYING = text("SELECT * FROM retrying_copies(:tenants)")
_WAITING = text(
    "SELECT * FROM copies_for_a_person(:tenant, :connection, :message, :copy, :kind, :after, :after_id, :limit)"
).bindparams(bindparam("after", type_=Moment))
_TENANT_OF = text("SELECT tenant_of_copy(:copy)")
_MESSAGE_OF = "SELECT message_id FROM message_copy WHERE tenant_id = $1 AND id = $2"
_LOCK_WORK = """
SELECT kind, person_since IS NOT NULL AS waits, coalesce(leased_until > $4, false) AS leased
  FROM outbox WHERE tenant_id = $1 AND subject_id = $2 AND kind = ANY($3::text[]) ORDER BY id FOR UPDATE
"""
_ATTEMPTS = "SELECT count(*) FROM attempt WHERE copy_id = $2 AND tenant_id = $1"
_OTHERS_HELD = """
SELECT EXISTS (
  SELECT FROM message_copy c JOIN outbox o ON o.subject_id = c.id AND o.kind = 'dispatch' AND o.tenant_id = c.tenant_id
   WHERE c.message_id = $2 AND c.tenant_id = $1 AND c.id <> $3 AND o.person_since IS NOT NULL)
"""
_NO_LONGER = "UPDATE outbox SET person_since = NULL WHERE tenant_id = $1 AND subject_id = $2 AND kind = 'dispatch'"
_KINDS = {WaitsFor.HELD: WorkKind.DISPATCH, WaitsFor.UNSETTLED: WorkKind.RECONCILE}
_REASONS = {kind: reason for reason, kind in _KINDS.items()}
_ENDS = {Decision.TAKEN: AttemptEnd.TAKEN, Decision.NOT_TAKEN: AttemptEnd.UNAVAILABLE}


class PostgresQueues:
    """ports.Queues on PostgreSQL."""

    def __init__(self, engine: AsyncEngine, *, clocks: Clocks = CLOCKS) -> None:
        self._engine = engine
        self._clocks = clocks

    async def totals(self, scope: OperatorScope, now: datetime, limit: int, cursor: str | None) -> Page[QueueTotals]:
        columns = (tenant.c.tenant_id, tenant.c.slug, tenant.c.created_at)
        query = select(*columns).order_by(tenant.c.created_at, tenant.c.tenant_id).limit(limit + 1)
        if cursor is not None:
            query = query.where(tuple_(tenant.c.created_at, tenant.c.tenant_id) > read_cursor("queues", cursor))
        async with operator_transaction(self._engine) as connection:
            tenants = (await connection.execute(query)).all()
            shown = {row.tenant_id: row.slug for row in tenants[:limit]}
            counts = (await connection.execute(_TOTALS, {"tenants": list(shown), "now": now})).mappings().all()
            retrying = (await connection.execute(_RETRYING, {"tenants": list(shown)})).mappings().all()
        by_tenant = {row["tenant_id"]: dict(row) for row in counts}
        for row in retrying:
            by_tenant[row["tenant_id"]].update(row)
        last = tenants[limit - 1] if len(tenants) > limit else None
        return Page(
            tuple(QueueTotals(slug=slug, **by_tenant[tenant_id]) for tenant_id, slug in shown.items()),
            make_cursor("queues", last.created_at, last.tenant_id) if last else None,
        )

    async def waiting(
        self, scope: OperatorScope, where: WaitingFilter, limit: int, cursor: str | None
    ) -> Page[WaitingCopy]:
        after = (None, None) if cursor is None else read_cursor("waiting", cursor)
        found = await self._waiting(where, None, after, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        return Page(found[:limit], make_cursor("waiting", last.since, last.id) if last else None)

    async def waiting_copy(self, scope: OperatorScope, copy_id: UUID) -> WaitingCopy:
        found = await self._waiting(WaitingFilter(), copy_id, (None, None), 1)
        if not found:
            raise NotFound
        return found[0]

    async def decide(
        self, scope: OperatorScope, copy_id: UUID, decision: Decision, attempts: int | None, reason: str, now: datetime
    ) -> Decided:
        async with operator_transaction(self._engine) as operator:
            tenant_id = (await operator.execute(_TENANT_OF, {"copy": copy_id})).scalar_one_or_none()
        if tenant_id is None:
            raise NotFound
        async with batch_driver(self._engine, tenant_id) as connection:
            message_id = await connection.fetchval(_MESSAGE_OF, tenant_id, copy_id)
            if not await lock_messages(connection, tenant_id, [message_id]):
                raise NotFound
            # the locks of its work come before the look at the copy: from then on no worker can begin or end anything
            works = await connection.fetch(_LOCK_WORK, tenant_id, copy_id, list(COPY_WORK), now)
            standing = (await fetch_standings(connection, tenant_id, [message_id]))[message_id]
            begun = await connection.fetchval(_ATTEMPTS, tenant_id, copy_id)
            known = _undecided(standing, copy_id, works, begun, now, self._clocks)
            hand_over = decide(decision, known, attempts)
            if hand_over is None:
                return Decided(copy_id, message_id, tenant_id, known.hand_over, standing.delivery.state)
            others_held = await connection.fetchval(_OTHERS_HELD, tenant_id, message_id, copy_id)
            changes = Changes(now, self._clocks)
            decided = standing.with_copy(copy_id, hand_over, None if hand_over is HandOver.WAITING else now)
            state = changes.settle(decided.with_held(others_held)).state
            changes.plan_copy(copy_id, _next_work(standing, copy_id, hand_over, now))
            if decision in _ENDS:
                changes.ended.append(Ended(copy_id, _ENDS[decision], f"operator: {decision}", now))
            changes.journal.append(_entry(scope, known, decision, reason, state, copy_id, message_id))
            await connection.execute(_NO_LONGER, tenant_id, copy_id)
            await changes.write(connection, tenant_id)
        return Decided(copy_id, message_id, tenant_id, hand_over, state)

    async def _waiting(
        self, where: WaitingFilter, copy_id: UUID | None, after: tuple[datetime | None, UUID | None], limit: int
    ) -> tuple[WaitingCopy, ...]:
        values = {
            "tenant": where.tenant_id,
            "connection": where.connection_id,
            "message": where.message_id,
            "copy": copy_id,
            "kind": None if where.reason is None else _KINDS[where.reason].value,
            "after": after[0],
            "after_id": after[1],
            "limit": limit,
        }
        async with operator_transaction(self._engine) as connection:
            rows = (await connection.execute(_WAITING, values)).mappings().all()
        return tuple(map(_waiting_copy, rows))


def _undecided(
    standing: Standing, copy_id: UUID, works: list[Any], attempts: int, now: datetime, clocks: Clocks
) -> Undecided:
    derived = derive(standing.facts, standing.evidence, now, clocks)
    hand_over = next(copy.hand_over for copy in derived.copies if copy.id == copy_id)
    by_kind = {row["kind"]: row for row in works}
    dispatch = by_kind.get(WorkKind.DISPATCH)
    # a hand-over that began and has its own row still is going on, or its worker died and the sweeper comes next
    going_on = dispatch is not None and hand_over is HandOver.UNCERTAIN
    return Undecided(
        hand_over=hand_over,
        held=dispatch is not None and dispatch["waits"],
        worker_at_it=going_on or any(row["leased"] for row in works),
        attempts=attempts,
    )


def _next_work(standing: Standing, copy_id: UUID, hand_over: HandOver, now: datetime) -> Work | None:
    if hand_over is not HandOver.WAITING:
        return None
    return Work(WorkKind.DISPATCH, copy_id, now, 0, standing.size_bytes, standing.trace_id)


def _entry(
    scope: OperatorScope,
    known: Undecided,
    decision: Decision,
    reason: str,
    state: MessageState,
    copy_id: UUID,
    message_id: UUID,
) -> Entry:
    detail = {
        "copy": str(copy_id),
        "decision": str(decision),
        "attempts": str(known.attempts),
        "reason": storable(reason),
        "state": str(state),
    }
    actor = format_id(Prefix.CLIENT, scope.client_id)
    return Entry("hand-over.decided", format_id(Prefix.MESSAGE, message_id), detail, actor)


def _waiting_copy(row: Mapping[Any, Any]) -> WaitingCopy:
    reason = _REASONS[WorkKind(row["kind"])]
    return WaitingCopy(
        id=row["id"],
        message_id=row["message_id"],
        tenant_id=row["tenant_id"],
        tenant_slug=row["slug"],
        connection_id=row["connection_id"],
        reason=reason,
        since=row["since"],
        private_id=row["private_id"],
        attempts=row["attempts"],
        last_attempt_at=row["last_attempt_at"],
        reply_code=row["reply_code"],
        next_look_up_at=None if reason is WaitsFor.HELD else row["due_at"],
    )
