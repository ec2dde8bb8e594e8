"""From a report to what it means for the state of a message: the bridge between checking and `delivery`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from demail_gateway.core.address import Address
from demail_gateway.core.confirmation_report import ConfirmationReport
from demail_gateway.core.delivery_facts import Effect, EvidenceFact
from demail_gateway.core.notification_check import NotificationReport
from demail_gateway.core.vocabulary import ConfirmationKind

_EFFECT_OF = {
    ConfirmationKind.DISPATCH: Effect.DISPATCHED,
    ConfirmationKind.RECEIPT: Effect.DELIVERED,
    ConfirmationKind.RETRIEVE: Effect.RETRIEVED,
    ConfirmationKind.MALWARE: Effect.INFECTED,
}


def confirmation_fact(
    report: ConfirmationReport, *, copy_id: UUID, recipients: Mapping[Address, UUID], received_at: datetime
) -> EvidenceFact | None:
    """What a confirmation proves of the copy it was assigned to; None if its verdict moves nothing (CO-18, SND-42).

    `recipients` are those of this copy. The moment of the event is chosen by CO-10; where the time cannot be read it
    is that of reception.
    """
    if not report.verdict.moves:
        return None
    is_receipt = report.kind is ConfirmationKind.RECEIPT
    at = (report.delivery_time if is_receipt else None) or report.issued_at or received_at
    return EvidenceFact(
        effect=_EFFECT_OF[report.kind],
        copy_id=copy_id,
        recipient_id=None if report.concerns is None else recipients.get(report.concerns),
        at=at,
        received_at=received_at,
        delivered_at=report.delivery_time if report.kind is ConfirmationKind.RETRIEVE else None,
    )


def notification_fact(
    report: NotificationReport, *, copy_id: UUID, recipients: Mapping[Address, UUID], received_at: datetime
) -> EvidenceFact | None:
    """What a notification means for the copy it was assigned to; None if it counts for nothing (CO-20)."""
    if not report.verdict.moves or report.effect is None:
        return None
    return EvidenceFact(
        effect=report.effect,
        copy_id=copy_id,
        recipient_id=None if report.recipient is None else recipients.get(report.recipient),
        at=report.issued_at or received_at,
        received_at=received_at,
        reason=report.reason,
    )
