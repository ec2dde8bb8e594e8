"""One hand-over of one copy, and what its end means (SND-43, SND-52)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from demail_gateway.application.backoff import Backoff
from demail_gateway.application.batch import Ready, Work
from demail_gateway.application.compose import served
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.dispatches import AttemptEnd, AttemptOutcome, ClaimedCopy
from demail_gateway.application.ports.providers import HandOverRequest, Provider
from demail_gateway.application.ports.surroundings import Clock, Observe, Randomness
from demail_gateway.core.errors import ProviderOutcomeUnknown, ProviderRefused, ProviderUnavailable

_REPLY_CHARS = 500
_MARGIN = 0.1
"""Part of an attempt's lease that is left for recording its end."""


@dataclass(frozen=True, slots=True)
class HandOverPolicy:
    """Waiting times of hand-over and reconciliation."""

    backoff: Backoff = field(default_factory=Backoff)
    settle_first_s: float = 5.0
    """First look-up after an unknown outcome."""
    absence_s: float = 30.0
    """A provider's "not taken" counts only when it says so again after this pause (SND-43)."""
    unsettled_s: float = 3600.0
    """When nobody can say how a hand-over ended, it is asked and reported again after this."""
    attempt_s: float = 240.0
    """How long `Dispatches.begin` lets a begun attempt keep its lease; a hand-over is broken off before that."""
    connections: int = 8
    """Where a profile names no number of connections."""
    begun_together: int = 8
    """Attempts recorded in one commit, at most, when the provider is quick."""
    quick_s: float = 0.25
    """A provider that takes a whole group within this time is quick."""


class HandOver:
    """Hands begun copies to a provider; every way it can go becomes an end, nothing is raised but cancellation."""

    def __init__(
        self, provider: Provider, clock: Clock, randomness: Randomness, observe: Observe, policy: HandOverPolicy
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._randomness = randomness
        self._observe = observe
        self._policy = policy

    async def __call__(self, work: Work, ready: Ready, connection: Connection, begun_at: float) -> AttemptOutcome:
        """The end of one hand-over. It never outlives its lease, counted from `begun_at` (loop time)."""
        started = asyncio.get_running_loop().time()
        outcome = await self._outcome(work, ready, connection, begun_at + self._policy.attempt_s * (1 - _MARGIN))
        self._report(work, ready, connection, outcome, asyncio.get_running_loop().time() - started)
        return outcome

    def failed(self, claimed: ClaimedCopy, reason: str) -> AttemptOutcome:
        """The end of a copy that could not be composed or signed; nothing was begun."""
        return self._not_begun(claimed, AttemptEnd.FAILED, reason, None)

    def put_off(self, claimed: ClaimedCopy, reason: str) -> AttemptOutcome:
        """Trouble of the installation, not of the copy: later again, and failed when that lasts (SND-52)."""
        wait_s = self._wait_s(claimed)
        if wait_s is None:
            return self.failed(claimed, reason)
        return self._not_begun(claimed, AttemptEnd.UNAVAILABLE, reason, Work.after(self._clock(), wait_s))

    def _not_begun(
        self, claimed: ClaimedCopy, end: AttemptEnd, reason: str, next_at: datetime | None
    ) -> AttemptOutcome:
        copy_id, now = claimed.content.copy_id, self._clock()
        return AttemptOutcome(claimed.lease, copy_id, None, end, reason[:_REPLY_CHARS], (), now, next_at)

    def _wait_s(self, claimed: ClaimedCopy) -> float | None:
        """Seconds until the next try; None: given up."""
        return self._policy.backoff.wait_s(claimed.lease.tries, self._randomness(1)[0] / 255)

    async def _outcome(self, work: Work, ready: Ready, connection: Connection, until: float) -> AttemptOutcome:
        content = ready.claimed.content
        recipients = served(content)
        request = HandOverRequest(
            connection,
            content.sender,
            tuple(recipient.address for recipient in recipients),
            ready.octets,
            content.private_id,
            ready.claimed.lease.trace_id,
        )
        try:
            async with asyncio.timeout_at(until):
                receipt = await self._provider.hand_over(request)
        except ProviderRefused as error:
            return self._ended(ready, AttemptEnd.REFUSED, error.reply)
        except ProviderUnavailable as error:
            return self._unavailable(ready, error)
        except ProviderOutcomeUnknown as error:
            return self._unknown(ready, error.reply)
        except TimeoutError:
            return self._unknown(ready, "lease at its end")
        except Exception as error:  # begun and not known how it ended: uncertain, whatever the reason (SND-43)
            self._observe("work_failed", tenant=work.tenant_id, copy=content.copy_id, code=type(error).__name__)
            return self._unknown(ready, type(error).__name__)
        refused = {address.lower() for address in receipt.refused}
        alone = tuple(recipient.id for recipient in recipients if recipient.address.lower() in refused)
        return self._ended(ready, AttemptEnd.TAKEN, receipt.reply, alone)

    def _unavailable(self, ready: Ready, error: ProviderUnavailable) -> AttemptOutcome:
        """Next try by back-off; none any more: held for a person (SND-52)."""
        wait_s = self._wait_s(ready.claimed)
        if wait_s is not None and error.retry_after is not None:
            wait_s = max(wait_s, error.retry_after.total_seconds())
        return self._ended(ready, AttemptEnd.UNAVAILABLE, error.reply, wait_s=wait_s)

    def _unknown(self, ready: Ready, reply: str) -> AttemptOutcome:
        return self._ended(ready, AttemptEnd.UNKNOWN, reply, wait_s=self._policy.settle_first_s)

    def _ended(
        self,
        ready: Ready,
        end: AttemptEnd,
        reply: str,
        refused: tuple[UUID, ...] = (),
        *,
        wait_s: float | None = None,
    ) -> AttemptOutcome:
        now = self._clock()
        next_at = None if wait_s is None else Work.after(now, wait_s)
        lease, copy_id = ready.claimed.lease, ready.claimed.content.copy_id
        return AttemptOutcome(lease, copy_id, ready.attempt, end, reply[:_REPLY_CHARS], refused, now, next_at)

    def _report(
        self, work: Work, ready: Ready, connection: Connection, outcome: AttemptOutcome, seconds: float
    ) -> None:
        facts = {
            "tenant": work.tenant_id,
            "message": ready.claimed.content.message_id,
            "copy": outcome.copy_id,
            "attempt": outcome.attempt_id,
            "connection": connection.name,
            "private_id": ready.claimed.content.private_id,
            "trace_id": ready.claimed.lease.trace_id,
            "end": outcome.end.value,
            "reply_code": outcome.reply[:3] if outcome.reply[:3].isdigit() else None,
            "seconds": round(seconds, 4),
        }
        self._observe("hand_over_ended", **facts)
        if outcome.end is AttemptEnd.UNAVAILABLE and outcome.next_at is None:
            self._observe("hand_over_held", **facts)
        elif outcome.end is AttemptEnd.UNKNOWN:
            self._observe("hand_over_uncertain", **facts)
