"""What the local part of a recipient of the sandbox makes happen.

A table, so that it can be laid beside the one in `docs/sandbox.md`. The first row whose prefix fits decides, the more
special ones stand first. Addresses outside the sandbox's own domain follow no script: they lie at the gateway.
"""

from __future__ import annotations

from dataclasses import dataclass

from demail_gateway.core.vocabulary import NotificationType

DEFAULT_LOGIN_DELAY_S = 1.0
"""Between delivery and the login at *high* of a recipient who is not told otherwise."""
LARGEST_DELAY_S = 30 * 86_400
"""A larger number behind the ``+`` is read as this one."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One row: everything that is not said is the behaviour of a well-meaning citizen."""

    prefix: str = ""
    undeliverable: NotificationType | None = None
    """Step 45: the notification instead of a delivery."""
    reaches_high: bool = True
    """Can log in at *high* at all (TR 01201-3.1 step 42)."""
    logs_in: bool = True
    malware: bool = False
    """The recipient's side finds malware (step 56)."""
    forges: bool = False
    """Sends one confirmation whose signatures do not hold, then nothing."""
    doubles: bool = False
    """Sends every confirmation twice, out of order."""
    replies: bool = False
    temporary_refusals: int = 0
    """So many 451 per message before it is taken."""
    drops: bool = False
    """Takes the message and cuts the connection before the answer."""
    rejects: bool = False
    """Answers 550 to RCPT."""


BEHAVIOURS: tuple[Behaviour, ...] = (
    Behaviour("never-retrieves", logs_in=False),
    Behaviour("normal-level", reaches_high=False, logs_in=False),
    Behaviour("unknown", undeliverable=NotificationType.UNKNOWN_RECIPIENT),
    Behaviour("closed", undeliverable=NotificationType.CLOSED_ACCOUNT),
    Behaviour("malware", malware=True),
    Behaviour("forged-receipt", forges=True, logs_in=False),
    Behaviour("duplicate-receipt", doubles=True),
    Behaviour("replies", replies=True),
    Behaviour("slow", temporary_refusals=2),
    Behaviour("drops", drops=True),
    Behaviour("rejects", rejects=True),
)
CITIZEN = Behaviour()


@dataclass(frozen=True, slots=True)
class ScriptedRecipient:
    behaviour: Behaviour
    delay_s: float | None
    """The number behind ``+``; None if there is none."""

    def arrival_delay_s(self, *, waits_for_login: bool) -> float:
        """Seconds from dispatch to the recipient's side.

        The number behind ``+`` delays the last event of the row: the login where one is waited for (an
        Abholbestätigung is asked for and the recipient logs in), else the arrival with all that follows from it.
        """
        return 0.0 if self.delay_s is None or waits_for_login else self.delay_s

    @property
    def login_delay_s(self) -> float:
        """Seconds from delivery to the login at *high*."""
        return DEFAULT_LOGIN_DELAY_S if self.delay_s is None else self.delay_s


def scripted(local_part: str) -> ScriptedRecipient:
    """The script of a local part; compared without case, never an error."""
    name, _, number = local_part.lower().partition("+")
    behaviour = next((row for row in BEHAVIOURS if name.startswith(row.prefix)), CITIZEN)
    return ScriptedRecipient(behaviour, _delay(number))


def _delay(number: str) -> float | None:
    if not (number.isascii() and number.isdigit()):
        return None
    # The length is looked at first: int() of a long run of digits is refused by Python with an error.
    return float(LARGEST_DELAY_S if len(number) > 7 else min(int(number), LARGEST_DELAY_S))
