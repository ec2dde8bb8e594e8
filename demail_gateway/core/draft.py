"""A draft (Nachrichtenentwurf) and its examination: all broken rules at once, or a plan (TR 01201-3.1 steps 9 to 28).

`examine` makes every check of `sending-and-receiving.md` §3 that needs no directory. Nothing of a draft
is repaired: what is wrong is told with its place, and the client decides.

Decided here, where the texts are silent:

- An address that stands twice among to, cc and bcc is refused (SND-23): merging would change who sees whom, and a
  second copy would be a second legal act.
- A subject must not be blank (table 1 Nr. 8 demands one), and a message needs text, HTML or an attachment.
- An attachment's name is a name: path separators and characters that reverse the reading direction are refused.
  `multipart/*` and `message/*` cannot be base64 encoded (RFC 2046 §5.2) and are refused as types of attachments.
- Options that the matrix of GWT-30 withholds are SND-10 ("this client not allowed to use it"), at the option.
- What is not yet known of an account (no state) is not active (ADR-50). While the sender address is none of the
  client's, its account is not judged: SND-10 says enough.
- A sender address of no account of the tenant leaves level, entitlement, quota and pseudonym unknown, and what is
  unknown refuses nothing. What is a De-Mail address is then told by the domains of all connections of the tenant.
- The limit of recipients per message and of attachments is ours; both are SND-19.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from demail_gateway.core import draft_content, draft_rules
from demail_gateway.core.draft_facts import (
    AttachmentFacts,
    DraftInput,
    FormalService,
    QuotaUse,
    SenderPermission,
    SenderSituation,
)
from demail_gateway.core.errors import RuleViolation, Violation
from demail_gateway.core.plan import Plan, PlannedCopy, PlannedRecipient, make_plan

__all__ = [
    "AttachmentFacts",
    "DraftInput",
    "FormalService",
    "Plan",
    "PlannedCopy",
    "PlannedRecipient",
    "QuotaUse",
    "SenderPermission",
    "SenderSituation",
    "examine",
]


def examine(draft: DraftInput, situation: SenderSituation, scanned: Sequence[Violation] = ()) -> Plan:
    """What will be sent, copy by copy, if the draft breaks no rule.

    `scanned`: what a scanner found wrong with its parts (SND-18, SND-74). Not checked here: certificates for
    encryption, existence of uploads.

    Raises:
        RuleViolation: with every broken rule, in the order SND-23, SND-21, SND-10, SND-11, SND-24, then by number.
    """
    violations = sorted((*_violations(draft, situation), *scanned), key=_order)
    if violations:
        raise RuleViolation(violations)
    return make_plan(draft, draft_rules.requested_options(draft, situation), sign_by_default=situation.sign_by_default)


def _violations(draft: DraftInput, situation: SenderSituation) -> Iterator[Violation]:
    yield from draft_content.content_violations(draft)
    yield from draft_content.size_violations(draft, situation.limits)
    yield from draft_rules.sender_violations(draft, situation)
    yield from draft_rules.recipient_violations(draft, situation)
    yield from draft_rules.option_violations(draft, situation)
    yield from draft_rules.quota_violations(draft, situation)


_FIRST = ("SND-23", "SND-21", "SND-10", "SND-11", "SND-24")


def _order(violation: Violation) -> tuple[int, str, int]:
    family, _, number = violation.rule.rpartition("-")
    if violation.rule in _FIRST:
        return _FIRST.index(violation.rule), "", 0
    return len(_FIRST) + (family != "SND"), family, int(number)
