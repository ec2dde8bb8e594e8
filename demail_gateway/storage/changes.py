"""What a derivation changed, written in one statement: states, events, further work, journal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from demail_gateway.application.ports import WorkKind
from demail_gateway.core.delivery import Clocks, CopyDelivery, Delivery, derive, transitions
from demail_gateway.core.vocabulary import HandOver
from demail_gateway.storage.rows import columns, to_jsonb
from demail_gateway.storage.standing import COPY_WORK, Standing
from demail_gateway.tenancy.identifiers import uuid7

SYSTEM = "system"
"""Actor of what no client asked for."""


class Work(NamedTuple):
    """A row of the outbox to be written; replaces an open or leased one of the same kind and subject."""

    kind: WorkKind
    subject_id: UUID
    due_at: datetime
    tries: int
    size_bytes: int
    trace_id: str | None


class Entry(NamedTuple):
    """A journal entry to be written (SND-100). `detail`: strings, no content, no addresses."""

    action: str
    object: str
    detail: Mapping[str, str]
    actor: str = SYSTEM


class Told(NamedTuple):
    """An event to be written."""

    type: str
    message_id: UUID | None
    recipient_id: UUID | None
    reference: str | None
    state: str | None


@dataclass(slots=True)
class Changes:
    """Collects, then writes. One per transaction of one tenant."""

    at: datetime
    clocks: Clocks
    messages: list[tuple[Standing, Delivery]] = field(default_factory=list)
    events: list[Told] = field(default_factory=list)
    planned: dict[tuple[WorkKind, UUID], Work] = field(default_factory=dict)
    removed: set[tuple[WorkKind, UUID]] = field(default_factory=set)
    reviews: dict[UUID, datetime] = field(default_factory=dict)
    journal: list[Entry] = field(default_factory=list)

    def settle(self, standing: Standing, *, reviewing: bool = False) -> Delivery:
        """Derive a message anew and note what differs from what is stored.

        `reviewing`: its REVIEW row is the caller's own lease, and is moved or removed in any case.
        """
        delivery = derive(standing.facts, standing.evidence, self.at, self.clocks)
        self.messages.append((standing, delivery))
        for told in transitions(standing.delivery, delivery):
            self.events.append(Told(told.type, standing.message_id, told.recipient_id, standing.reference, told.state))
        review = (WorkKind.REVIEW, standing.message_id)
        if delivery.next_review_at is None:
            self.removed.add(review)
        elif reviewing:
            self.planned[review] = Work(*review, delivery.next_review_at, 0, 0, None)
        else:
            self.reviews[standing.message_id] = delivery.next_review_at
        return delivery

    def plan_copy(self, copy_id: UUID, work: Work | None) -> None:
        """The one further work of a copy's hand-over; whatever else was planned for it is removed."""
        self.removed |= {(kind, copy_id) for kind in COPY_WORK if work is None or kind is not work.kind}
        if work:
            self.planned[work.kind, copy_id] = work

    async def write(self, connection: Any, tenant_id: UUID) -> None:
        """All of it, in one round trip."""
        await connection.execute(
            _WRITE,
            tenant_id,
            self.at,
            *columns(7, (row for each in self.messages for row in _changed_message(*each))),
            *columns(3, (row for standing, _ in self.messages for row in _changed_copies(standing))),
            *columns(8, (row for each in self.messages for row in _changed_recipients(*each))),
            *columns(6, ((uuid7(self.at, os.urandom(10)), *event) for event in self.events)),
            *columns(2, self.removed - self.planned.keys()),
            *columns(6, self.planned.values()),
            *columns(2, self.reviews.items()),
            *columns(4, ((e.actor, e.action, e.object, to_jsonb(e.detail)) for e in self.journal)),
        )


def settled_by_evidence(standing: Standing, delivery: Delivery) -> Iterable[CopyDelivery]:
    """Copies whose hand-over a proof has settled although the gateway itself does not know its end."""
    known = {copy.id: copy.hand_over for copy in standing.facts.copies}
    for copy in delivery.copies:
        if known[copy.id] in (HandOver.WAITING, HandOver.UNCERTAIN) and copy.hand_over is not known[copy.id]:
            yield copy


def _changed_message(standing: Standing, new: Delivery) -> Iterable[tuple[Any, ...]]:
    old, held = standing.delivery, standing.facts.held
    derived = (new.state, new.dispatched, new.submitted_at, new.completed_at, new.overdue_since, held)
    stored = (old.state, old.dispatched, old.submitted_at, old.completed_at, old.overdue_since, standing.stored.held)
    if derived != stored:
        yield standing.message_id, *derived


def _changed_copies(standing: Standing) -> Iterable[tuple[Any, ...]]:
    stored = set(standing.stored.copies)
    return ((copy.id, copy.hand_over, copy.at) for copy in standing.facts.copies if copy not in stored)


def _changed_recipients(standing: Standing, new: Delivery) -> Iterable[tuple[Any, ...]]:
    old = {each.id: each for each in standing.delivery.recipients}
    stored = {each.id: each.refused_at for each in standing.stored.recipients}
    refused = {each.id: each.refused_at for each in standing.facts.recipients}
    for each in new.recipients:
        if each != old[each.id] or refused[each.id] != stored[each.id]:
            times = (each.dispatched_at, each.delivered_at, each.retrieved_at, refused[each.id])
            yield each.id, each.state, each.reason, int(each.milestone), *times


_WRITE = """
WITH changed_messages AS (
  UPDATE message m SET state = c.state, dispatched = c.dispatched, submitted_at = c.submitted_at,
         completed_at = c.completed_at, overdue_since = c.overdue_since, held = c.held
    FROM unnest($3::uuid[], $4::text[], $5::boolean[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
                $9::boolean[])
      AS c (id, state, dispatched, submitted_at, completed_at, overdue_since, held)
   WHERE m.tenant_id = $1 AND m.id = c.id
), changed_copies AS (
  UPDATE message_copy m SET hand_over = c.hand_over, hand_over_at = c.at
    FROM unnest($10::uuid[], $11::text[], $12::timestamptz[]) AS c (id, hand_over, at)
   WHERE m.tenant_id = $1 AND m.id = c.id
), changed_recipients AS (
  UPDATE recipient r SET state = c.state, reason = c.reason, milestone = c.milestone, dispatched_at = c.dispatched_at,
         delivered_at = c.delivered_at, retrieved_at = c.retrieved_at, refused_at = c.refused_at
    FROM unnest($13::uuid[], $14::text[], $15::text[], $16::integer[], $17::timestamptz[], $18::timestamptz[],
                $19::timestamptz[], $20::timestamptz[])
      AS c (id, state, reason, milestone, dispatched_at, delivered_at, retrieved_at, refused_at)
   WHERE r.tenant_id = $1 AND r.id = c.id
), told AS (
  INSERT INTO event (tenant_id, id, type, at, message_id, recipient_id, reference, state)
  SELECT $1, e.id, e.type, $2, e.message_id, e.recipient_id, e.reference, e.state
    FROM unnest($21::uuid[], $22::text[], $23::uuid[], $24::uuid[], $25::text[], $26::text[])
      WITH ORDINALITY AS e (id, type, message_id, recipient_id, reference, state, number)
   ORDER BY e.number
), removed AS (
  DELETE FROM outbox o USING unnest($27::text[], $28::uuid[]) AS r (kind, subject_id)
   WHERE o.tenant_id = $1 AND o.kind = r.kind AND o.subject_id = r.subject_id
), planned AS (
  INSERT INTO outbox AS o (tenant_id, id, kind, subject_id, due_at, tries, size_bytes, trace_id, created_at)
  SELECT $1, gen_random_uuid(), p.kind, p.subject_id, p.due_at, p.tries, p.size_bytes, p.trace_id, $2
    FROM unnest($29::text[], $30::uuid[], $31::timestamptz[], $32::integer[], $33::bigint[], $34::text[])
      AS p (kind, subject_id, due_at, tries, size_bytes, trace_id)
  ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET
    due_at = excluded.due_at, tries = excluded.tries, lease_token = NULL, leased_until = NULL, leased_by = NULL
), reviews AS (
  INSERT INTO outbox AS o (tenant_id, id, kind, subject_id, due_at, created_at)
  SELECT $1, gen_random_uuid(), 'review', r.message_id, r.due_at, $2
    FROM unnest($35::uuid[], $36::timestamptz[]) AS r (message_id, due_at)
  -- a review that comes too early derives the same and is planned anew: only earlier ones need a write
  ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET due_at = excluded.due_at WHERE o.due_at > excluded.due_at
)
INSERT INTO journal_intake (tenant_id, at, actor, action, object, detail)
SELECT $1, $2, j.actor, j.action, j.object, j.detail::jsonb
  FROM unnest($37::text[], $38::text[], $39::text[], $40::text[]) AS j (actor, action, object, detail)
"""
