"""Verdicts: each check has one of three answers, and a check that could not be made never counts as passed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    INDETERMINATE = "indeterminate"
    NOT_APPLICABLE = "not-applicable"
    """Does not count (`contract.md` §5, verify)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One named check with its answer."""

    name: str
    """Stable dotted name, e.g. ``integrity.hash``."""
    outcome: Outcome
    detail: str = ""
    """German sentence or code for the reader; no personal data beyond the message itself."""
    source: str = ""
    """Clause, e.g. ``TR 01201-3.4 §3.1.21``."""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of the whole: failed over indeterminate over passed.

    No checks at all (or only not applicable ones) is indeterminate: no rules is not a pass.
    """
    seen = set(outcomes) - {Outcome.NOT_APPLICABLE}
    for outcome in (Outcome.FAILED, Outcome.INDETERMINATE, Outcome.PASSED):
        if outcome in seen:
            return outcome
    return Outcome.INDETERMINATE
