"""What only a person can settle: hand-overs of unknown outcome, and messages whose back-off is used up.

The gateway never guesses (SND-43) and never gives up by itself what it could still send (SND-52). What so stands still
is listed here, and ends by evidence, by the provider's look-up, or by an operator who names the reason.
"""

from __future__ import annotations

from uuid import UUID

from demail_gateway.application.ports.page import Page
from demail_gateway.application.ports.queues import Decided, Queues, QueueTotals, WaitingCopy, WaitingFilter
from demail_gateway.application.ports.surroundings import Clock
from demail_gateway.application.wake import WakeUps
from demail_gateway.core.decision import Decision
from demail_gateway.core.vocabulary import HandOver
from demail_gateway.tenancy.naming import check_reason
from demail_gateway.tenancy.scope import OperatorScope


class Settle:
    """The operator's queues. Without `wake_ups` the scheduler finds what is to be handed over again."""

    def __init__(self, queues: Queues, clock: Clock, wake_ups: WakeUps | None = None) -> None:
        self._queues = queues
        self._clock = clock
        self._wake_ups = wake_ups

    async def totals(self, scope: OperatorScope, limit: int, cursor: str | None) -> Page[QueueTotals]:
        """Each tenant's work list in numbers. Raises CursorInvalid."""
        return await self._queues.totals(scope, self._clock(), limit, cursor)

    async def waiting(
        self, scope: OperatorScope, where: WaitingFilter, limit: int, cursor: str | None
    ) -> Page[WaitingCopy]:
        """Copies that wait for a person, the longest first. Raises CursorInvalid."""
        return await self._queues.waiting(scope, where, limit, cursor)

    async def waiting_copy(self, scope: OperatorScope, copy_id: UUID) -> WaitingCopy:
        """Raises NotFound."""
        return await self._queues.waiting_copy(scope, copy_id)

    async def settle(
        self, scope: OperatorScope, copy_id: UUID, decision: Decision, attempts: int, reason: str
    ) -> Decided:
        """Ends a hand-over by what somebody has found out about its `attempts` so far.

        Evidence that arrives later counts as always (SND-44).

        Raises NotFound, RuleViolation (reason), Conflict (`core.decision.decide`).
        """
        return await self._decide(scope, copy_id, decision, attempts, reason)

    async def release(self, scope: OperatorScope, copy_id: UUID, reason: str) -> Decided:
        """Lets a held copy be handed over again, with a fresh back-off. Raises as `settle`."""
        return await self._decide(scope, copy_id, Decision.RELEASED, None, reason)

    async def _decide(
        self, scope: OperatorScope, copy_id: UUID, decision: Decision, attempts: int | None, reason: str
    ) -> Decided:
        check_reason(reason)
        decided = await self._queues.decide(scope, copy_id, decision, attempts, reason, self._clock())
        if decided.hand_over is HandOver.WAITING and self._wake_ups is not None:
            self._wake_ups.soon(decided.tenant_id)
        return decided
