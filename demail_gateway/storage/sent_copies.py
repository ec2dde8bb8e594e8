"""Copies handed over earlier, found by what a proof says of them (CO-16)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from demail_gateway.application.ports.arrivals import SentCopyRecord
from demail_gateway.application.ports.submissions import NewRecipient
from demail_gateway.core.vocabulary import HandOver, RecipientKind
from demail_gateway.storage.contents import StoredContents, fetch_contents
from demail_gateway.storage.envelope import TenantKeys
from demail_gateway.storage.rows import head_of_message, open_document, options_of

_BY = "SELECT id FROM message_copy WHERE tenant_id = $1"
# one that was handed over before one that was not, then the latest
_ORDER = "ORDER BY (hand_over = 'waiting'), hand_over_at DESC NULLS LAST, id LIMIT 1"
_FIND = {
    "private_id": f"{_BY} AND private_id = $2 {_ORDER}",
    "demail_message_id": f"{_BY} AND demail_message_id = $2 {_ORDER}",
    "integrity_value": (
        f"{_BY} AND hashtextextended(integrity_value, 0) = hashtextextended($2, 0) AND integrity_value = $2 {_ORDER}"
    ),
    "internet_message_id": f"{_BY} AND internet_message_id = $2 {_ORDER}",
}
_COPIES = """
SELECT c.id, c.message_id, c.private_id, c.internet_message_id, c.demail_message_id, c.integrity_value, c.hand_over,
       c.hand_over_at, c.content_id, m.sender, m.options, m.dek, m.sealed_head,
       ARRAY(
         SELECT lower(jsonb_array_elements_text(o.profile -> 'provider_domains')) FROM connection o
          WHERE o.id = m.connection_id AND jsonb_typeof(o.profile -> 'provider_domains') = 'array'
       ) AS provider_domains
  FROM message_copy c JOIN message m ON m.tenant_id = c.tenant_id AND m.id = c.message_id
 WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])
"""
_RECIPIENTS = """
SELECT id, copy_id, kind, position, address FROM recipient
 WHERE tenant_id = $1 AND message_id = ANY($2::uuid[]) AND copy_id = ANY($3::uuid[])
 ORDER BY array_position(ARRAY['to', 'cc', 'bcc'], kind), position
"""


@dataclass(frozen=True, slots=True)
class FoundCopies:
    """Sealed rows of the copies found per key."""

    by_key: Mapping[str, UUID]
    copies: Sequence[Any]
    recipients: Mapping[UUID, list[NewRecipient]]
    contents: StoredContents

    def deks(self) -> Iterable[bytes]:
        """All their data keys, for `ContentKeys.of`."""
        return (*(row["dek"] for row in self.copies), *self.contents.deks())

    def open(self, keys: TenantKeys) -> dict[str, SentCopyRecord]:
        """By the name of the key that found them. Raises KeyUnavailable."""
        octets = self.contents.open(keys)
        records = {row["id"]: self._record(keys, row, octets) for row in self.copies}
        return {name: records[copy_id] for name, copy_id in self.by_key.items()}

    def _record(self, keys: TenantKeys, row: Any, octets: Mapping[UUID, bytes]) -> SentCopyRecord:
        key = keys.open("message", row["message_id"], row["dek"])
        head = open_document(key, head_of_message(row["message_id"]), row["sealed_head"])
        # while the outcome is unknown the moment of the attempt is the best that is known
        begun = row["hand_over"] in (HandOver.TAKEN, HandOver.UNCERTAIN)
        return SentCopyRecord(
            message_id=row["message_id"],
            copy_id=row["id"],
            sender=row["sender"],
            reply_to=head["reply_to"],
            subject=head["subject"],
            options=options_of(row["options"]),
            private_id=row["private_id"],
            internet_message_id=row["internet_message_id"],
            demail_message_id=row["demail_message_id"],
            integrity_value=row["integrity_value"],
            submitted_at=row["hand_over_at"] if begun else None,
            octets=octets.get(row["content_id"]),
            recipients=tuple(self.recipients[row["id"]]),
            provider_domains=frozenset(row["provider_domains"]),
        )


async def find_sent_copies(connection: Any, tenant_id: UUID, given: Mapping[str, str]) -> FoundCopies:
    """At most one copy for each key of `given` (named as in `Arrivals.find_sent`), with all a proof is held against."""
    by_key = {}
    for name, value in given.items():
        if (copy_id := await connection.fetchval(_FIND[name], tenant_id, value)) is not None:
            by_key[name] = copy_id
    ids = list(set(by_key.values()))
    copies = await connection.fetch(_COPIES, tenant_id, ids) if ids else ()
    recipients: dict[UUID, list[NewRecipient]] = defaultdict(list)
    messages = [row["message_id"] for row in copies]
    for row in await connection.fetch(_RECIPIENTS, tenant_id, messages, ids) if ids else ():
        found = NewRecipient(row["id"], row["copy_id"], RecipientKind(row["kind"]), row["position"], row["address"])
        recipients[row["copy_id"]].append(found)
    wanted = [row["content_id"] for row in copies if row["content_id"]]
    contents = await fetch_contents(connection, tenant_id, wanted) if wanted else StoredContents((), {})
    return FoundCopies(by_key, copies, recipients, contents)
