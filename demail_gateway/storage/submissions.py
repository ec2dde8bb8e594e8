"""Taking messages (ports.Submissions): what is known of a sender, accepting in one round trip, withdrawing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.answers import Accepted, AcceptResult, IdempotencyKey, StoredAnswer
from demail_gateway.application.ports.reading import MessageView
from demail_gateway.application.ports.submissions import NewMessage, SenderContext, UploadFacts
from demail_gateway.core.delivery import CLOCKS, Clocks, may_cancel
from demail_gateway.core.errors import Conflict, NotFound
from demail_gateway.core.vocabulary import SYSTEM_LOCAL_PARTS, AccountState, AuthLevel, HandOver
from demail_gateway.storage.acceptance import actor_of, place_of_answer, submitted
from demail_gateway.storage.changes import Changes, Entry
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.engine import batch_driver, statement_driver, tenant_driver
from demail_gateway.storage.group_commit import GroupCommit
from demail_gateway.storage.reading import PostgresReading
from demail_gateway.storage.rows import to_jsonb
from demail_gateway.storage.standing import COPY_WORK, fetch_standings, lock_messages
from demail_gateway.storage.uploads import Uploads
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.lifecycle import may_send
from demail_gateway.tenancy.scope import TenantScope

_ANSWER = "SELECT request_sha256, status, location, dek, sealed_body FROM idempotency_key"
_REFUSED = (
    "INSERT INTO journal_intake (tenant_id, at, actor, action, object, detail)"
    " VALUES ($1, $2, $3, 'message.refused', $4, $5::text::jsonb)"
)
_LOCK_WORK = "SELECT FROM outbox WHERE tenant_id = $1 AND kind = ANY($2::text[]) AND subject_id = ANY($3::uuid[])"
_LOCK_COPIES = "SELECT id, hand_over FROM message_copy WHERE tenant_id = $1 AND message_id = $2 ORDER BY id FOR UPDATE"

_DOMAINS_OF_ALL = """
SELECT DISTINCT d.name FROM account a JOIN connection c ON c.id = a.connection_id
 CROSS JOIN LATERAL jsonb_array_elements_text(
   CASE WHEN jsonb_typeof(c.profile -> 'domains') = 'array' THEN c.profile -> 'domains' ELSE '[]' END) AS d (name)
 WHERE a.tenant_id = $1
"""
"""Of every connection that an account of the tenant lies at."""


class PostgresSubmissions:
    """ports.Submissions on PostgreSQL. `court_addresses` belong to the installation (LAW-2)."""

    def __init__(
        self,
        engine: AsyncEngine,
        keys: ContentKeys,
        *,
        court_addresses: frozenset[str] = frozenset(),
        clocks: Clocks = CLOCKS,
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._court_addresses = court_addresses
        self._clocks = clocks
        self._reading = PostgresReading(engine, keys)
        self._uploads = Uploads(engine, keys)
        self._group_commit = GroupCommit(engine)

    async def context(self, scope: TenantScope, sender: str | None, now: datetime) -> SenderContext:
        async with statement_driver(self._engine) as connection:
            found = await connection.fetchval(
                "SELECT sender_context($1, $2, $3, $4)", scope.tenant_id, scope.client_id, sender, now
            )
        if found is None:
            raise NotFound
        if found["account_id"] is None:
            found["domains"] = await self._domains_of_all(scope.tenant_id)
        return _context(scope.tenant_id, found, self._court_addresses)

    async def accept(
        self, scope: TenantScope, message: NewMessage, key: IdempotencyKey, answer: StoredAnswer, config_version: int
    ) -> Accepted:
        keys = await self._keys.of(scope.tenant_id)
        made = submitted(scope, keys, message, key, answer, config_version)
        known = await self._group_commit.accept(scope.tenant_id, made)
        if known is None:
            return Accepted(AcceptResult.ACCEPTED)
        if known["result"] == "running":
            raise Conflict("idempotency-in-progress")
        result = AcceptResult(known["result"])
        return Accepted(result, await self._answer(scope, key, known) if result is AcceptResult.REPLAYED else None)

    async def replay(self, scope: TenantScope, key: IdempotencyKey) -> Accepted | None:
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            row = await connection.fetchrow(
                f"{_ANSWER} WHERE tenant_id = $1 AND client_id = $2 AND key = $3",
                scope.tenant_id,
                scope.client_id,
                key.key,
            )
        if row is None:
            return None
        if row["request_sha256"] != key.request_sha256:
            return Accepted(AcceptResult.REUSED)
        if row["status"] is None:
            raise Conflict("idempotency-in-progress")
        return Accepted(AcceptResult.REPLAYED, await self._answer(scope, key, row))

    async def note_refusal(self, scope: TenantScope, rules: Sequence[str], trace_id: str | None, now: datetime) -> None:
        detail = {"rules": " ".join(rules), **({"trace_id": trace_id} if trace_id else {})}
        what = format_id(Prefix.TENANT, scope.tenant_id)
        async with tenant_driver(self._engine, scope.tenant_id) as connection:
            await connection.execute(_REFUSED, scope.tenant_id, now, actor_of(scope), what, to_jsonb(detail))

    async def upload(
        self,
        scope: TenantScope,
        upload_id: UUID,
        filename: str,
        content_type: str,
        chunks: AsyncIterator[bytes],
        limit_bytes: int,
        expected_sha256: bytes | None,
        now: datetime,
    ) -> UploadFacts:
        return await self._uploads.store(
            scope, upload_id, filename, content_type, chunks, limit_bytes, expected_sha256, now
        )

    async def uploads(self, scope: TenantScope, ids: Sequence[UUID]) -> Mapping[UUID, UploadFacts]:
        return await self._uploads.facts(scope, ids)

    async def discard_upload(self, scope: TenantScope, upload_id: UUID) -> None:
        await self._uploads.discard(scope, upload_id)

    async def cancel(self, scope: TenantScope, message_id: UUID, now: datetime) -> MessageView:
        async with batch_driver(self._engine, scope.tenant_id) as connection:
            await self._cancel(connection, scope, message_id, now)
        return await self._reading.message(scope, message_id)

    async def _domains_of_all(self, tenant_id: UUID) -> list[str]:
        async with tenant_driver(self._engine, tenant_id) as connection:
            return [row[0] for row in await connection.fetch(_DOMAINS_OF_ALL, tenant_id)]

    async def _cancel(self, connection: Any, scope: TenantScope, message_id: UUID, now: datetime) -> None:
        tenant_id = scope.tenant_id
        if not await lock_messages(connection, tenant_id, [message_id]):
            raise NotFound
        standing = (await fetch_standings(connection, tenant_id, [message_id]))[message_id]
        copies = [copy.id for copy in standing.facts.copies]
        await connection.fetch(f"{_LOCK_WORK} ORDER BY id FOR UPDATE", tenant_id, list(COPY_WORK), copies)
        # a worker records an attempt at a copy without locking the message: look once more, now that nobody can
        hand_overs = dict(await connection.fetch(_LOCK_COPIES, tenant_id, message_id))
        if not may_cancel(standing.facts) or set(hand_overs.values()) & {HandOver.UNCERTAIN, HandOver.TAKEN}:
            raise Conflict("not-cancellable")
        changes = Changes(now, self._clocks)
        for copy in standing.facts.copies:
            if copy.hand_over is HandOver.WAITING:
                standing = standing.with_copy(copy.id, HandOver.CANCELLED, now)
                changes.plan_copy(copy.id, None)
        changes.settle(standing)
        changes.journal.append(Entry("message.cancelled", format_id(Prefix.MESSAGE, message_id), {}, actor_of(scope)))
        await changes.write(connection, tenant_id)

    async def _answer(self, scope: TenantScope, key: IdempotencyKey, row: Any) -> StoredAnswer:
        keys = await self._keys.of(scope.tenant_id, [row["dek"]])
        place = place_of_answer(scope.client_id, key.key)
        body = keys.open(place.table, place.row, row["dek"]).open(place, row["sealed_body"])
        return StoredAnswer(row["status"], body, row["location"])


def _context(tenant_id: UUID, found: Mapping[str, Any], court_addresses: frozenset[str]) -> SenderContext:
    account = found["account_id"]
    sending = may_send(found["state"], found["effects"], found["permissions"])
    extra_local_parts = found["system_local_parts"] or ()
    return SenderContext(
        config_version=found["config_version"],
        tenant_id=tenant_id,
        tenant_state=found["state"],
        tenant_sending=sending and (account is None or found["connection_active"]),
        permissions=frozenset(found["permissions"]),
        policy=found["policy"],
        account_id=UUID(account) if account else None,
        account_holder=found["holder"] or "",
        account_state=AccountState(found["account_state"] or AccountState.UNKNOWN),
        retrieval_entitlement=bool(found["retrieval_entitlement"]),
        natural_person=bool(found["natural_person"]),
        connection_id=UUID(found["connection_id"]) if found["connection_id"] else None,
        auth_level=AuthLevel(found["auth_level"] or AuthLevel.NORMAL),
        provider_domains=frozenset(found["domains"] or ()),
        system_local_parts=frozenset(part.lower() for part in (*SYSTEM_LOCAL_PARTS.values(), *extra_local_parts)),
        court_addresses=court_addresses,
        may_use={
            address: None if options is None else frozenset(options) for address, options in found["may_use"].items()
        },
        tenant_addresses=frozenset(found["addresses"]),
        provider_limits=found["limits"] or {},
        quota_used={name: int(number) for name, number in found["quota"].items()},
    )
