"""An inbound De-Mail as an inbox entry, with the report of its verification (`contract.md` §5 "Inbound messages")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.application.inspect import Inspection, Tools, inspect_message
from demail_gateway.application.ports.arrivals import NewInbound, StoredArrival
from demail_gateway.application.ports.scanning import ScanResult, ScanVerdict
from demail_gateway.core.address import Address, parse_address
from demail_gateway.core.attachments import attachments_of
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.errors import AddressInvalid, MalformedMessage
from demail_gateway.core.header import Header, read_message
from demail_gateway.core.metadata import OPTION_FIELDS, Metadata, read_metadata
from demail_gateway.core.options import SendOptions
from demail_gateway.core.recipients import Mailbox
from demail_gateway.core.vocabulary import MessageType, Protection

_SEALING = ("integrity.", "certificate.", "message.readable")


@dataclass(frozen=True, slots=True)
class Entering:
    """What an entry is recorded with."""

    entry_id: UUID
    now: datetime
    scanned: ScanResult
    finding: str | None
    """Why a proof ended here, e.g. ``correlation-none``."""


def inbox_entry(arrival: StoredArrival, tools: Tools, at: datetime, recorded: Entering) -> NewInbound:
    """The entry for these octets, verified for the moment `at`. CPU work: run it in a thread.

    Never raises for anything they contain: octets that are no message give an entry with that finding. Malware sets the
    quarantine (SND-73), and so do a failed seal and what cannot be scanned (SND-74); an undecided seal does not.
    """
    inspection = inspect_message(arrival.octets, tools, at, _mailbox(arrival))
    verification = {
        "outcome": inspection.outcome.value,
        "protection": inspection.mode.value,
        "checks": [asdict(check) for check in inspection.checks],
        "findings": [] if recorded.finding is None else [recorded.finding],
        **_scan_report(recorded.scanned),
    }
    return _entry(arrival, recorded.entry_id, recorded.now, verification, _quarantine(inspection, recorded.scanned))


def unchecked_entry(arrival: StoredArrival, entry_id: UUID, now: datetime) -> NewInbound:
    """The entry for octets that cannot be checked because of a fault of ours: kept, unread, in quarantine."""
    check = Check("message.checked", Outcome.INDETERMINATE, "check-failed", "TR 01201-3.1 step 83")
    verification = {
        "outcome": Outcome.INDETERMINATE.value,
        "protection": Protection.NONE.value,
        "checks": [asdict(check)],
        "findings": ["check-failed"],
        **_scan_report(ScanResult(ScanVerdict.UNSCANNABLE)),
    }
    return _blank(arrival, entry_id, now, verification, "unscanned")


def _scan_report(scanned: ScanResult) -> dict[str, str]:
    """Verdict, and with a scanner which one and what it found."""
    report = {"scan": scanned.verdict.value, "scanner": scanned.engine, "malware": scanned.signature}
    return {name: value for name, value in report.items() if value is not None}


def _quarantine(inspection: Inspection, scanned: ScanResult) -> str | None:
    if scanned.verdict is ScanVerdict.INFECTED:
        return "malware"
    if _seal_failed(inspection):
        return "integrity"
    return "unscanned" if scanned.verdict is ScanVerdict.UNSCANNABLE else None


def _mailbox(arrival: StoredArrival) -> Address | None:
    """Where the octets lay; None if that is no address."""
    try:
        return parse_address(arrival.mailbox_address)
    except AddressInvalid:
        return None


def _seal_failed(inspection: Inspection) -> bool:
    return any(check.outcome is Outcome.FAILED and check.name.startswith(_SEALING) for check in inspection.checks)


def _entry(
    arrival: StoredArrival, entry_id: UUID, now: datetime, verification: dict[str, Any], quarantine: str | None
) -> NewInbound:
    try:
        header = read_message(arrival.octets).header
    except MalformedMessage:
        return _blank(arrival, entry_id, now, verification, quarantine)
    metadata = read_metadata(header)
    return NewInbound(
        id=entry_id,
        received_id=arrival.id,
        mailbox_address=arrival.mailbox_address,
        message_type=_type(header, metadata),
        sender=_sender(header, metadata),
        to=_addresses(metadata.chosen_recipients.to),
        cc=_addresses(metadata.chosen_recipients.cc),
        subject=metadata.subject or "",
        options=SendOptions(**{option: getattr(metadata, option) for option in OPTION_FIELDS}),
        demail_message_id=metadata.message_id,
        private_id=metadata.private_id,
        sent_at=metadata.date,
        size_bytes=len(arrival.octets),
        attachments=_attachments(arrival.octets),
        verification=verification,
        quarantine=quarantine,
        auth_level=metadata.auth_level,
        at=now,
    )


def _blank(
    arrival: StoredArrival, entry_id: UUID, now: datetime, verification: dict[str, Any], quarantine: str | None
) -> NewInbound:
    """Of octets that say nothing readable about themselves. Treated as persönlich: nobody knows that it is not."""
    return NewInbound(
        id=entry_id,
        received_id=arrival.id,
        mailbox_address=arrival.mailbox_address,
        message_type=MessageType.NORMAL.value,
        sender="",
        to=(),
        cc=(),
        subject="",
        options=SendOptions(private=True),
        demail_message_id=None,
        private_id=None,
        sent_at=None,
        size_bytes=len(arrival.octets),
        attachments=(),
        verification=verification,
        quarantine=quarantine,
        auth_level=None,
        at=now,
    )


def _type(header: Header, metadata: Metadata) -> str:
    """As the guideline writes it; an unknown one as it came, since it is processed as an ordinary message (MF-1)."""
    if metadata.message_type is not None:
        return metadata.message_type.value
    return (header.value("x-de-mail-message-type") or MessageType.NORMAL.value)[:100]


def _sender(header: Header, metadata: Metadata) -> str:
    if metadata.sender is not None:
        return str(metadata.sender)
    return (header.value("x-de-mail-sender") or "")[:300]


def _addresses(mailboxes: Iterable[Mailbox]) -> tuple[str, ...]:
    return tuple(str(mailbox.address) for mailbox in mailboxes)


def _attachments(octets: bytes) -> tuple[tuple[int, str, str, int], ...]:
    found = attachments_of(octets)
    return tuple((each.number, each.filename, each.content_type, len(each.part.decode())) for each in found)
