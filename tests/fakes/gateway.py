"""The whole API in this process over `World`, with two tenants set up as `dev` sets them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from demail_gateway.api.app import create_app
from demail_gateway.api.proxies import DIRECT, Proxies
from demail_gateway.application.access_tokens import TokenIssuer
from demail_gateway.application.administer import Administer
from demail_gateway.application.attach import Attach
from demail_gateway.application.authenticate import Access
from demail_gateway.application.certify import Certify
from demail_gateway.application.issue_token import IssueToken
from demail_gateway.application.once import Once
from demail_gateway.application.ports.administration import AccountRecord, AddressRecord, ClientSummary, TenantRecord
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.providers import HandOverReceipt, HandOverRequest
from demail_gateway.application.ports.reading import MessageView
from demail_gateway.application.ports.trust import CertifiedKey
from demail_gateway.application.prove import Prove
from demail_gateway.application.read import Read
from demail_gateway.application.register import Register
from demail_gateway.application.scan import ScanOutbound
from demail_gateway.application.services import Probe, Services
from demail_gateway.application.settle import Settle
from demail_gateway.application.submit import Submit
from demail_gateway.application.wake import WakeUps
from demail_gateway.core.errors import Conflict, RuleViolation, Violation
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import AccountState, AuthLevel, Direction, MessageState
from demail_gateway.observability.metrics import Metrics
from demail_gateway.scanning.eicar_scanner import EicarScanner
from demail_gateway.tenancy.client_authentication import EVERY_METHOD, ClientAuthentication
from demail_gateway.tenancy.credentials import secret_digest, secret_text
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.lifecycle import PERMISSIONS
from demail_gateway.tenancy.scope import TENANT_SCOPES, Scope
from demail_gateway.trust.client_certificates import read_pinned_certificate
from demail_gateway.trust.smime import SmimeSealer
from tests.fakes.administration import MemoryAdministration, MemoryInstallation
from tests.fakes.api_client import ApiClient, Kit
from tests.fakes.queues import MemoryQueues
from tests.fakes.reading import MemoryReading
from tests.fakes.sending import MemoryAnswers, MemoryClients, MemorySubmissions
from tests.fakes.world import World

UPLOAD_BYTES = 1_000_000
SCAN = ScanOutbound(EicarScanner())
JSON_BYTES = 2_000_000
TOKEN_SECRET = bytes(range(32))


class MemoryWaker:
    def __init__(self, world: World) -> None:
        self._world = world

    async def wake(self, tenant_id: UUID) -> None:
        self._world.woken.append(tenant_id)


@dataclass
class DirectoryProvider:
    """A provider that only has a directory."""

    certificates: dict[str, Sequence[bytes]] = field(default_factory=dict)
    error: Exception | None = None

    async def hand_over(self, request: HandOverRequest) -> HandOverReceipt:
        raise AssertionError("requests hand nothing over")

    async def look_up(self, connection: Connection, private_id: str) -> bool | None:
        raise AssertionError("requests look nothing up")

    async def recipient_certificates(
        self, connection: Connection, addresses: Sequence[str]
    ) -> Mapping[str, Sequence[bytes]]:
        if self.error is not None:
            raise self.error
        return {each: self.certificates[each] for each in addresses if each in self.certificates}

    async def close(self) -> None:
        return None


class LabelWorkshop:
    """Keys that are labels, so that no test waits for prime numbers."""

    def __init__(self) -> None:
        self._made = 0

    def make(self, algorithm: str) -> bytes:
        self._made += 1
        return f"{algorithm}-{self._made}".encode()

    def request(self, pkcs8: bytes, common_name: str, address: str) -> str:
        return f"request {pkcs8.decode()} {common_name} {address}"

    def match(self, pkcs8: bytes, certificate_pem: str, chain_pem: Sequence[str], now: datetime) -> CertifiedKey:
        if pkcs8.decode() not in certificate_pem:
            raise Conflict("certificate-key-mismatch")
        return CertifiedKey(
            certificate_pem.encode(), tuple(p.encode() for p in chain_pem), datetime(2030, 1, 1, tzinfo=UTC)
        )


class LabelSigner:
    certificates = (b"installation certificate",)
    status_answers = (b"installation crl",)

    def sign(self, manifest: bytes, at: datetime) -> bytes:
        return b"signed:" + manifest


def check_profile(profile: Mapping[str, Any]) -> None:
    if "smtp" not in profile:
        text = "smtp fehlt", "smtp is missing"
        raise RuleViolation([Violation("invalid-request", "", "/profile/smtp", *text)])


@dataclass
class TenantKit(Kit):
    """A tenant of the fake, with its records."""

    record: TenantRecord
    account: AccountRecord

    @property
    def client_uuid(self) -> UUID:
        return UUID(self.client_id[4:])


class Gateway(ApiClient):
    """Requests in, answers out; `world` is what is stored."""

    def __init__(self, methods: frozenset[ClientAuthentication] = EVERY_METHOD, proxies: Proxies = DIRECT) -> None:
        self.methods = methods
        self.world = World()
        self.provider = DirectoryProvider()
        self.wake_ups = WakeUps(MemoryWaker(self.world))
        self.probes: dict[str, Probe] = {}
        self.issuer = TokenIssuer(TOKEN_SECRET, "http://gateway.test", "demail-gateway")
        self.metrics = Metrics()
        self.services = self._services()
        app = create_app(self.services, self.metrics, json_body_bytes=JSON_BYTES, expose_metrics=True, proxies=proxies)
        super().__init__(app)
        self.connection = Connection(
            self.world.id(),
            "sandbox",
            AuthLevel.HIGH,
            {"smtp": {}, "domains": ["de-mail.de"]},
            True,
            self.world.time.now,
        )
        self.world.connections[self.connection.id] = self.connection
        self.city = self.add_tenant("stadt-elbtal", public_body=True)
        self.firm = self.add_tenant("werke-elbtal", public_body=False)
        self.default = self.city
        self.operator_id, self.operator_secret = self._add_operator()

    def add_tenant(self, slug: str, *, public_body: bool) -> TenantKit:
        """Live, level high, all permissions of GWT-13; its client holds every scope but operator."""
        world = self.world
        now = world.time.now
        record = TenantRecord(
            world.id(), slug, slug.title(), "municipality", public_body, "live", {}, PERMISSIONS, {}, now
        )
        world.tenants[record.id] = record
        account = AccountRecord(
            world.id(), record.id, self.connection.id, slug.title(), AccountState.ACTIVE, public_body, False
        )
        world.accounts[account.id] = account
        address = f"poststelle@{slug}.de-mail.de"
        world.addresses[address] = AddressRecord(world.id(), record.id, account.id, address)
        client = ClientSummary(world.id(), record.id, "Fachverfahren", TENANT_SCOPES, True, now)
        world.clients[client.id] = client
        secret = secret_text(world.dice(32))
        world.secrets[client.id] = secret_digest(secret)
        world.senders[record.id, client.id, address] = (None, None)
        return TenantKit(
            format_id(Prefix.TENANT, record.id),
            slug,
            address,
            format_id(Prefix.CLIENT, client.id),
            secret,
            record,
            account,
        )

    def receive(self, kit: TenantKit, octets: bytes, **changes: Any) -> str:
        """An inbound message; returns its public id."""
        now = self.world.time.now
        view = MessageView(
            id=self.world.id(),
            direction=Direction.INBOUND,
            state=MessageState.RECEIVED,
            reference=None,
            sender="buergerin@sandbox.de-mail.de",
            to=(kit.address,),
            cc=(),
            bcc=(),
            subject="Anfrage",
            size_bytes=len(octets),
            options=SendOptions(),
            profile=None,
            signed=False,
            encrypted=False,
            recipients=(),
            attachments=(),
            created_at=now,
            submitted_at=None,
            completed_at=None,
            overdue_since=None,
            next_attempt_at=None,
            mailbox=kit.address,
            message_type="normal",
            received_at=now,
            verification={"outcome": "passed", "protection": "hash", "checks": []},
        )
        view = replace(view, **changes)
        self.world.inbound[kit.record.id, view.id] = (view, octets)
        return format_id(Prefix.MESSAGE, view.id)

    def make_submit(self, submissions: MemorySubmissions, remembered: int = 100) -> Submit:
        """The use case over other submissions than the API's."""
        world = self.world
        installation = MemoryInstallation(world)
        return Submit(
            submissions,
            installation,
            self.provider,
            SCAN,
            SmimeSealer().objection,
            self.wake_ups,
            world.time,
            world.dice,
            "gateway.test",
            remembered,
        )

    def add_operator(self, jwks: Mapping[str, Any] | None, certificates: Sequence[str] = ()) -> str:
        """An operator's client with keys of its own; returns its public id."""
        world = self.world
        pins = tuple(map(read_pinned_certificate, certificates))
        client = ClientSummary(
            world.id(), None, "Leitstand", frozenset({Scope.OPERATOR}), True, world.time.now, False, jwks, pins
        )
        world.clients[client.id] = client
        world.secrets[client.id] = None
        return format_id(Prefix.CLIENT, client.id)

    def _add_operator(self) -> tuple[str, str]:
        world = self.world
        secret = secret_text(world.dice(32))
        client = ClientSummary(world.id(), None, "operator", frozenset({Scope.OPERATOR}), True, world.time.now)
        world.clients[client.id] = client
        world.secrets[client.id] = secret_digest(secret)
        return format_id(Prefix.CLIENT, client.id), secret

    def _services(self) -> Services:
        world, time, dice = self.world, self.world.time, self.world.dice
        clients, submissions, reading = MemoryClients(world), MemorySubmissions(world), MemoryReading(world)
        administration = MemoryAdministration(world)
        return Services(
            issue_token=IssueToken(clients, self.issuer, time, dice, self.methods),
            access=Access(clients, self.issuer, time),
            once=Once(MemoryAnswers(world), time),
            submit=self.make_submit(submissions),
            attach=Attach(submissions, SCAN, time, dice, UPLOAD_BYTES),
            read=Read(reading, submissions, time),
            prove=Prove(reading, LabelSigner(), time),
            administer=Administer(administration, check_profile, time, dice),
            register=Register(administration, read_pinned_certificate, self.methods, time, dice),
            certify=Certify(administration, LabelWorkshop(), time, dice),
            queues=Settle(MemoryQueues(world), time, self.wake_ups),
            randomness=dice,
            probes=self.probes,
        )
