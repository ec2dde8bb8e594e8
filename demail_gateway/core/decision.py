"""What a person may decide about a copy that the gateway cannot bring further by itself (SND-43, SND-52).

| The copy | Decision | It becomes |
|---|---|---|
| handed over, nobody can say how that ended (`submitting`) | the provider has taken it | taken |
| | the provider has certainly not taken it | waiting: handed over again |
| certainly not transferred, back-off used up (`held`) | released | waiting: handed over again, with a fresh back-off |
| | given up | failed |

Everything else is refused. A decision names how many hand-overs it knows of: what somebody has found out about the
first must not be said of a second that was begun meanwhile, since a wrong "not taken" would make a double (SND-43).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from demail_gateway.core.errors import Conflict
from demail_gateway.core.vocabulary import HandOver


class Decision(StrEnum):
    TAKEN = "taken"
    """The provider has taken it: its own list of sent items shows it, or it says so."""
    NOT_TAKEN = "not-taken"
    """The provider certainly has not taken it; a second hand-over is permitted (SND-43)."""
    GIVEN_UP = "given-up"
    """Nothing was sent, and nothing will be."""
    RELEASED = "released"
    """It may be handed over again."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """Where a copy stands when somebody decides about it."""

    hand_over: HandOver
    """With the evidence taken into account (`delivery.CopyDelivery`)."""
    held: bool
    """Its back-off is used up: nothing happens by itself any more (SND-52)."""
    worker_at_it: bool
    """A hand-over or a look-up is going on; its end counts before what anybody says."""
    attempts: int
    """Hand-overs begun so far."""


def decide(decision: Decision, copy: Undecided, attempts: int | None = None) -> HandOver | None:
    """The hand-over that `decision` makes of the copy; None: it is so already, and nothing is to be done.

    `attempts`: how many hand-overs the decision is about; None: all that there are.

    Raises:
        Conflict: ``attempts-differ``, another hand-over was begun since; ``hand-over-in-progress``, a worker is at it;
            ``decision-not-fitting``, another decision is asked for; ``no-decision-needed``, none is.
    """
    if attempts is not None and attempts != copy.attempts:
        raise Conflict("attempts-differ")
    outcome = _OUTCOMES[decision]
    if copy.hand_over is outcome and not copy.held:
        return None
    if copy.worker_at_it:
        raise Conflict("hand-over-in-progress")
    if copy.hand_over is HandOver.UNCERTAIN:
        fitting = decision in (Decision.TAKEN, Decision.NOT_TAKEN)
    elif copy.hand_over is HandOver.WAITING and copy.held:
        fitting = decision in (Decision.RELEASED, Decision.GIVEN_UP)
    else:
        raise Conflict("no-decision-needed")
    if not fitting:
        raise Conflict("decision-not-fitting")
    return outcome


_OUTCOMES = {
    Decision.TAKEN: HandOver.TAKEN,
    Decision.NOT_TAKEN: HandOver.WAITING,
    Decision.GIVEN_UP: HandOver.FAILED,
    Decision.RELEASED: HandOver.WAITING,
}
