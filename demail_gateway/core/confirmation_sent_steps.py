"""Steps 10 to 15 of `confirmations.md` §8: a confirmation against the message that was sent, and against the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation_report import SentCopy, SentMessage
from demail_gateway.core.confirmation_situation import NOT_APPLICABLE, UNREADABLE, Result, Situation, passed_or
from demail_gateway.core.confirmation_xml import collapsed
from demail_gateway.core.metadata import OPTION_FIELDS, Metadata, chosen_recipients
from demail_gateway.core.metadata_proof import prove_body
from demail_gateway.core.vocabulary import ConfirmationKind

CLOCK_TOLERANCE = timedelta(minutes=5)
"""Step 14."""


def correlated(s: Situation) -> Result:
    """10: which sent copy, and which of its recipients (CO-15, CO-16)."""
    if s.correlation is None:
        return Result(Outcome.NOT_APPLICABLE, told=s.standing)
    if s.correlation.copy_id is None:
        return Result(Outcome.FAILED, (s.correlation.finding or "correlation-none",), told=s.standing)
    return Result(Outcome.PASSED, tuple(_about_recipient(s)), told=s.standing)


def _about_recipient(s: Situation) -> Iterator[str]:
    if s.confirmation.kind is ConfirmationKind.DISPATCH:
        return
    if s.recipient is None:
        yield "recipient-unknown"
    elif s.sent is not None and s.recipient not in s.sent.served:
        yield "recipient-redirected"


def body_proof(s: Situation) -> Result:
    """11: the original's bh is the hash of the submitted body."""
    if s.sent is None:
        return NOT_APPLICABLE
    if s.confirmation.contents is None:
        return UNREADABLE
    if s.sent_message is None:
        return Result(Outcome.INDETERMINATE, ("body-proof-impossible",))
    proof = prove_body(s.original_integrity, s.sent_message.body_digest)
    return Result(proof.outcome, proof.findings)


def submitted(s: Situation) -> Result:
    """12: the original's metadata are those that were submitted."""
    if s.sent is None:
        return NOT_APPLICABLE
    if s.confirmation.original is None:
        return UNREADABLE
    changed = tuple(
        f"metadata-changed:{name}" for name in _changed_fields(s.confirmation.original, s.sent, s.sent_message)
    )
    return Result(Outcome.FAILED if changed else Outcome.PASSED, changed)


def _changed_fields(original: Metadata, sent: SentCopy, message: SentMessage | None) -> Iterator[str]:
    if original.sender != sent.sender:
        yield "x-de-mail-sender"
    if message is not None and not chosen_recipients(message.header).same_as(original.chosen_recipients):
        yield "x-de-mail-chosen-recipient"
    if collapsed(original.subject or "") != collapsed(sent.subject):
        yield "subject"
    for option, name in OPTION_FIELDS.items():
        if getattr(original, option) is not getattr(sent.options, option):
            yield name
    if collapsed(original.private_id or "") != sent.private_id:
        yield "x-de-mail-private-id"
    if original.reply_to != sent.reply_to:
        yield "reply-to"


def private_id(s: Situation) -> Result:
    """13: the private id of the header section is that of the original (TR 01201-3.4 §3.1.17)."""
    if s.confirmation.original is None:
        return UNREADABLE
    own, original = s.confirmation.metadata.private_id, s.confirmation.original.private_id
    if own is None and original is None:
        return NOT_APPLICABLE
    return passed_or(collapsed(own or "") == collapsed(original or ""), "private-id-mismatch")


def times(s: Situation) -> Result:
    """14: Time and DeliveryTime are plausible (CO-10)."""
    contents = s.confirmation.contents
    if contents is None:
        return UNREADABLE
    is_retrieve = s.confirmation.kind is ConfirmationKind.RETRIEVE
    time, delivered = contents.time, contents.delivery_time
    findings = ["time-without-zone"] if "time-without-zone" in contents.findings else []
    if is_retrieve and delivered is None:
        findings.append("delivery-time-missing")
    if not is_retrieve and delivered is not None:
        findings.append("delivery-time-unexpected")
    if time is None or _is_implausible(time, delivered, s):
        return Result(Outcome.FAILED, (*findings, "time-implausible"))
    return Result(Outcome.FAILED if "delivery-time-missing" in findings else Outcome.PASSED, tuple(findings))


def _is_implausible(time: datetime, delivered: datetime | None, s: Situation) -> bool:
    submitted_at = None if s.sent is None else s.sent.submitted_at
    earliest = delivered or time
    return (
        time > s.at + CLOCK_TOLERANCE
        or earliest > time
        or (submitted_at is not None and earliest < submitted_at - CLOCK_TOLERANCE)
    )


def requested(s: Situation) -> Result:
    """15: this type was requested."""
    if s.sent is None:
        return NOT_APPLICABLE
    options = s.sent.options
    was_requested = {
        ConfirmationKind.DISPATCH: options.confirmation_of_dispatch,
        ConfirmationKind.RECEIPT: options.confirmation_of_receipt,
        ConfirmationKind.RETRIEVE: options.confirmation_of_retrieve,
        ConfirmationKind.MALWARE: options.any_confirmation,
    }[s.confirmation.kind]
    return passed_or(was_requested, "confirmation-unrequested")
