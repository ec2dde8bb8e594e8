"""All that composing copies needs, read for a whole batch (ports.CopyContent)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.dispatches import CopyContent
from demail_gateway.application.ports.submissions import NewRecipient
from demail_gateway.core.vocabulary import RecipientKind
from demail_gateway.storage.contents import StoredContents, fetch_contents
from demail_gateway.storage.engine import statement_driver, tenant_driver
from demail_gateway.storage.envelope import DataKey, TenantKeys
from demail_gateway.storage.rows import (
    body_of_message,
    head_of_message,
    name_of_attachment,
    open_document,
    options_of,
)

_COPIES = "SELECT * FROM copies_to_compose($1, $2)"


@dataclass(frozen=True, slots=True)
class StoredCopies:
    """Sealed rows of copies; opened when the tenant's keys are at hand, outside the transaction."""

    copies: Sequence[Any]
    contents: StoredContents

    def deks(self) -> Iterable[bytes]:
        """All their data keys, for `ContentKeys.of`."""
        return (*(row["dek"] for row in self.copies), *self.contents.deks())

    def open(self, keys: TenantKeys) -> dict[UUID, CopyContent]:
        """By copy. Raises KeyUnavailable."""
        octets = self.contents.open(keys)
        return {row["id"]: self._content(keys, row, octets) for row in self.copies}

    def _content(self, keys: TenantKeys, row: Any, octets: dict[UUID, bytes]) -> CopyContent:
        message_id = row["message_id"]
        key = keys.open("message", message_id, row["dek"])
        head = open_document(key, head_of_message(message_id), row["sealed_head"])
        body = open_document(key, body_of_message(message_id), row["sealed_body"])
        refused = zip(row["recipients"], row["recipient_copies"], row["refused"], strict=True)
        attachments = zip(*(row[name] or () for name in _ATTACHMENT), strict=True) if row["content_id"] is None else ()
        return CopyContent(
            tenant_id=row["tenant_id"],
            message_id=message_id,
            copy_id=row["id"],
            connection_id=row["connection_id"],
            account_id=row["account_id"],
            sender=row["sender"],
            account_holder=row["holder"],
            reply_to=head["reply_to"],
            subject=head["subject"],
            text=body["text"],
            html=body["html"],
            options=options_of(row["options"]),
            sign=row["signed"],
            encrypt=row["encrypted"],
            split=row["split"],
            recipient_certificates={
                name: tuple(map(base64.b64decode, ders)) for name, ders in body["certificates"].items()
            },
            created_at=row["created_at"],
            private_id=row["private_id"],
            internet_message_id=row["internet_message_id"],
            recipients=tuple(_recipient(*each) for each in zip(*(row[name] for name in _RECIPIENT), strict=True)),
            refused=frozenset(id_ for id_, copy_id, is_refused in refused if is_refused and copy_id == row["id"]),
            attachments=tuple(
                (*_name_and_type(key, message_id, position, sealed_name), octets[content_id])
                for position, content_id, sealed_name in attachments
            ),
            octets=octets[row["content_id"]] if row["content_id"] else None,
        )


async def read_copies(engine: AsyncEngine, tenant_id: UUID, copy_ids: Sequence[UUID]) -> StoredCopies:
    """Copies of outbound messages with everything of their messages, those that exist, in the order asked for.

    One round trip, and a second one for contents: attachments, or what an earlier attempt composed from them.
    """
    async with statement_driver(engine) as connection:
        copies = await connection.fetch(_COPIES, tenant_id, copy_ids)
    wanted = {row["content_id"] for row in copies if row["content_id"]}
    wanted |= {each for row in copies if row["content_id"] is None for each in row["attachment_contents"] or ()}
    if not wanted:
        return StoredCopies(copies, StoredContents((), {}))
    async with tenant_driver(engine, tenant_id) as connection:
        return StoredCopies(copies, await fetch_contents(connection, tenant_id, list(wanted)))


_RECIPIENT = ("recipients", "recipient_copies", "kinds", "positions", "addresses")
_ATTACHMENT = ("attachments", "attachment_contents", "sealed_names")


def _recipient(recipient_id: UUID, copy_id: UUID, kind: str, position: int, address: str) -> NewRecipient:
    return NewRecipient(recipient_id, copy_id, RecipientKind(kind), position, address)


def _name_and_type(key: DataKey, message_id: UUID, position: int, sealed_name: bytes) -> tuple[str, str]:
    name = open_document(key, name_of_attachment(message_id, position), sealed_name)
    return name["filename"], name["content_type"]
