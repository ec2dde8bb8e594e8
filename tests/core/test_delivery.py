"""States of a message and its recipients, row by row of `sending-and-receiving.md` §5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.delivery import (
    CopyFacts,
    Delivery,
    Effect,
    EvidenceFact,
    MessageFacts,
    RecipientFacts,
    cancellable,
    derive,
    may_cancel,
    transitions,
)
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import HandOver, MessageState, Milestone, RecipientState, UndeliverableReason

T0 = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
NOW = T0 + timedelta(minutes=10)
C1, C2 = UUID(int=1), UUID(int=2)
R1, R2, R3 = UUID(int=11), UUID(int=12), UUID(int=13)

ALL_PROOFS = SendOptions(
    confirmation_of_dispatch=True, confirmation_of_receipt=True, confirmation_of_retrieve=True, private=True
)
RECEIPT_PROOF = SendOptions(confirmation_of_dispatch=True, confirmation_of_receipt=True)
DISPATCH_PROOF = SendOptions(confirmation_of_dispatch=True)


def one(
    options: SendOptions = RECEIPT_PROOF, hand_over: HandOver = HandOver.TAKEN, *, held: bool = False
) -> MessageFacts:
    """A message with one copy for one recipient, handed over at T0."""
    at = None if hand_over is HandOver.WAITING else T0
    return MessageFacts(options, (CopyFacts(C1, hand_over, at),), (RecipientFacts(R1, C1),), held=held)


def two(first: HandOver, second: HandOver, options: SendOptions = RECEIPT_PROOF) -> MessageFacts:
    """Two copies with one recipient each."""
    copies = tuple(CopyFacts(c, h, None if h is HandOver.WAITING else T0) for c, h in ((C1, first), (C2, second)))
    return MessageFacts(options, copies, (RecipientFacts(R1, C1), RecipientFacts(R2, C2)))


def shared(options: SendOptions = RECEIPT_PROOF) -> MessageFacts:
    """One copy for three recipients."""
    return MessageFacts(
        options, (CopyFacts(C1, HandOver.TAKEN, T0),), tuple(RecipientFacts(r, C1) for r in (R1, R2, R3))
    )


def fact(
    effect: Effect,
    recipient: UUID | None = R1,
    *,
    minutes: float = 1,
    copy: UUID = C1,
    reason: UndeliverableReason | None = None,
    delivered_at: datetime | None = None,
) -> EvidenceFact:
    at = T0 + timedelta(minutes=minutes)
    return EvidenceFact(effect, copy, recipient, at, at + timedelta(seconds=2), delivered_at, reason)


DISPATCHED = fact(Effect.DISPATCHED, None)
DELIVERED = fact(Effect.DELIVERED, minutes=2)
RETRIEVED = fact(Effect.RETRIEVED, minutes=5, delivered_at=T0 + timedelta(minutes=2))
UNKNOWN = fact(Effect.UNDELIVERABLE, reason=UndeliverableReason.UNKNOWN_RECIPIENT)
UNCLEAR = fact(Effect.UNCLEAR)


def state_of(delivery: Delivery, recipient: UUID = R1) -> RecipientState:
    return next(r.state for r in delivery.recipients if r.id == recipient)


def derived(facts: MessageFacts, *evidence: EvidenceFact, now: datetime = NOW) -> Delivery:
    return derive(facts, evidence, now)


# --- the message before evidence -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (replace(one(hand_over=HandOver.WAITING), queued=False), MessageState.ACCEPTED),
        (one(hand_over=HandOver.WAITING), MessageState.QUEUED),
        (one(hand_over=HandOver.WAITING, held=True), MessageState.HELD),
        (one(hand_over=HandOver.UNCERTAIN), MessageState.SUBMITTING),
        (one(hand_over=HandOver.TAKEN), MessageState.SUBMITTED),
        (one(hand_over=HandOver.REFUSED), MessageState.REJECTED),
        (one(hand_over=HandOver.FAILED), MessageState.FAILED),
        (one(hand_over=HandOver.CANCELLED), MessageState.CANCELLED),
        (two(HandOver.WAITING, HandOver.WAITING), MessageState.QUEUED),
        (two(HandOver.TAKEN, HandOver.UNCERTAIN), MessageState.SUBMITTING),
        (two(HandOver.TAKEN, HandOver.WAITING), MessageState.SUBMITTING),
        (two(HandOver.REFUSED, HandOver.WAITING), MessageState.QUEUED),
        (two(HandOver.TAKEN, HandOver.REFUSED), MessageState.SUBMITTED),
        (two(HandOver.REFUSED, HandOver.REFUSED), MessageState.REJECTED),
        (two(HandOver.REFUSED, HandOver.FAILED), MessageState.FAILED),
        (two(HandOver.REFUSED, HandOver.CANCELLED), MessageState.CANCELLED),
    ],
)
def test_hand_over_alone_decides_the_state_up_to_submitted(facts: MessageFacts, state: MessageState) -> None:
    assert derived(facts).state is state


def test_a_provider_s_250_means_submitted_and_not_dispatched() -> None:
    """SND-41."""
    delivery = derived(one())
    assert (delivery.state, state_of(delivery)) == (MessageState.SUBMITTED, RecipientState.PENDING)
    assert delivery.submitted_at == T0


@pytest.mark.parametrize("hand_over", [HandOver.REFUSED, HandOver.FAILED])
def test_recipients_of_a_copy_that_was_not_sent_are_undeliverable_other(hand_over: HandOver) -> None:
    recipient = derived(one(hand_over=hand_over)).recipients[0]
    assert (recipient.state, recipient.reason) == (RecipientState.UNDELIVERABLE, UndeliverableReason.OTHER)


def test_one_refused_copy_leaves_the_message_going_and_its_recipient_undeliverable() -> None:
    delivery = derived(two(HandOver.TAKEN, HandOver.REFUSED))
    assert delivery.state is MessageState.SUBMITTED
    assert state_of(delivery, R2) is RecipientState.UNDELIVERABLE


def test_a_recipient_refused_alone_is_undeliverable_while_the_copy_goes_on() -> None:
    facts = shared()
    facts = replace(facts, recipients=(replace(facts.recipients[0], refused_at=T0), *facts.recipients[1:]))
    delivery = derived(facts)
    assert [r.state for r in delivery.recipients] == [
        RecipientState.UNDELIVERABLE,
        RecipientState.PENDING,
        RecipientState.PENDING,
    ]
    assert delivery.state is MessageState.SUBMITTED


def test_cancelled_recipients_stay_pending() -> None:
    assert state_of(derived(one(hand_over=HandOver.CANCELLED))) is RecipientState.PENDING


# --- §5.3, row by row ------------------------------------------------------------------------------------------------


def test_versandbestaetigung_dispatches_message_and_every_recipient_of_its_copy() -> None:
    delivery = derived(shared(), DISPATCHED)
    assert delivery.state is MessageState.DISPATCHED
    assert {r.state for r in delivery.recipients} == {RecipientState.DISPATCHED}
    assert {r.dispatched_at for r in delivery.recipients} == {DISPATCHED.at}


def test_a_message_is_dispatched_only_when_every_copy_is() -> None:
    facts = two(HandOver.TAKEN, HandOver.TAKEN)
    assert derived(facts, DISPATCHED).state is MessageState.SUBMITTED
    assert derived(facts, DISPATCHED, replace(DISPATCHED, copy_id=C2)).state is MessageState.DISPATCHED


def test_eingangsbestaetigung_delivers_that_recipient_and_implies_dispatch() -> None:
    delivery = derived(shared(), DELIVERED)
    assert state_of(delivery, R1) is RecipientState.DELIVERED
    assert state_of(delivery, R2) is RecipientState.PENDING
    first = delivery.recipients[0]
    assert (first.milestone, first.delivered_at, first.dispatched_at) == (Milestone.DELIVERED, DELIVERED.at, None)


def test_a_receipt_that_names_nobody_of_several_delivers_nobody() -> None:
    delivery = derived(shared(), replace(DELIVERED, recipient_id=None))
    assert {r.state for r in delivery.recipients} == {RecipientState.PENDING}
    assert state_of(derived(one(), replace(DELIVERED, recipient_id=None))) is RecipientState.DELIVERED


def test_abholbestaetigung_alone_proves_delivery_with_its_delivery_time() -> None:
    """CO-21."""
    delivery = derived(one(ALL_PROOFS), RETRIEVED)
    recipient = delivery.recipients[0]
    assert recipient.state is RecipientState.RETRIEVED
    assert (recipient.delivered_at, recipient.retrieved_at) == (RETRIEVED.delivered_at, RETRIEVED.at)
    assert delivery.state is MessageState.COMPLETED


def test_delivered_is_final_unless_retrieval_was_requested() -> None:
    assert derived(one(RECEIPT_PROOF), DISPATCHED, DELIVERED).state is MessageState.COMPLETED
    assert derived(one(ALL_PROOFS), DISPATCHED, DELIVERED).state is MessageState.DISPATCHED


@pytest.mark.parametrize("reason", list(UndeliverableReason))
def test_a_notification_makes_its_recipient_undeliverable(reason: UndeliverableReason) -> None:
    delivery = derived(one(), DISPATCHED, replace(UNKNOWN, reason=reason))
    recipient = delivery.recipients[0]
    assert (recipient.state, recipient.reason) == (RecipientState.UNDELIVERABLE, reason)
    assert recipient.dispatched_at == DISPATCHED.at
    assert delivery.state is MessageState.COMPLETED


@pytest.mark.parametrize("success", [DELIVERED, RETRIEVED])
@pytest.mark.parametrize("failure", [Effect.UNDELIVERABLE, Effect.INFECTED, Effect.INTEGRITY_FAILED])
def test_proof_of_delivery_and_of_failure_are_a_conflict(success: EvidenceFact, failure: Effect) -> None:
    delivery = derived(one(ALL_PROOFS), success, fact(failure))
    assert state_of(delivery) is RecipientState.CONFLICT
    assert delivery.state is not MessageState.COMPLETED


@pytest.mark.parametrize(
    ("effect", "state"),
    [
        (Effect.INFECTED, RecipientState.INFECTED),
        (Effect.INTEGRITY_FAILED, RecipientState.INTEGRITY_FAILED),
        (Effect.UNCLEAR, RecipientState.CONFLICT),
    ],
)
def test_other_notifications_have_their_own_state(effect: Effect, state: RecipientState) -> None:
    assert state_of(derived(one(), DISPATCHED, fact(effect))) is state


def test_an_unclear_notification_is_neither_success_nor_failure() -> None:
    assert state_of(derived(one(), DELIVERED, UNCLEAR)) is RecipientState.CONFLICT
    assert state_of(derived(one(), UNKNOWN, UNCLEAR)) is RecipientState.CONFLICT


def test_the_gravest_failure_and_the_specific_reason_stand() -> None:
    assert state_of(derived(one(), UNKNOWN, fact(Effect.INFECTED))) is RecipientState.INFECTED
    two_reasons = derived(one(), fact(Effect.UNDELIVERABLE), UNKNOWN)
    assert two_reasons.recipients[0].reason is UndeliverableReason.UNKNOWN_RECIPIENT


def test_a_draft_refused_after_it_was_taken_rejects_the_message() -> None:
    delivery = derived(one(), fact(Effect.REJECTED, None))
    assert delivery.state is MessageState.REJECTED
    assert delivery.recipients[0].reason is UndeliverableReason.OTHER
    assert delivery.copies[0].hand_over is HandOver.REFUSED


def test_a_refusal_by_evidence_ends_the_message_when_the_gateway_learnt_it() -> None:
    refusal = fact(Effect.REJECTED, None, copy=C2, minutes=30)
    delivery = derived(two(HandOver.TAKEN, HandOver.TAKEN), DISPATCHED, DELIVERED, refusal)
    assert (delivery.state, delivery.completed_at) == (MessageState.COMPLETED, refusal.received_at)


@pytest.mark.parametrize("hand_over", [HandOver.REFUSED, HandOver.FAILED, HandOver.CANCELLED])
def test_success_after_a_refusal_is_a_conflict(hand_over: HandOver) -> None:
    delivery = derived(one(hand_over=hand_over), DISPATCHED)
    assert state_of(delivery) is RecipientState.CONFLICT
    assert delivery.state in (MessageState.SUBMITTED, MessageState.DISPATCHED)


def test_failure_after_a_refusal_is_no_conflict() -> None:
    delivery = derived(one(hand_over=HandOver.REFUSED), UNKNOWN)
    assert delivery.recipients[0].reason is UndeliverableReason.UNKNOWN_RECIPIENT
    assert delivery.state is MessageState.REJECTED


@pytest.mark.parametrize("evidence", [DISPATCHED, DELIVERED, UNKNOWN, UNCLEAR])
@pytest.mark.parametrize("hand_over", [HandOver.UNCERTAIN, HandOver.WAITING])
def test_evidence_settles_an_unknown_outcome(evidence: EvidenceFact, hand_over: HandOver) -> None:
    """SND-43."""
    delivery = derived(one(hand_over=hand_over), evidence)
    assert delivery.copies[0].hand_over is HandOver.TAKEN
    assert delivery.state not in (MessageState.SUBMITTING, MessageState.QUEUED)
    assert delivery.submitted_at is not None


# --- failures that name nobody ---------------------------------------------------------------------------------------


def test_a_failure_that_names_nobody_concerns_the_only_recipient() -> None:
    assert state_of(derived(one(), replace(UNKNOWN, recipient_id=None))) is RecipientState.UNDELIVERABLE


def test_a_failure_that_names_nobody_puts_all_without_proof_into_conflict() -> None:
    delivery = derived(shared(), DELIVERED, replace(UNKNOWN, recipient_id=None))
    assert [r.state for r in delivery.recipients] == [
        RecipientState.DELIVERED,
        RecipientState.CONFLICT,
        RecipientState.CONFLICT,
    ]


def test_a_failure_that_names_nobody_though_all_are_delivered_contradicts_all() -> None:
    proofs = [fact(Effect.DELIVERED, r) for r in (R1, R2, R3)]
    delivery = derived(shared(), *proofs, replace(UNKNOWN, recipient_id=None))
    assert {r.state for r in delivery.recipients} == {RecipientState.CONFLICT}


def test_evidence_of_another_message_is_left_aside() -> None:
    delivery = derived(one(), replace(DELIVERED, copy_id=C2), replace(DELIVERED, recipient_id=R3))
    assert state_of(delivery) is RecipientState.PENDING


# --- clocks ----------------------------------------------------------------------------------------------------------


def test_a_missing_versandbestaetigung_is_overdue_after_one_hour() -> None:
    """SND-51."""
    facts = one()
    assert derived(facts, now=T0 + timedelta(minutes=59)).overdue_since is None
    assert derived(facts, now=T0 + timedelta(hours=3)).overdue_since == T0 + timedelta(hours=1)
    assert derived(facts, DISPATCHED, now=T0 + timedelta(hours=3)).overdue_since is None


def test_a_missing_eingangsbestaetigung_is_overdue_eight_hours_after_dispatch() -> None:
    late = T0 + timedelta(hours=9)
    assert derived(one(), DISPATCHED, now=late).overdue_since == DISPATCHED.at + timedelta(hours=8)
    assert derived(one(), DISPATCHED, DELIVERED, now=late).overdue_since is None


def test_a_missing_abholbestaetigung_is_never_overdue() -> None:
    delivery = derived(one(ALL_PROOFS), DISPATCHED, DELIVERED, now=T0 + timedelta(days=400))
    assert (delivery.overdue_since, delivery.next_review_at) == (None, None)
    assert state_of(delivery) is RecipientState.DELIVERED


def test_without_any_proof_requested_pending_ends_unconfirmed_after_a_day() -> None:
    facts = one(SendOptions())
    day = T0 + timedelta(hours=24)
    before = derived(facts, now=day - timedelta(seconds=1))
    assert (before.state, state_of(before)) == (MessageState.SUBMITTED, RecipientState.PENDING)
    assert before.next_review_at == day
    after = derived(facts, now=day)
    assert (after.state, state_of(after)) == (MessageState.COMPLETED, RecipientState.UNCONFIRMED)
    assert after.completed_at == day


def test_dispatch_proof_alone_ends_unconfirmed_a_day_after_dispatch() -> None:
    day = DISPATCHED.at + timedelta(hours=24)
    assert state_of(derived(one(DISPATCH_PROOF), DISPATCHED, now=day)) is RecipientState.UNCONFIRMED


def test_a_requested_versandbestaetigung_that_never_comes_stays_overdue() -> None:
    delivery = derived(one(DISPATCH_PROOF), now=T0 + timedelta(days=30))
    assert state_of(delivery) is RecipientState.PENDING
    assert delivery.overdue_since == T0 + timedelta(hours=1)


def test_a_late_notification_still_moves_unconfirmed_to_undeliverable() -> None:
    delivery = derived(one(SendOptions()), UNKNOWN, now=T0 + timedelta(days=3))
    assert state_of(delivery) is RecipientState.UNDELIVERABLE


def test_awaiting_a_further_proof_never_ends_unconfirmed() -> None:
    delivery = derived(one(RECEIPT_PROOF), DISPATCHED, now=T0 + timedelta(days=30))
    assert state_of(delivery) is RecipientState.DISPATCHED


# --- laws ------------------------------------------------------------------------------------------------------------

effects = st.sampled_from(Effect)
minutes = st.integers(0, 3000)
evidence_facts = st.builds(
    lambda effect, recipient, at, received, delivered, copy, reason: EvidenceFact(
        effect,
        copy,
        recipient,
        T0 + timedelta(minutes=at),
        T0 + timedelta(minutes=received),
        T0 + timedelta(minutes=delivered) if effect is Effect.RETRIEVED and delivered is not None else None,
        reason if effect is Effect.UNDELIVERABLE else None,
    ),
    effects,
    st.sampled_from([None, R1, R2, R3]),
    minutes,
    minutes,
    st.none() | minutes,
    st.sampled_from([C1, C2]),
    st.none() | st.sampled_from(UndeliverableReason),
)
all_options = st.builds(SendOptions, *[st.booleans()] * 5)
message_facts = st.builds(
    lambda options, h1, h2, held, refused: MessageFacts(
        options,
        (CopyFacts(C1, h1, T0), CopyFacts(C2, h2, T0)),
        (RecipientFacts(R1, C1, T0 if refused else None), RecipientFacts(R2, C1), RecipientFacts(R3, C2)),
        held,
    ),
    all_options,
    st.sampled_from(HandOver),
    st.sampled_from(HandOver),
    st.booleans(),
    st.booleans(),
)
moments = st.integers(0, 200).map(lambda hours: T0 + timedelta(hours=hours))


@given(message_facts, st.lists(evidence_facts, max_size=6), moments, st.data())
def test_order_and_repetition_of_evidence_change_nothing(
    facts: MessageFacts, evidence: list[EvidenceFact], now: datetime, data: st.DataObject
) -> None:
    """SND-44, SND-45."""
    repeated = evidence + (data.draw(st.lists(st.sampled_from(evidence), max_size=4)) if evidence else [])
    shuffled = data.draw(st.permutations(repeated))
    assert derive(facts, shuffled, now) == derive(facts, evidence, now)


@given(message_facts, st.lists(evidence_facts, min_size=1, max_size=6), moments, st.data())
def test_a_later_repetition_with_another_time_moves_nothing(
    facts: MessageFacts, evidence: list[EvidenceFact], now: datetime, data: st.DataObject
) -> None:
    """CO-16, SND-45: the first stays valid."""
    first = data.draw(st.sampled_from(evidence))
    last = max(each.received_at for each in evidence)
    again = replace(
        first,
        at=first.at + timedelta(minutes=data.draw(minutes)),
        received_at=last + timedelta(minutes=1 + data.draw(minutes)),
        delivered_at=first.delivered_at and first.delivered_at + timedelta(minutes=data.draw(minutes)),
    )
    assert derive(facts, [*evidence, again], now) == derive(facts, evidence, now)


@given(message_facts, st.lists(evidence_facts, min_size=2, max_size=6), st.data())
def test_the_order_of_arrival_changes_times_alone(
    facts: MessageFacts, evidence: list[EvidenceFact], data: st.DataObject
) -> None:
    """What is proven, and what contradicts it, is the same whichever came first (SND-44)."""
    moments_of_arrival = data.draw(st.permutations([each.received_at for each in evidence]))
    otherwise = [replace(e, received_at=at) for e, at in zip(evidence, moments_of_arrival, strict=True)]
    told = [
        [(r.milestone, r.state is RecipientState.CONFLICT, r.reason) for r in derive(facts, each, T0).recipients]
        for each in (evidence, otherwise)
    ]
    assert told[0] == told[1]


@given(message_facts, st.lists(evidence_facts, max_size=5), evidence_facts, moments)
def test_more_evidence_never_lowers_a_milestone(
    facts: MessageFacts, evidence: list[EvidenceFact], more: EvidenceFact, now: datetime
) -> None:
    before, after = derive(facts, evidence, now), derive(facts, [*evidence, more], now)
    for old, new in zip(before.recipients, after.recipients, strict=True):
        assert new.milestone >= old.milestone


@given(message_facts, st.lists(evidence_facts, max_size=5), moments)
def test_the_next_review_is_the_next_moment_at_which_anything_changes(
    facts: MessageFacts, evidence: list[EvidenceFact], now: datetime
) -> None:
    delivery = derive(facts, evidence, now)
    until = delivery.next_review_at
    assert until is None or until > now
    just_before = now + timedelta(days=400) if until is None else until - timedelta(microseconds=1)
    assert derive(facts, evidence, max(now, just_before)) == delivery


@given(message_facts, st.lists(evidence_facts, max_size=5), moments)
def test_completed_means_that_every_recipient_is_in_a_final_state(
    facts: MessageFacts, evidence: list[EvidenceFact], now: datetime
) -> None:
    delivery = derive(facts, evidence, now)
    states = {r.state for r in delivery.recipients}
    if delivery.state is MessageState.COMPLETED:
        assert not states & {RecipientState.DISPATCHED, RecipientState.CONFLICT}
        assert delivery.completed_at is not None
    else:
        assert delivery.completed_at is None


# --- what clients are told -------------------------------------------------------------------------------------------


def types(old: Delivery | None, new: Delivery) -> list[str]:
    return [event.type for event in transitions(old, new)]


def test_each_step_is_told_once_and_in_order() -> None:
    queued = derived(one(ALL_PROOFS, HandOver.WAITING))
    submitting = derived(one(ALL_PROOFS, HandOver.UNCERTAIN))
    facts = one(ALL_PROOFS)
    steps: Sequence[Delivery] = [
        derived(facts),
        derived(facts, DISPATCHED),
        derived(facts, DISPATCHED, DELIVERED),
        derived(facts, DISPATCHED, DELIVERED, RETRIEVED),
    ]
    assert types(None, queued) == ["message.queued"]
    assert types(queued, submitting) == ["message.submitting"]
    assert types(submitting, steps[0]) == ["message.submitted"]
    assert types(steps[0], steps[1]) == ["message.dispatched", "recipient.dispatched"]
    assert types(steps[1], steps[2]) == ["recipient.delivered"]
    assert types(steps[2], steps[3]) == ["recipient.retrieved", "message.completed"]
    assert types(steps[3], steps[3]) == []


def test_delivered_and_retrieved_are_told_separately_when_they_come_together() -> None:
    facts = one(ALL_PROOFS)
    told = types(derived(facts, DISPATCHED), derived(facts, DISPATCHED, RETRIEVED))
    assert told == ["recipient.delivered", "recipient.retrieved", "message.completed"]


def test_an_implied_stage_is_not_told_again_when_its_own_proof_comes_late() -> None:
    facts = one(ALL_PROOFS)
    assert types(derived(facts, RETRIEVED), derived(facts, RETRIEVED, DELIVERED, DISPATCHED)) == []


def test_an_unknown_outcome_settled_by_evidence_tells_submitted_first() -> None:
    facts = one(hand_over=HandOver.UNCERTAIN)
    told = types(derived(facts), derived(facts, DISPATCHED))
    assert told == ["message.submitted", "message.dispatched", "recipient.dispatched"]


def test_conflict_is_told_without_claiming_delivery() -> None:
    facts = one()
    told = types(derived(facts, UNKNOWN), derived(facts, UNKNOWN, DELIVERED))
    assert told == ["message.dispatched", "recipient.conflict"]


def test_a_conflict_after_completion_tells_that_the_message_is_open_again() -> None:
    facts = one()
    told = types(derived(facts, DISPATCHED, UNKNOWN), derived(facts, DISPATCHED, UNKNOWN, DELIVERED))
    assert told == ["recipient.conflict", "message.dispatched"]


def test_failures_waiting_ends_and_lateness_are_told() -> None:
    facts = one()
    assert types(derived(facts, DISPATCHED), derived(facts, DISPATCHED, UNKNOWN)) == [
        "recipient.undeliverable",
        "message.completed",
    ]
    quiet = one(SendOptions())
    assert types(derived(quiet), derived(quiet, now=T0 + timedelta(hours=24))) == [
        "recipient.unconfirmed",
        "message.completed",
    ]
    assert types(derived(facts), derived(facts, now=T0 + timedelta(hours=2))) == ["message.overdue"]
    assert types(derived(facts), derived(facts, fact(Effect.REJECTED, None))) == [
        "recipient.undeliverable",
        "message.rejected",
    ]


def test_a_recipient_that_was_not_known_before_is_told_with_its_state() -> None:
    facts = one()
    old = replace(derived(facts, DISPATCHED), recipients=())
    assert types(old, derived(facts, DISPATCHED)) == ["recipient.dispatched"]


# --- withdrawing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(MessageState))
def test_only_accepted_held_and_queued_can_be_withdrawn(state: MessageState) -> None:
    """SND-40."""
    assert cancellable(state) is (state in {MessageState.ACCEPTED, MessageState.HELD, MessageState.QUEUED})


@pytest.mark.parametrize(
    ("first", "second", "allowed"),
    [
        (HandOver.WAITING, HandOver.WAITING, True),
        (HandOver.WAITING, HandOver.REFUSED, True),
        (HandOver.WAITING, HandOver.TAKEN, False),
        (HandOver.WAITING, HandOver.UNCERTAIN, False),
        (HandOver.REFUSED, HandOver.REFUSED, False),
        (HandOver.CANCELLED, HandOver.CANCELLED, False),
    ],
)
def test_nothing_can_be_withdrawn_once_hand_over_has_begun(first: HandOver, second: HandOver, allowed: bool) -> None:
    assert may_cancel(two(first, second)) is allowed
