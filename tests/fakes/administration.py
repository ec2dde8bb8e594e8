"""Ports Administration and Installation (as far as sending needs it) over `World`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.application.ports.administration import (
    AccountRecord,
    AddressRecord,
    ClientSummary,
    KeyRecord,
    TenantRecord,
)
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import FetchedAnswer, KnownAnswer, SigningMaterial
from demail_gateway.application.ports.page import Page
from demail_gateway.core.errors import Conflict, NotFound
from demail_gateway.core.journal import START, journal_hash, journal_time
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope, TenantScope
from tests.fakes.world import World, page_of


class MemoryAdministration:
    def __init__(self, world: World) -> None:
        self._world = world

    async def create_tenant(self, scope: OperatorScope, tenant: TenantRecord) -> TenantRecord:
        self._world.call("create_tenant")
        await self._world.pause("create_tenant")
        if any(each.slug == tenant.slug for each in self._world.tenants.values()):
            raise Conflict("slug-taken")
        self._world.tenants[tenant.id] = tenant
        self._world.changed("tenant.created", format_id(Prefix.TENANT, tenant.id), tenant.id, {"slug": tenant.slug})
        return tenant

    async def tenants(self, scope: OperatorScope, limit: int, cursor: str | None) -> Page[TenantRecord]:
        self._world.call("tenants")
        return page_of(list(self._world.tenants.values()), limit, cursor, "tenants")

    async def tenant(self, scope: OperatorScope, tenant_id: UUID) -> TenantRecord:
        self._world.call("tenant")
        if tenant_id not in self._world.tenants:
            raise NotFound
        return self._world.tenants[tenant_id]

    async def change_tenant(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        changes: Mapping[str, Any] | Callable[[TenantRecord], Mapping[str, Any]],
        now: datetime,
        *,
        expected_state: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> TenantRecord:
        self._world.call("change_tenant")
        current = await self.tenant(scope, tenant_id)
        if expected_state not in (None, current.state):
            raise Conflict("state-changed")
        fields = changes(current) if callable(changes) else changes
        if not fields:
            return current
        self._world.tenants[tenant_id] = replace(current, **fields)
        for account in await self.accounts(scope, tenant_id):
            if account.retrieval_entitlement and not self._world.tenants[tenant_id].public_body:
                self._world.accounts[account.id] = replace(account, retrieval_entitlement=False)
                ended = {"retrieval_entitlement": False}
                self._world.changed("account.changed", format_id(Prefix.ACCOUNT, account.id), tenant_id, ended)
        self._world.changed("tenant.changed", format_id(Prefix.TENANT, tenant_id), tenant_id, detail or {})
        return self._world.tenants[tenant_id]

    async def create_account(self, scope: OperatorScope, account: AccountRecord, now: datetime) -> AccountRecord:
        self._world.call("create_account")
        self._need(tenant=account.tenant_id, connection=account.connection_id)
        if account.retrieval_entitlement:
            self._require_public_body(account.tenant_id)
        self._world.accounts[account.id] = account
        self._world.changed("account.created", format_id(Prefix.ACCOUNT, account.id), account.tenant_id, {})
        return account

    async def change_account(
        self, scope: OperatorScope, tenant_id: UUID, account_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> AccountRecord:
        self._world.call("change_account")
        current = self._world.accounts.get(account_id)
        if current is None or current.tenant_id != tenant_id:
            raise NotFound
        self._need(connection=changes.get("connection_id", current.connection_id))
        if changes.get("retrieval_entitlement"):
            self._require_public_body(tenant_id)
        if not changes:
            return current
        self._world.accounts[account_id] = replace(current, **changes)
        self._world.changed("account.changed", format_id(Prefix.ACCOUNT, account_id), tenant_id, {})
        return self._world.accounts[account_id]

    async def accounts(self, scope: TenantScope | OperatorScope, tenant_id: UUID) -> tuple[AccountRecord, ...]:
        self._world.call("accounts")
        if isinstance(scope, TenantScope) and scope.tenant_id != tenant_id:
            return ()
        return tuple(each for each in self._world.accounts.values() if each.tenant_id == tenant_id)

    async def create_address(self, scope: OperatorScope, address: AddressRecord, now: datetime) -> AddressRecord:
        self._world.call("create_address")
        self._need(tenant=address.tenant_id, account=address.account_id)
        if address.address in self._world.addresses:
            raise Conflict("address-taken")
        self._world.addresses[address.address] = address
        self._world.changed("address.created", address.address, address.tenant_id, {})
        return address

    async def addresses(self, scope: OperatorScope, tenant_id: UUID) -> tuple[AddressRecord, ...]:
        self._world.call("addresses")
        return tuple(each for each in self._world.addresses.values() if each.tenant_id == tenant_id)

    async def create_client(
        self, scope: OperatorScope, client: ClientSummary, secret_sha256: bytes | None
    ) -> ClientSummary:
        self._world.call("create_client")
        if client.tenant_id is not None:
            self._need(tenant=client.tenant_id)
        self._world.clients[client.id] = client
        self._world.secrets[client.id] = secret_sha256
        self._world.changed("client.created", format_id(Prefix.CLIENT, client.id), client.tenant_id, {})
        return client

    async def clients(self, scope: OperatorScope, tenant_id: UUID | None) -> tuple[ClientSummary, ...]:
        self._world.call("clients")
        return tuple(each for each in self._world.clients.values() if each.tenant_id == tenant_id)

    async def change_client(
        self, scope: OperatorScope, tenant_id: UUID | None, client_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> ClientSummary:
        self._world.call("change_client")
        current = self._world.clients.get(client_id)
        if current is None or current.tenant_id != tenant_id:
            raise NotFound
        if not changes:
            return current
        self._world.clients[client_id] = replace(current, **changes)
        self._world.changed("client.changed", format_id(Prefix.CLIENT, client_id), tenant_id, {})
        return self._world.clients[client_id]

    async def permit_sender(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        client_id: UUID,
        address: str,
        options: frozenset[str] | None,
        quota_per_day: int | None,
        now: datetime,
    ) -> None:
        self._world.call("permit_sender")
        known_client, known_address = self._world.clients.get(client_id), self._world.addresses.get(address)
        if not known_client or not known_address or {known_client.tenant_id, known_address.tenant_id} != {tenant_id}:
            raise NotFound
        self._world.senders[tenant_id, client_id, address] = (options, quota_per_day)
        self._world.changed("sender.permitted", address, tenant_id, {})

    async def senders(self, scope: OperatorScope, tenant_id: UUID) -> tuple[Mapping[str, Any], ...]:
        self._world.call("senders")
        return tuple(
            {"client_id": client, "address": address, "options": options, "quota_per_day": quota}
            for (tenant, client, address), (options, quota) in self._world.senders.items()
            if tenant == tenant_id
        )

    async def revoke_sender(
        self, scope: OperatorScope, tenant_id: UUID, client_id: UUID, address: str, now: datetime
    ) -> None:
        self._world.call("revoke_sender")
        if self._world.senders.pop((tenant_id, client_id, address), None) is None:
            raise NotFound
        self._world.changed("sender.revoked", address, tenant_id, {})

    async def create_key(self, scope: OperatorScope, key: KeyRecord, pkcs8: bytes) -> KeyRecord:
        self._world.call("create_key")
        self._need(tenant=key.tenant_id)
        self._world.keys[key.id] = key
        self._world.material[key.id] = pkcs8
        self._world.changed("key.requested", format_id(Prefix.KEY, key.id), key.tenant_id, {})
        return key

    async def install_certificate(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        key_id: UUID,
        certificate_der: bytes,
        chain: Sequence[bytes],
        not_after: datetime,
        now: datetime,
    ) -> KeyRecord:
        self._world.call("install_certificate")
        current = self._key(tenant_id, key_id)
        if current.state == "retired":
            raise Conflict("state-changed")
        for key in await self.keys(scope, tenant_id):
            if key.state == "active" and key.id != key_id:
                self._world.keys[key.id] = replace(key, state="retired")
        self._world.keys[key_id] = replace(
            current, state="active", certificate_der=certificate_der, chain=tuple(chain), not_after=not_after
        )
        self._world.changed("key.certified", format_id(Prefix.KEY, key_id), tenant_id, {})
        return self._world.keys[key_id]

    async def keys(self, scope: OperatorScope, tenant_id: UUID) -> tuple[KeyRecord, ...]:
        self._world.call("keys")
        return tuple(each for each in self._world.keys.values() if each.tenant_id == tenant_id)

    async def key_material(self, scope: OperatorScope, tenant_id: UUID, key_id: UUID) -> bytes:
        self._world.call("key_material")
        return self._world.material[self._key(tenant_id, key_id).id]

    async def create_connection(self, scope: OperatorScope, connection: Connection) -> Connection:
        self._world.call("create_connection")
        if any(each.name == connection.name for each in self._world.connections.values()):
            raise Conflict("connection-name-taken")
        self._world.connections[connection.id] = connection
        self._world.changed("connection.created", format_id(Prefix.CONNECTION, connection.id), None, {})
        return connection

    async def connections(self, scope: OperatorScope) -> tuple[Connection, ...]:
        self._world.call("connections")
        return tuple(self._world.connections.values())

    async def change_connection(
        self,
        scope: OperatorScope,
        connection_id: UUID,
        changes: Mapping[str, Any] | Callable[[Connection], Mapping[str, Any]],
        now: datetime,
    ) -> Connection:
        self._world.call("change_connection")
        if connection_id not in self._world.connections:
            raise NotFound
        current = self._world.connections[connection_id]
        fields = changes(current) if callable(changes) else changes
        if not fields:
            return current
        others = (each for each in self._world.connections.values() if each.id != connection_id)
        if fields.get("name") in {each.name for each in others}:
            raise Conflict("connection-name-taken")
        self._world.connections[connection_id] = replace(current, **fields)
        self._world.changed("connection.changed", format_id(Prefix.CONNECTION, connection_id), None, {})
        return self._world.connections[connection_id]

    async def journal(
        self, scope: OperatorScope, tenant_id: UUID | None, limit: int, cursor: str | None
    ) -> Page[Mapping[str, Any]]:
        self._world.call("journal")
        mine: list[Mapping[str, Any]] = []
        before = START
        for entry in (each for each in self._world.journal if each["tenant_id"] == tenant_id):
            item = {
                "seq": entry["seq"],
                "at": journal_time(self._world.time.now),
                "tenant": None if tenant_id is None else format_id(Prefix.TENANT, tenant_id),
                "actor": format_id(Prefix.CLIENT, scope.client_id),
                "action": entry["action"],
                "object": entry["object"],
                **({"detail": entry["detail"]} if entry["detail"] else {}),
            }
            own = journal_hash(before, item)
            mine.append({**item, "prev_hash": before.hex(), "hash": own.hex()})
            before = own
        return page_of(mine, limit, cursor, "journal")

    def _need(self, tenant: UUID | None = None, connection: UUID | None = None, account: UUID | None = None) -> None:
        """What a foreign key asks for: each of these that is given must be there, the account as the tenant's."""
        world = self._world
        owner = world.accounts[account].tenant_id if account in world.accounts else None
        if (
            tenant not in (None, *world.tenants)
            or connection not in (None, *world.connections)
            or (account is not None and owner != tenant)
        ):
            raise NotFound

    def _require_public_body(self, tenant_id: UUID) -> None:
        if not self._world.tenants[tenant_id].public_body:
            raise Conflict("entitlement-needs-public-body")

    def _key(self, tenant_id: UUID, key_id: UUID) -> KeyRecord:
        key = self._world.keys.get(key_id)
        if key is None or key.tenant_id != tenant_id:
            raise NotFound
        return key


class MemoryInstallation:
    def __init__(self, world: World) -> None:
        self._world = world

    async def connection(self, connection_id: UUID) -> Connection:
        if connection_id not in self._world.connections:
            raise NotFound
        return self._world.connections[connection_id]

    async def connections(self) -> tuple[Connection, ...]:
        return tuple(self._world.connections.values())

    async def signing_material(self, tenant_id: UUID, purpose: str) -> SigningMaterial | None:
        found = self._material(tenant_id, purpose)
        return found[0] if found else None

    def _material(self, tenant_id: UUID, purpose: str) -> tuple[SigningMaterial, ...]:
        """The newest first."""
        mine = [key for key in self._world.keys.values() if (key.tenant_id, key.purpose) == (tenant_id, purpose)]
        mine.sort(key=lambda key: (key.created_at, key.id), reverse=True)
        return tuple(
            SigningMaterial(key.id, self._world.material[key.id], key.certificate_der, key.chain)
            for key in mine
            if key.state == "active" and key.certificate_der is not None
        )

    async def store_status_answer(self, source: str, answer: FetchedAnswer, now: datetime) -> None:
        self._world.known_answers[source] = KnownAnswer(answer.der, now)

    async def status_answers(self) -> tuple[KnownAnswer, ...]:
        return tuple(self._world.known_answers.values())

    async def ping(self) -> None:
        self._world.call("ping")
