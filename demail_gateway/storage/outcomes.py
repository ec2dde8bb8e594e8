"""What outcomes of hand-overs change: the hand-over, the message derived anew, the next work (SND-43, SND-52)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from demail_gateway.application.ports.dispatches import AttemptEnd, AttemptOutcome
from demail_gateway.application.ports.work import WorkKind
from demail_gateway.core.delivery import Delivery
from demail_gateway.core.vocabulary import HandOver
from demail_gateway.storage.changes import Changes, Entry, Work
from demail_gateway.storage.standing import Standing
from demail_gateway.tenancy.identifiers import Prefix, format_id

_FINAL = {
    AttemptEnd.TAKEN: HandOver.TAKEN,
    AttemptEnd.REFUSED: HandOver.REFUSED,
    AttemptEnd.FAILED: HandOver.FAILED,
}
_OPEN = (HandOver.WAITING, HandOver.UNCERTAIN)


class Attempted(NamedTuple):
    outcome: AttemptOutcome
    message_id: UUID


def apply_outcomes(changes: Changes, standings: Mapping[UUID, Standing], attempted: Sequence[Attempted]) -> None:
    """Note in `changes` all that follows; several copies of one message are derived once, together."""
    by_message: dict[UUID, list[AttemptOutcome]] = {}
    for each in attempted:
        by_message.setdefault(each.message_id, []).append(each.outcome)
    for message_id, outcomes in by_message.items():
        standing = standings[message_id]
        for outcome in outcomes:
            standing = _told(standing, outcome)
        delivery = changes.settle(standing)
        for outcome in outcomes:
            work = _next_work(standing, delivery, outcome)
            changes.plan_copy(outcome.copy_id, work)
            if work is not None and (outcome.unsettled or outcome.next_at is None):
                changes.for_a_person.add(outcome.copy_id)
            changes.journal.append(_entry(message_id, delivery, outcome))


def _told(standing: Standing, outcome: AttemptOutcome) -> Standing:
    """The facts with this outcome; what is settled already stays as it is."""
    copy = standing.copy(outcome.copy_id)
    if outcome.refused_recipients:
        standing = standing.with_refused(outcome.refused_recipients, outcome.at)
    if copy.hand_over not in _OPEN:
        return standing
    if outcome.end in _FINAL:
        return standing.with_copy(copy.id, _FINAL[outcome.end], outcome.at)
    if outcome.end is AttemptEnd.UNKNOWN:
        return standing.with_copy(copy.id, HandOver.UNCERTAIN, copy.at or outcome.at)
    # certainly nothing transferred: back to the queue, or held for a person when the back-off is used up (SND-52)
    standing = standing.with_copy(copy.id, HandOver.WAITING, None)
    return standing if outcome.next_at else standing.with_held()


def _next_work(standing: Standing, delivery: Delivery, outcome: AttemptOutcome) -> Work | None:
    hand_over = next(copy.hand_over for copy in delivery.copies if copy.id == outcome.copy_id)
    if hand_over not in _OPEN or (outcome.next_at is None and hand_over is HandOver.UNCERTAIN):
        return None
    kind = WorkKind.DISPATCH if hand_over is HandOver.WAITING else WorkKind.RECONCILE
    tries = outcome.lease.tries + 1 if kind is outcome.lease.kind else outcome.begun
    size_bytes = standing.size_bytes if kind is WorkKind.DISPATCH else 0
    trace_id = outcome.lease.trace_id or standing.trace_id
    return Work(kind, outcome.copy_id, outcome.next_at or outcome.at, tries, size_bytes, trace_id)


def _entry(message_id: UUID, delivery: Delivery, outcome: AttemptOutcome) -> Entry:
    detail = {"copy": str(outcome.copy_id), "state": str(delivery.state)}
    if outcome.attempt_id is not None:
        detail["attempt"] = str(outcome.attempt_id)
    return Entry(f"hand-over.{outcome.end}", format_id(Prefix.MESSAGE, message_id), detail)
