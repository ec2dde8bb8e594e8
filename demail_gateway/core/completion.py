"""From the draft to the message, as the sender's provider does it: BCC split, metadata, Date (TR 01201-3.1 step 29).

Octets of the draft stay. Every copy has its own message id and is sealed by itself afterwards (steps 30 and 31).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from demail_gateway.core.address import Address, is_domain
from demail_gateway.core.dates import format_date
from demail_gateway.core.encoded_words import encode_words
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.header import HeaderField, Octets, fold
from demail_gateway.core.matrix import KNOWN_VERSIONS, LATEST
from demail_gateway.core.recipients import RecipientLists, format_recipients
from demail_gateway.core.vocabulary import AuthLevel, MessageType


@dataclass(frozen=True, slots=True)
class Copy:
    """One message of a draft: what it says of its recipients, and whom it goes to (MF-19, MF-20)."""

    chosen: RecipientLists
    envelope: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What only the provider knows (Nr. 11 to 16, 22 and 23 of TR 01201-3.4 table 1)."""

    auth_level: AuthLevel
    auth_mechanism: str
    account_holder: str
    originator_provider: str
    at: datetime
    version: str = LATEST


def copies_of(chosen: RecipientLists, envelope: Iterable[Address]) -> tuple[Copy, ...]:
    """One copy for to and cc, one for each bcc recipient (TR 01201-3.4 §3.1.8, TR 01201-3.1 step 29).

    Recipients that the envelope leaves out get nothing: a gateway that splits itself names them in another copy.
    """
    wanted = dict.fromkeys(envelope)
    visible = {mailbox.address for mailbox in (*chosen.to, *chosen.cc)}
    copies = [Copy(replace(chosen, bcc=()), tuple(a for a in wanted if a in visible))]
    copies += [
        Copy(replace(chosen, bcc=(mailbox,)), (mailbox.address,))
        for mailbox in chosen.bcc
        if mailbox.address in wanted and mailbox.address not in visible
    ]
    return tuple(copy for copy in copies if copy.envelope)


def complete(draft: Octets, chosen: RecipientLists, facts: ProviderFacts, demail_message_id: str) -> bytes:
    """The message with all metadata, not yet sealed. What the draft itself says is not examined (`check_submission`).

    Raises:
        ComposeFailed: no recipient, an empty fact, or one that no header line can carry.
    """
    if not all((facts.auth_mechanism.strip(), facts.account_holder.strip(), demail_message_id.strip())):
        raise ComposeFailed("metadata without a value")
    if not is_domain(facts.originator_provider) or facts.version not in KNOWN_VERSIONS:
        raise ComposeFailed("no host name or version")
    try:
        return _completed(draft, format_recipients(chosen), facts, demail_message_id)
    except ValueError as error:
        raise ComposeFailed(str(error)) from error


def _completed(draft: Octets, lists: str, facts: ProviderFacts, demail_message_id: str) -> bytes:
    kept = b"".join(_kept(draft.header.fields, lists, facts.at))
    added = (
        ("x-de-mail-actual-recipient", lists),
        ("x-de-mail-auth-mechanism", encode_words(facts.auth_mechanism)),
        ("x-de-mail-auth-level", facts.auth_level.value),
        ("x-de-mail-originator-provider", facts.originator_provider),
        ("x-de-mail-message-type", MessageType.NORMAL.value),
        ("x-de-mail-version", facts.version),
        ("x-de-mail-message-id", demail_message_id),
        ("x-de-mail-account-holder", encode_words(facts.account_holder)),
    )
    metadata = b"".join(fold(name, value) for name, value in added)
    return b"".join((kept, metadata, b"\r\n", draft.body))


def _kept(fields: Iterable[HeaderField], chosen: str, at: datetime) -> Iterable[bytes]:
    """The draft's own fields; of Date and the chosen recipients the first place is used, with the provider's value.

    The list of recipients stays as written where it says the same (MF-13); a Bcc field never leaves (MF-19).
    """
    replaced = {"date": format_date(at), "x-de-mail-chosen-recipient": chosen}
    done: set[str] = set()
    for item in fields:
        if item.lower == "bcc" or item.lower in done:
            continue
        if item.lower not in replaced:
            yield item.raw
            continue
        done.add(item.lower)
        yield item.raw if item.value == replaced[item.lower] else fold(item.name, replaced[item.lower])
