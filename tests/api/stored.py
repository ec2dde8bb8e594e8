"""The API over the real storage, set up by the operator's half of the API alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from demail_gateway.api.app import create_app
from demail_gateway.application.access_tokens import TokenIssuer
from demail_gateway.application.administer import Administer
from demail_gateway.application.attach import Attach
from demail_gateway.application.authenticate import Access
from demail_gateway.application.certify import Certify
from demail_gateway.application.issue_token import IssueToken
from demail_gateway.application.once import Once
from demail_gateway.application.prove import Prove
from demail_gateway.application.read import Read
from demail_gateway.application.register import Register
from demail_gateway.application.services import Services
from demail_gateway.application.settle import Settle
from demail_gateway.application.submit import Submit
from demail_gateway.application.wake import WakeUps
from demail_gateway.observability.metrics import Metrics
from demail_gateway.storage.administration import PostgresAdministration
from demail_gateway.storage.answers import PostgresAnswers
from demail_gateway.storage.clients import PostgresClients
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.engine import Engine
from demail_gateway.storage.envelope import MasterKey, MasterKeys
from demail_gateway.storage.installation import PostgresInstallation
from demail_gateway.storage.queues import PostgresQueues
from demail_gateway.storage.reading import PostgresReading
from demail_gateway.storage.submissions import PostgresSubmissions
from demail_gateway.storage.sweeping import PostgresSweeping
from demail_gateway.tenancy.client_authentication import EVERY_METHOD
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.lifecycle import PERMISSIONS, TenantState
from demail_gateway.tenancy.scope import TENANT_SCOPES, OperatorScope
from demail_gateway.trust.client_certificates import read_pinned_certificate
from demail_gateway.trust.smime import SmimeSealer
from demail_gateway.trust.workshop import SoftwareWorkshop
from tests.fakes.api_client import ApiClient, Kit
from tests.fakes.gateway import (
    JSON_BYTES,
    SCAN,
    TOKEN_SECRET,
    UPLOAD_BYTES,
    DirectoryProvider,
    LabelSigner,
    check_profile,
)

_SETTING_UP = OperatorScope(UUID("00000000-0000-7000-8000-000000000001"))
_STEPS = tuple(TenantState)[1:9]


class SilentWaker:
    async def wake(self, tenant_id: UUID) -> None:
        return None


class StoredGateway(ApiClient):
    """Two tenants, `city` and `firm`, on PostgreSQL."""

    city: Kit
    firm: Kit

    def __init__(self, engine: Engine) -> None:
        self.keys = ContentKeys(engine, MasterKeys(MasterKey("1", bytes(range(32)))))
        self.engine = engine
        self.sweeping = PostgresSweeping(engine)
        self.provider = DirectoryProvider()
        self.services = self._services()
        super().__init__(create_app(self.services, Metrics(), json_body_bytes=JSON_BYTES, expose_metrics=False))

    async def set_up(self) -> None:
        operator = await self.services.register.create_operator_client(_SETTING_UP, "Betrieb")
        self.operator_id, self.operator_secret = format_id(Prefix.CLIENT, operator.summary.id), operator.secret or ""
        profile = {"smtp": {"host": "sandbox.test", "port": 465}, "domains": ["de-mail.de"]}
        body = {"name": "sandbox", "auth_level": "high", "profile": profile}
        self.connection = str((await self.made("connections", body))["id"])
        self.city = self.default = await self.onboarded("stadt-elbtal", public_body=True)
        self.firm = await self.onboarded("werke-elbtal", public_body=False)

    async def onboarded(self, slug: str, *, public_body: bool) -> Kit:
        """A live tenant with one account, address and client."""
        tenant = {"slug": slug, "name": slug.title(), "kind": "municipality", "public_body": public_body}
        tenant_id = str((await self.made("tenants", tenant))["id"])
        base = f"tenants/{tenant_id}"
        await self.changed(base, {"permissions": sorted(PERMISSIONS)})
        account = {"connection_id": self.connection, "holder": slug, "retrieval_entitlement": public_body}
        await self.made(f"{base}/accounts", account)
        address = f"poststelle@{slug}.de-mail.de"
        await self.made(f"{base}/addresses", {"address": address})
        client = await self.made(f"{base}/clients", {"name": "Fach", "scopes": sorted(TENANT_SCOPES)})
        permitted = await self.operate("PUT", f"{base}/senders/{client['id']}/{address}", json={})
        assert permitted.status_code == 200, permitted.text
        for step in _STEPS:
            await self._step(base, step)
        return Kit(tenant_id, slug, address, str(client["client_id"]), str(client["client_secret"]))

    async def made(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.operate("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def changed(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.operate("PATCH", path, json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def _step(self, base: str, to: str) -> None:
        refused = await self.operate("POST", f"{base}/transitions", json={"to": to, "reason": "progress"})
        items: Sequence[str] = [each["pointer"].removeprefix("/evidence/") for each in refused.json()["errors"]]
        body = {"to": to, "reason": "progress", "evidence": items}
        taken = await self.operate("POST", f"{base}/transitions", json=body)
        assert taken.status_code == 200, taken.text

    def _services(self) -> Services:
        engine, keys, clock = self.engine, self.keys, lambda: datetime.now(UTC)
        clients, submissions = PostgresClients(engine), PostgresSubmissions(engine, keys)
        administration, reading = PostgresAdministration(engine, keys), PostgresReading(engine, keys)
        installation = PostgresInstallation(engine, keys)
        issuer = TokenIssuer(TOKEN_SECRET, "http://gateway.test", "demail-gateway")
        wake_ups = WakeUps(SilentWaker())
        return Services(
            issue_token=IssueToken(clients, issuer, clock, os.urandom, EVERY_METHOD),
            access=Access(clients, issuer, clock),
            once=Once(PostgresAnswers(engine, keys), clock),
            submit=Submit(
                submissions,
                installation,
                self.provider,
                SCAN,
                SmimeSealer().objection,
                wake_ups,
                clock,
                os.urandom,
                "gateway.test",
            ),
            attach=Attach(submissions, SCAN, clock, os.urandom, UPLOAD_BYTES),
            read=Read(reading, submissions, clock),
            prove=Prove(reading, LabelSigner(), clock),
            administer=Administer(administration, check_profile, clock, os.urandom),
            register=Register(administration, read_pinned_certificate, EVERY_METHOD, clock, os.urandom),
            certify=Certify(administration, SoftwareWorkshop(), clock, os.urandom),
            queues=Settle(PostgresQueues(engine), clock, wake_ups),
            randomness=os.urandom,
            probes={},
        )
