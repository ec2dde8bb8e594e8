"""New messages as the values of `accept_messages` (migration 0004), sealed on the way."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from demail_gateway.application.ports.answers import IdempotencyKey, StoredAnswer
from demail_gateway.application.ports.submissions import NewMessage
from demail_gateway.storage.contents import SealedContent, seal_content
from demail_gateway.storage.envelope import DataKey, Place, TenantKeys
from demail_gateway.storage.rows import (
    body_of_message,
    columns,
    head_of_message,
    name_of_attachment,
    options_to_jsonb,
    seal_document,
)
from demail_gateway.tenancy.identifiers import Prefix, format_id, uuid7
from demail_gateway.tenancy.scope import TenantScope

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Submitted:
    """One message on its way into `accept_messages`: the rows it becomes, sealed."""

    message_id: UUID
    key: tuple[UUID | None, str]
    """Client and idempotency key: no two messages of one batch share it."""
    message: Row
    copies: tuple[Row, ...]
    recipients: tuple[Row, ...]
    contents: tuple[Row, ...]
    attachments: tuple[Row, ...]
    large: tuple[SealedContent, ...]
    """Contents in chunks, to be written before, in the same transaction."""


def submitted(
    scope: TenantScope,
    keys: TenantKeys,
    message: NewMessage,
    key: IdempotencyKey,
    answer: StoredAnswer,
    config_version: int,
) -> Submitted:
    """`message` with its attachments and its answer, each sealed under a fresh key."""
    message_key = keys.new("message", message.id)
    contents = [
        seal_content(keys, _new_id(message), attachment.octets)
        for attachment in message.attachments
        if attachment.octets is not None
    ]
    return Submitted(
        message_id=message.id,
        key=(scope.client_id, key.key),
        message=(
            *(message.id, scope.client_id, config_version, key.key, key.request_sha256),
            *_answer_columns(keys, place_of_answer(scope.client_id, key.key), answer),
            *_message_columns(message, message_key),
            *(_new_id(message), actor_of(scope)),
        ),
        copies=tuple(_copies(message)),
        recipients=tuple((r.id, message.id, r.copy_id, r.kind, r.position, r.address) for r in message.recipients),
        contents=tuple(
            (c.id, message.id, c.size_bytes, c.sha256, c.dek, c.data, message.created_at)
            for c in contents
            if c.data is not None
        ),
        attachments=tuple(_attachments(message, message_key, contents)),
        large=tuple(content for content in contents if content.data is None),
    )


def batch_arguments(tenant_id: UUID, batch: Sequence[Submitted]) -> tuple[Any, ...]:
    """The parameters of `accept_messages`, in its order."""
    return (
        tenant_id,
        *columns(26, (each.message for each in batch)),
        *columns(9, (row for each in batch for row in each.copies)),
        *columns(6, (row for each in batch for row in each.recipients)),
        *columns(7, (row for each in batch for row in each.contents)),
        *columns(6, (row for each in batch for row in each.attachments)),
    )


def place_of_answer(client_id: UUID | None, key: str) -> Place:
    """Place of `idempotency_key.sealed_body`. The key is the client's text: hashed, it cannot imitate another place."""
    return Place("idempotency_key", "sealed_body", f"{client_id}/{key.encode('utf-8', 'surrogatepass').hex()}")


def actor_of(scope: TenantScope) -> str:
    """Who acts, for the journal."""
    return "system" if scope.client_id is None else format_id(Prefix.CLIENT, scope.client_id)


def _message_columns(message: NewMessage, key: DataKey) -> Row:
    head = {"subject": message.subject, "reply_to": message.reply_to, "formal_service": message.formal_service}
    certificates = {
        address: [base64.b64encode(der).decode() for der in ders]
        for address, ders in message.recipient_certificates.items()
    }
    body = {"text": message.text, "html": message.html, "certificates": certificates}
    return (
        message.account_id,
        message.connection_id,
        message.sender,
        message.reference,
        options_to_jsonb(message.options),
        message.profile,
        message.sign,
        message.encrypt,
        message.split,
        message.size_bytes,
        key.wrapped,
        seal_document(key, head_of_message(message.id), head),
        seal_document(key, body_of_message(message.id), body),
        message.created_at,
        message.trace_id,
    )


def _answer_columns(keys: TenantKeys, place: Place, answer: StoredAnswer) -> Row:
    key = keys.new(place.table, place.row)
    return answer.status, answer.location, key.wrapped, key.seal(place, answer.body)


def _copies(message: NewMessage) -> Iterator[Row]:
    for each in message.copies:
        keys = (each.private_id, each.internet_message_id)
        yield each.id, message.id, each.position, *keys, _new_id(message), *_work(message)


def _work(message: NewMessage) -> Row:
    return message.size_bytes, message.trace_id, message.created_at


def _attachments(message: NewMessage, key: DataKey, contents: Sequence[SealedContent]) -> Iterator[Row]:
    given = iter(contents)
    for each in message.attachments:
        name = {"filename": each.filename, "content_type": each.content_type}
        sealed = seal_document(key, name_of_attachment(message.id, each.position), name)
        content_id = None if each.octets is None else next(given).id
        yield message.id, each.position, each.size_bytes, content_id, None if content_id else each.upload_id, sealed


def _new_id(message: NewMessage) -> UUID:
    return uuid7(message.created_at, os.urandom(10))
