"""Rows as the views that the application reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from demail_gateway.application.ports.reading import EventView, EvidenceView, MessageView, RecipientView
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.journal import journal_time
from demail_gateway.core.vocabulary import Direction, MessageState, RecipientKind, RecipientState
from demail_gateway.storage.envelope import DataKey, TenantKeys
from demail_gateway.storage.rows import head_of_message, name_of_attachment, open_document, options_of
from demail_gateway.tenancy.identifiers import Prefix, format_id


def message_view(keys: TenantKeys, row: Any, recipients: Sequence[Any], attachments: Sequence[Any]) -> MessageView:
    """A message from its row, those of its recipients and attachments. Raises KeyUnavailable."""
    key = keys.open("message", row["id"], row["dek"])
    head = open_document(key, head_of_message(row["id"]), row["sealed_head"])
    written = _addresses(row, head, recipients)
    return MessageView(
        id=row["id"],
        direction=Direction(row["direction"]),
        state=MessageState(row["state"]),
        reference=row["reference"],
        sender=row["sender"],
        to=written[RecipientKind.TO],
        cc=written[RecipientKind.CC],
        bcc=written[RecipientKind.BCC],
        subject=head["subject"],
        size_bytes=row["size_bytes"],
        options=options_of(row["options"]),
        profile=row["profile"],
        signed=row["signed"],
        encrypted=row["encrypted"],
        recipients=tuple(_recipient(r) for r in recipients),
        attachments=tuple(_attachment(key, row["id"], each) for each in attachments),
        created_at=row["created_at"],
        submitted_at=row["submitted_at"],
        completed_at=row["completed_at"],
        overdue_since=row["overdue_since"],
        next_attempt_at=row["next_attempt_at"],
        mailbox=row["mailbox"],
        message_type=row["message_type"],
        private=row["private"],
        quarantine=row["quarantine"],
        verification=row["verification"],
        received_at=row["received_at"],
    )


def event_view(row: Any) -> EventView:
    return EventView(
        row["id"], row["type"], row["at"], row["message_id"], row["recipient_id"], row["reference"], row["state"]
    )


def evidence_view(row: Any) -> EvidenceView:
    checks = row["checks"]
    return EvidenceView(
        id=row["id"],
        message_id=row["message_id"],
        kind=row["kind"],
        recipient=row["recipient_address"],
        issuer=row["issuer"],
        issued_at=row["issued_at"],
        delivery_time=row["delivery_time"],
        outcome=Outcome(row["outcome"]),
        verdict=row["verdict"],
        checks=tuple(Check(c["name"], Outcome(c["outcome"]), c.get("detail", ""), c.get("source", "")) for c in checks),
        findings=tuple(row["findings"]),
        demail_message_id=row["demail_message_id"],
        received_at=row["received_at"],
        checked_at=row["recorded_at"],
    )


def journal_item(row: Any) -> Mapping[str, Any]:
    """A chained entry as it is exported, with exactly the members that its hash is made over (`core.journal`)."""
    detail = row["detail"]
    return {
        "seq": row["seq"],
        "at": journal_time(row["at"]),
        "tenant": None if row["tenant_id"] is None else format_id(Prefix.TENANT, row["tenant_id"]),
        "actor": row["actor"],
        "action": row["action"],
        "object": row["object"],
        **({"detail": detail} if detail else {}),
        "prev_hash": row["prev_hash"].hex(),
        "hash": row["hash"].hex(),
    }


def _recipient(row: Any) -> RecipientView:
    return RecipientView(
        id=row["id"],
        address=row["address"],
        kind=RecipientKind(row["kind"]),
        state=RecipientState(row["state"]),
        reason=row["reason"],
        dispatched_at=row["dispatched_at"],
        delivered_at=row["delivered_at"],
        retrieved_at=row["retrieved_at"],
    )


def _addresses(row: Any, head: Mapping[str, Any], recipients: Sequence[Any]) -> Mapping[RecipientKind, tuple[str, ...]]:
    """As written: of a received message in its sealed head, of a sent one the rows that are followed."""
    if row["direction"] == Direction.INBOUND:
        return {kind: tuple(head.get(kind, ())) for kind in RecipientKind}
    return {kind: tuple(r["address"] for r in recipients if r["kind"] == kind) for kind in RecipientKind}


def _attachment(key: DataKey, message_id: UUID, row: Any) -> tuple[int, str, str, int]:
    name = open_document(key, name_of_attachment(message_id, row["position"]), row["sealed_name"])
    return row["position"], name["filename"], name["content_type"], row["size_bytes"]
