"""Port Queues over `World`: the same rule for decisions (`core.decision`), on messages of one copy."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from demail_gateway.application.ports.page import Page
from demail_gateway.application.ports.queues import Decided, QueueTotals, WaitingCopy, WaitingFilter, WaitsFor
from demail_gateway.core.decision import Decision, decide
from demail_gateway.core.errors import NotFound
from demail_gateway.core.vocabulary import HandOver, MessageState
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope
from tests.fakes.world import World, page_of

_STATES = {
    HandOver.TAKEN: MessageState.SUBMITTED,
    HandOver.WAITING: MessageState.QUEUED,
    HandOver.FAILED: MessageState.FAILED,
}


class MemoryQueues:
    def __init__(self, world: World) -> None:
        self._world = world

    async def totals(self, scope: OperatorScope, now: datetime, limit: int, cursor: str | None) -> Page[QueueTotals]:
        tenants = list(self._world.tenants.values())
        return page_of([self._total(each.id, each.slug) for each in tenants], limit, cursor, "queues")

    async def waiting(
        self, scope: OperatorScope, where: WaitingFilter, limit: int, cursor: str | None
    ) -> Page[WaitingCopy]:
        found = [copy for copy in self._waiting() if _fits(copy, where)]
        return page_of(sorted(found, key=lambda copy: (copy.since, copy.id)), limit, cursor, "waiting")

    async def waiting_copy(self, scope: OperatorScope, copy_id: UUID) -> WaitingCopy:
        for copy in self._waiting():
            if copy.id == copy_id:
                return copy
        raise NotFound

    async def decide(
        self, scope: OperatorScope, copy_id: UUID, decision: Decision, attempts: int | None, reason: str, now: datetime
    ) -> Decided:
        self._world.call("decide")
        if copy_id not in self._world.standing_still:
            raise NotFound
        known = self._world.standing_still[copy_id]
        copy = known.copy
        if (hand_over := decide(decision, known.undecided, attempts)) is not None:
            known.undecided = replace(known.undecided, hand_over=hand_over, held=False)
            known.state = _STATES[hand_over]
            detail = {"copy": str(copy_id), "decision": str(decision), "reason": reason}
            self._world.changed("hand-over.decided", format_id(Prefix.MESSAGE, copy.message_id), copy.tenant_id, detail)
        return Decided(copy_id, copy.message_id, copy.tenant_id, known.undecided.hand_over, known.state)

    def _waiting(self) -> list[WaitingCopy]:
        return [each.copy for each in self._world.standing_still.values() if each.waits]

    def _total(self, tenant_id: UUID, slug: str) -> QueueTotals:
        mine = [copy for copy in self._waiting() if copy.tenant_id == tenant_id]
        held = sum(copy.reason is WaitsFor.HELD for copy in mine)
        since = min((copy.since for copy in mine), default=None)
        return QueueTotals(tenant_id, slug, 0, 0, held, len(mine) - held, None, since, 0, None, None)


def _fits(copy: WaitingCopy, where: WaitingFilter) -> bool:
    wanted = (
        (where.tenant_id, copy.tenant_id),
        (where.connection_id, copy.connection_id),
        (where.message_id, copy.message_id),
        (where.reason, copy.reason),
    )
    return all(asked in (None, own) for asked, own in wanted)
