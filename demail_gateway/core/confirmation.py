"""Confirmations (Bestätigungsnachrichten), made: `confirmations.md` §1 to §5, TR 01201-3.4 §3.5.1.

For the sandbox provider alone (SND-1). What the other side makes of them is in `confirmation_check.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from demail_gateway.core.address import Address
from demail_gateway.core.confirmation_xml import readable_value, write_acknowledgement
from demail_gateway.core.dates import german_time
from demail_gateway.core.entity import PartSource, build_entity
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.header import Header, HeaderField, Octets
from demail_gateway.core.metadata import Metadata, TransportState, read_metadata
from demail_gateway.core.primitives import DigestSigner, XmlSignatures
from demail_gateway.core.provider_message import Issuer, ProviderMessage, Stamp, write_provider_message
from demail_gateway.core.vocabulary import SYSTEM_LOCAL_PARTS, ConfirmationKind, MessageType

Pdf = Callable[[str, Sequence[tuple[str, str]], str, bytes], bytes]
"""Title, table, text, XML → PDF of the same content (TR 01201-3.4 §3.4.1).

What the XML says stands in the text or, name by name, in the table."""

TITLES: dict[ConfirmationKind, str] = {
    ConfirmationKind.DISPATCH: "Versandbestätigung",
    ConfirmationKind.RECEIPT: "Eingangsbestätigung",
    ConfirmationKind.RETRIEVE: "Abholbestätigung",
    ConfirmationKind.MALWARE: "Schadsoftware-Bestätigung",
}
"""Names of the confirmations in subjects and texts."""

NOT_TOLD: dict[ConfirmationKind, frozenset[TransportState]] = {
    ConfirmationKind.DISPATCH: frozenset({TransportState.WEITERLEITUNG, TransportState.NACHSENDUNG}),
    ConfirmationKind.RECEIPT: frozenset({TransportState.WEITERLEITUNG}),
    ConfirmationKind.RETRIEVE: frozenset({TransportState.WEITERLEITUNG}),
    ConfirmationKind.MALWARE: frozenset(),
}
"""Of which messages a kind is not issued: the sender is told once that his own message went out, and of a Nachsendung
that it reached the final mailbox (TR 01201-3.1 steps 36, 67, function 1)."""

METADATA_FIELDS: tuple[str, ...] = (
    "x-de-mail-confirmation-of-dispatch",
    "x-de-mail-confirmation-of-receipt",
    "x-de-mail-confirmation-of-retrieve",
    "x-de-mail-authoritative",
    "x-de-mail-private",
    "x-de-mail-sender",
    "x-de-mail-chosen-recipient",
    "subject",
    "x-de-mail-private-id",
    "reply-to",
    "x-de-mail-auth-level",
    "x-de-mail-auth-mechanism",
    "date",
    "x-de-mail-message-id",
    "x-de-mail-originator-provider",
    "x-de-mail-message-type",
    "x-de-mail-integrity",
    "x-de-mail-signature-certificate",
    "x-de-mail-actual-recipient",
    "x-de-mail-version",
    "x-de-mail-account-holder",
    "x-de-mail-notification-type",
    "from",
    "message-id",
)
"""Metadata of the original that a confirmation repeats, in the order of TR 01201-3.4 table 1."""


def build_confirmation(
    kind: ConfirmationKind,
    original: Octets,
    *,
    issuer: Issuer,
    stamp: Stamp,
    recipient: Address | None,
    xml_signatures: XmlSignatures,
    signer: DigestSigner,
    pdf: Pdf,
    delivery_time: datetime | None = None,
) -> bytes:
    """A complete confirmation of a sealed message, unsealed: text, signed XML, PDF (CO-5).

    `stamp.at` is the moment of the event and of creation: dispatch, storing in the mailbox, or login.
    `recipient` is the one whose mailbox received the original; None for a Versandbestätigung, which is for all.
    `delivery_time` is given for an Abholbestätigung alone (CO-10).

    Raises:
        ComposeFailed: the original carries no readable sender or no integrity field, it came by a way of which this
            kind is not told (`NOT_TOLD`), or `recipient` or `delivery_time` do not fit the kind.
    """
    metadata = read_metadata(original.header)
    integrity = _confirmable(kind, metadata, recipient, delivery_time)
    rows = tuple(_rows(kind, metadata, recipient, delivery_time))
    text = _text(kind, rows, issuer, stamp.at)
    sender = system_address(kind.value if kind is not ConfirmationKind.MALWARE else "malware", issuer)
    fields = _metadata_fields(original.header)
    subject = f"{TITLES[kind]}: {metadata.subject or ''}"
    xml = write_acknowledgement(
        sender=sender,
        metadata=fields,
        subject=subject,
        text=text,
        integrity=integrity,
        time=stamp.at,
        delivery_time=delivery_time,
    )
    signed = xml_signatures.sign(xml, signer)
    table = (
        ("Aussteller", sender),
        ("Betreff der Bestätigung", subject),
        *((f.name, readable_value(f)) for f in fields),
    )
    parts = (
        PartSource("bestaetigung.xml", "application/xml", signed),
        PartSource("bestaetigung.pdf", "application/pdf", pdf(TITLES[kind], table, text, signed)),
    )
    message = _message(kind, metadata, sender, confirmation_addressee(original.header), recipient)
    return write_provider_message(message, build_entity(text, None, parts, stamp.boundary), issuer, stamp)


def confirmation_addressee(original: Header) -> Address:
    """Whom confirmations of this message go to: Reply-To, else the sender (TR 01201-3.1 table 2 Nr. 10, steps 38, 69).

    Raises:
        ComposeFailed: neither can be read.
    """
    metadata = read_metadata(original)
    addressee = metadata.reply_to or metadata.sender
    if addressee is None:
        raise ComposeFailed("no address for confirmations")
    return addressee


def system_address(purpose: str, issuer: Issuer) -> str:
    """The issuer's system address for a purpose of `SYSTEM_LOCAL_PARTS`, as printed (TR 01201-3.1 §4.3)."""
    return f"{SYSTEM_LOCAL_PARTS[purpose]}@{issuer.domain}"


_STATEMENTS = {
    ConfirmationKind.DISPATCH: "Die nachstehend bezeichnete Nachricht wurde an den Empfänger versandt.",
    ConfirmationKind.RECEIPT: "Die nachstehend bezeichnete Nachricht wurde im Postfach des Empfängers abgelegt.",
    ConfirmationKind.RETRIEVE: (
        "Der Empfänger der nachstehend bezeichneten Nachricht hat sich nach deren Eingang sicher an seinem "
        "De-Mail-Konto angemeldet."
    ),
    ConfirmationKind.MALWARE: (
        "In der nachstehend bezeichneten Nachricht wurde Schadsoftware gefunden; sie wurde nicht zugestellt und "
        "gelöscht. Von einer Kenntnisnahme durch den Empfänger kann nicht ausgegangen werden."
    ),
}


def _confirmable(
    kind: ConfirmationKind, metadata: Metadata, recipient: Address | None, delivery_time: datetime | None
) -> str:
    """The original's integrity value, without which nothing is confirmed. Raises ComposeFailed."""
    if metadata.transport in NOT_TOLD[kind]:
        raise ComposeFailed("no such confirmation of a forwarded or re-sent message")
    if metadata.integrity is None or (recipient is None) is not (kind is ConfirmationKind.DISPATCH):
        raise ComposeFailed("no such confirmation of this message")
    if (delivery_time is None) is (kind is ConfirmationKind.RETRIEVE):
        raise ComposeFailed("the delivery time belongs to the Abholbestätigung")
    return metadata.integrity


def _message(
    kind: ConfirmationKind, metadata: Metadata, sender: str, addressee: Address, recipient: Address | None
) -> ProviderMessage:
    return ProviderMessage(
        sender=sender,
        to=(addressee,),
        cc=() if recipient is None else (recipient,),
        message_type=MessageType(kind.value),
        subject=f"*{TITLES[kind]}* {metadata.subject or ''}",
        private=_private(kind, metadata),
        private_id=metadata.private_id,
    )


def _private(kind: ConfirmationKind, metadata: Metadata) -> bool | None:
    """MF-2."""
    if kind is ConfirmationKind.MALWARE:
        return None
    return True if kind is ConfirmationKind.RETRIEVE else metadata.private


def _rows(
    kind: ConfirmationKind, metadata: Metadata, recipient: Address | None, delivery_time: datetime | None
) -> Iterator[tuple[str, str]]:
    """The labelled lines in the order of TR 01201-3.4 §3.5.1."""
    if delivery_time is not None:
        yield "Zeitpunkt des Eingangs der Nachricht", german_time(delivery_time)
    if kind is ConfirmationKind.MALWARE:
        yield "Angeforderte Bestätigungen", ", ".join(_requested(metadata)) or "keine"
    yield "Absender", str(metadata.sender or "")
    concerned = metadata.chosen_recipients.addresses if recipient is None else (recipient,)
    yield "Empfänger", ", ".join(map(str, concerned))
    yield "Datum", "" if metadata.date is None else german_time(metadata.date)
    yield "Betreff", metadata.subject or ""
    yield "Nachrichten-ID", metadata.message_id or ""
    yield "Prüfsumme", metadata.integrity or ""


def _requested(metadata: Metadata) -> Iterator[str]:
    if metadata.confirmation_of_dispatch:
        yield TITLES[ConfirmationKind.DISPATCH]
    if metadata.confirmation_of_receipt:
        yield TITLES[ConfirmationKind.RECEIPT]
    if metadata.confirmation_of_retrieve:
        yield TITLES[ConfirmationKind.RETRIEVE]


def _text(kind: ConfirmationKind, rows: Sequence[tuple[str, str]], issuer: Issuer, at: datetime) -> str:
    lines = "\n".join(f"{label}: {value}" for label, value in rows)
    closing = f"Ausgestellt am {german_time(at, '%d.%m.%Y %H:%M:%S')} von {issuer.name}"
    link = f", {issuer.link}" if issuer.link else ""
    return f"{_STATEMENTS[kind]}\n\n{lines}\n\n{closing}{link}\n"


def _metadata_fields(header: Header) -> tuple[HeaderField, ...]:
    """The topmost field of each name: further ones count nowhere (TR 01201-3.4 §3.1.1)."""
    return tuple(found for name in METADATA_FIELDS if (found := header.first(name)) is not None)
