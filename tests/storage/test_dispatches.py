"""Handing over: each copy at most once, whatever happens to the worker."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from uuid import uuid4

import pytest

from demail_gateway.application.ports.dispatches import AttemptBegin, AttemptEnd, AttemptOutcome, HandOversSoFar
from demail_gateway.application.ports.work import Lease, WorkKind
from demail_gateway.core.delivery import Effect
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import RecipientKind
from demail_gateway.storage.dispatches import CLAIM_BYTES
from demail_gateway.storage.envelope import CHUNK_BYTES
from tests.storage.stage import NOW, Stage, Tenant, later, new_arrival, new_evidence, new_message, outcome

TWO = ((RecipientKind.TO, "a@sandbox.de-mail.de"), (RecipientKind.CC, "b@sandbox.de-mail.de"))


# --- claiming ---------------------------------------------------------------------------------------------------------


async def test_two_workers_claim_different_rows(stage: Stage, elbtal: Tenant) -> None:
    messages = [await stage.accept(elbtal) for _ in range(20)]
    claims = await asyncio.gather(*(stage.claim(elbtal, limit=5) for _ in range(4)))
    claimed = [lease.subject_id for leases in claims for lease in leases]
    assert len(claimed) == len(set(claimed))
    rest = [lease.subject_id for lease in await stage.claim(elbtal)]
    assert {*claimed, *rest} == {message.copies[0].id for message in messages}


async def test_a_claim_sees_no_row_of_another_tenant(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await stage.accept(elbtal)
    assert await stage.claim(other) == []


async def test_only_due_rows_are_claimed_oldest_first(stage: Stage, elbtal: Tenant) -> None:
    third = await stage.accept(elbtal, new_message(elbtal, created_at=later(seconds=3)))
    first = await stage.accept(elbtal, new_message(elbtal, created_at=later(seconds=1)))
    await stage.accept(elbtal, new_message(elbtal, created_at=later(seconds=9)))
    leases = await stage.claim(elbtal, at=later(seconds=5))
    assert [lease.subject_id for lease in leases] == [first.copies[0].id, third.copies[0].id]


async def test_kinds_are_claimed_in_the_order_asked_for(stage: Stage, elbtal: Tenant) -> None:
    await stage.accept(elbtal)
    await stage.arrivals.store([new_arrival(elbtal, b"x", later(seconds=1))])
    leases = await stage.claim(elbtal, WorkKind.RECEIVED, WorkKind.DISPATCH, at=later(seconds=1))
    assert [lease.kind for lease in leases] == [WorkKind.RECEIVED, WorkKind.DISPATCH]


async def test_a_claim_is_bounded_by_what_it_brings_into_memory(stage: Stage, elbtal: Tenant) -> None:
    for _ in range(3):
        await stage.accept(elbtal, new_message(elbtal, size_bytes=CLAIM_BYTES // 2))
    await stage.accept(elbtal, new_message(elbtal, size_bytes=CLAIM_BYTES * 3, created_at=later(seconds=1)))
    sizes = [len(await stage.claim(elbtal, at=later(minutes=1))) for _ in range(4)]
    assert sizes == [2, 1, 1, 0]


async def test_released_rows_come_back_when_due(stage: Stage, elbtal: Tenant) -> None:
    await stage.accept(elbtal)
    await stage.dispatches.release(elbtal.id, await stage.claim(elbtal), later(seconds=10))
    assert await stage.claim(elbtal, at=later(seconds=9)) == []
    assert len(await stage.claim(elbtal, at=later(seconds=10))) == 1


# --- beginning --------------------------------------------------------------------------------------------------------


async def test_begun_attempt_keeps_the_octets_and_makes_the_copy_uncertain(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.begun(elbtal, b"exact octets")
    assert await stage.reading.raw(elbtal.scope, message.id, None) == b"exact octets"
    assert await stage.value("SELECT hand_over FROM message_copy") == "uncertain"
    assert await stage.value("SELECT outcome IS NULL FROM attempt")
    assert await stage.state(message) == "queued"


@pytest.mark.clause("TR 01201-3.1 step 9 FC-03")
@pytest.mark.parametrize("size", [0, CHUNK_BYTES, 3 * CHUNK_BYTES + 1])
async def test_a_second_attempt_sends_the_first_ones_octets_unchanged(stage: Stage, elbtal: Tenant, size: int) -> None:
    octets = os.urandom(size)
    await stage.accept(elbtal)
    first = await stage.begun(elbtal, octets)
    await stage.dispatches.finish(elbtal.id, [outcome(first, AttemptEnd.UNAVAILABLE, next_at=later(seconds=2))])
    copy = await stage.claim_copy(elbtal, later(seconds=2))
    assert copy.content.octets == octets
    assert copy.lease.tries == 1
    again = AttemptBegin(copy.lease, uuid4(), copy.content.copy_id, b"composed anew", later(seconds=2))
    await stage.dispatches.begin(elbtal.id, [again])
    assert await stage.value("SELECT count(*) FROM content") == 1


async def test_nothing_is_begun_on_a_lease_that_was_lost(stage: Stage, elbtal: Tenant) -> None:
    await stage.accept(elbtal)
    slow = await stage.claim_copy(elbtal)
    assert (await stage.sweeping.sweep(later(minutes=2))).reopened == 1
    quick = await stage.claim_copy(elbtal, later(minutes=2))
    attempts = [AttemptBegin(c.lease, uuid4(), c.content.copy_id, b"o", later(minutes=2)) for c in (slow, quick)]
    assert await stage.dispatches.begin(elbtal.id, attempts[:1]) == frozenset()
    assert await stage.dispatches.begin(elbtal.id, attempts[1:]) == {quick.content.copy_id}
    await stage.dispatches.done(elbtal.id, slow.lease)
    assert len(await stage.work(elbtal)) == 1


async def test_a_copy_is_begun_once(stage: Stage, elbtal: Tenant) -> None:
    await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    assert await stage.dispatches.begin(elbtal.id, [replace(attempt, attempt_id=uuid4())]) == frozenset()
    assert await stage.value("SELECT count(*) FROM attempt") == 1


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.clause("SND-41")
async def test_taken_copy_is_submitted_and_waits_for_its_proof(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    assert await stage.state(message) == "submitted"
    assert await stage.events(message) == ["message.queued", "message.submitted"]
    assert await stage.work(elbtal) == [("review", message.id, False)]
    (attempt,) = await stage.fetch("SELECT outcome, reply, ended_at FROM attempt")
    assert tuple(attempt) == ("taken", "250 2.0.0 ok", NOW)
    assert "hand-over.taken" in [r[0] for r in await stage.fetch("SELECT action FROM journal_intake")]


async def test_many_outcomes_are_written_together(stage: Stage, elbtal: Tenant) -> None:
    messages = [await stage.accept(elbtal) for _ in range(30)]
    copies = await stage.dispatches.load(elbtal.id, await stage.claim(elbtal))
    attempts = [AttemptBegin(c.lease, uuid4(), c.content.copy_id, b"o", NOW) for c in copies]
    assert len(await stage.dispatches.begin(elbtal.id, attempts)) == 30
    ends = [AttemptEnd.TAKEN, AttemptEnd.REFUSED, AttemptEnd.UNKNOWN]
    outcomes = [
        outcome(a, ends[n % 3], next_at=later(seconds=5) if n % 3 == 2 else None) for n, a in enumerate(attempts)
    ]
    await stage.dispatches.finish(elbtal.id, outcomes)
    states = [row[0] for row in await stage.fetch("SELECT state FROM message ORDER BY state")]
    assert states == ["rejected"] * 10 + ["submitted"] * 10 + ["submitting"] * 10
    assert len(messages) == 30


async def test_refused_copy_rejects_the_message_for_good(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.REFUSED)])
    view = await stage.reading.message(elbtal.scope, message.id)
    assert (view.state, view.recipients[0].state, view.recipients[0].reason) == ("rejected", "undeliverable", "other")
    assert await stage.work(elbtal) == []


async def test_refused_recipient_alone_is_undeliverable(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal, new_message(elbtal, recipients=TWO))
    attempt = await stage.begun(elbtal)
    refused = message.recipients[1].id
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.TAKEN, refused=(refused,))])
    view = await stage.reading.message(elbtal.scope, message.id)
    assert [(r.state, r.reason) for r in view.recipients] == [("pending", None), ("undeliverable", "other")]
    assert view.state == "submitted"


async def test_recipient_refused_earlier_is_named_when_the_copy_is_loaded_again(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal, new_message(elbtal, recipients=TWO))
    attempt = await stage.begun(elbtal)
    refused = message.recipients[1].id
    end = outcome(attempt, AttemptEnd.UNAVAILABLE, next_at=later(seconds=1), refused=(refused,))
    await stage.dispatches.finish(elbtal.id, [end])
    assert (await stage.claim_copy(elbtal, later(seconds=1))).content.refused == {refused}


@pytest.mark.clause("SND-52")
async def test_used_up_back_off_holds_the_message_for_a_person(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.UNAVAILABLE)])
    assert await stage.state(message) == "held"
    assert await stage.work(elbtal) == [("dispatch", attempt.copy_id, False)]
    assert await stage.claim(elbtal, at=later(days=9999)) == [], "it is due when somebody releases it, and never else"
    assert (await stage.sweeping.sweep(later(days=9999))).tenants == ()
    assert (await stage.reading.message(elbtal.scope, message.id)).next_attempt_at is None


async def test_failed_composition_needs_no_attempt(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    copy = await stage.claim_copy(elbtal)
    failed = AttemptOutcome(copy.lease, copy.content.copy_id, None, AttemptEnd.FAILED, "", (), NOW, None)
    await stage.dispatches.finish(elbtal.id, [failed])
    assert await stage.state(message) == "failed"
    assert await stage.work(elbtal) == []


async def test_split_message_is_submitted_when_its_last_copy_is(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal, new_message(elbtal, recipients=TWO, split=True))
    copies = await stage.dispatches.load(elbtal.id, await stage.claim(elbtal))
    attempts = [AttemptBegin(c.lease, uuid4(), c.content.copy_id, b"o", NOW) for c in copies]
    await stage.dispatches.begin(elbtal.id, attempts)
    await stage.dispatches.finish(elbtal.id, [outcome(attempts[0], AttemptEnd.TAKEN)])
    assert await stage.state(message) == "submitting"
    await stage.dispatches.finish(elbtal.id, [outcome(attempts[1], AttemptEnd.TAKEN)])
    assert await stage.state(message) == "submitted"


# --- unknown outcomes -------------------------------------------------------------------------------------------------


@pytest.mark.clause("SND-43")
async def test_unknown_outcome_is_looked_up_and_not_sent_again(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.UNKNOWN, next_at=later(seconds=5))])
    assert await stage.state(message) == "submitting"
    assert await stage.work(elbtal) == [("reconcile", attempt.copy_id, False)]
    assert await stage.claim(elbtal, at=later(hours=9)) == []


@pytest.mark.parametrize(
    ("end", "next_s", "state", "work"),
    [
        (AttemptEnd.TAKEN, None, "submitted", ["review"]),
        (AttemptEnd.UNAVAILABLE, 7, "queued", ["dispatch"]),
        (AttemptEnd.UNKNOWN, 7, "submitting", ["reconcile"]),
        (AttemptEnd.UNKNOWN, None, "submitting", []),
        (AttemptEnd.UNAVAILABLE, None, "held", ["dispatch"]),
    ],
)
async def test_a_look_up_settles_it(
    stage: Stage, elbtal: Tenant, end: AttemptEnd, next_s: int | None, state: str, work: list[str]
) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.UNKNOWN, next_at=later(seconds=5))])
    (lease,) = await stage.claim(elbtal, WorkKind.RECONCILE, at=later(seconds=5))
    next_at = None if next_s is None else later(seconds=next_s)
    found = AttemptOutcome(lease, attempt.copy_id, None, end, "found", (), later(seconds=6), next_at, begun=1)
    await stage.dispatches.finish(elbtal.id, [found])
    assert await stage.state(message) == state
    assert [kind for kind, _, _ in await stage.work(elbtal)] == work
    if work and state != "held":
        (again,) = await stage.claim(elbtal, WorkKind(work[0]), at=later(days=2))
        assert again.tries == (0 if work == ["review"] else 1)


@pytest.mark.clause("SND-43")
async def test_first_moment_of_an_absence_is_kept_with_the_hand_over_it_is_about(stage: Stage, elbtal: Tenant) -> None:
    await stage.accept(elbtal)
    first = await stage.begun(elbtal)
    await stage.dispatches.finish(elbtal.id, [outcome(first, AttemptEnd.UNKNOWN, next_at=later(seconds=5))])

    async def look_up(at: int, end: AttemptEnd = AttemptEnd.UNKNOWN, *, absent: bool = False) -> HandOversSoFar:
        leases = await stage.claim(elbtal, WorkKind.RECONCILE, at=later(seconds=at))
        (claimed,) = await stage.dispatches.load(elbtal.id, leases)
        said = AttemptOutcome(
            claimed.lease, first.copy_id, None, end, "", (), later(seconds=at), later(seconds=at + 1), absent, begun=7
        )
        await stage.dispatches.finish(elbtal.id, [said])
        return claimed.so_far

    assert await look_up(10) == HandOversSoFar(1, NOW, None)
    assert await look_up(20, absent=True) == HandOversSoFar(1, NOW, None)
    assert await look_up(30) == HandOversSoFar(1, NOW, later(seconds=20)), "a look-up that failed undoes nothing"
    assert await look_up(40, absent=True) == HandOversSoFar(1, NOW, later(seconds=20))
    last = await look_up(50, AttemptEnd.UNAVAILABLE, absent=True)
    assert last == HandOversSoFar(1, NOW, later(seconds=20))
    copy = await stage.claim_copy(elbtal, later(seconds=60))
    assert copy.lease.tries == 7, "the back-off goes on where it was (SND-52)"
    again = AttemptBegin(copy.lease, uuid4(), copy.content.copy_id, b"o", later(seconds=60))
    await stage.dispatches.begin(elbtal.id, [again])
    end = outcome(again, AttemptEnd.UNKNOWN, later(seconds=60), next_at=later(seconds=70))
    await stage.dispatches.finish(elbtal.id, [end])
    assert await look_up(70) == HandOversSoFar(2, later(seconds=60), None), "a new hand-over has no absence yet"


async def test_killed_worker_leaves_its_begun_copy_to_be_looked_up(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    claimed_only = await stage.accept(other)
    message = await stage.accept(elbtal)
    await stage.claim_copy(other)
    attempt = await stage.begun(elbtal)
    assert (await stage.sweeping.sweep(later(seconds=59))).tenants == ()
    swept = await stage.sweeping.sweep(later(seconds=60))
    assert (swept.reopened, swept.uncertain) == (1, 1)
    assert set(swept.tenants) == {elbtal.id, other.id}
    assert await stage.work(elbtal) == [("reconcile", attempt.copy_id, False), ("review", message.id, False)]
    assert await stage.work(other) == [("dispatch", claimed_only.copies[0].id, False)]
    (review,) = await stage.claim(elbtal, WorkKind.REVIEW, at=later(seconds=60))
    await stage.dispatches.review(elbtal.id, review, later(seconds=60))
    assert await stage.state(message) == "submitting"
    assert await stage.events(message) == ["message.queued", "message.submitting"]


async def test_a_begun_attempt_keeps_its_lease_for_the_length_of_a_hand_over(stage: Stage, elbtal: Tenant) -> None:
    await stage.accept(elbtal)
    (lease,) = await stage.claim(elbtal, lease_s=1)
    attempt = AttemptBegin(lease, uuid4(), lease.subject_id, b"o", NOW)
    await stage.dispatches.begin(elbtal.id, [attempt])
    assert (await stage.sweeping.sweep(later(seconds=29))).uncertain == 0
    assert (await stage.sweeping.sweep(later(seconds=30))).uncertain == 1


async def test_late_answer_of_a_swept_attempt_still_counts(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    await stage.sweeping.sweep(later(minutes=5))
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.TAKEN, later(minutes=6))])
    assert await stage.state(message) == "submitted"
    assert [kind for kind, _, _ in await stage.work(elbtal)] == ["review"]


async def test_late_answer_after_the_look_up_changes_nothing(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    await stage.sweeping.sweep(later(minutes=5))
    (lease,) = await stage.claim(elbtal, WorkKind.RECONCILE, at=later(minutes=5))
    taken = AttemptOutcome(lease, attempt.copy_id, None, AttemptEnd.TAKEN, "found", (), later(minutes=5), None)
    await stage.dispatches.finish(elbtal.id, [taken])
    stale = outcome(attempt, AttemptEnd.UNAVAILABLE, later(minutes=6), next_at=later(minutes=7))
    await stage.dispatches.finish(elbtal.id, [stale])
    assert await stage.state(message) == "submitted"
    assert [kind for kind, _, _ in await stage.work(elbtal)] == ["review"]


async def test_proof_that_comes_before_the_answer_settles_the_look_up(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    await stage.prove(elbtal, new_evidence(message, Effect.DISPATCHED, at=later(seconds=1)))
    assert await stage.state(message) == "dispatched"
    await stage.dispatches.finish(
        elbtal.id, [outcome(attempt, AttemptEnd.UNKNOWN, later(seconds=2), next_at=later(seconds=9))]
    )
    assert await stage.state(message) == "dispatched"
    assert "reconcile" not in [kind for kind, _, _ in await stage.work(elbtal)]


async def test_proof_for_a_copy_that_waits_ends_its_hand_over(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.UNAVAILABLE, next_at=later(seconds=5))])
    copy = await stage.claim_copy(elbtal, later(seconds=5))
    await stage.prove(elbtal, new_evidence(message, Effect.DISPATCHED, at=later(seconds=6)))
    again = AttemptBegin(copy.lease, uuid4(), copy.content.copy_id, b"o", later(seconds=7))
    assert await stage.dispatches.begin(elbtal.id, [again]) == frozenset()
    assert await stage.state(message) == "dispatched"


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("SND-51")
async def test_missing_proof_of_dispatch_is_overdue_after_an_hour(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    assert await stage.claim(elbtal, WorkKind.REVIEW, at=later(minutes=59)) == []
    (review,) = await stage.claim(elbtal, WorkKind.REVIEW, at=later(hours=1))
    await stage.dispatches.review(elbtal.id, review, later(hours=1))
    view = await stage.reading.message(elbtal.scope, message.id)
    assert view.overdue_since == later(hours=1)
    assert (await stage.events(message))[-1] == "message.overdue"
    (following,) = await stage.claim(elbtal, WorkKind.REVIEW, at=later(hours=8))
    assert following.subject_id == message.id


async def test_without_requested_proof_waiting_ends_unconfirmed(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal, new_message(elbtal, options=SendOptions()))
    await stage.taken(elbtal)
    (review,) = await stage.claim(elbtal, WorkKind.REVIEW, at=later(hours=24))
    await stage.dispatches.review(elbtal.id, review, later(hours=24))
    assert await stage.state(message) == "completed"
    assert (await stage.events(message))[-2:] == ["recipient.unconfirmed", "message.completed"]
    assert await stage.work(elbtal) == []


async def test_review_on_a_lost_lease_does_nothing(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    lost = Lease(uuid4(), WorkKind.REVIEW, message.id, uuid4(), 0, None)
    await stage.taken(elbtal)
    await stage.dispatches.review(elbtal.id, lost, later(hours=30))
    assert (await stage.reading.message(elbtal.scope, message.id)).overdue_since is None
