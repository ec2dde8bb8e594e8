"""Where a message and each of its recipients stand, derived from what is proven (`sending-and-receiving.md` §5).

Nothing is stored as "the state" that could not be derived again: `derive` sees the hand-over of each copy and the
evidence that was verified (SND-42) and answers the same whatever the order or repetition of that evidence (SND-44,
SND-45). What the texts leave open is decided here:

- Evidence for a copy settles a hand-over of unknown outcome (SND-43): whatever is confirmed was taken.
- Evidence of success after a refusal, a failure or a cancellation is a contradiction: `conflict`.
- Times are those of the proof that reached the gateway first; a repetition with another time moves none of them.
- Of several failures without proof of delivery, the gravest stands: malware, integrity, undeliverable; among reasons
  the specific one before `other`. They agree that nothing was delivered, so they are no contradiction.
- A failure that names no recipient of several puts those without proof of delivery and without a failure of their own
  into `conflict`: any of them may be meant. If there is none, it contradicts what is proven of all.
- A copy that could not be composed or signed leaves its recipients `undeliverable` / `other`, as a refused one does.
- While some copies are taken and others wait, the message is `submitting`: it can no longer be withdrawn as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from demail_gateway.core.delivery_copy import FINAL_FAILURES, STATE_AT, CopyView, latest
from demail_gateway.core.delivery_facts import (
    Clocks,
    CopyDelivery,
    CopyFacts,
    Delivery,
    Effect,
    EventFact,
    EvidenceFact,
    MessageFacts,
    RecipientDelivery,
    RecipientFacts,
)
from demail_gateway.core.vocabulary import HandOver, MessageState, Milestone, RecipientState

__all__ = [
    "CLOCKS",
    "Clocks",
    "CopyDelivery",
    "CopyFacts",
    "Delivery",
    "Effect",
    "EventFact",
    "EvidenceFact",
    "MessageFacts",
    "RecipientDelivery",
    "RecipientFacts",
    "cancellable",
    "derive",
    "may_cancel",
    "transitions",
]

CLOCKS = Clocks()
"""The defaults of SND-51 and §5.2."""


def derive(facts: MessageFacts, evidence: Sequence[EvidenceFact], now: datetime, clocks: Clocks = CLOCKS) -> Delivery:
    """The state of a message and of all its recipients at `now`, from its facts and all its verified evidence.

    Evidence that names a copy or recipient not of this message is left aside. All times aware.
    """
    views = [CopyView(copy, facts, evidence, now, clocks) for copy in facts.copies]
    by_copy = {view.copy.id: view for view in views}
    recipients = tuple(by_copy[r.copy_id].recipient(r) for r in facts.recipients)
    waits = [wait for view in views for wait in view.waits()]
    dispatched = _dispatched(views)
    state = _message_state(facts, views, dispatched)
    return Delivery(
        state=state,
        dispatched=dispatched,
        submitted_at=_submitted_at(views),
        completed_at=latest(view.settled_at() for view in views) if state is MessageState.COMPLETED else None,
        overdue_since=min((w.until for w in waits if w.overdue and w.until <= now), default=None),
        next_review_at=min((w.until for w in waits if w.until > now), default=None),
        recipients=recipients,
        copies=tuple(CopyDelivery(view.copy.id, view.hand_over) for view in views),
    )


def cancellable(state: MessageState) -> bool:
    """Whether a message in this state may still be withdrawn (SND-40). See also `may_cancel`."""
    return state in (MessageState.ACCEPTED, MessageState.HELD, MessageState.QUEUED)


def may_cancel(facts: MessageFacts) -> bool:
    """Whether nothing has been handed over, or begun to be, and something still waits (SND-40)."""
    states = {copy.hand_over for copy in facts.copies}
    return HandOver.WAITING in states and not states & {HandOver.TAKEN, HandOver.UNCERTAIN}


def transitions(old: Delivery | None, new: Delivery) -> tuple[EventFact, ...]:
    """What happened between two derivations, in the order in which it happened in the world.

    Stages passed together are told one by one: `delivered` and `retrieved` are separate events also when one
    Abholbestätigung proves both. `old` None: the message is new, and only its own state is told.
    """
    if old is None:
        return (_message_event(new.state),)
    before = {recipient.id: recipient for recipient in old.recipients}
    passed = tuple(_stages_passed(old, new))
    steps = [_message_event(state) for state in passed]
    for recipient in new.recipients:
        steps += _recipient_events(before.get(recipient.id), recipient)
    if new.state is not old.state and new.state not in passed:
        steps.append(_message_event(new.state))
    if new.overdue_since is not None and old.overdue_since is None:
        steps.append(EventFact("message.overdue", None, new.state))
    return tuple(steps)


def _submitted_at(views: list[CopyView]) -> datetime | None:
    """When the last copy was taken; None while the outcome of one is open."""
    if any(view.hand_over in (HandOver.WAITING, HandOver.UNCERTAIN) for view in views):
        return None
    return latest(view.submitted_at() for view in views)


def _dispatched(views: list[CopyView]) -> bool:
    taken = [each for view in views if view.hand_over is HandOver.TAKEN for each in view.all]
    proven = [each.milestone >= Milestone.DISPATCHED for each in taken]
    return any(proven) and all(
        passed or each.state in FINAL_FAILURES for passed, each in zip(proven, taken, strict=True)
    )


def _message_state(facts: MessageFacts, views: list[CopyView], dispatched: bool) -> MessageState:
    states = {view.hand_over for view in views}
    if HandOver.UNCERTAIN in states:
        return MessageState.SUBMITTING
    if HandOver.WAITING in states:
        return _waiting_state(facts, states)
    if HandOver.TAKEN not in states:
        return _unsent_state(states)
    if all(view.final(each.state) for view in views for each in view.all if view.hand_over is not HandOver.CANCELLED):
        return MessageState.COMPLETED
    return MessageState.DISPATCHED if dispatched else MessageState.SUBMITTED


def _waiting_state(facts: MessageFacts, states: set[HandOver]) -> MessageState:
    if facts.held:
        return MessageState.HELD
    if HandOver.TAKEN in states:
        return MessageState.SUBMITTING
    return MessageState.QUEUED if facts.queued else MessageState.ACCEPTED


def _unsent_state(states: set[HandOver]) -> MessageState:
    if HandOver.CANCELLED in states:
        return MessageState.CANCELLED
    return MessageState.REJECTED if states == {HandOver.REFUSED} else MessageState.FAILED


def _message_event(state: MessageState) -> EventFact:
    return EventFact(f"message.{state}", None, state)


def _stages_passed(old: Delivery, new: Delivery) -> Iterable[MessageState]:
    if new.submitted_at is not None and old.submitted_at is None:
        yield MessageState.SUBMITTED
    if new.dispatched and not old.dispatched:
        yield MessageState.DISPATCHED


def _recipient_events(old: RecipientDelivery | None, new: RecipientDelivery) -> list[EventFact]:
    reached = Milestone.NOTHING if old is None else old.milestone
    told: list[RecipientState] = []
    if new.state in STATE_AT.values():
        told = [STATE_AT[stage] for stage in Milestone if reached < stage <= new.milestone]
    changed = old is None or old.state is not new.state
    if changed and new.state is not RecipientState.PENDING and new.state not in told:
        told.append(new.state)
    return [EventFact(f"recipient.{state}", new.id, state) for state in told]
