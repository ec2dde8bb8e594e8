"""What a derivation changed, written in one statement: states, events, further work, journal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from demail_gateway.application.ports.work import WorkKind
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


class Ended(NamedTuple):
    """The end of the open attempt of a copy, if there is one, and the provider's last word on the copy."""

    copy_id: UUID
    outcome: str
    reply: str
    at: datetime


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
    ended: list[Ended] = field(default_factory=list)
    for_a_person: set[UUID] = field(default_factory=set)
    """Copies whose planned work waits for a person from now on, or goes on to."""

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
        """All of it, in one round trip; a second one where somebody is waited for."""
        await connection.execute(
            _WRITE,
            tenant_id,
            self.at,
            *columns(7, (row for each in self.messages for row in _changed_message(*each))),
            *columns(3, (row for standing, _ in self.messages for row in _changed_copies(standing))),
            *columns(8, (row for each in self.messages for row in _changed_recipients(*each))),
            *columns(4, self.ended),
            *columns(6, ((uuid7(self.at, os.urandom(10)), *event) for event in self.events)),
            *columns(2, self.removed - self.planned.keys()),
            *columns(6, self.planned.values()),
            *columns(2, self.reviews.items()),
            *columns(4, ((e.actor, e.action, e.object, to_jsonb(e.detail)) for e in self.journal)),
        )
        if self.for_a_person:
            await connection.execute(_WAIT, tenant_id, list(self.for_a_person), list(COPY_WORK), self.at)


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


_WAIT = """
UPDATE outbox SET person_since = coalesce(person_since, $4),
       due_at = CASE kind WHEN 'dispatch' THEN 'infinity' ELSE due_at END
 WHERE tenant_id = $1 AND subject_id = ANY($2::uuid[]) AND kind = ANY($3::text[])
"""
_WRITE = f"SELECT write_changes({', '.join(f'${n}' for n in range(1, 45))})"
