"""From a checked draft to sealed messages on their way: TR 01201-3.1 steps 29 to 31."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from demail_gateway.core.address import Address
from demail_gateway.core.completion import ProviderFacts, complete, copies_of
from demail_gateway.core.integrity import seal
from demail_gateway.core.primitives import DigestSigner, HashName
from demail_gateway.core.vocabulary import MessageType
from demail_gateway.sandbox.admission import Draft
from demail_gateway.sandbox.configuration import DOMAIN
from demail_gateway.sandbox.effects import NewAction, NewMessage, Step


def seal_copies(
    draft: Draft,
    facts: ProviderFacts,
    signer: DigestSigner | None,
    change: Callable[[bytes], bytes] = bytes,
) -> list[NewMessage]:
    """One sealed message per copy: signed with `signer`, else hash only. `change` is what happens to it on the way."""
    messages = []
    for copy in copies_of(draft.metadata.chosen_recipients, draft.envelope_recipients):
        message_id = new_message_id(facts.at)
        completed = complete(draft.octets, copy.chosen, facts, message_id)
        sealed = seal_completed(completed, signer)
        messages.append(on_its_way(message_id, draft.sender, change(sealed), copy.envelope, facts.at))
    return messages


def seal_completed(message: bytes, signer: DigestSigner | None) -> bytes:
    """The message with x-de-mail-integrity in front (TR 01201-3.4 §3.1.21); SHA-256 as all providers can check."""
    return seal(message, hash_name=HashName.SHA256, domain=DOMAIN, signer=signer)


def new_message_id(at: datetime) -> str:
    """Value of x-de-mail-message-id: unique, and sortable by the eye (TR 01201-3.4 §3.1.18)."""
    return f"{at:%Y%m%d%H%M%S}-{secrets.token_hex(8)}@{DOMAIN}"


def on_its_way(
    message_id: str, sender: Address, sealed: bytes, envelope: Sequence[Address], at: datetime
) -> NewMessage:
    """A sealed De-Mail with its first step (32 ff.)."""
    dispatch = NewAction(at, Step.DISPATCH, details={"recipients": [str(address) for address in envelope]})
    return NewMessage(message_id, MessageType.NORMAL, str(sender), sealed, actions=(dispatch,))
