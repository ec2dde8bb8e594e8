"""A new message as the values of `accept_message` (migration 0004), sealed on the way."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from demail_gateway.application.ports import IdempotencyKey, NewMessage, StoredAnswer
from demail_gateway.storage.contents import SealedContent, seal_content
from demail_gateway.storage.envelope import DataKey, Place, TenantKeys
from demail_gateway.storage.rows import (
    body_of_message,
    head_of_message,
    name_of_attachment,
    options_to_jsonb,
    seal_document,
)
from demail_gateway.tenancy.identifiers import Prefix, format_id, uuid7
from demail_gateway.tenancy.scope import TenantScope


def inline_contents(keys: TenantKeys, message: NewMessage) -> tuple[SealedContent, ...]:
    """The attachments given with the message, each under its own key, in order."""
    return tuple(
        seal_content(keys, _new_id(message), attachment.octets)
        for attachment in message.attachments
        if attachment.octets is not None
    )


def accept_arguments(
    scope: TenantScope,
    keys: TenantKeys,
    message: NewMessage,
    contents: Sequence[SealedContent],
    key: IdempotencyKey,
    answer: StoredAnswer,
    config_version: int,
) -> tuple[Any, ...]:
    """In the order of the function's parameters. Contents in chunks are the caller's to write before."""
    place = place_of_answer(scope.client_id, key.key)
    answer_key = keys.new(place.table, place.row)
    message_key = keys.new("message", message.id)
    small = [content for content in contents if content.data is not None]
    return (
        scope.tenant_id,
        scope.client_id,
        config_version,
        key.key,
        key.request_sha256,
        answer.status,
        answer.location,
        answer_key.wrapped,
        answer_key.seal(place, answer.body),
        *_message_columns(message, message_key),
        [copy.id for copy in message.copies],
        [copy.private_id for copy in message.copies],
        [copy.internet_message_id for copy in message.copies],
        [_new_id(message) for _ in message.copies],
        [r.id for r in message.recipients],
        [r.copy_id for r in message.recipients],
        [r.kind for r in message.recipients],
        [r.position for r in message.recipients],
        [r.address for r in message.recipients],
        [content.id for content in small],
        [content.size_bytes for content in small],
        [content.sha256 for content in small],
        [content.dek for content in small],
        [content.data for content in small],
        *_attachment_columns(message, message_key, contents),
        _new_id(message),
        actor_of(scope),
    )


def place_of_answer(client_id: UUID | None, key: str) -> Place:
    """Place of `idempotency_key.sealed_body`. The key is the client's text: hashed, it cannot imitate another place."""
    return Place("idempotency_key", "sealed_body", f"{client_id}/{key.encode('utf-8', 'surrogatepass').hex()}")


def actor_of(scope: TenantScope) -> str:
    """Who acts, for the journal."""
    return "system" if scope.client_id is None else format_id(Prefix.CLIENT, scope.client_id)


def _message_columns(message: NewMessage, key: DataKey) -> tuple[Any, ...]:
    head = {"subject": message.subject, "reply_to": message.reply_to, "formal_service": message.formal_service}
    certificates = {address: base64.b64encode(der).decode() for address, der in message.recipient_certificates.items()}
    body = {"text": message.text, "html": message.html, "certificates": certificates}
    return (
        message.id,
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


def _attachment_columns(message: NewMessage, key: DataKey, contents: Sequence[SealedContent]) -> tuple[list[Any], ...]:
    given = iter(contents)
    names = [
        seal_document(
            key,
            name_of_attachment(message.id, each.position),
            {"filename": each.filename, "content_type": each.content_type},
        )
        for each in message.attachments
    ]
    return (
        [each.position for each in message.attachments],
        [each.size_bytes for each in message.attachments],
        [None if each.octets is None else next(given).id for each in message.attachments],
        [each.upload_id if each.octets is None else None for each in message.attachments],
        names,
    )


def _new_id(message: NewMessage) -> UUID:
    return uuid7(message.created_at, os.urandom(10))
