"""A received proof (class B or M) and what is recorded of it once its sent copy is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.application.inspect import Tools
from demail_gateway.application.ports.arrivals import NewEvidence, SentCopyRecord, StoredArrival
from demail_gateway.core.address import Address, parse_address
from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation_check import check_confirmation
from demail_gateway.core.confirmation_reading import Confirmation, is_confirmation, read_confirmation
from demail_gateway.core.confirmation_report import ConfirmationReport, SentCopy
from demail_gateway.core.correlation import Correlation
from demail_gateway.core.errors import AddressInvalid, MalformedMessage
from demail_gateway.core.evidence import confirmation_fact, notification_fact
from demail_gateway.core.header import read_message
from demail_gateway.core.notification_check import (
    Notification,
    NotificationReport,
    check_notification,
    is_notification,
    read_notification_message,
)
from demail_gateway.core.vocabulary import MessageType

Proof = Confirmation | Notification


def read_proof(octets: bytes, tools: Tools) -> Proof | None:
    """The confirmation or notification that these octets are; None for every other message, and for no message."""
    try:
        message = read_message(octets)
    except MalformedMessage:
        return None
    if is_confirmation(message.header):
        return read_confirmation(message, tools.xml_signatures)
    return read_notification_message(message) if is_notification(message.header) else None


@dataclass(frozen=True, slots=True)
class Matched:
    """A proof and the sent copy that it belongs to."""

    proof: Proof
    correlation: Correlation
    record: SentCopyRecord


@dataclass(frozen=True, slots=True)
class Recording:
    """Under which id, when and from which octets a proof is recorded."""

    id: UUID
    at: datetime
    arrival: StoredArrival
    recheck_at: datetime | None
    """Kept only when the verdict is indeterminate."""


def evidence_of(matched: Matched, tools: Tools, at: datetime, recording: Recording) -> NewEvidence:
    """What is recorded of a proof, checked for the moment `at`. CPU work: run it in a thread."""
    proof, record = matched.proof, matched.record
    situation: dict[str, Any] = {
        "correlation": matched.correlation,
        "sent": sent_copy(record),
        "verifier": tools.verifier,
        "judge": tools.judge,
        "trusted": tools.trusted,
        "at": at,
    }
    recipients = _recipients(record)
    meaning: dict[str, Any] = {
        "copy_id": record.copy_id,
        "recipients": recipients,
        "received_at": recording.arrival.received_at,
    }
    if isinstance(proof, Confirmation):
        report = check_confirmation(proof, **situation)
        facts = _of_confirmation(report, recipients) | {"fact": confirmation_fact(report, **meaning)}
    else:
        notice = check_notification(proof, **situation)
        facts = _of_notification(notice, recipients) | {"fact": notification_fact(notice, **meaning)}
    return NewEvidence(
        id=recording.id,
        received_id=recording.arrival.id,
        message_id=record.message_id,
        copy_id=record.copy_id,
        at=recording.at,
        recheck_at=recording.recheck_at if facts["outcome"] is Outcome.INDETERMINATE else None,
        **facts,
    )


def sent_copy(record: SentCopyRecord) -> SentCopy | None:
    """The copy as the check sees it; None if its own addresses cannot be read, which cannot be for what was sent."""
    try:
        return SentCopy(
            sender=parse_address(record.sender),
            served=tuple(parse_address(recipient.address) for recipient in record.recipients),
            subject=record.subject,
            options=record.options,
            private_id=record.private_id,
            reply_to=None if record.reply_to is None else parse_address(record.reply_to),
            submitted_at=record.submitted_at,
            octets=record.octets,
            provider_domains=record.provider_domains,
        )
    except AddressInvalid:
        return None


def _recipients(record: SentCopyRecord) -> dict[Address, UUID]:
    found = {}
    for recipient in record.recipients:
        try:
            found[parse_address(recipient.address)] = recipient.id
        except AddressInvalid:
            continue
    return found


def _of_confirmation(report: ConfirmationReport, recipients: dict[Address, UUID]) -> dict[str, Any]:
    return {
        "recipient_id": None if report.concerns is None else recipients.get(report.concerns),
        "kind": report.kind.value,
        "notification_type": None,
        "issuer": report.issuer,
        "issued_at": report.issued_at,
        "delivery_time": report.delivery_time,
        "demail_message_id": report.demail_message_id,
        "integrity_value": report.original_integrity,
        "recipient_address": None if report.recipient is None else str(report.recipient),
        "outcome": report.outcome,
        "verdict": report.verdict.value,
        "checks": report.checks,
        "findings": report.findings,
        "validation": report.validation,
    }


def _of_notification(report: NotificationReport, recipients: dict[Address, UUID]) -> dict[str, Any]:
    plain = report.message_type is MessageType.NOTIFICATION
    return {
        "recipient_id": None if report.recipient is None else recipients.get(report.recipient),
        "kind": f"notification {report.type}" if plain else report.message_type.value,
        "notification_type": report.type if plain else None,
        "issuer": report.issuer,
        "issued_at": report.issued_at,
        "delivery_time": None,
        "demail_message_id": None,
        "integrity_value": None,
        "recipient_address": None if report.recipient is None else str(report.recipient),
        "outcome": report.outcome,
        "verdict": report.verdict.value,
        "checks": report.checks,
        "findings": report.findings,
        "validation": report.validation,
    }
