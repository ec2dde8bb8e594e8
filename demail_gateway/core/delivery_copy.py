"""One copy of a message with the evidence that concerns it: the inner half of `delivery.derive`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from demail_gateway.core.delivery_facts import (
    Clocks,
    CopyFacts,
    Effect,
    EvidenceFact,
    MessageFacts,
    RecipientDelivery,
    RecipientFacts,
)
from demail_gateway.core.vocabulary import HandOver, Milestone, RecipientState, UndeliverableReason

_NEGATIVE = (Effect.INFECTED, Effect.INTEGRITY_FAILED, Effect.UNDELIVERABLE)
"""Gravest first."""
_UNASSIGNABLE = frozenset({*_NEGATIVE, Effect.UNCLEAR})
_MILESTONE_OF = {
    Effect.DISPATCHED: Milestone.DISPATCHED,
    Effect.DELIVERED: Milestone.DELIVERED,
    Effect.RETRIEVED: Milestone.RETRIEVED,
}
STATE_AT = {
    Milestone.NOTHING: RecipientState.PENDING,
    Milestone.DISPATCHED: RecipientState.DISPATCHED,
    Milestone.DELIVERED: RecipientState.DELIVERED,
    Milestone.RETRIEVED: RecipientState.RETRIEVED,
}
_STATE_OF = {
    Effect.INFECTED: RecipientState.INFECTED,
    Effect.INTEGRITY_FAILED: RecipientState.INTEGRITY_FAILED,
    Effect.UNDELIVERABLE: RecipientState.UNDELIVERABLE,
}
_NOT_SENT = frozenset({HandOver.REFUSED, HandOver.FAILED, HandOver.CANCELLED})
FINAL_FAILURES = frozenset(_STATE_OF.values())


@dataclass(frozen=True, slots=True)
class Wait:
    until: datetime
    overdue: bool
    """True: something is missing from then on; False: waiting simply ends."""


class CopyView:
    """One copy with the evidence that concerns it."""

    def __init__(
        self, copy: CopyFacts, facts: MessageFacts, evidence: Sequence[EvidenceFact], now: datetime, clocks: Clocks
    ) -> None:
        self.copy = copy
        self._options = facts.options
        self._now = now
        self._clocks = clocks
        self._recipients = tuple(r for r in facts.recipients if r.copy_id == copy.id)
        known = {None, *(r.id for r in self._recipients)}
        self._facts = frozenset(e for e in evidence if e.copy_id == copy.id and e.recipient_id in known)
        self.hand_over = self._hand_over()
        self._not_sent = copy.hand_over in _NOT_SENT or self._has(Effect.REJECTED)
        self._states: dict[UUID, RecipientDelivery] = {r.id: self._own(r) for r in self._recipients}
        self._spread_unassigned()

    def recipient(self, recipient: RecipientFacts) -> RecipientDelivery:
        return self._states[recipient.id]

    @property
    def all(self) -> tuple[RecipientDelivery, ...]:
        return tuple(self._states.values())

    def final(self, state: RecipientState) -> bool:
        if state is RecipientState.DELIVERED:
            return not self._options.confirmation_of_retrieve
        return state in FINAL_FAILURES | {RecipientState.RETRIEVED, RecipientState.UNCONFIRMED}

    def submitted_at(self) -> datetime | None:
        if self.hand_over is not HandOver.TAKEN:
            return None
        return self.copy.at or min((e.received_at for e in self._facts), default=None)

    def settled_at(self) -> datetime | None:
        """When the gateway learnt the last thing about this copy's recipients."""
        return latest(self._settled_at(r) for r in self._recipients)

    def waits(self) -> Iterable[Wait]:
        """Moments at which a recipient's state or the message's `overdue_since` changes by itself."""
        start = self.submitted_at()
        if start is None:
            return
        for each in self._states.values():
            if self.final(each.state) or each.state is RecipientState.CONFLICT:
                continue
            yield from self._waits_of(each, start)

    def _waits_of(self, each: RecipientDelivery, start: datetime) -> Iterable[Wait]:
        sent = each.dispatched_at or start
        if self._options.confirmation_of_dispatch and each.milestone < Milestone.DISPATCHED:
            yield Wait(start + self._clocks.dispatch_proof_within, overdue=True)
        if self._options.confirmation_of_receipt and each.milestone < Milestone.DELIVERED:
            yield Wait(sent + self._clocks.receipt_proof_within, overdue=True)
        if self._ends_unconfirmed(each.milestone):
            yield Wait(sent + self._clocks.unconfirmed_after, overdue=False)

    def _ends_unconfirmed(self, milestone: Milestone) -> bool:
        """Whether nothing further is awaited: no later proof requested, and dispatch proven if it was requested."""
        options = self._options
        if options.confirmation_of_receipt or options.confirmation_of_retrieve or milestone > Milestone.DISPATCHED:
            return False
        return milestone is Milestone.DISPATCHED or not options.confirmation_of_dispatch

    def _has(self, effect: Effect) -> bool:
        return any(e.effect is effect for e in self._facts)

    def _hand_over(self) -> HandOver:
        if any(e.effect in _MILESTONE_OF for e in self._facts):
            return HandOver.TAKEN
        if self.copy.hand_over in _NOT_SENT:
            return self.copy.hand_over
        if self._has(Effect.REJECTED):
            return HandOver.REFUSED
        return HandOver.TAKEN if self._facts else self.copy.hand_over

    def _of(self, recipient: RecipientFacts) -> list[EvidenceFact]:
        """Evidence on this recipient: its own, what names the only recipient by its copy, and dispatch of the copy.

        A receipt that names nobody of several proves that the copy was taken, and nothing about anybody.
        """
        alone = len(self._recipients) == 1
        return [
            e
            for e in self._facts
            if e.recipient_id == recipient.id or (e.recipient_id is None and (alone or e.effect is Effect.DISPATCHED))
        ]

    def _own(self, recipient: RecipientFacts) -> RecipientDelivery:
        evidence = self._of(recipient)
        milestone = max((_MILESTONE_OF[e.effect] for e in evidence if e.effect in _MILESTONE_OF), default=Milestone(0))
        dispatched_at = _proven_at(evidence, Effect.DISPATCHED)
        state, reason = self._judge(recipient, evidence, milestone)
        if state in (RecipientState.PENDING, RecipientState.DISPATCHED):
            state = self._after_waiting(state, milestone, dispatched_at)
        return RecipientDelivery(
            id=recipient.id,
            state=state,
            reason=reason,
            milestone=milestone,
            dispatched_at=dispatched_at,
            delivered_at=_proven_at(evidence, Effect.DELIVERED) or _delivered_by_retrieval(evidence),
            retrieved_at=_proven_at(evidence, Effect.RETRIEVED),
        )

    def _judge(
        self, recipient: RecipientFacts, evidence: list[EvidenceFact], milestone: Milestone
    ) -> tuple[RecipientState, UndeliverableReason | None]:
        effects = {e.effect for e in evidence}
        refused = recipient.refused_at is not None or self._not_sent
        failed = effects & set(_NEGATIVE)
        contradiction = (failed and milestone >= Milestone.DELIVERED) or (refused and milestone > Milestone.NOTHING)
        if contradiction or Effect.UNCLEAR in effects:
            return RecipientState.CONFLICT, None
        if failed:
            return _failure(evidence)
        if refused and self.copy.hand_over is not HandOver.CANCELLED:
            return RecipientState.UNDELIVERABLE, UndeliverableReason.OTHER
        return STATE_AT[milestone], None

    def _after_waiting(
        self, state: RecipientState, milestone: Milestone, dispatched_at: datetime | None
    ) -> RecipientState:
        start = dispatched_at or self.submitted_at()
        if start is None or not self._ends_unconfirmed(milestone):
            return state
        return RecipientState.UNCONFIRMED if self._now >= start + self._clocks.unconfirmed_after else state

    def _spread_unassigned(self) -> None:
        """A failure that names nobody of several puts those whom it may concern into `conflict`."""
        if len(self._recipients) == 1 or not any(
            e.recipient_id is None and e.effect in _UNASSIGNABLE for e in self._facts
        ):
            return
        doubtful = [
            each
            for each in self._states.values()
            if each.milestone < Milestone.DELIVERED and each.state not in FINAL_FAILURES
        ]
        for each in doubtful or list(self._states.values()):
            self._states[each.id] = replace(each, state=RecipientState.CONFLICT, reason=None)

    def _settled_at(self, recipient: RecipientFacts) -> datetime | None:
        """When the gateway learnt what made this recipient's state final."""
        derived = self._states[recipient.id]
        if derived.state is RecipientState.UNCONFIRMED:
            start = derived.dispatched_at or self.submitted_at()
            return None if start is None else start + self._clocks.unconfirmed_after
        learnt = [e.received_at for e in self._of(recipient) if _proves(e, derived.state)]
        return min(learnt, default=recipient.refused_at or self.copy.at)


def _failure(evidence: list[EvidenceFact]) -> tuple[RecipientState, UndeliverableReason | None]:
    gravest = next(effect for effect in _NEGATIVE if any(e.effect is effect for e in evidence))
    if gravest is not Effect.UNDELIVERABLE:
        return _STATE_OF[gravest], None
    reasons = {e.reason or UndeliverableReason.OTHER for e in evidence if e.effect is gravest}
    return _STATE_OF[gravest], next(reason for reason in UndeliverableReason if reason in reasons)


def _proves(fact: EvidenceFact, state: RecipientState) -> bool:
    if state is RecipientState.DELIVERED:
        return fact.effect is Effect.DELIVERED
    if state is RecipientState.UNDELIVERABLE and fact.effect is Effect.REJECTED:
        return True
    return fact.effect.value == state.value


def _proven_at(evidence: list[EvidenceFact], effect: Effect) -> datetime | None:
    """By the proof that came first: a repeated one with another time moves nothing (SND-45), whatever is read first."""
    first = min(((e.received_at, e.at) for e in evidence if e.effect is effect), default=None)
    return None if first is None else first[1]


def _delivered_by_retrieval(evidence: list[EvidenceFact]) -> datetime | None:
    found = ((e.received_at, e.delivered_at) for e in evidence if e.effect is Effect.RETRIEVED and e.delivered_at)
    first = min(found, default=None)
    return None if first is None else first[1]


def latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)
