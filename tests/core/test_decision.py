"""Decisions of a person about a copy: the table, and the laws that keep one De-Mail one (SND-43, SND-52)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.decision import Decision, Undecided, decide
from demail_gateway.core.errors import Conflict
from demail_gateway.core.vocabulary import HandOver

UNSETTLED = Undecided(HandOver.UNCERTAIN, held=False, worker_at_it=False, attempts=1)
HELD = Undecided(HandOver.WAITING, held=True, worker_at_it=False, attempts=3)
QUEUED = replace(HELD, held=False)
COPIES = st.builds(
    Undecided, st.sampled_from(HandOver), held=st.booleans(), worker_at_it=st.booleans(), attempts=st.integers(0, 3)
)


def code(decision: Decision, copy: Undecided, attempts: int | None = None) -> str:
    with pytest.raises(Conflict) as caught:
        decide(decision, copy, attempts)
    return caught.value.reason


@pytest.mark.parametrize(
    ("copy", "decision", "becomes"),
    [
        (UNSETTLED, Decision.TAKEN, HandOver.TAKEN),
        (UNSETTLED, Decision.NOT_TAKEN, HandOver.WAITING),
        (HELD, Decision.RELEASED, HandOver.WAITING),
        (HELD, Decision.GIVEN_UP, HandOver.FAILED),
    ],
)
def test_four_decisions_are_permitted(copy: Undecided, decision: Decision, becomes: HandOver) -> None:
    assert decide(decision, copy, copy.attempts) is becomes
    assert decide(decision, copy) is becomes


@pytest.mark.parametrize(
    ("copy", "decision", "expected"),
    [
        (UNSETTLED, Decision.RELEASED, "decision-not-fitting"),
        (UNSETTLED, Decision.GIVEN_UP, "decision-not-fitting"),
        (HELD, Decision.TAKEN, "decision-not-fitting"),
        (HELD, Decision.NOT_TAKEN, "decision-not-fitting"),
        (QUEUED, Decision.TAKEN, "no-decision-needed"),
        (QUEUED, Decision.GIVEN_UP, "no-decision-needed"),
        (replace(UNSETTLED, hand_over=HandOver.TAKEN), Decision.NOT_TAKEN, "no-decision-needed"),
        (replace(UNSETTLED, hand_over=HandOver.CANCELLED), Decision.RELEASED, "no-decision-needed"),
        (replace(UNSETTLED, worker_at_it=True), Decision.NOT_TAKEN, "hand-over-in-progress"),
        (replace(UNSETTLED, worker_at_it=True), Decision.TAKEN, "hand-over-in-progress"),
    ],
)
def test_everything_else_is_refused_with_its_reason(copy: Undecided, decision: Decision, expected: str) -> None:
    assert code(decision, copy) == expected


@pytest.mark.parametrize(
    ("hand_over", "decision"),
    [
        (HandOver.TAKEN, Decision.TAKEN),
        (HandOver.WAITING, Decision.NOT_TAKEN),
        (HandOver.WAITING, Decision.RELEASED),
        (HandOver.FAILED, Decision.GIVEN_UP),
    ],
)
def test_what_is_so_already_is_nothing_to_do(hand_over: HandOver, decision: Decision) -> None:
    assert decide(decision, Undecided(hand_over, held=False, worker_at_it=True, attempts=1), 1) is None


@pytest.mark.clause("SND-43")
@given(COPIES, st.sampled_from(Decision), st.integers(0, 3))
def test_a_decision_about_other_hand_overs_changes_nothing(copy: Undecided, decision: Decision, attempts: int) -> None:
    if attempts != copy.attempts:
        assert code(decision, copy, attempts) == "attempts-differ"


@pytest.mark.clause("SND-43")
@given(COPIES, st.sampled_from(Decision))
def test_a_second_hand_over_needs_an_absence_or_a_hold_and_an_idle_worker(copy: Undecided, decision: Decision) -> None:
    try:
        becomes = decide(decision, copy, copy.attempts)
    except Conflict:
        return
    if becomes is HandOver.WAITING:
        assert not copy.worker_at_it
        assert (decision, copy.hand_over) in (
            (Decision.NOT_TAKEN, HandOver.UNCERTAIN),
            (Decision.RELEASED, HandOver.WAITING),
        )
        assert copy.held or decision is Decision.NOT_TAKEN
