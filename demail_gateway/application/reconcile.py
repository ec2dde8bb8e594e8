"""Settling unknown outcomes: the provider's look-up, else evidence, else a person (SND-43).

A second submission is allowed only when the first is proven absent. "Not taken" from a provider proves that only when
nothing of the first can still be on its way: the line is dead since the outcome became unknown (it is closed by
whatever made it unknown, and never outlives its lease), and the provider says the same again `absence_s` after it first
did, so that an answer from before its own processing ended is not taken for the end. That first moment is kept with the
attempt: look-ups that failed in between, or a worker that died, neither count as an answer nor undo one.

What nobody can settle keeps a slow row: it is reported again and again until evidence or a person ends it (`settle`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from demail_gateway.application.batch import Work, first_error
from demail_gateway.application.hand_over import HandOverPolicy
from demail_gateway.application.ports.dispatches import AttemptEnd, AttemptOutcome, ClaimedCopy, Dispatches
from demail_gateway.application.ports.installation import Installation
from demail_gateway.application.ports.providers import Provider
from demail_gateway.application.ports.surroundings import Clock, Observe
from demail_gateway.application.ports.work import Lease
from demail_gateway.core.errors import DemailError, ProviderUnavailable, StoreUnavailable


class Reconcile:
    """Asks about copies whose hand-over has no known end."""

    def __init__(
        self,
        dispatches: Dispatches,
        installation: Installation,
        provider: Provider,
        clock: Clock,
        observe: Observe,
        policy: HandOverPolicy,
    ) -> None:
        self._dispatches = dispatches
        self._installation = installation
        self._provider = provider
        self._clock = clock
        self._observe = observe
        self._policy = policy

    async def __call__(self, work: Work, leases: Sequence[Lease]) -> None:
        """Settles what can be settled now, and plans the next question or leaves it to evidence.

        Raises:
            StoreUnavailable: the database is away; the leases run out and are asked again.
        """
        claimed = await self._load(work, leases)
        ends = await asyncio.gather(*(self._settle(work, each) for each in claimed), return_exceptions=True)
        outcomes = [end for end in ends if isinstance(end, AttemptOutcome)]
        if outcomes:
            await self._dispatches.finish(work.tenant_id, outcomes)
        if (error := first_error(ends)) is not None:
            raise error

    async def _load(self, work: Work, leases: Sequence[Lease]) -> list[ClaimedCopy]:
        try:
            claimed = await self._dispatches.load(work.tenant_id, leases)
        except StoreUnavailable:
            raise
        except DemailError as error:
            # the tenant's content cannot be read now, e.g. its key cannot be unwrapped
            self._observe("work_failed", tenant=work.tenant_id, code=error.code, stage="reconcile")
            due_at = Work.after(self._clock(), self._policy.backoff.first_s)
            await self._dispatches.release(work.tenant_id, leases, due_at)
            return []
        there = {each.lease.work_id for each in claimed}
        for lease in leases:
            if lease.work_id not in there:
                await self._dispatches.done(work.tenant_id, lease)
        return claimed

    async def _settle(self, work: Work, claimed: ClaimedCopy) -> AttemptOutcome:
        content = claimed.content
        connection = await self._installation.connection(content.connection_id)
        try:
            taken = await self._provider.look_up(connection, content.private_id)
        except ProviderUnavailable as error:
            outcome = self._ask_again(claimed, error.reply)
        else:
            outcome = self._answered(claimed, taken)
        self._observe(
            "look_up_ended",
            tenant=work.tenant_id,
            message=content.message_id,
            copy=content.copy_id,
            connection=connection.name,
            trace_id=claimed.lease.trace_id,
            end=outcome.end.value,
        )
        return outcome

    def _answered(self, claimed: ClaimedCopy, taken: bool | None) -> AttemptOutcome:
        if taken is None:
            return self._unsettled(claimed, "no look-up: waits for evidence")
        if taken:
            return self._ended(claimed, AttemptEnd.TAKEN, "look-up: taken", None)
        since = claimed.so_far.absent_since
        rest_s = self._policy.absence_s - (0.0 if since is None else self._passed_s(since))
        if since is None or rest_s > 0:
            outcome = self._ended(claimed, AttemptEnd.UNKNOWN, "look-up: not taken so far", rest_s)
            return replace(outcome, absent=True)
        return self._not_taken(claimed)

    def _not_taken(self, claimed: ClaimedCopy) -> AttemptOutcome:
        """Proven absent: handed over again by the back-off of hand-overs, as after any other that failed (SND-52)."""
        begun = max(claimed.so_far.begun, 1)
        wait_s = self._policy.backoff.wait_s(begun - 1, 0.0)
        if wait_s is None:
            self._report("hand_over_held", claimed)
        elif (last := claimed.so_far.last_begun_at) is not None:
            wait_s = max(wait_s - self._passed_s(last), 0.0)
        outcome = self._ended(claimed, AttemptEnd.UNAVAILABLE, "look-up: not taken", wait_s)
        return replace(outcome, begun=begun)

    def _ask_again(self, claimed: ClaimedCopy, reply: str) -> AttemptOutcome:
        """By back-off, never sooner than `absence_s`; after the limit it waits for evidence or a person."""
        wait_s = self._policy.backoff.wait_s(claimed.lease.tries, 0.0)
        if wait_s is None:
            return self._unsettled(claimed, f"look-up: {reply}")
        wait_s = max(wait_s, self._policy.absence_s)
        return self._ended(claimed, AttemptEnd.UNKNOWN, f"look-up: {reply}", wait_s)

    def _unsettled(self, claimed: ClaimedCopy, reply: str) -> AttemptOutcome:
        """Reported each time: a row that nobody hears of would be a message without a next step."""
        self._report("hand_over_unsettled", claimed)
        return replace(self._ended(claimed, AttemptEnd.UNKNOWN, reply, self._policy.unsettled_s), unsettled=True)

    def _report(self, event: str, claimed: ClaimedCopy) -> None:
        content = claimed.content
        self._observe(
            event,
            tenant=content.tenant_id,
            message=content.message_id,
            copy=content.copy_id,
            private_id=content.private_id,
        )

    def _passed_s(self, since: datetime) -> float:
        return (self._clock() - since).total_seconds()

    def _ended(self, claimed: ClaimedCopy, end: AttemptEnd, reply: str, wait_s: float | None) -> AttemptOutcome:
        now = self._clock()
        next_at = None if wait_s is None else now + timedelta(seconds=wait_s)
        return AttemptOutcome(claimed.lease, claimed.content.copy_id, None, end, reply[:500], (), now, next_at)
