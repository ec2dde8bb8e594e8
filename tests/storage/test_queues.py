"""What waits for a person, and decisions about it: carried out once, whole, or not at all (SND-43, SND-52)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from demail_gateway.application.ports.dispatches import AttemptBegin, AttemptEnd, AttemptOutcome
from demail_gateway.application.ports.queues import Decided, WaitingFilter, WaitsFor
from demail_gateway.application.ports.submissions import NewMessage
from demail_gateway.application.ports.work import Lease, Retrying, WorkKind
from demail_gateway.core.decision import Decision
from demail_gateway.core.delivery import Effect
from demail_gateway.core.errors import Conflict, CursorInvalid, NotFound
from demail_gateway.core.vocabulary import RecipientKind
from demail_gateway.storage.queues import PostgresQueues
from demail_gateway.tenancy.scope import OperatorScope
from tests.storage.stage import NOW, Stage, Tenant, later, new_evidence, new_message, outcome

OPERATOR = OperatorScope(UUID(int=1))
TWO = ((RecipientKind.TO, "a@sandbox.de-mail.de"), (RecipientKind.TO, "b@sandbox.de-mail.de"))


@pytest.fixture
def queues(stage: Stage) -> PostgresQueues:
    return PostgresQueues(stage.engine)


async def unsettled(stage: Stage, tenant: Tenant, at_s: int = 0) -> NewMessage:
    """A message handed over, of which nobody can say how that ended; asked again in an hour."""
    message = await stage.accept(tenant)
    attempt = await stage.begun(tenant, at=later(seconds=at_s))
    unknown = outcome(attempt, AttemptEnd.UNKNOWN, later(seconds=at_s), next_at=later(seconds=at_s + 5))
    await stage.dispatches.finish(tenant.id, [unknown])
    (lease,) = await stage.claim(tenant, WorkKind.RECONCILE, at=later(seconds=at_s + 5))
    await stage.dispatches.finish(tenant.id, [nobody_knows(lease, at_s + 6)])
    return message


def nobody_knows(lease: Lease, at_s: int) -> AttemptOutcome:
    at = later(seconds=at_s)
    return AttemptOutcome(
        lease,
        lease.subject_id,
        None,
        AttemptEnd.UNKNOWN,
        "no look-up",
        (),
        at,
        later(seconds=at_s + 3600),
        unsettled=True,
    )


async def held(stage: Stage, tenant: Tenant) -> NewMessage:
    """A message whose back-off is used up."""
    message = await stage.accept(tenant)
    attempt = await stage.begun(tenant)
    refused = replace(outcome(attempt, AttemptEnd.UNAVAILABLE), reply="451 4.3.0 buergerin@sandbox.de-mail.de is busy")
    await stage.dispatches.finish(tenant.id, [refused])
    return message


async def decide(
    queues: PostgresQueues, message: NewMessage, decision: Decision, attempts: int | None = 1, copy: int = 0
) -> Decided:
    return await queues.decide(OPERATOR, message.copies[copy].id, decision, attempts, "Anruf, Ticket 7", later(hours=1))


async def refused(made: Awaitable[Decided]) -> str:
    with pytest.raises(Conflict) as caught:
        await made
    return caught.value.reason


# --- what is shown ----------------------------------------------------------------------------------------------------


async def test_totals_count_every_tenants_work_and_what_waits_for_a_person(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant, other: Tenant
) -> None:
    await held(stage, elbtal)
    await unsettled(stage, elbtal)
    await stage.accept(elbtal)
    await stage.claim(elbtal)
    await stage.accept(elbtal)
    page = await queues.totals(OPERATOR, later(minutes=1), 10, None)
    theirs, mine = sorted(page.items, key=lambda each: each.slug, reverse=True)
    assert (mine.slug, mine.due, mine.leased, mine.held, mine.unsettled) == ("elbtal", 1, 1, 1, 1)
    assert (mine.oldest_due_at, mine.waiting_since) == (NOW, NOW)
    assert (theirs.tenant_id, theirs.due, theirs.leased, theirs.held, theirs.unsettled) == (other.id, 0, 0, 0, 0)
    assert (theirs.oldest_due_at, theirs.waiting_since, page.next_cursor) == (None, None, None)


async def test_an_outage_is_seen_while_everything_waits_for_its_next_try(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant, other: Tenant
) -> None:
    """Nothing is due and nothing held: what is in back-off is counted of its own, by the provider's last word."""
    for at, reply in (
        (NOW, "451 4.3.0 buergerin@sandbox.de-mail.de is busy"),
        (later(seconds=5), "connection refused"),
    ):
        await stage.accept(elbtal, new_message(elbtal, created_at=at))
        attempt = await stage.begun(elbtal, at=at)
        failed = outcome(attempt, AttemptEnd.UNAVAILABLE, at, next_at=later(hours=1))
        await stage.dispatches.finish(elbtal.id, [replace(failed, reply=reply)])
    await held(stage, other)
    mine, theirs = sorted((await queues.totals(OPERATOR, later(minutes=1), 10, None)).items, key=lambda each: each.slug)
    assert (mine.due, mine.leased, mine.held, mine.oldest_due_at) == (0, 0, 0, None)
    assert (mine.retrying, mine.retrying_since, mine.reply_code) == (2, NOW, "451")
    assert (theirs.held, theirs.retrying, theirs.retrying_since, theirs.reply_code) == (1, 0, None, None)
    assert await stage.sweeping.queue_age_s(later(minutes=1)) == 0.0
    assert await stage.sweeping.retrying(later(minutes=1)) == Retrying(2, 60.0)


async def test_a_copy_of_unknown_end_is_retried_until_a_person_is_needed(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    """Counted from the first look-up that told nothing."""
    await stage.accept(elbtal)
    unknown = outcome(await stage.begun(elbtal), AttemptEnd.UNKNOWN, NOW, next_at=later(seconds=5))
    await stage.dispatches.finish(elbtal.id, [unknown])
    seen = [await retrying(queues)]
    for at_s, unsettled in ((5, False), (3605, True)):
        (lease,) = await stage.claim(elbtal, WorkKind.RECONCILE, at=later(seconds=at_s))
        await stage.dispatches.finish(elbtal.id, [replace(nobody_knows(lease, at_s), unsettled=unsettled)])
        seen.append(await retrying(queues))
    assert seen == [(0, 0), (1, 0), (0, 1)]


async def retrying(queues: PostgresQueues) -> tuple[int, int]:
    (totals,) = (await queues.totals(OPERATOR, NOW, 10, None)).items
    return totals.retrying, totals.unsettled


async def test_totals_are_paged_by_tenant(stage: Stage, queues: PostgresQueues, elbtal: Tenant, other: Tenant) -> None:
    first = await queues.totals(OPERATOR, NOW, 1, None)
    second = await queues.totals(OPERATOR, NOW, 1, first.next_cursor)
    assert {each.tenant_id for each in (*first.items, *second.items)} == {elbtal.id, other.id}
    assert second.next_cursor is None


@pytest.mark.clause("GWT-37")
async def test_waiting_copies_are_named_by_ids_and_the_reply_by_its_code(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    first, second = await held(stage, elbtal), await unsettled(stage, elbtal)
    page = await queues.waiting(OPERATOR, WaitingFilter(), 10, None)
    one, two = page.items
    assert (one.id, one.message_id, one.tenant_id) == (first.copies[0].id, first.id, elbtal.id)
    assert (one.reason, one.since, one.attempts, one.last_attempt_at) == (WaitsFor.HELD, NOW, 1, NOW)
    assert (one.reply_code, one.next_look_up_at, one.connection_id) == ("451", None, elbtal.connection_id)
    assert (two.id, two.reason, two.since) == (second.copies[0].id, WaitsFor.UNSETTLED, later(seconds=6))
    assert (two.reply_code, two.next_look_up_at) == (None, later(seconds=3606))
    assert "buergerin" not in repr(page)
    assert await queues.waiting_copy(OPERATOR, one.id) == one


async def test_waiting_copies_are_filtered_and_paged(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant, other: Tenant
) -> None:
    mine = [await held(stage, elbtal), await unsettled(stage, elbtal, 1), await unsettled(stage, elbtal, 2)]
    theirs = await held(stage, other)

    async def found(where: WaitingFilter) -> list[UUID]:
        return [each.message_id for each in (await queues.waiting(OPERATOR, where, 10, None)).items]

    assert await found(WaitingFilter(tenant_id=elbtal.id)) == [each.id for each in mine]
    assert await found(WaitingFilter(other.id, other.connection_id)) == [theirs.id]
    assert await found(WaitingFilter(connection_id=uuid4())) == []
    assert await found(WaitingFilter(message_id=mine[1].id)) == [mine[1].id]
    assert await found(WaitingFilter(elbtal.id, reason=WaitsFor.UNSETTLED)) == [mine[1].id, mine[2].id]
    listed, cursor = [], None
    while True:
        page = await queues.waiting(OPERATOR, WaitingFilter(), 1, cursor)
        listed += [each.message_id for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(listed) == sorted([theirs.id, *(each.id for each in mine)])
    with pytest.raises(CursorInvalid):
        await queues.waiting(OPERATOR, WaitingFilter(), 1, "x")


async def test_what_goes_on_by_itself_waits_for_nobody(stage: Stage, queues: PostgresQueues, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    unknown = outcome(attempt, AttemptEnd.UNKNOWN, next_at=later(seconds=5))
    await stage.dispatches.finish(elbtal.id, [unknown])
    assert (await queues.waiting(OPERATOR, WaitingFilter(), 10, None)).items == ()
    with pytest.raises(NotFound):
        await queues.waiting_copy(OPERATOR, message.copies[0].id)


async def test_the_first_moment_of_waiting_is_kept(stage: Stage, queues: PostgresQueues, elbtal: Tenant) -> None:
    message = await unsettled(stage, elbtal)
    (lease,) = await stage.claim(elbtal, WorkKind.RECONCILE, at=later(hours=2))
    await stage.dispatches.finish(elbtal.id, [nobody_knows(lease, 7200)])
    waiting = await queues.waiting_copy(OPERATOR, message.copies[0].id)
    assert (waiting.since, waiting.next_look_up_at) == (later(seconds=6), later(seconds=10800))


# --- decisions --------------------------------------------------------------------------------------------------------


@pytest.mark.clause("SND-43")
async def test_taken_makes_it_submitted_as_if_the_provider_had_answered(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    message = await unsettled(stage, elbtal)
    decided = await decide(queues, message, Decision.TAKEN)
    assert (decided.message_id, decided.hand_over, decided.state) == (message.id, "taken", "submitted")
    assert await stage.state(message) == "submitted"
    assert await stage.events(message) == ["message.queued", "message.submitting", "message.submitted"]
    assert await stage.work(elbtal) == [("review", message.id, False)]
    (entry,) = await stage.fetch("SELECT actor, object, detail FROM journal_intake WHERE action = 'hand-over.decided'")
    assert entry[0] == f"cli_{OPERATOR.client_id}"
    assert entry[1] == f"msg_{message.id}"
    assert '"Anruf, Ticket 7"' in str(entry[2]).replace("'", '"')


@pytest.mark.clause("SND-44")
async def test_evidence_after_the_decision_counts_as_always(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    taken, absent = await unsettled(stage, elbtal), await unsettled(stage, elbtal)
    await decide(queues, taken, Decision.TAKEN)
    await decide(queues, absent, Decision.NOT_TAKEN)
    for message in (taken, absent):
        await stage.prove(elbtal, new_evidence(message, Effect.DISPATCHED, at=later(hours=2)))
        assert await stage.state(message) == "dispatched"
    # what somebody thought absent was taken after all: it is not handed over a second time
    assert await stage.claim(elbtal, at=later(hours=3)) == []


@pytest.mark.clause("SND-43")
async def test_not_taken_is_handed_over_exactly_once_more(stage: Stage, queues: PostgresQueues, elbtal: Tenant) -> None:
    message = await unsettled(stage, elbtal)
    assert (await decide(queues, message, Decision.NOT_TAKEN)).state == "queued"
    assert await stage.work(elbtal) == [("dispatch", message.copies[0].id, False)]
    attempt = await stage.begun(elbtal, at=later(hours=1))
    assert attempt.lease.tries == 0
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.TAKEN, later(hours=1))])
    assert await stage.state(message) == "submitted"
    assert await stage.value("SELECT count(*) FROM attempt") == 2
    assert (await queues.waiting(OPERATOR, WaitingFilter(), 10, None)).items == ()


@pytest.mark.clause("SND-52")
async def test_release_hands_over_again_with_a_fresh_back_off(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    message = await held(stage, elbtal)
    decided = await decide(queues, message, Decision.RELEASED, None)
    assert (decided.hand_over, decided.state) == ("waiting", "queued")
    assert (await stage.events(message))[-2:] == ["message.held", "message.queued"]
    attempt = await stage.begun(elbtal, at=later(hours=1))
    assert attempt.lease.tries == 0
    assert (await queues.waiting(OPERATOR, WaitingFilter(), 10, None)).items == ()


async def test_given_up_is_failed_and_its_recipients_are_undeliverable(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    message = await held(stage, elbtal)
    assert (await decide(queues, message, Decision.GIVEN_UP)).state == "failed"
    view = await stage.reading.message(elbtal.scope, message.id)
    assert [(each.state, each.reason) for each in view.recipients] == [("undeliverable", "other")]
    assert await stage.work(elbtal) == []


async def test_a_message_stays_held_until_the_last_of_its_copies_is_released(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    message = await stage.accept(elbtal, new_message(elbtal, recipients=TWO, split=True))
    copies = await stage.dispatches.load(elbtal.id, await stage.claim(elbtal))
    attempts = [AttemptBegin(c.lease, uuid4(), c.content.copy_id, b"o", NOW) for c in copies]
    await stage.dispatches.begin(elbtal.id, attempts)
    await stage.dispatches.finish(elbtal.id, [outcome(each, AttemptEnd.UNAVAILABLE) for each in attempts])
    assert (await decide(queues, message, Decision.RELEASED, copy=1)).state == "held"
    assert (await decide(queues, message, Decision.RELEASED, copy=0)).state == "queued"
    assert len(await stage.claim(elbtal, at=later(hours=1))) == 2


@pytest.mark.parametrize(
    ("made", "decision", "code"),
    [
        (unsettled, Decision.RELEASED, "decision-not-fitting"),
        (unsettled, Decision.GIVEN_UP, "decision-not-fitting"),
        (held, Decision.TAKEN, "decision-not-fitting"),
        (held, Decision.NOT_TAKEN, "decision-not-fitting"),
    ],
)
async def test_what_does_not_fit_the_state_is_refused_and_changes_nothing(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant, made: object, decision: Decision, code: str
) -> None:
    message = await made(stage, elbtal)  # type: ignore[operator]
    before = (await stage.state(message), await stage.work(elbtal), await stage.events(message))
    assert await refused(decide(queues, message, decision)) == code
    assert (await stage.state(message), await stage.work(elbtal), await stage.events(message)) == before


async def test_a_final_copy_needs_no_decision(stage: Stage, queues: PostgresQueues, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    assert await refused(decide(queues, message, Decision.NOT_TAKEN)) == "no-decision-needed"
    with pytest.raises(NotFound):
        await queues.decide(OPERATOR, uuid4(), Decision.TAKEN, 1, "x", NOW)


async def test_a_repeated_decision_is_one(stage: Stage, queues: PostgresQueues, elbtal: Tenant) -> None:
    taken, absent = await unsettled(stage, elbtal), await unsettled(stage, elbtal)
    for message, decision in ((taken, Decision.TAKEN), (absent, Decision.NOT_TAKEN)):
        first = await decide(queues, message, decision)
        events = await stage.events(message)
        assert await decide(queues, message, decision) == first
        assert await stage.events(message) == events
    decided = await stage.value("SELECT count(*) FROM journal_intake WHERE action = 'hand-over.decided'")
    assert decided == 2


@pytest.mark.clause("SND-43")
async def test_an_absence_found_out_about_the_first_hand_over_says_nothing_of_the_second(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    message = await unsettled(stage, elbtal)
    await decide(queues, message, Decision.NOT_TAKEN)
    again = await stage.begun(elbtal, at=later(hours=1))
    unknown = outcome(again, AttemptEnd.UNKNOWN, later(hours=1), next_at=later(hours=1))
    await stage.dispatches.finish(elbtal.id, [unknown])
    assert await refused(decide(queues, message, Decision.NOT_TAKEN, 1)) == "attempts-differ"
    assert await stage.state(message) == "submitting"
    assert (await decide(queues, message, Decision.NOT_TAKEN, 2)).state == "queued"


# --- beside workers ---------------------------------------------------------------------------------------------------


async def test_a_hand_over_that_is_going_on_goes_before_any_decision(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    for decision in (Decision.TAKEN, Decision.NOT_TAKEN):
        assert await refused(decide(queues, message, decision)) == "hand-over-in-progress"
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.TAKEN)])
    assert await stage.state(message) == "submitted"


async def test_a_look_up_with_a_valid_lease_goes_before_any_decision(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    message = await unsettled(stage, elbtal)
    (lease,) = await stage.claim(elbtal, WorkKind.RECONCILE, at=later(hours=2), lease_s=60)
    copy_id = message.copies[0].id

    async def at(moment_s: int) -> Decided:
        return await queues.decide(OPERATOR, copy_id, Decision.NOT_TAKEN, 1, "x", later(seconds=moment_s))

    assert await refused(at(7259)) == "hand-over-in-progress"
    assert (await at(7260)).state == "queued", "the lease has run out"
    # the worker whose lease ran out has lost: it neither sends nor ends anything
    found = AttemptOutcome(lease, copy_id, None, AttemptEnd.UNAVAILABLE, "", (), later(hours=3), None, begun=1)
    await stage.dispatches.finish(elbtal.id, [found])
    assert await stage.state(message) == "queued"
    assert await stage.work(elbtal) == [("dispatch", copy_id, False)]


@pytest.mark.clause("SND-43")
async def test_decisions_and_workers_at_once_make_one_hand_over(
    stage: Stage, queues: PostgresQueues, elbtal: Tenant
) -> None:
    """Two operators of different mind, a worker's look-up and the sweeper, all at the same moment."""
    for _ in range(8):
        message = await unsettled(stage, elbtal)
        copy_id = message.copies[0].id

        async def ask(copy_id: UUID = copy_id) -> None:
            leases = await stage.claim(elbtal, WorkKind.RECONCILE, at=later(hours=2), lease_s=7200)
            found = [
                AttemptOutcome(lease, copy_id, None, AttemptEnd.TAKEN, "found", (), later(hours=2), None)
                for lease in leases
                if lease.subject_id == copy_id
            ]
            await stage.dispatches.finish(elbtal.id, found)

        async def begin() -> None:
            for lease in await stage.claim(elbtal, at=later(hours=3), lease_s=7200):
                attempt = AttemptBegin(lease, uuid4(), lease.subject_id, b"o", later(hours=3))
                if await stage.dispatches.begin(elbtal.id, [attempt]):
                    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.TAKEN, later(hours=3))])

        await asyncio.gather(
            decide(queues, message, Decision.NOT_TAKEN),
            decide(queues, message, Decision.TAKEN),
            ask(),
            begin(),
            stage.sweeping.sweep(later(hours=1)),
            return_exceptions=True,
        )
        await begin()
        assert await stage.state(message) == "submitted"
        decided = await stage.fetch(
            "SELECT detail ->> 'decision' FROM journal_intake WHERE action = 'hand-over.decided' AND object = $1",
            f"msg_{message.id}",
        )
        assert len(decided) <= 1
        attempts = await stage.value("SELECT count(*) FROM attempt WHERE copy_id = $1", copy_id)
        assert attempts == (2 if decided and decided[0][0] == "not-taken" else 1)
