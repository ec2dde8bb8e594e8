"""All that composing copies needs, read for a whole batch (ports.CopyContent)."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from demail_gateway.application.ports import CopyContent, NewRecipient
from demail_gateway.core.vocabulary import RecipientKind
from demail_gateway.storage.contents import StoredContents, fetch_contents
from demail_gateway.storage.envelope import TenantKeys
from demail_gateway.storage.rows import (
    body_of_message,
    head_of_message,
    name_of_attachment,
    open_document,
    options_of,
)

_COPIES = """
SELECT c.id, c.message_id, c.private_id, c.internet_message_id, c.content_id, m.tenant_id, m.connection_id,
       m.account_id, a.holder, m.sender, m.options, m.signed, m.encrypted, m.split, m.created_at, m.dek, m.sealed_head,
       m.sealed_body
  FROM message_copy c
  JOIN message m ON m.tenant_id = c.tenant_id AND m.id = c.message_id
  JOIN account a ON a.tenant_id = m.tenant_id AND a.id = m.account_id
 WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])
"""
_RECIPIENTS = """
SELECT message_id, id, copy_id, kind, position, address, refused_at IS NOT NULL AS refused FROM recipient
 WHERE tenant_id = $1 AND message_id = ANY($2::uuid[])
 ORDER BY array_position(ARRAY['to', 'cc', 'bcc'], kind), position
"""
_ATTACHMENTS = """
SELECT message_id, position, content_id, sealed_name FROM message_attachment
 WHERE tenant_id = $1 AND message_id = ANY($2::uuid[]) ORDER BY position
"""


@dataclass(frozen=True, slots=True)
class StoredCopies:
    """Sealed rows of copies; opened when the tenant's keys are at hand, outside the transaction."""

    copies: Sequence[Any]
    recipients: dict[UUID, list[Any]]
    attachments: dict[UUID, list[Any]]
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
        names = [
            (open_document(key, name_of_attachment(message_id, each["position"]), each["sealed_name"]), each)
            for each in self.attachments[message_id]
        ]
        recipients = self.recipients[message_id]
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
            recipient_certificates={name: base64.b64decode(der) for name, der in body["certificates"].items()},
            created_at=row["created_at"],
            private_id=row["private_id"],
            internet_message_id=row["internet_message_id"],
            recipients=tuple(_recipient(each) for each in recipients),
            refused=frozenset(each["id"] for each in recipients if each["refused"] and each["copy_id"] == row["id"]),
            attachments=tuple(
                (name["filename"], name["content_type"], octets[each["content_id"]]) for name, each in names
            ),
            octets=octets[row["content_id"]] if row["content_id"] else None,
        )


async def read_copies(connection: Any, tenant_id: UUID, copy_ids: Sequence[UUID]) -> StoredCopies:
    """Copies of outbound messages with everything of their messages, those that exist.

    Attachments are not read for copies whose octets were composed by an earlier attempt, unless another copy of the
    same message in this batch needs them.
    """
    copies = await connection.fetch(_COPIES, tenant_id, list(copy_ids))
    messages = list({row["message_id"] for row in copies})
    to_compose = list({row["message_id"] for row in copies if row["content_id"] is None})
    recipients = _by_message(await connection.fetch(_RECIPIENTS, tenant_id, messages))
    attachments = _by_message(await connection.fetch(_ATTACHMENTS, tenant_id, to_compose) if to_compose else ())
    wanted = {row["content_id"] for row in copies if row["content_id"]}
    wanted |= {row["content_id"] for rows in attachments.values() for row in rows}
    contents = await fetch_contents(connection, tenant_id, list(wanted)) if wanted else StoredContents((), {})
    return StoredCopies(copies, recipients, attachments, contents)


def _by_message(rows: Iterable[Any]) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row["message_id"]].append(row)
    return found


def _recipient(row: Any) -> NewRecipient:
    return NewRecipient(row["id"], row["copy_id"], RecipientKind(row["kind"]), row["position"], row["address"])
