"""Workers that die, listener, clients and sweeper at once: every message ends, none goes out twice, the books agree."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from demail_gateway.application.ports.arrivals import NewEvidence
from demail_gateway.application.ports.dispatches import AttemptBegin, AttemptEnd, AttemptOutcome
from demail_gateway.application.ports.work import Lease, WorkKind
from demail_gateway.core.delivery import Effect
from demail_gateway.core.errors import Conflict
from demail_gateway.core.journal import chain_faults
from demail_gateway.core.vocabulary import RecipientKind
from demail_gateway.storage.dispatches import PostgresDispatches
from demail_gateway.storage.engine import tenant_driver
from tests.storage.stage import Stage, Tenant, new_arrival, new_evidence, new_message, outcome
from tests.storage.test_sweeping import chains

TWO = ((RecipientKind.TO, "a@sandbox.de-mail.de"), (RecipientKind.BCC, "b@sandbox.de-mail.de"))
LEASE_S = 3.0
MESSAGES = 25


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Run:
    """A provider in memory, and all who work for one tenant."""

    stage: Stage
    dispatches: PostgresDispatches
    tenant: Tenant
    dice: random.Random
    handed_over: list[UUID] = field(default_factory=list)
    cancelled: set[UUID] = field(default_factory=set)
    proofs: dict[UUID, NewEvidence] = field(default_factory=dict)
    """By arrival."""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, group: asyncio.TaskGroup) -> None:
        for n in range(MESSAGES):
            message = new_message(self.tenant, recipients=TWO, split=n % 2 == 0, created_at=now())
            await self.stage.accept(self.tenant, message)
            if self.dice.random() < 0.2:
                await self.withdraw(message.id)
            for recipient, each in enumerate(message.recipients):
                copy = [made.id for made in message.copies].index(each.copy_id)
                arrival = new_arrival(self.tenant, uuid4().bytes, now())
                proof = new_evidence(message, Effect.DELIVERED, copy=copy, recipient=recipient, at=now())
                self.proofs[arrival.id] = replace(proof, received_id=arrival.id)
                group.create_task(self.deliver(arrival.id, each.copy_id, message.id))

    async def withdraw(self, message_id: UUID) -> None:
        try:
            await self.stage.submissions.cancel(self.tenant.scope, message_id, now())
            self.cancelled.add(message_id)
        except Conflict:
            pass  # its hand-over had begun

    async def deliver(self, arrival_id: UUID, copy_id: UUID, message_id: UUID) -> None:
        """The provider confirms what it has taken, often before its answer is recorded."""
        while copy_id not in self.handed_over:
            await asyncio.sleep(0.02)
            if message_id in self.cancelled or self.over.is_set():
                return
        arrival = replace(new_arrival(self.tenant, arrival_id.bytes, now()), id=arrival_id)
        await self.stage.arrivals.store([arrival])

    async def work(self) -> None:
        while not self.over.is_set():
            kinds = (WorkKind.RECEIVED, WorkKind.RECONCILE, WorkKind.DISPATCH, WorkKind.REVIEW)
            leases = await self.dispatches.claim(self.tenant.id, kinds, now(), 7, LEASE_S, "worker")
            if not leases:
                await asyncio.sleep(0.02)
            await self.hand_over([lease for lease in leases if lease.kind is WorkKind.DISPATCH])
            await self.look_up([lease for lease in leases if lease.kind is WorkKind.RECONCILE])
            for lease in leases:
                if self.dies():
                    continue
                if lease.kind is WorkKind.RECEIVED:
                    proof = self.proofs[lease.subject_id]
                    await self.stage.arrivals.record_evidence(self.tenant.id, lease, replace(proof, at=now()))
                elif lease.kind is WorkKind.REVIEW:
                    await self.dispatches.review(self.tenant.id, lease, now())

    def dies(self) -> bool:
        """The worker is gone at this point; what it held runs out."""
        return self.dice.random() < 0.05

    async def hand_over(self, leases: Sequence[Lease]) -> None:
        copies = await self.dispatches.load(self.tenant.id, leases) if leases else []
        attempts = [AttemptBegin(c.lease, uuid4(), c.content.copy_id, b"octets", now()) for c in copies]
        if not attempts or self.dies():
            return
        begun = await self.dispatches.begin(self.tenant.id, attempts)
        ends = [self.attempt(attempt) for attempt in attempts if attempt.copy_id in begun]
        await asyncio.sleep(self.dice.random() * 0.05)
        if not self.dies():
            await self.dispatches.finish(self.tenant.id, ends)

    def attempt(self, attempt: AttemptBegin) -> AttemptOutcome:
        if self.dice.random() < 0.2:
            return outcome(attempt, AttemptEnd.UNAVAILABLE, now(), next_at=now())
        self.handed_over.append(attempt.copy_id)
        end = self.dice.choice((AttemptEnd.TAKEN, AttemptEnd.TAKEN, AttemptEnd.UNKNOWN))
        return outcome(attempt, end, now(), next_at=now() if end is AttemptEnd.UNKNOWN else None)

    async def look_up(self, leases: Sequence[Lease]) -> None:
        ends = []
        for lease in leases:
            taken = lease.subject_id in self.handed_over
            end, next_at = (AttemptEnd.TAKEN, None) if taken else (AttemptEnd.UNAVAILABLE, now())
            ends.append(AttemptOutcome(lease, lease.subject_id, None, end, "", (), now(), next_at))
        if ends and not self.dies():
            await self.dispatches.finish(self.tenant.id, ends)

    async def end(self) -> None:
        """Stops the workers when every message has ended."""
        query = "SELECT count(*) FROM message WHERE state IN ('completed', 'cancelled')"
        ended = 0
        while ended < MESSAGES:
            async with tenant_driver(self.stage.engine, self.tenant.id) as connection:
                ended = await connection.fetchval(query)
            await self.stage.sweeping.sweep(now())
            await self.stage.sweeping.seal_journal()
            await asyncio.sleep(0.1)
        self.over.set()


async def test_nothing_is_lost_doubled_or_deadlocked(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    dispatches = PostgresDispatches(stage.engine, stage.keys, attempt_s=LEASE_S)
    runs = [Run(stage, dispatches, tenant, random.Random(4711 + n)) for n, tenant in enumerate((elbtal, other))]
    async with asyncio.timeout(100), asyncio.TaskGroup() as group:
        for run in runs:
            for part in (run.submit(group), run.work(), run.work(), run.end()):
                group.create_task(part)

    states = dict(await stage.fetch("SELECT id, state FROM message"))
    cancelled = {message_id for run in runs for message_id in run.cancelled}
    assert {message_id for message_id, state in states.items() if state == "cancelled"} == cancelled
    for run in runs:
        assert len(run.handed_over) == len(set(run.handed_over)), "a copy was handed over twice"
    told_twice = await stage.fetch(
        "SELECT message_id, recipient_id, type FROM event WHERE type IN"
        " ('message.completed', 'message.submitted', 'message.cancelled', 'recipient.delivered')"
        " GROUP BY 1, 2, 3 HAVING count(*) > 1"
    )
    assert told_twice == []
    await stage.sweeping.seal_journal()
    for items in (await chains(stage)).values():
        assert chain_faults(items) == ()
