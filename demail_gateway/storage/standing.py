"""Where messages stand: what is stored of them, read under their row locks, for `core.delivery` to derive anew.

Locks are taken in one order everywhere: messages, then rows of the outbox, then copies; each kind by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.application.ports.work import Lease, WorkKind
from demail_gateway.core.delivery import (
    CopyFacts,
    Delivery,
    EvidenceFact,
    MessageFacts,
    RecipientDelivery,
    RecipientFacts,
)
from demail_gateway.core.vocabulary import HandOver, MessageState, Milestone, RecipientState, UndeliverableReason
from demail_gateway.storage.rows import fact_of, options_of

_LOCK_MESSAGES = """
SELECT id FROM message WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND direction = 'outbound'
 ORDER BY id FOR NO KEY UPDATE
"""
_LOCK_LEASED = """
SELECT o.id
  FROM outbox o JOIN unnest($2::uuid[], $3::uuid[]) AS l (id, token) ON o.id = l.id AND o.lease_token = l.token
 WHERE o.tenant_id = $1 ORDER BY o.id FOR UPDATE OF o
"""
_STANDINGS = "SELECT * FROM standings($1, $2)"
_LOCKED_STANDINGS = "SELECT * FROM locked_standings($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class Standing:
    """One outbound message as stored: its facts, its evidence, and what was last derived from them."""

    message_id: UUID
    reference: str | None
    size_bytes: int
    trace_id: str | None
    stored: MessageFacts
    """As read."""
    delivery: Delivery
    """As last derived."""
    facts: MessageFacts
    """`stored` and what has been learnt since."""
    evidence: tuple[EvidenceFact, ...]
    open_attempts: frozenset[UUID]
    """Begun and without an end on record."""

    def copy(self, copy_id: UUID) -> CopyFacts:
        return next(copy for copy in self.facts.copies if copy.id == copy_id)

    def with_copy(self, copy_id: UUID, hand_over: HandOver, at: datetime | None) -> Standing:
        """The same with another hand-over of one copy."""
        changed = CopyFacts(copy_id, hand_over, at)
        copies = tuple(changed if copy.id == copy_id else copy for copy in self.facts.copies)
        return replace(self, facts=replace(self.facts, copies=copies))

    def with_refused(self, recipient_ids: Iterable[UUID], at: datetime) -> Standing:
        """The same with recipients that the provider refused alone."""
        refused = set(recipient_ids)
        recipients = tuple(
            replace(each, refused_at=at) if each.id in refused and each.refused_at is None else each
            for each in self.facts.recipients
        )
        return replace(self, facts=replace(self.facts, recipients=recipients))

    def with_held(self, held: bool = True) -> Standing:
        """The same, waiting for a person (SND-52), or no longer."""
        return replace(self, facts=replace(self.facts, held=held))


async def lock_messages(connection: Any, tenant_id: UUID, message_ids: Sequence[UUID]) -> list[UUID]:
    """Locks outbound messages until the transaction ends; returns those that exist."""
    return [row[0] for row in await connection.fetch(_LOCK_MESSAGES, tenant_id, message_ids)]


async def lock_leased(connection: Any, tenant_id: UUID, leases: Sequence[Lease]) -> frozenset[UUID]:
    """Locks the rows of leases that still hold; returns their work ids. The token is the fence (trap E12)."""
    ids, tokens = [lease.work_id for lease in leases], [lease.token for lease in leases]
    return frozenset(row[0] for row in await connection.fetch(_LOCK_LEASED, tenant_id, ids, tokens))


async def fetch_standings(connection: Any, tenant_id: UUID, message_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """What is stored of locked messages. A statement of its own after the lock, so that it sees what was waited for."""
    rows = await connection.fetch(_STANDINGS, tenant_id, message_ids)
    return {row["id"]: _standing(row) for row in rows}


async def locked_standings(
    connection: Any, tenant_id: UUID, copy_ids: Sequence[UUID], leases: Sequence[Lease]
) -> tuple[list[Standing], frozenset[UUID]]:
    """The messages of these copies, locked, and the work ids of those leases that still hold, locked after them.

    One round trip, which also sets the tenant: the first statement of a transaction.
    """
    ids, tokens = [lease.work_id for lease in leases], [lease.token for lease in leases]
    rows = await connection.fetch(_LOCKED_STANDINGS, tenant_id, copy_ids, ids, tokens)
    held = rows[0]["held_works"] if rows else ()
    return [_standing(row) for row in rows], frozenset(held)


def _standing(row: Any) -> Standing:
    copies = zip(row["copies"] or (), row["hand_overs"] or (), row["hand_over_ats"] or (), strict=True)
    recipients = zip(row["recipients"] or (), row["recipient_copies"] or (), row["refused_ats"] or (), strict=True)
    facts = MessageFacts(
        options=options_of(row["options"]),
        copies=tuple(CopyFacts(copy_id, HandOver(state), at) for copy_id, state, at in copies),
        recipients=tuple(RecipientFacts(*each) for each in recipients),
        held=row["held"],
    )
    evidence = tuple(fact_of(stored) for stored in row["facts"] or ())
    return Standing(
        message_id=row["id"],
        reference=row["reference"],
        size_bytes=row["size_bytes"],
        trace_id=row["trace_id"],
        stored=facts,
        delivery=_derived(row),
        facts=facts,
        evidence=evidence,
        open_attempts=frozenset(row["open_attempts"] or ()),
    )


def _derived(row: Any) -> Delivery:
    names = ("recipients", "states", "reasons", "milestones", "dispatched_ats", "delivered_ats", "retrieved_ats")
    return Delivery(
        state=MessageState(row["state"]),
        dispatched=row["dispatched"],
        submitted_at=row["submitted_at"],
        completed_at=row["completed_at"],
        overdue_since=row["overdue_since"],
        next_review_at=None,
        recipients=tuple(_recipient(*each) for each in zip(*(row[name] or () for name in names), strict=True)),
        copies=(),
    )


def _recipient(
    recipient_id: UUID,
    state: str,
    reason: str | None,
    milestone: int,
    dispatched_at: datetime | None,
    delivered_at: datetime | None,
    retrieved_at: datetime | None,
) -> RecipientDelivery:
    return RecipientDelivery(
        recipient_id,
        RecipientState(state),
        UndeliverableReason(reason) if reason else None,
        Milestone(milestone),
        dispatched_at,
        delivered_at,
        retrieved_at,
    )


COPY_WORK = (WorkKind.DISPATCH, WorkKind.RECONCILE)
"""Kinds of work that concern one copy's hand-over; at most one of them is planned at a time."""
