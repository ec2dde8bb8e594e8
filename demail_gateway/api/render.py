"""Values of the application as the JSON of the contract. One function per shape; `documents` describes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from starlette.responses import Response

from demail_gateway.application.ports.page import Page
from demail_gateway.application.ports.reading import EventView, EvidenceView, MessageView, RecipientView
from demail_gateway.application.ports.submissions import UploadFacts
from demail_gateway.application.submit import Forecast
from demail_gateway.core.delivery_facts import Clocks
from demail_gateway.core.options import OPTION_NAMES, SendOptions
from demail_gateway.core.vocabulary import ConfirmationKind, Direction
from demail_gateway.tenancy.identifiers import Prefix, format_id

T = TypeVar("T")
Json = dict[str, Any]


def json_bytes(value: object) -> bytes:
    """Compact UTF-8. What cannot be written in UTF-8 (octets of hostile mail) becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json_bytes(value), status, headers, "application/json")


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def listed(page: Page[T], item: Callable[[T], Json]) -> Json:
    return {"items": [item(each) for each in page.items], "next_cursor": page.next_cursor}


def message(view: MessageView) -> Json:
    body: Json = {
        "id": format_id(Prefix.MESSAGE, view.id),
        "direction": view.direction,
        "state": view.state,
        "reference": view.reference,
        "from": view.sender,
        "to": view.to,
        "cc": view.cc,
        "bcc": view.bcc,
        "subject": view.subject,
        "size_bytes": view.size_bytes,
        "options": options(view.options),
        "profile": view.profile,
        "signed": view.signed,
        "encrypted": view.encrypted,
        "recipients": [_recipient(each) for each in view.recipients],
        "attachments": [_attachment(*each) for each in view.attachments],
        "created_at": moment(view.created_at),
        "submitted_at": moment(view.submitted_at),
        "completed_at": moment(view.completed_at),
        "overdue_since": moment(view.overdue_since),
        "next_attempt_at": moment(view.next_attempt_at),
        "verification": view.verification,
    }
    if view.direction is Direction.INBOUND:
        body |= {
            "mailbox": view.mailbox,
            "message_type": view.message_type,
            "private": view.private,
            "quarantine": view.quarantine,
            "received_at": moment(view.received_at),
        }
    return body


def hidden_message(view: MessageView) -> Json:
    """All that may be known of a persönlich message without the right to it (SND-91)."""
    return {
        "id": format_id(Prefix.MESSAGE, view.id),
        "received_at": moment(view.received_at),
        "mailbox": view.mailbox,
        "private": True,
    }


def options(chosen: SendOptions) -> Json:
    return {name: getattr(chosen, name) for name in OPTION_NAMES}


def event(view: EventView) -> Json:
    return {
        "id": format_id(Prefix.EVENT, view.id),
        "type": view.type,
        "at": moment(view.at),
        "message_id": _id(Prefix.MESSAGE, view.message_id),
        "recipient_id": _id(Prefix.RECIPIENT, view.recipient_id),
        "reference": view.reference,
        "state": view.state,
    }


def evidence(view: EvidenceView) -> Json:
    return {
        "id": format_id(Prefix.EVIDENCE, view.id),
        "kind": view.kind,
        "recipient": view.recipient,
        "issuer": view.issuer,
        "issued_at": moment(view.issued_at),
        "delivery_time": moment(view.delivery_time),
        "verification": verification(view),
        "demail_message_id": view.demail_message_id,
        "received_at": moment(view.received_at),
    }


def verification(view: EvidenceView) -> Json:
    checks = [{"name": c.name, "outcome": c.outcome, "detail": c.detail, "source": c.source} for c in view.checks]
    return {"outcome": view.outcome, "verdict": view.verdict, "findings": list(view.findings), "checks": checks}


def upload(facts: UploadFacts) -> Json:
    return {
        "id": format_id(Prefix.ATTACHMENT, facts.id),
        "filename": facts.filename,
        "content_type": facts.content_type,
        "size_bytes": facts.size_bytes,
        "sha256": facts.sha256.hex(),
    }


def forecast(result: Forecast) -> Json:
    """What a submission would become: sizes, copies, and the proofs to expect with their times (SND-51)."""
    plan, context = result.plan, result.context
    recipients = [each for copy in plan.copies for each in copy.envelope]
    return {
        "dry_run": True,
        "net_bytes": plan.net_size_bytes,
        "size_bytes": result.size_bytes,
        "account_id": _id(Prefix.ACCOUNT, context.account_id),
        "connection_id": _id(Prefix.CONNECTION, context.connection_id),
        "account_holder": context.account_holder,
        "options": options(plan.options),
        "profile": plan.profile,
        "signed": plan.sign,
        "encrypted": plan.encrypt,
        "copies": len(plan.copies),
        "recipients": [{"address": str(each.address), "kind": each.kind} for each in recipients],
        "expected_evidence": _expected(plan.options),
    }


def _expected(chosen: SendOptions) -> list[Json]:
    clocks = Clocks()
    wanted = (
        (chosen.confirmation_of_dispatch, ConfirmationKind.DISPATCH, clocks.dispatch_proof_within),
        (chosen.confirmation_of_receipt, ConfirmationKind.RECEIPT, clocks.receipt_proof_within),
        # an Abholbestätigung has no limit: it may never come (SND-51)
        (chosen.confirmation_of_retrieve, ConfirmationKind.RETRIEVE, None),
    )
    return [
        {"kind": kind, "within_seconds": None if within is None else int(within.total_seconds())}
        for asked, kind, within in wanted
        if asked
    ]


def _recipient(view: RecipientView) -> Json:
    return {
        "id": format_id(Prefix.RECIPIENT, view.id),
        "address": view.address,
        "kind": view.kind,
        "state": view.state,
        "reason": view.reason,
        "dispatched_at": moment(view.dispatched_at),
        "delivered_at": moment(view.delivered_at),
        "retrieved_at": moment(view.retrieved_at),
    }


def _attachment(number: int, filename: str, content_type: str, size_bytes: int) -> Json:
    return {"number": number, "filename": filename, "content_type": content_type, "size_bytes": size_bytes}


def _id(prefix: Prefix, uuid: UUID | None) -> str | None:
    return None if uuid is None else format_id(prefix, uuid)
