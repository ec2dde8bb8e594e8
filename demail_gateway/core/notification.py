"""Notifications (Meldungsnachrichten), made: `confirmations.md` §9, TR 01201-3.4 §3.5.2.

For the sandbox provider alone. What the other side makes of them is in `notification_check.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from demail_gateway.core.address import Address, is_system_local_part
from demail_gateway.core.confirmation import confirmation_addressee, system_address
from demail_gateway.core.confirmation_xml import write_notification
from demail_gateway.core.dates import german_time
from demail_gateway.core.entity import PartSource, build_entity
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.header import Header, Octets
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.provider_message import Issuer, ProviderMessage, Stamp, write_provider_message
from demail_gateway.core.recipients import parse_mailboxes
from demail_gateway.core.vocabulary import MessageType, NotificationType

Pdf = Callable[[str, Sequence[tuple[str, str]], str, bytes], bytes]
"""As in `confirmation.py`; the XML of a notification is not signed."""

UNDELIVERABLE = "Nachricht nicht zustellbar"
"""Kind of notice (Subject of table 25) for steps 42 to 45."""
MALWARE_FOUND = "Schadsoftware gefunden"
INTEGRITY_FAILED = "Hashwert der Nachricht stimmt nicht"

MALWARE_TEXT = "In der Nachricht wurde Schadsoftware gefunden; sie wurde nicht zugestellt und gelöscht."


def build_notification(
    kind: NotificationType,
    original: Octets,
    *,
    issuer: Issuer,
    stamp: Stamp,
    recipient: Address | None,
    text: str,
    pdf: Pdf,
    subject: str = UNDELIVERABLE,
    also_to: Sequence[Address] = (),
) -> bytes:
    """A complete notification about a message, unsealed: text, XML, PDF of the same content.

    It goes to the forwarder if the message was forwarded, else to Reply-To, else to the sender (step 45), and to
    `also_to` (step 69: the recipient too). `recipient` is named behind `text`, so that the failed one can be found.

    Raises:
        ComposeFailed: the original carries no readable addressee, its sender is a system address (step 45: two
            providers would notify each other for ever), or `text` is empty.
    """
    return _build(
        MessageType.NOTIFICATION, kind, system_address("notification", issuer), original, issuer, stamp, recipient,
        text, pdf, subject, also_to,
    )  # fmt: skip


def build_malware_notification(
    original: Octets, *, issuer: Issuer, stamp: Stamp, recipient: Address, pdf: Pdf, text: str = MALWARE_TEXT
) -> bytes:
    """Schadsoftware-Meldung to sender and recipient, for a message without any requested proof (step 56, MF-12).

    Raises as `build_notification`.
    """
    return _build(
        MessageType.MALWARE_NOTIFICATION, NotificationType.OTHER, system_address("malware", issuer), original, issuer,
        stamp, recipient, text, pdf, MALWARE_FOUND, (recipient,),
    )  # fmt: skip


def notification_addressee(original: Header) -> Address:
    """Whom a notification goes to: Resent-From (Weiterleitungs-Absender), else Reply-To, else the sender (step 45).

    Raises ComposeFailed if none can be read.
    """
    forwarders, _ = parse_mailboxes(original.value("resent-from") or "")
    return forwarders[0].address if forwarders else confirmation_addressee(original)


def _build(
    message_type: MessageType,
    kind: NotificationType,
    sender: str,
    original: Octets,
    issuer: Issuer,
    stamp: Stamp,
    recipient: Address | None,
    text: str,
    pdf: Pdf,
    subject: str,
    also_to: Sequence[Address],
) -> bytes:
    metadata = read_metadata(original.header)
    if metadata.sender is not None and is_system_local_part(metadata.sender.local):
        raise ComposeFailed("no notification about a message of a system address")
    if not text.strip():
        raise ComposeFailed("a notification without text")
    rows = (
        *((("Empfänger", str(recipient)),) if recipient is not None else ()),
        ("Betreff", metadata.subject or ""),
        ("Nachrichten-ID", metadata.message_id or ""),
    )
    full = text + "\n\n" + "".join(f"{label}: {value}\n" for label, value in rows)
    xml = write_notification(subject=subject, text=full, time=stamp.at, sender=issuer.name)
    table = (("Aussteller", issuer.name), ("Ausgestellt am", german_time(stamp.at, "%d.%m.%Y %H:%M:%S")))
    addressee = notification_addressee(original.header)
    message = ProviderMessage(
        sender=sender,
        to=tuple(dict.fromkeys((addressee, *also_to))),
        message_type=message_type,
        subject=subject,
        private_id=metadata.private_id,
        notification_type=kind,
    )
    parts = (
        PartSource("meldung.xml", "application/xml", xml),
        PartSource("meldung.pdf", "application/pdf", pdf(subject, table, full, xml)),
    )
    return write_provider_message(message, build_entity(full, None, parts, stamp.boundary), issuer, stamp)
