"""A stage for storage tests: two tenants on real tables, and messages made for them."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.answers import Accepted, IdempotencyKey, StoredAnswer
from demail_gateway.application.ports.arrivals import Arrival, Mailbox, NewEvidence
from demail_gateway.application.ports.dispatches import AttemptBegin, AttemptEnd, AttemptOutcome, ClaimedCopy
from demail_gateway.application.ports.submissions import NewAttachment, NewCopy, NewMessage, NewRecipient
from demail_gateway.application.ports.work import Lease, WorkKind
from demail_gateway.core.checks import Outcome
from demail_gateway.core.delivery import Effect, EvidenceFact
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import RecipientKind
from demail_gateway.storage.arrivals import PostgresArrivals
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.dispatches import PostgresDispatches
from demail_gateway.storage.envelope import MasterKey, MasterKeys
from demail_gateway.storage.reading import PostgresReading
from demail_gateway.storage.submissions import PostgresSubmissions
from demail_gateway.storage.sweeping import PostgresSweeping
from demail_gateway.tenancy.scope import TENANT_SCOPES, TenantScope
from tests.harness.database import Database

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
ALL_PERMISSIONS = ["send", "receive", "ident", "directory", "documents"]
PROOFS = SendOptions(confirmation_of_dispatch=True, confirmation_of_receipt=True)


def later(**duration: float) -> datetime:
    """NOW and so much more."""
    return NOW + timedelta(**duration)


@dataclass(frozen=True, slots=True)
class Tenant:
    id: UUID
    client_id: UUID
    account_id: UUID
    connection_id: UUID
    address: str

    @property
    def scope(self) -> TenantScope:
        return TenantScope(self.id, self.client_id, TENANT_SCOPES)

    @property
    def mailbox(self) -> Mailbox:
        return Mailbox(self.id, self.account_id, self.address, self.connection_id)


@dataclass(slots=True)
class Stage:
    """The adapters on one engine, and what they need around them."""

    database: Database
    engine: AsyncEngine
    master: MasterKeys = field(default_factory=lambda: MasterKeys(MasterKey("1", os.urandom(32))))
    connection_id: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self.keys = ContentKeys(self.engine, self.master)
        self.submissions = PostgresSubmissions(self.engine, self.keys)
        self.dispatches = PostgresDispatches(self.engine, self.keys, attempt_s=30)
        self.arrivals = PostgresArrivals(self.engine, self.keys)
        self.sweeping = PostgresSweeping(self.engine)
        self.reading = PostgresReading(self.engine, self.keys)

    _superuser: Any = None
    keys: ContentKeys = field(init=False)
    submissions: PostgresSubmissions = field(init=False)
    dispatches: PostgresDispatches = field(init=False)
    arrivals: PostgresArrivals = field(init=False)
    sweeping: PostgresSweeping = field(init=False)
    reading: PostgresReading = field(init=False)

    @asynccontextmanager
    async def superuser(self) -> AsyncIterator[Any]:
        """The stage's connection that sees everything, for looking and for doing harm."""
        if self._superuser is None:
            self._superuser = await asyncpg.connect(self.database.superuser_url)
        yield self._superuser

    @asynccontextmanager
    async def app(self) -> AsyncIterator[Any]:
        """A connection of the application role without a tenant."""
        connection = await asyncpg.connect(self.database.app_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def close(self) -> None:
        if self._superuser is not None:
            await self._superuser.close()
        await self.engine.dispose()

    async def fetch(self, query: str, *values: Any) -> list[Any]:
        async with self.superuser() as connection:
            rows: list[Any] = await connection.fetch(query, *values)
            return rows

    async def value(self, query: str, *values: Any) -> Any:
        return (await self.fetch(query, *values))[0][0]

    async def tenant(self, slug: str, *, auth_level: str = "high") -> Tenant:
        """A live tenant with account, address, client, permission and content key."""
        made = Tenant(uuid4(), uuid4(), uuid4(), self.connection_id, f"post@{slug}.de-mail.de")
        async with self.superuser() as c, c.transaction():
            await c.execute(
                "INSERT INTO connection (id, name, auth_level, profile, created_at) VALUES ($1, $2, $3, $4, $5)"
                " ON CONFLICT DO NOTHING",
                made.connection_id,
                f"provider-{made.connection_id}",
                auth_level,
                json.dumps({"domains": ["sandbox.de-mail.de"], "limits": {"net_bytes": 1000}}),
                NOW,
            )
            await c.execute(
                "INSERT INTO tenant (tenant_id, slug, name, kind, public_body, state, permissions, created_at)"
                " VALUES ($1, $2, $2, 'authority', true, 'live', $3, $4)",
                made.id,
                slug,
                ALL_PERMISSIONS,
                NOW,
            )
            key = self.master.new_tenant_key(made.id)
            await c.execute(
                "INSERT INTO tenant_content_key VALUES ($1, $2, $3, $4, $5)",
                key.tenant_id,
                key.version,
                key.master_key_id,
                key.wrapped,
                NOW,
            )
            await c.execute(
                "INSERT INTO account VALUES ($1, $2, $3, 'Stadt', 'active', true, false, $4)",
                made.id,
                made.account_id,
                made.connection_id,
                NOW,
            )
            await c.execute(
                "INSERT INTO address VALUES ($1, $2, $3, $4, $5)", made.id, uuid4(), made.account_id, made.address, NOW
            )
            await c.execute(
                "INSERT INTO client VALUES ($1, $2, 'fachverfahren', $3, $4, true, $5)",
                made.id,
                made.client_id,
                [str(scope) for scope in TENANT_SCOPES],
                os.urandom(32),
                NOW,
            )
            await c.execute(
                "INSERT INTO sender_permission VALUES ($1, $2, $3, NULL, NULL, $4)",
                made.id,
                made.client_id,
                made.address,
                NOW,
            )
        return made

    async def config_version(self, tenant: Tenant) -> int:
        return (await self.submissions.context(tenant.scope, tenant.address, NOW)).config_version

    async def accept(self, tenant: Tenant, message: NewMessage | None = None, key: str | None = None) -> NewMessage:
        """One accepted message."""
        made = message or new_message(tenant)
        accepted = await self.try_accept(tenant, made, key)
        assert accepted.result == "accepted"
        return made

    async def try_accept(self, tenant: Tenant, message: NewMessage, key: str | None = None) -> Accepted:
        idempotency = IdempotencyKey(key or str(uuid4()), b"\1" * 32)
        version = await self.config_version(tenant)
        return await self.submissions.accept(tenant.scope, message, idempotency, ANSWER, version)

    async def claim(
        self, tenant: Tenant, *kinds: WorkKind, at: datetime = NOW, limit: int = 100, lease_s: float = 60
    ) -> list[Lease]:
        wanted = kinds or (WorkKind.DISPATCH,)
        return await self.dispatches.claim(tenant.id, wanted, at, limit, lease_s, "worker-1")

    async def claim_copy(self, tenant: Tenant, at: datetime = NOW) -> ClaimedCopy:
        (copy,) = await self.dispatches.load(tenant.id, await self.claim(tenant, at=at))
        return copy

    async def begun(self, tenant: Tenant, octets: bytes = b"octets", at: datetime = NOW) -> AttemptBegin:
        """One copy claimed, its attempt recorded."""
        copy = await self.claim_copy(tenant, at)
        attempt = AttemptBegin(copy.lease, uuid4(), copy.content.copy_id, octets, at)
        assert await self.dispatches.begin(tenant.id, [attempt]) == {attempt.copy_id}
        return attempt

    async def taken(self, tenant: Tenant, at: datetime = NOW) -> AttemptBegin:
        """One copy handed over."""
        attempt = await self.begun(tenant, at=at)
        await self.dispatches.finish(tenant.id, [outcome(attempt, AttemptEnd.TAKEN, at)])
        return attempt

    async def state(self, message: NewMessage) -> str:
        return str(await self.value("SELECT state FROM message WHERE id = $1", message.id))

    async def events(self, message: NewMessage) -> list[str]:
        rows = await self.fetch("SELECT type FROM event WHERE message_id = $1 ORDER BY xact, position", message.id)
        return [row[0] for row in rows]

    async def work(self, tenant: Tenant) -> list[tuple[str, UUID, bool]]:
        """Kind, subject and whether leased, of every row of the outbox."""
        rows = await self.fetch(
            "SELECT kind, subject_id, lease_token IS NOT NULL FROM outbox WHERE tenant_id = $1 ORDER BY kind", tenant.id
        )
        return [tuple(row) for row in rows]

    async def received(self, tenant: Tenant, octets: bytes, at: datetime = NOW) -> Lease:
        """Octets that came in, claimed."""
        assert len(await self.arrivals.store([new_arrival(tenant, octets, at)])) == 1
        (lease,) = await self.claim(tenant, WorkKind.RECEIVED, at=at)
        return lease

    async def prove(self, tenant: Tenant, evidence: NewEvidence) -> None:
        """Evidence as if it had come in and been verified now."""
        lease = await self.received(tenant, evidence.id.bytes, evidence.at)
        stored = await self.arrivals.load(tenant.id, lease)
        assert stored is not None
        await self.arrivals.record_evidence(tenant.id, lease, replace(evidence, received_id=stored.id))


ANSWER = StoredAnswer(202, b'{"id": "msg_1"}', "/v1/tenants/t/messages/msg_1")


def new_message(
    tenant: Tenant,
    *,
    recipients: Iterable[tuple[RecipientKind, str]] = ((RecipientKind.TO, "buergerin@sandbox.de-mail.de"),),
    attachments: tuple[NewAttachment, ...] = (),
    options: SendOptions = PROOFS,
    subject: str = "Gewerbesteuerbescheid",
    text: str | None = "Sehr geehrte Damen und Herren",
    split: bool = False,
    size_bytes: int = 1000,
    created_at: datetime = NOW,
) -> NewMessage:
    """A message with one copy, or one for each recipient."""
    addressed = list(recipients)
    copies = [
        NewCopy(uuid4(), n, f"urn:uuid:{uuid4()}", f"<{uuid4()}@gateway>")
        for n in range(len(addressed) if split else 1)
    ]
    return NewMessage(
        id=uuid4(),
        client_id=tenant.client_id,
        account_id=tenant.account_id,
        connection_id=tenant.connection_id,
        sender=tenant.address,
        reply_to=None,
        subject=subject,
        text=text,
        html=None,
        reference="AZ 22.3",
        options=options,
        profile=None,
        formal_service=None,
        sign=True,
        encrypt=False,
        split=split,
        recipient_certificates={"buergerin@sandbox.de-mail.de": (b"\x30\x00", b"\x30\x01\x00")},
        size_bytes=size_bytes,
        created_at=created_at,
        copies=tuple(copies),
        recipients=tuple(
            NewRecipient(uuid4(), copies[n if split else 0].id, kind, n, address)
            for n, (kind, address) in enumerate(addressed)
        ),
        attachments=attachments,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )


def outcome(
    attempt: AttemptBegin,
    end: AttemptEnd,
    at: datetime = NOW,
    *,
    next_at: datetime | None = None,
    lease: Lease | None = None,
    refused: tuple[UUID, ...] = (),
) -> AttemptOutcome:
    return AttemptOutcome(
        lease or attempt.lease, attempt.copy_id, attempt.attempt_id, end, "250 2.0.0 ok", refused, at, next_at
    )


def new_arrival(tenant: Tenant, octets: bytes, at: datetime = NOW) -> Arrival:
    return Arrival(
        uuid4(), tenant.mailbox, tenant.connection_id, octets, "meldung@sandbox.de-mail.de", "ab" * 32, at, None
    )


def new_evidence(
    message: NewMessage,
    effect: Effect,
    *,
    at: datetime = NOW,
    passed: bool = True,
    copy: int = 0,
    recipient: int = 0,
    demail_message_id: str | None = "<1@sandbox>",
) -> NewEvidence:
    """A confirmation of `effect` for one recipient of one copy."""
    copy_id, named = message.copies[copy].id, message.recipients[recipient]
    whole = effect is Effect.DISPATCHED
    fact = EvidenceFact(effect, copy_id, None if whole else named.id, at, at) if passed else None
    return NewEvidence(
        id=uuid4(),
        received_id=uuid4(),
        message_id=message.id,
        copy_id=copy_id,
        recipient_id=None if whole else named.id,
        kind=f"confirmation of {effect}",
        notification_type=None,
        issuer="versandbestaetigung@sandbox.de-mail.de",
        issued_at=at,
        delivery_time=at,
        demail_message_id=demail_message_id,
        integrity_value="sha256/rsa;h=1",
        recipient_address=None if whole else named.address,
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        verdict="confirmed" if passed else "rejected",
        checks=(),
        findings=() if passed else ("xml-signature-invalid",),
        fact=fact,
        validation={"certificates": [b"cert"], "status_answers": [b"crl"]},
        at=at,
    )
