"""Whether a message of class B or M comes from the system address that may write it (CO-2, SND-42, ADR-32)."""

from __future__ import annotations

from demail_gateway.core.address import Address, TrustedDomains
from demail_gateway.core.metadata import Metadata
from demail_gateway.core.vocabulary import SYSTEM_LOCAL_PARTS, MessageType

SYSTEM_SENDER = "system-sender"
ISSUER_UNCONFIRMED = "issuer-unconfirmed"
ISSUER_MISMATCH = "issuer-mismatch"
FROM_MISMATCH = "from-sender-mismatch"

_PURPOSES: dict[MessageType, tuple[str, ...]] = {
    MessageType.CONFIRMATION_OF_DISPATCH: ("confirmation of dispatch",),
    MessageType.CONFIRMATION_OF_RECEIPT: ("confirmation of receipt",),
    MessageType.CONFIRMATION_OF_RETRIEVE: ("confirmation of retrieve",),
    MessageType.MALWARE_ACKNOWLEDGE: ("malware",),
    MessageType.MALWARE_NOTIFICATION: ("malware", "notification"),  # CO-1
    MessageType.NOTIFICATION: ("notification", "identification notification"),
    MessageType.IDENTIFICATION: ("identification",),
}


def issuer_findings(metadata: Metadata, trusted: TrustedDomains | None) -> tuple[str, ...]:
    """What speaks against the sender of this message as issuer of its type; empty: nothing.

    ``system-sender``: not the system address of the type, or not in a De-Mail domain at all: no proof.
    ``issuer-unconfirmed``: below a listed domain instead of at one, or there is no trust list to look into (None).
    ``from-sender-mismatch``: From differs (MF-7).
    """
    sender, message_type = metadata.sender, metadata.message_type
    if sender is None or message_type is None or not _is_system_address(sender, message_type):
        return (SYSTEM_SENDER,)
    if trusted is not None and not trusted.is_demail(sender):
        return (SYSTEM_SENDER,)
    findings = [] if trusted is not None and sender.domain in trusted.domains else [ISSUER_UNCONFIRMED]
    if metadata.from_mailbox is None or metadata.from_mailbox.address != sender:
        findings.append(FROM_MISMATCH)
    return tuple(findings)


def serves(issuer: Address, concerned: Address | None, own_domains: frozenset[str]) -> bool:
    """Whether the issuer's provider is certainly responsible for the address `concerned`.

    `own_domains` are the system-address domains of the provider that the address is known to belong to. False means
    that it cannot be told, as with shared domains and after a Nachsendung; it is no proof of the contrary.
    """
    if issuer.domain in own_domains:
        return True
    return concerned is not None and f".{concerned.domain}".endswith(f".{issuer.domain}")


def _is_system_address(sender: Address, message_type: MessageType) -> bool:
    names = (SYSTEM_LOCAL_PARTS[purpose].lower() for purpose in _PURPOSES.get(message_type, ()))
    return sender.local in names
