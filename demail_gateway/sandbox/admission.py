"""Whether the provider takes a draft (Nachrichtenentwurf): TR 01201-3.1 steps 10 to 28, in their order.

Pure: what the provider knows of client, account and quota comes in as `Situation`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from demail_gateway.core.address import Address, TrustedDomains, is_system_local_part, parse_address
from demail_gateway.core.checker import Severity, check_submission
from demail_gateway.core.eicar import Search, search_message
from demail_gateway.core.errors import AddressInvalid, MalformedMessage
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.metadata import Metadata, read_metadata
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.sandbox.configuration import DEMAIL_DOMAIN, DOMAIN
from demail_gateway.sandbox.effects import Account

TRUSTED = TrustedDomains(frozenset({DEMAIL_DOMAIN}))

MESSAGES_PER_DAY = 100
RECIPIENTS_PER_DAY = 300
"""At level *normal* (TR 01201-3.1 §3.1.1.1)."""


class DraftRefused(Exception):
    """The provider does not take the draft; `reply` is its SMTP answer."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Draft:
    octets: Octets
    metadata: Metadata
    envelope_sender: Address
    envelope_recipients: tuple[Address, ...]

    @property
    def sender(self) -> Address:
        return self.envelope_sender


@dataclass(frozen=True, slots=True)
class Situation:
    fingerprint: str
    """Of the client's certificate."""
    auth_level: AuthLevel
    account: Account | None
    """None: the address is not registered; every client that the authority certified may use it."""
    sent: tuple[int, int] = (0, 0)
    """Messages and recipients of the past 24 h at level *normal*."""


def address_of(text: str, step: str) -> Address:
    """A De-Mail address of the envelope. Raises DraftRefused."""
    try:
        address = parse_address(text)
    except AddressInvalid as error:
        raise DraftRefused(f"553 5.1.3 {step}: keine gueltige De-Mail-Adresse ({error.reason})") from error
    if not TRUSTED.is_demail(address):
        raise DraftRefused(f"550 5.1.2 {step}: keine De-Mail-Adresse")
    return address


def check_sender_address(text: str) -> Address:
    """Step 12 as far as MAIL FROM shows it. Raises DraftRefused."""
    address = address_of(text, "Schritt 12")
    if is_system_local_part(address.local):
        raise DraftRefused("550 5.1.0 Schritt 12: Systemadressen senden nicht")
    return address


def check_recipient_address(text: str) -> Address:
    """Steps 15 to 17 for one RCPT TO. Raises DraftRefused."""
    address = address_of(text, "Schritt 17")
    if is_system_local_part(address.local):
        raise DraftRefused("550 5.1.1 Schritt 17: Systemadressen empfangen nicht")
    return address


def read_draft(octets: bytes, sender: str, recipients: Sequence[str]) -> Draft:
    """Step 10: the draft as far as it can be read. Raises DraftRefused."""
    try:
        message = read_message(octets)
    except MalformedMessage as error:
        raise DraftRefused(f"554 5.6.0 Schritt 10: Entwurf nicht lesbar ({error.reason})") from error
    return Draft(
        message,
        read_metadata(message.header),
        check_sender_address(sender),
        tuple(dict.fromkeys(check_recipient_address(text) for text in recipients)),
    )


def examine(draft: Draft, situation: Situation) -> None:
    """All checks that need the whole draft; the first that fails is the answer. Raises DraftRefused."""
    for check in _CHECKS:
        if check.fails(draft, situation):
            raise DraftRefused(check.reply)


def submission_faults(draft: Draft) -> list[str]:
    """Codes of `message-format.md` §13 that make the draft unusable: a field missing, forbidden or malformed."""
    errors = (f for f in check_submission(draft.octets.header) if f.severity is Severity.ERROR)
    return sorted({f"{f.code} {f.header}".strip() for f in errors if f.code not in _LATER_STEPS})


_LATER_STEPS = frozenset(
    {"from-sender-mismatch", "retrieve-requires-private", "pseudonym-authoritative", "auth-level-insufficient"}
)
"""Rules between fields: steps 14, 20, 22 and 25 answer for them, with what the provider knows of the account."""


class _Check(NamedTuple):
    reply: str
    fails: Callable[[Draft, Situation], bool]


def _sender_differs(draft: Draft, _: Situation) -> bool:
    shown = draft.metadata.from_mailbox
    return draft.metadata.sender != draft.sender or shown is None or shown.address != draft.sender


def _is_not_their_account(draft: Draft, situation: Situation) -> bool:
    account = situation.account
    if account is None:
        # Citizens have their own way in (`POST /mail`); a gateway does not speak for them.
        return draft.sender.domain == DOMAIN
    return account.fingerprint is not None and account.fingerprint != situation.fingerprint


def _reply_to_is_no_demail(draft: Draft, _: Situation) -> bool:
    if draft.octets.header.first("reply-to") is None:
        return False
    return draft.metadata.reply_to is None or not TRUSTED.is_demail(draft.metadata.reply_to)


def _recipients_differ(draft: Draft, _: Situation) -> bool:
    chosen = draft.metadata.chosen_recipients.addresses
    return not all(TRUSTED.is_demail(address) for address in chosen) or not set(draft.envelope_recipients) <= set(
        chosen
    )


def _needs_high(draft: Draft, situation: Situation) -> bool:
    m = draft.metadata
    return (m.private or m.authoritative or m.confirmation_of_retrieve) and situation.auth_level is not AuthLevel.HIGH


def _is_pseudonym(draft: Draft, situation: Situation) -> bool:
    is_person = situation.account is not None and situation.account.natural_person
    return draft.metadata.authoritative and is_person and draft.sender.is_pseudonym_form


def _is_not_entitled(draft: Draft, situation: Situation) -> bool:
    entitled = situation.account is None or situation.account.retrieval_entitlement
    return draft.metadata.confirmation_of_retrieve and not entitled


def _is_not_private(draft: Draft, _: Situation) -> bool:
    return draft.metadata.confirmation_of_retrieve and not draft.metadata.private


def _is_over_quota(draft: Draft, situation: Situation) -> bool:
    messages, recipients = situation.sent
    over = messages >= MESSAGES_PER_DAY or recipients + len(draft.envelope_recipients) > RECIPIENTS_PER_DAY
    return situation.auth_level is AuthLevel.NORMAL and over


_CHECKS: tuple[_Check, ...] = (
    _Check("554 5.6.0 Schritt 10: Entwurf nicht vorschriftsgemaess", lambda d, _: bool(submission_faults(d))),
    _Check("550 5.7.1 Schritt 14: Absenderadresse stimmt nicht ueberein", _sender_differs),
    _Check("550 5.7.1 Schritt 14: Absenderadresse gehoert nicht zu diesem Zugang", _is_not_their_account),
    _Check("550 5.1.7 Schritt 12 FC-01: Antwortadresse ist keine De-Mail-Adresse", _reply_to_is_no_demail),
    _Check("550 5.1.3 Schritt 17: Empfaenger ungueltig oder anders als im Umschlag", _recipients_differ),
    _Check("550 5.7.1 Schritt 20: Authentisierungsniveau hoch erforderlich", _needs_high),
    _Check("550 5.7.1 Schritt 22: Pseudonym-Adresse kann nicht absenderbestaetigt senden", _is_pseudonym),
    _Check("550 5.7.1 Schritt 25: Abholbestaetigung nicht erlaubt", _is_not_entitled),
    _Check("550 5.7.1 Schritt 25: Abholbestaetigung nur mit Option persoenlich", _is_not_private),
    _Check("550 5.7.1 Schritt 28: Tageskontingent erschoepft", _is_over_quota),
    _Check("554 5.7.1 Schritt 28: Schadsoftware gefunden", lambda d, _: search_message(d.octets) is Search.FOUND),
)
