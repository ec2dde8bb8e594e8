"""Clients and what they may use: the matrix client × sender address × options × quota (GWT-30)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, cast, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from demail_gateway.application.ports.administration import ClientSummary
from demail_gateway.core.errors import NotFound
from demail_gateway.storage.administering import Operations, Row, only, plain_json
from demail_gateway.storage.client_rows import certificates_of, stored_keys, told
from demail_gateway.storage.schema import client, sender_permission
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope, Scope


class ClientAdministration(Operations):
    """The part of ports.Administration on clients and their sender addresses."""

    async def create_client(
        self, scope: OperatorScope, record: ClientSummary, secret_sha256: bytes | None
    ) -> ClientSummary:
        """A tenant's client, or without a tenant one of the operator."""
        detail = {"name": record.name, "scopes": record.scopes, **told(_keys_of(record))}
        async with self._change(scope, record.created_at) as change:
            await change.execute(_new_client(record, secret_sha256))
            await change.note("client.created", format_id(Prefix.CLIENT, record.id), record.tenant_id, detail)
        return record

    async def clients(self, scope: OperatorScope, tenant_id: UUID | None) -> tuple[ClientSummary, ...]:
        """The oldest first; without a tenant the operator's."""
        if tenant_id is None:
            return tuple(map(_operator_client, await self._rows(_OPERATOR_CLIENTS)))
        query = select(client).where(client.c.tenant_id == tenant_id).order_by(client.c.created_at, client.c.id)
        return tuple(_client(row) for row in await self._rows(query))

    async def change_client(
        self, scope: OperatorScope, tenant_id: UUID | None, client_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> ClientSummary:
        """Changes name, scopes (of a tenant's client), active, jwks or certificates. Raises NotFound."""
        if tenant_id is None:
            return await self._change_operator_client(scope, client_id, changes, now)
        mine = (client.c.tenant_id == tenant_id, client.c.id == client_id)
        if not changes:
            return _client(only(await self._rows(select(client).where(*mine))))
        columns = {**changes, **({"scopes": sorted(changes["scopes"])} if "scopes" in changes else {})}
        columns |= stored_keys(changes)
        async with self._change(scope, now) as change:
            row = await change.one(update(client).where(*mine).values(**columns).returning(client))
            await change.note("client.changed", format_id(Prefix.CLIENT, client_id), tenant_id, columns | told(changes))
        return _client(row)

    async def _change_operator_client(
        self, scope: OperatorScope, client_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> ClientSummary:
        # within a JSON document the value null removes the keys
        columns = {**changes, **stored_keys(changes), **({"jwks": changes["jwks"]} if "jwks" in changes else {})}
        async with self._change(scope, now) as change:
            if changes:
                changed = select(
                    func.change_operator_client(client_id, cast(plain_json(columns), JSONB)).label("found")
                )
                if not (await change.one(changed))["found"]:
                    raise NotFound
                shown = {**changes, **told(changes)}
                await change.note("client.changed", format_id(Prefix.CLIENT, client_id), None, shown)
            rows = await change.execute(_OPERATOR_CLIENTS)
        return _operator_client(only([row for row in rows if row["id"] == client_id]))

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
        """Raises NotFound: the client or the address is not the tenant's."""
        permitted = {"options": None if options is None else sorted(options), "quota_per_day": quota_per_day}
        statement = (
            upsert(sender_permission)
            .values(tenant_id=tenant_id, client_id=client_id, address=address, created_at=now, **permitted)
            .on_conflict_do_update(index_elements=["tenant_id", "client_id", "address"], set_=permitted)
        )
        detail = {"client": format_id(Prefix.CLIENT, client_id), **permitted}
        async with self._change(scope, now) as change:
            await change.execute(statement)
            await change.note("sender.permitted", address, tenant_id, detail)

    async def senders(self, scope: OperatorScope, tenant_id: UUID) -> tuple[Mapping[str, Any], ...]:
        """Rows of the matrix: `client_id`, `address`, `options` (None: all), `quota_per_day`."""
        table = sender_permission.c
        query = (
            select(table.client_id, table.address, table.options, table.quota_per_day)
            .where(table.tenant_id == tenant_id)
            .order_by(table.client_id, table.address)
        )
        return tuple(
            {**row, "options": None if row["options"] is None else frozenset(row["options"])}
            for row in await self._rows(query)
        )

    async def revoke_sender(
        self, scope: OperatorScope, tenant_id: UUID, client_id: UUID, address: str, now: datetime
    ) -> None:
        """Raises NotFound: it was not permitted."""
        table = sender_permission.c
        mine = (table.tenant_id == tenant_id, table.client_id == client_id, table.address == address)
        async with self._change(scope, now) as change:
            await change.one(delete(sender_permission).where(*mine).returning(table.address))
            detail = {"client": format_id(Prefix.CLIENT, client_id)}
            await change.note("sender.revoked", address, tenant_id, detail)


def _keys_of(record: ClientSummary) -> dict[str, Any]:
    return {"jwks": record.jwks, "certificates": record.certificates}


def _new_client(record: ClientSummary, secret_sha256: bytes | None) -> Executable:
    keys = stored_keys(_keys_of(record))
    if record.tenant_id is None:
        # the table of operators' clients is out of the application's reach
        jwks, certificates = (cast(keys[name], JSONB) for name in ("jwks", "certificates"))
        return select(
            func.create_operator_client(record.id, record.name, secret_sha256, record.created_at, jwks, certificates)
        )
    return insert(client).values(
        tenant_id=record.tenant_id,
        id=record.id,
        name=record.name,
        scopes=sorted(record.scopes),
        secret_sha256=secret_sha256,
        active=record.active,
        created_at=record.created_at,
        **keys,
    )


_OPERATOR_CLIENTS = text("SELECT * FROM operator_clients()")
"""Their table is out of the application's reach."""


def _operator_client(row: Row) -> ClientSummary:
    return ClientSummary(
        id=row["id"],
        tenant_id=None,
        name=row["name"],
        scopes=frozenset({Scope.OPERATOR}),
        active=row["active"],
        created_at=row["created_at"],
        has_secret=row["has_secret"],
        jwks=row["jwks"],
        certificates=certificates_of(row["certificates"]),
    )


def _client(row: Row) -> ClientSummary:
    return ClientSummary(
        id=row["id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        scopes=frozenset(Scope(name) for name in row["scopes"]),
        active=row["active"],
        created_at=row["created_at"],
        has_secret=row["secret_sha256"] is not None,
        jwks=row["jwks"],
        certificates=certificates_of(row["certificates"]),
    )
