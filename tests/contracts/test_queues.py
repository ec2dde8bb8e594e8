"""Contract of the operator's queues, the same over PostgreSQL and in memory."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from demail_gateway.application.ports.queues import WaitingFilter, WaitsFor
from demail_gateway.application.ports.submissions import NewMessage
from demail_gateway.core.decision import Decision
from demail_gateway.core.errors import Conflict, CursorInvalid, NotFound
from tests.contracts.gateways import OPERATOR, Gateway, accept
from tests.storage.stage import NOW, Tenant, later, new_message

EVERYTHING = WaitingFilter()


async def stuck(gateway: Gateway, tenant: Tenant, reason: WaitsFor) -> NewMessage:
    message = await accept(gateway, tenant, new_message(tenant))
    await gateway.stand_still(tenant, message, reason)
    return message


async def test_a_copy_that_waits_is_listed_and_counted(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    message = await stuck(gateway, elbtal, WaitsFor.UNSETTLED)
    await stuck(gateway, other, WaitsFor.HELD)
    (found,) = (await gateway.queues.waiting(OPERATOR, WaitingFilter(elbtal.id), 10, None)).items
    assert (found.id, found.message_id, found.tenant_slug) == (message.copies[0].id, message.id, "elbtal")
    assert (found.reason, found.since, found.attempts) == (WaitsFor.UNSETTLED, NOW, 1)
    assert found.private_id == message.copies[0].private_id
    assert (found.last_attempt_at, found.next_look_up_at) == (NOW, later(hours=1))
    assert await gateway.queues.waiting_copy(OPERATOR, found.id) == found
    totals = {each.slug: each for each in (await gateway.queues.totals(OPERATOR, NOW, 10, None)).items}
    assert (totals["elbtal"].unsettled, totals["elbtal"].held, totals["elbtal"].waiting_since) == (1, 0, NOW)
    assert (totals["other"].unsettled, totals["other"].held, totals["other"].leased) == (0, 1, 0)


async def test_lists_are_paged_and_cursors_bound(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    wanted = {(await stuck(gateway, tenant, WaitsFor.HELD)).id for tenant in (elbtal, other, elbtal)}
    found: set[UUID] = set()
    cursor = None
    for left in (2, 1, 0):
        page = await gateway.queues.waiting(OPERATOR, EVERYTHING, 1, cursor)
        found |= {each.message_id for each in page.items}
        cursor = page.next_cursor
        assert (cursor is None) == (left == 0)
    assert found == wanted
    tenants = await gateway.queues.totals(OPERATOR, NOW, 1, None)
    assert tenants.next_cursor is not None
    assert (await gateway.queues.totals(OPERATOR, NOW, 1, tenants.next_cursor)).next_cursor is None
    with pytest.raises(CursorInvalid):
        await gateway.queues.waiting(OPERATOR, EVERYTHING, 1, tenants.next_cursor)


@pytest.mark.parametrize(
    ("reason", "decision", "state"),
    [
        (WaitsFor.UNSETTLED, Decision.TAKEN, "submitted"),
        (WaitsFor.UNSETTLED, Decision.NOT_TAKEN, "queued"),
        (WaitsFor.HELD, Decision.RELEASED, "queued"),
        (WaitsFor.HELD, Decision.GIVEN_UP, "failed"),
    ],
)
async def test_a_decision_moves_the_message_once_and_stands_in_the_journal(
    gateway: Gateway, elbtal: Tenant, reason: WaitsFor, decision: Decision, state: str
) -> None:
    message = await stuck(gateway, elbtal, reason)
    copy_id = message.copies[0].id
    first = await gateway.queues.decide(OPERATOR, copy_id, decision, 1, "Ticket 7", later(hours=1))
    assert (first.copy_id, first.message_id, first.tenant_id, first.state) == (copy_id, message.id, elbtal.id, state)
    assert await gateway.queues.decide(OPERATOR, copy_id, decision, 1, "noch einmal", later(hours=2)) == first
    assert (await gateway.queues.waiting(OPERATOR, EVERYTHING, 10, None)).items == ()
    await gateway.chain_journal()
    entries = (await gateway.administration.journal(OPERATOR, elbtal.id, 100, None)).items
    (entry,) = [each for each in entries if each["action"] == "hand-over.decided"]
    assert (entry["actor"], entry["object"]) == (f"cli_{OPERATOR.client_id}", f"msg_{message.id}")
    assert (entry["detail"]["decision"], entry["detail"]["reason"]) == (decision, "Ticket 7")


async def test_what_is_not_there_or_not_fitting_is_refused(gateway: Gateway, elbtal: Tenant) -> None:
    message = await stuck(gateway, elbtal, WaitsFor.HELD)
    with pytest.raises(NotFound):
        await gateway.queues.decide(OPERATOR, uuid4(), Decision.RELEASED, None, "x", NOW)
    with pytest.raises(NotFound):
        await gateway.queues.waiting_copy(OPERATOR, uuid4())
    for decision, attempts, code in (
        (Decision.TAKEN, 1, "decision-not-fitting"),
        (Decision.RELEASED, 2, "attempts-differ"),
    ):
        with pytest.raises(Conflict, match=code):
            await gateway.queues.decide(OPERATOR, message.copies[0].id, decision, attempts, "x", NOW)
