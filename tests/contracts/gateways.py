"""The data of one gateway behind its ports: on PostgreSQL, and in memory as other tests have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol
from uuid import UUID, uuid4

from demail_gateway.application.ports.administration import (
    AccountRecord,
    AddressRecord,
    Administration,
    ClientSummary,
    TenantRecord,
)
from demail_gateway.application.ports.answers import Answers, IdempotencyKey, StoredAnswer
from demail_gateway.application.ports.arrivals import NewEvidence, NewInbound
from demail_gateway.application.ports.clients import Clients
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.dispatches import AttemptBegin, AttemptEnd, AttemptOutcome
from demail_gateway.application.ports.installation import Installation
from demail_gateway.application.ports.queues import Queues, WaitingCopy, WaitsFor
from demail_gateway.application.ports.reading import EvidenceView, MessageView, Reading
from demail_gateway.application.ports.submissions import NewMessage, Submissions
from demail_gateway.application.ports.work import WorkKind
from demail_gateway.core.decision import Undecided
from demail_gateway.core.vocabulary import AccountState, AuthLevel, Direction, HandOver, MessageState
from demail_gateway.storage.administration import PostgresAdministration
from demail_gateway.storage.answers import PostgresAnswers
from demail_gateway.storage.clients import PostgresClients
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.installation import PostgresInstallation
from demail_gateway.storage.queues import PostgresQueues
from demail_gateway.storage.reading import PostgresReading
from demail_gateway.storage.submissions import PostgresSubmissions
from demail_gateway.tenancy.scope import TENANT_SCOPES, OperatorScope
from tests.fakes.administration import MemoryAdministration, MemoryInstallation
from tests.fakes.queues import MemoryQueues
from tests.fakes.reading import MemoryReading
from tests.fakes.sending import MemoryAnswers, MemoryClients, MemorySubmissions
from tests.fakes.world import StandingStill, World
from tests.storage.stage import ALL_PERMISSIONS, NOW, Stage, Tenant, later, new_arrival, outcome

OPERATOR = OperatorScope(UUID(int=1))
SECRET = b"\x05" * 32


class Gateway(Protocol):
    """What the contracts are tried on."""

    @property
    def administration(self) -> Administration: ...

    @property
    def installation(self) -> Installation: ...

    @property
    def clients(self) -> Clients: ...

    @property
    def submissions(self) -> Submissions: ...

    @property
    def answers(self) -> Answers: ...

    @property
    def reading(self) -> Reading: ...

    @property
    def queues(self) -> Queues: ...

    async def chain_journal(self) -> None: ...

    async def hand_over(self, tenant: Tenant, message: NewMessage, octets: Sequence[bytes]) -> None:
        """Composes and hands over all copies, with these octets in the order of the copies."""
        ...

    async def stand_still(self, tenant: Tenant, message: NewMessage, reason: WaitsFor) -> None:
        """Hands the message over once, so that its one copy waits for a person since `NOW`."""
        ...

    async def prove(self, tenant: Tenant, evidence: NewEvidence, octets: bytes) -> None: ...

    async def receive(self, tenant: Tenant, inbound: NewInbound, octets: bytes) -> None: ...


class PostgresGateway:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        keys = ContentKeys(stage.engine, stage.master, keep_s=0)
        self.administration = PostgresAdministration(stage.engine, keys)
        self.installation = PostgresInstallation(stage.engine, keys)
        self.clients = PostgresClients(stage.engine)
        self.submissions = PostgresSubmissions(stage.engine, keys)
        self.answers = PostgresAnswers(stage.engine, keys)
        self.reading = PostgresReading(stage.engine, keys)
        self.queues = PostgresQueues(stage.engine)

    async def chain_journal(self) -> None:
        await self.stage.sweeping.seal_journal()

    async def hand_over(self, tenant: Tenant, message: NewMessage, octets: Sequence[bytes]) -> None:
        given = dict(zip((copy.id for copy in message.copies), octets, strict=True))
        copies = await self.stage.dispatches.load(tenant.id, await self.stage.claim(tenant))
        begun = [AttemptBegin(c.lease, uuid4(), c.content.copy_id, given[c.content.copy_id], NOW) for c in copies]
        assert await self.stage.dispatches.begin(tenant.id, begun) == given.keys()
        ended = [
            AttemptOutcome(each.lease, each.copy_id, each.attempt_id, AttemptEnd.TAKEN, "250 ok", (), NOW, None)
            for each in begun
        ]
        await self.stage.dispatches.finish(tenant.id, ended)

    async def stand_still(self, tenant: Tenant, message: NewMessage, reason: WaitsFor) -> None:
        attempt = await self.stage.begun(tenant)
        if reason is WaitsFor.HELD:
            await self.stage.dispatches.finish(tenant.id, [outcome(attempt, AttemptEnd.UNAVAILABLE)])
            return
        unknown = outcome(attempt, AttemptEnd.UNKNOWN, next_at=later(hours=1))
        await self.stage.dispatches.finish(tenant.id, [replace(unknown, unsettled=True)])

    async def prove(self, tenant: Tenant, evidence: NewEvidence, octets: bytes) -> None:
        lease = await self.stage.received(tenant, octets, evidence.at)
        recorded = replace(evidence, received_id=lease.subject_id)
        await self.stage.arrivals.record_evidence(tenant.id, lease, recorded)

    async def receive(self, tenant: Tenant, inbound: NewInbound, octets: bytes) -> None:
        assert len(await self.stage.arrivals.store([new_arrival(tenant, octets, inbound.at)])) == 1
        (lease,) = await self.stage.claim(tenant, WorkKind.RECEIVED, at=inbound.at)
        recorded = replace(inbound, received_id=lease.subject_id)
        await self.stage.arrivals.record_inbound(tenant.id, lease, recorded)


class MemoryGateway:
    def __init__(self) -> None:
        self.world = World()
        self.administration = MemoryAdministration(self.world)
        self.installation = MemoryInstallation(self.world)
        self.clients = MemoryClients(self.world)
        self.submissions = MemorySubmissions(self.world)
        self.answers = MemoryAnswers(self.world)
        self.reading = MemoryReading(self.world)
        self.queues = MemoryQueues(self.world)

    async def chain_journal(self) -> None:
        """It always is."""

    async def hand_over(self, tenant: Tenant, message: NewMessage, octets: Sequence[bytes]) -> None:
        sent = self.world.sent[tenant.id, message.id]
        sent.handed_over.update(zip((copy.id for copy in message.copies), octets, strict=True))

    async def stand_still(self, tenant: Tenant, message: NewMessage, reason: WaitsFor) -> None:
        held = reason is WaitsFor.HELD
        copy = WaitingCopy(
            id=message.copies[0].id,
            message_id=message.id,
            tenant_id=tenant.id,
            tenant_slug=self.world.tenants[tenant.id].slug,
            connection_id=tenant.connection_id,
            reason=reason,
            since=NOW,
            private_id=message.copies[0].private_id,
            attempts=1,
            last_attempt_at=NOW,
            reply_code="250",
            next_look_up_at=None if held else later(hours=1),
        )
        known = Undecided(HandOver.WAITING if held else HandOver.UNCERTAIN, held, worker_at_it=False, attempts=1)
        self.world.standing_still[copy.id] = StandingStill(copy, known)

    async def prove(self, tenant: Tenant, evidence: NewEvidence, octets: bytes) -> None:
        assert evidence.message_id is not None
        proofs = self.world.evidence.setdefault((tenant.id, evidence.message_id), [])
        proofs.append((_evidence_view(evidence, evidence.message_id), octets))
        self.world.certificates = tuple(evidence.validation["certificates"])
        self.world.status_answers = tuple(evidence.validation["status_answers"])

    async def receive(self, tenant: Tenant, inbound: NewInbound, octets: bytes) -> None:
        self.world.inbound[tenant.id, inbound.id] = (_inbound_view(inbound), octets)


async def onboard(gateway: Gateway, slug: str) -> Tenant:
    """A live tenant with everything it needs to send, made through the ports alone."""
    made = Tenant(uuid4(), uuid4(), uuid4(), uuid4(), f"post@{slug}.de-mail.de")
    administration = gateway.administration
    await administration.create_connection(OPERATOR, new_connection(made.connection_id))
    await administration.create_tenant(OPERATOR, new_tenant(made.id, slug))
    await administration.create_account(OPERATOR, new_account(made), NOW)
    await administration.create_address(OPERATOR, AddressRecord(uuid4(), made.id, made.account_id, made.address), NOW)
    await administration.create_client(OPERATOR, new_client(made), SECRET)
    await administration.permit_sender(OPERATOR, made.id, made.client_id, made.address, None, None, NOW)
    return made


def new_tenant(tenant_id: UUID, slug: str) -> TenantRecord:
    return TenantRecord(
        id=tenant_id,
        slug=slug,
        name=f"Stadt {slug}",
        kind="municipality",
        public_body=True,
        state="live",
        effects={"sending": True},
        permissions=frozenset(ALL_PERMISSIONS),
        policy={"sign_by_default": True},
        created_at=NOW,
    )


def new_connection(connection_id: UUID, name: str | None = None) -> Connection:
    profile = {"domains": ["sandbox.de-mail.de"], "limits": {"net_bytes": 1000}}
    return Connection(connection_id, name or f"provider-{connection_id}", AuthLevel.HIGH, profile, True, NOW)


def new_account(tenant: Tenant) -> AccountRecord:
    return AccountRecord(tenant.account_id, tenant.id, tenant.connection_id, "Stadt", AccountState.ACTIVE, True, False)


def new_client(tenant: Tenant) -> ClientSummary:
    return ClientSummary(tenant.client_id, tenant.id, "Fachverfahren", TENANT_SCOPES, True, NOW)


async def accept(gateway: Gateway, tenant: Tenant, message: NewMessage) -> NewMessage:
    """The same message, accepted."""
    version = (await gateway.submissions.context(tenant.scope, tenant.address, NOW)).config_version
    key, answer = IdempotencyKey(str(uuid4()), b"\1" * 32), StoredAnswer(202, b"{}", "/v1")
    accepted = await gateway.submissions.accept(tenant.scope, message, key, answer, version)
    assert accepted.result == "accepted"
    return message


def _evidence_view(evidence: NewEvidence, message_id: UUID) -> EvidenceView:
    return EvidenceView(
        id=evidence.id,
        message_id=message_id,
        kind=evidence.kind,
        recipient=evidence.recipient_address,
        issuer=evidence.issuer,
        issued_at=evidence.issued_at,
        delivery_time=evidence.delivery_time,
        outcome=evidence.outcome,
        verdict=evidence.verdict,
        checks=evidence.checks,
        findings=evidence.findings,
        demail_message_id=evidence.demail_message_id,
        received_at=evidence.at,
    )


def _inbound_view(inbound: NewInbound) -> MessageView:
    nothing: Mapping[str, None] = dict.fromkeys(
        ("reference", "profile", "submitted_at", "completed_at", "overdue_since", "next_attempt_at")
    )
    return MessageView(
        id=inbound.id,
        direction=Direction.INBOUND,
        state=MessageState.RECEIVED,
        sender=inbound.sender,
        to=inbound.to,
        cc=inbound.cc,
        bcc=(),
        subject=inbound.subject,
        size_bytes=inbound.size_bytes,
        options=inbound.options,
        signed=False,
        encrypted=False,
        recipients=(),
        attachments=inbound.attachments,
        created_at=inbound.at,
        mailbox=inbound.mailbox_address,
        message_type=inbound.message_type,
        private=inbound.options.private,
        quarantine=inbound.quarantine,
        verification=inbound.verification,
        received_at=inbound.at,
        **nothing,
    )
