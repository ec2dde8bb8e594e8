"""Administration from the command line: the use cases of the operator's REST endpoints, answers as plain values."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from demail_gateway.application.administer import Administer
from demail_gateway.application.certify import Certify
from demail_gateway.application.ports.administration import ClientSummary, KeyRecord, TenantRecord
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.page import Page
from demail_gateway.application.ports.queues import WaitingCopy, WaitingFilter, WaitsFor
from demail_gateway.application.register import NO_KEYS, ClientKeys, Register
from demail_gateway.application.settle import Settle
from demail_gateway.bootstrap.parts import profile_check, store, utc_now
from demail_gateway.core.decision import Decision
from demail_gateway.core.errors import Conflict, NothingNamed
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.settings import Settings
from demail_gateway.storage.administration import PostgresAdministration
from demail_gateway.storage.queues import PostgresQueues
from demail_gateway.storage.rewrapping import KeyRotation
from demail_gateway.tenancy.client_authentication import PinnedCertificate
from demail_gateway.tenancy.identifiers import Prefix, format_id, parse_id
from demail_gateway.tenancy.scope import OperatorScope, Scope
from demail_gateway.trust.client_certificates import read_pinned_certificate
from demail_gateway.trust.workshop import SoftwareWorkshop

T = TypeVar("T")

COMMAND_LINE = OperatorScope(UUID("00000000-0000-7000-8000-00000000c11e"))
"""Who acts when the operator works at the installation itself; the journal names this client."""


@asynccontextmanager
async def administration(settings: Settings) -> AsyncIterator[CommandLineAdministration]:
    """Raises ConfigurationError; StoreUnavailable from each call when the database is away."""
    async with store(settings) as known:
        adapter = PostgresAdministration(known.engine, known.keys)
        yield CommandLineAdministration(
            Administer(adapter, profile_check(settings), utc_now, os.urandom),
            Register(adapter, read_pinned_certificate, settings.client_methods, utc_now, os.urandom),
            Certify(adapter, SoftwareWorkshop(), utc_now, os.urandom),
            Settle(PostgresQueues(known.engine, clocks=known.clocks), utc_now),
        )


async def rewrap_keys(settings: Settings) -> dict[str, Any]:
    """Tenants' keys under the current master key (GWT-36); raises as `administration`."""
    async with store(settings) as known:
        return asdict(await KeyRotation(known.engine, known.keys).rewrap(COMMAND_LINE, utc_now()))


class CommandLineAdministration:
    """Tenants are named by id or slug; answers are JSON values. Raises as the use cases do."""

    def __init__(self, administer: Administer, register: Register, certify: Certify, settle: Settle) -> None:
        self._administer = administer
        self._register = register
        self._certify = certify
        self._settle = settle

    async def create_operator(self, name: str) -> tuple[str, str]:
        """Id and secret of a new client with the scope `operator`.

        Raises RuleViolation where secrets are not permitted (GWT-20).
        """
        made = await self._register.create_operator_client(COMMAND_LINE, name)
        assert made.secret is not None, "a client without keys has a secret"
        return format_id(Prefix.CLIENT, made.summary.id), made.secret

    async def tenants(self) -> list[dict[str, Any]]:
        pages = _all(lambda cursor: self._administer.tenants(COMMAND_LINE, 200, cursor))
        return [_tenant(each) async for each in pages]

    async def create_tenant(self, slug: str, name: str, kind: str, *, public_body: bool) -> dict[str, Any]:
        return _tenant(await self._administer.create_tenant(COMMAND_LINE, slug, name, kind, public_body=public_body))

    async def show_tenant(self, named: str) -> dict[str, Any]:
        tenant_id = await self._tenant_id(named)
        accounts = await self._administer.accounts(COMMAND_LINE, tenant_id)
        addresses = await self._administer.addresses(COMMAND_LINE, tenant_id)
        return {
            **_tenant(await self._administer.tenant(COMMAND_LINE, tenant_id)),
            "accounts": [_plain(account, Prefix.ACCOUNT) for account in accounts],
            "addresses": [address.address for address in addresses],
            "clients": await self.clients(named),
            "keys": await self.keys(named),
        }

    async def clients(self, named: str | None) -> list[dict[str, Any]]:
        """Without a tenant those of the operator."""
        tenant_id = None if named is None else await self._tenant_id(named)
        return [_client(each) for each in await self._register.clients(COMMAND_LINE, tenant_id)]

    async def create_client(
        self, name: str, tenant: str | None, scopes: Sequence[str], keys: ClientKeys = NO_KEYS
    ) -> dict[str, Any]:
        """Without a tenant one of the operator, `scopes` aside; `secret` is null for a client with keys."""
        if tenant is None:
            made = await self._register.create_operator_client(COMMAND_LINE, name, keys)
        else:
            chosen = frozenset(map(Scope, scopes))
            tenant_id = await self._tenant_id(tenant)
            made = await self._register.create_client(COMMAND_LINE, tenant_id, name, chosen, keys)
        return {**_client(made.summary), "secret": made.secret}

    async def change_client(self, tenant: str | None, client: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        client_id = _id(Prefix.CLIENT, client)
        tenant_id = None if tenant is None else await self._tenant_id(tenant)
        return _client(await self._register.change_client(COMMAND_LINE, tenant_id, client_id, changes))

    async def connections(self) -> list[dict[str, Any]]:
        return [_plain(each, Prefix.CONNECTION) for each in await self._administer.connections(COMMAND_LINE)]

    async def create_connection(self, name: str, auth_level: str, profile: Mapping[str, Any]) -> dict[str, Any]:
        made = await self._administer.create_connection(COMMAND_LINE, name, AuthLevel(auth_level), profile)
        return _plain(made, Prefix.CONNECTION)

    async def keys(self, named: str) -> list[dict[str, Any]]:
        return [_key(each) for each in await self._certify.keys(COMMAND_LINE, await self._tenant_id(named))]

    async def key(self, named: str, key: str) -> dict[str, Any]:
        for each in await self.keys(named):
            if each["id"] == key:
                return each
        raise NothingNamed("key", key)

    async def request_key(self, named: str, algorithm: str, address: str | None) -> dict[str, Any]:
        tenant_id = await self._tenant_id(named)
        return _key(await self._certify.request(COMMAND_LINE, tenant_id, algorithm, address))

    async def install_certificate(self, named: str, key: str, bundle_pem: str) -> dict[str, Any]:
        """`bundle_pem`: the certificate, then its chain."""
        key_id = _id(Prefix.KEY, key)
        certificate, *chain = _blocks(bundle_pem)
        tenant_id = await self._tenant_id(named)
        return _key(await self._certify.install(COMMAND_LINE, tenant_id, key_id, certificate, chain))

    async def queues(self) -> list[dict[str, Any]]:
        """Each tenant's work list in numbers."""
        return [
            _plain(each, Prefix.TENANT)
            async for each in _all(lambda cursor: self._settle.totals(COMMAND_LINE, 200, cursor))
        ]

    async def waiting(
        self, tenant: str | None, connection: str | None, reason: WaitsFor | None
    ) -> list[dict[str, Any]]:
        """Copies that wait for a person, the longest first."""
        return [_plain(each, Prefix.COPY) for each in await self._waiting(tenant, connection, reason)]

    async def settle(self, copy: str, decision: Decision, attempts: int, reason: str) -> dict[str, Any]:
        copy_id = _id(Prefix.COPY, copy)
        return _plain(await self._settle.settle(COMMAND_LINE, copy_id, decision, attempts, reason), Prefix.COPY)

    async def release(self, copies: Sequence[str], reason: str) -> list[dict[str, Any]]:
        return [
            _plain(await self._settle.release(COMMAND_LINE, copy_id, reason), Prefix.COPY)
            for copy_id in [_id(Prefix.COPY, copy) for copy in copies]
        ]

    async def release_all(self, tenant: str | None, connection: str | None, reason: str) -> list[dict[str, Any]]:
        """Everything that is held, of one tenant or connection if named; what has moved on meanwhile is left out."""
        released = []
        for copy in await self._waiting(tenant, connection, WaitsFor.HELD):
            with suppress(Conflict):
                decided = await self._settle.release(COMMAND_LINE, copy.id, reason)
                released.append(_plain(decided, Prefix.COPY))
        return released

    async def _waiting(self, tenant: str | None, connection: str | None, reason: WaitsFor | None) -> list[WaitingCopy]:
        where = WaitingFilter(
            tenant_id=None if tenant is None else await self._tenant_id(tenant),
            connection_id=None if connection is None else await self._connection_id(connection),
            reason=reason,
        )
        return [each async for each in _all(lambda cursor: self._settle.waiting(COMMAND_LINE, where, 200, cursor))]

    async def _connection_id(self, named: str) -> UUID:
        for connection in await self._administer.connections(COMMAND_LINE):
            if named in (connection.name, format_id(Prefix.CONNECTION, connection.id)):
                return connection.id
        raise NothingNamed("connection", named)

    async def _tenant_id(self, named: str) -> UUID:
        if (tenant_id := parse_id(Prefix.TENANT, named)) is not None:
            return tenant_id
        for tenant in await self.tenants():
            if tenant["slug"] == named:
                found = parse_id(Prefix.TENANT, tenant["id"])
                assert found is not None, "an id that we have just written"
                return found
        raise NothingNamed("tenant", named)


async def _all(page_behind: Callable[[str | None], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    """The items of all pages of a list."""
    cursor: str | None = None
    while True:
        page = await page_behind(cursor)
        for item in page.items:
            yield item
        cursor = page.next_cursor
        if cursor is None:
            return


def _id(prefix: Prefix, text: str) -> UUID:
    """Raises NothingNamed: what is no id of this kind names nothing."""
    if (uuid := parse_id(prefix, text)) is None:
        raise NothingNamed(prefix.value, text)
    return uuid


def _blocks(pem: str) -> list[str]:
    end = "-----END CERTIFICATE-----"
    blocks = [f"{block.strip()}\n{end}\n" for block in pem.split(end) if block.strip()]
    return blocks or [""]


def _tenant(tenant: TenantRecord) -> dict[str, Any]:
    return _plain(tenant, Prefix.TENANT)


def _client(client: ClientSummary) -> dict[str, Any]:
    shown = {**_plain(client, Prefix.CLIENT), "certificates": [_certificate(each) for each in client.certificates]}
    return {name: value for name, value in shown.items() if name != "tenant_id" or value is not None}


def _certificate(pinned: PinnedCertificate) -> dict[str, Any]:
    return {
        "sha256": pinned.sha256.hex(),
        "issuer": pinned.issuer,
        "serial": pinned.serial,
        "not_after": pinned.not_after.isoformat(),
    }


def _key(key: KeyRecord) -> dict[str, Any]:
    shown = _plain(key, Prefix.KEY)
    return {name: value for name, value in shown.items() if name not in ("certificate_der", "chain")}


def _plain(record: TenantRecord | ClientSummary | KeyRecord | Connection | Any, prefix: Prefix) -> dict[str, Any]:
    """A record as JSON values, ids in their public form."""
    shown: dict[str, Any] = {}
    for each in fields(record):
        value = getattr(record, each.name)
        own = prefix if each.name == "id" else _PREFIXES.get(each.name)
        shown[each.name] = format_id(own, value) if own and isinstance(value, UUID) else _json(value)
    return shown


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset | set):
        return sorted(map(str, value))
    if isinstance(value, Mapping):
        return dict(value)
    return value


_PREFIXES = {
    "tenant_id": Prefix.TENANT,
    "connection_id": Prefix.CONNECTION,
    "account_id": Prefix.ACCOUNT,
    "message_id": Prefix.MESSAGE,
    "copy_id": Prefix.COPY,
}
