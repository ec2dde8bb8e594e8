"""What the check of a confirmation takes of the sent copy and gives back (`confirmations.md` §8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from demail_gateway.core.address import Address
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.header import Header
from demail_gateway.core.options import SendOptions
from demail_gateway.core.primitives import HashName
from demail_gateway.core.vocabulary import ConfirmationKind


class Verdict(StrEnum):
    """Result of the whole (CO-18)."""

    CONFIRMED = "confirmed"
    CONFIRMED_WITH_REMARKS = "confirmed-with-remarks"
    REJECTED = "rejected"
    UNASSIGNED = "unassigned"
    """Authentic, but of no sent message that can be named: a person assigns it."""
    INDETERMINATE = "indeterminate"
    """Step 1 or 6 could not be decided: nothing moves, and the check is made again later."""

    @property
    def moves(self) -> bool:
        """Whether a confirmation with this verdict changes the state of its message."""
        return self in (Verdict.CONFIRMED, Verdict.CONFIRMED_WITH_REMARKS)

    @property
    def outcome(self) -> Outcome:
        if self.moves:
            return Outcome.PASSED
        return Outcome.FAILED if self is Verdict.REJECTED else Outcome.INDETERMINATE


class Standing(StrEnum):
    """What a proof was held against; the report says so in its step about correlation."""

    ALONE = "standing-alone"
    """Nothing, as offline: the steps that need the sent message do not count."""
    WITH_SENT = "with-sent-message"
    UNASSIGNED = "no-sent-message"
    """Sent messages were looked through, and none could be named."""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message as handed over, as far as a confirmation is held against it."""

    header: Header
    body_digest: Callable[[HashName], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SentCopy:
    """A copy as it was submitted."""

    sender: Address = field(repr=False)
    served: tuple[Address, ...] = field(repr=False)
    """Recipients of this copy (its RCPT TO)."""
    subject: str = field(repr=False)
    options: SendOptions
    private_id: str
    reply_to: Address | None = field(default=None, repr=False)
    submitted_at: datetime | None = None
    octets: bytes | SentMessage | None = field(default=None, repr=False)
    """As handed over, or what was learnt of a message that is not in memory. None if no longer kept: then
    chosen-recipient and body cannot be compared."""
    provider_domains: frozenset[str] = frozenset()
    """Domains of the system addresses of the provider that took it; empty: not known."""


@dataclass(frozen=True, slots=True)
class ConfirmationReport:
    """Everything that the check found."""

    kind: ConfirmationKind
    standing: Standing
    verdict: Verdict
    outcome: Outcome
    checks: tuple[Check, ...]
    """The fifteen steps, by stable names."""
    findings: tuple[str, ...]
    """Codes, each once, in the order of the steps."""
    issuer: str
    """Sender as read from the header section; empty if unreadable."""
    issued_at: datetime | None
    """`Time`: creation of the confirmation."""
    delivery_time: datetime | None
    """`DeliveryTime`: storing of the original, in an Abholbestätigung."""
    private_id: str | None
    demail_message_id: str | None
    """Of the confirmed message."""
    original_integrity: str | None = field(repr=False)
    """Integrity value of the confirmed message, without white space (IN-27)."""
    recipient: Address | None = field(repr=False)
    """The recipient that it names (CO-15); None: all of the copy (dispatch), or not told."""
    concerns: Address | None = field(repr=False)
    """The recipient of the sent copy to whose row it belongs; differs from `recipient` after a Nachsendung."""
    validation: Mapping[str, tuple[bytes, ...]] = field(repr=False)
    """``certificates`` and ``status_answers`` (DER) that the verdict rests on (GWT-90, LAW-62)."""
