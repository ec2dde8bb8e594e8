"""What the free text of a notification means, as data (`sending-and-receiving.md` §5.3, CO-20, SND-48).

A notification's XML has no structured field for the reason or the failed recipient; for the type `other` the text is
all there is. Patterns of a provider come before the general ones. Expressions have only bounded repetitions, so that a
hostile text costs linear time; no pattern that fits means that nothing is concluded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from demail_gateway.core.address import Address
from demail_gateway.core.delivery_facts import Effect
from demail_gateway.core.vocabulary import UndeliverableReason

MAX_TEXT_CHARS = 20_000
"""What lies behind is not looked at: a notice says its reason in the first lines."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row: when this occurs in the text, it means that."""

    expression: re.Pattern[str]
    effect: Effect
    reason: UndeliverableReason | None = None


def pattern(expression: str, effect: Effect, reason: UndeliverableReason | None = None) -> Pattern:
    """A row from text, as it stands in a provider's profile. Raises re.error."""
    return Pattern(re.compile(expression, re.IGNORECASE), effect, reason)


PATTERNS: tuple[Pattern, ...] = (
    # step 69: the recomputed hash differs
    pattern(
        r"\b(?:hash\w{0,20}|prüfsumme\w{0,20}|integrität\w{0,20})\b[^.]{0,120}?"
        r"\b(?:stimm\w{1,4} nicht|nicht überein|abweich\w{0,6}|verletzt|does not match|mismatch)",
        Effect.INTEGRITY_FAILED,
    ),
    # steps 54 to 57, told as an ordinary notification
    pattern(r"\b(?:schadsoftware|schadcode|malware|computervirus)\b", Effect.INFECTED),
    # step 42: the recipient cannot log in at level high
    pattern(
        r"\b(?:nicht|kein\w{0,2})\b[^.]{0,100}?\b\w{0,20}niveaus?\b[^.]{0,20}?\bhoch\b",
        Effect.UNDELIVERABLE,
        UndeliverableReason.NEEDS_HIGH_LOGIN,
    ),
    pattern(
        r"\b\w{0,20}niveaus?\b[^.]{0,20}?\bhoch\b[^.]{0,60}?\b(?:nicht|kein\w{0,2})\b",
        Effect.UNDELIVERABLE,
        UndeliverableReason.NEEDS_HIGH_LOGIN,
    ),
    pattern(
        r"\b(?:nicht|keine?) sicher\w{0,2} an(?:zu)?meld\w{0,4}\b",
        Effect.UNDELIVERABLE,
        UndeliverableReason.NEEDS_HIGH_LOGIN,
    ),
    pattern(
        r"\b(?:cannot|can not|unable to) log ?in\b[^.]{0,60}?\bhigh\b",
        Effect.UNDELIVERABLE,
        UndeliverableReason.NEEDS_HIGH_LOGIN,
    ),
)
"""General rows, tried in this order."""

DRAFT = re.compile(r"\b(?:nachrichten)?entwurf\w{0,3}\b", re.IGNORECASE)
"""An `invalid-format` that speaks of the draft concerns the message as a whole: the provider refused it (CO-20)."""


def meaning(text: str, patterns: Sequence[Pattern] = PATTERNS) -> Pattern | None:
    """The first row that fits, or None."""
    shown = text[:MAX_TEXT_CHARS]
    return next((row for row in patterns if row.expression.search(shown)), None)


def only_named(text: str, recipients: Iterable[Address]) -> Address | None:
    """The recipient whose address occurs in the text, if it is exactly one (CO-20)."""
    shown = text[:MAX_TEXT_CHARS].lower()
    named = [address for address in dict.fromkeys(recipients) if _occurs(str(address), shown)]
    return named[0] if len(named) == 1 else None


def _occurs(address: str, text: str) -> bool:
    """As a whole, not as the end or beginning of a longer address; a full stop may follow."""
    return re.search(rf"(?<![\w.+@-]){re.escape(address)}(?![\w@-]|\.\w)", text, re.ASCII) is not None
