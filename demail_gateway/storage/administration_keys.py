"""Tenants' S/MIME keys and the provider connections, the operator's half of ports.Administration.

A private key is sealed under a data key of its own row and leaves storage only to the signer and to the check of a
certificate against it (GWT-36).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from demail_gateway.application.ports import Connection, KeyRecord
from demail_gateway.core.errors import Conflict, NotFound
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.engine import operator_transaction, tenant_transaction
from demail_gateway.storage.envelope import Place
from demail_gateway.storage.journal_intake import enter
from demail_gateway.storage.schema import connection as connection_table
from demail_gateway.storage.schema import tenant_key
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope, TenantScope


def key_place(key_id: UUID) -> Place:
    """Where a private key stands, for its seal."""
    return Place("tenant_key", "sealed_pkcs8", str(key_id))


class KeysAndConnections:
    """Keys and connections; `PostgresAdministration` adds the rest."""

    def __init__(self, engine: AsyncEngine, keys: ContentKeys) -> None:
        self._engine = engine
        self._keys = keys

    async def create_key(self, scope: OperatorScope, key: KeyRecord, pkcs8: bytes) -> KeyRecord:
        data_key = (await self._keys.of(key.tenant_id)).new("tenant_key", key.id)
        async with operator_transaction(self._engine) as connection:
            await connection.execute(
                insert(tenant_key).values(
                    tenant_id=key.tenant_id,
                    id=key.id,
                    purpose=key.purpose,
                    state=key.state,
                    sealed_pkcs8=data_key.seal(key_place(key.id), pkcs8),
                    dek=data_key.wrapped,
                    csr_pem=key.csr_pem,
                    created_at=key.created_at,
                )
            )
            await self._note(
                connection, scope, key.created_at, "key.requested", key.tenant_id, key.id, {"purpose": key.purpose}
            )
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
        mine = (tenant_key.c.tenant_id == tenant_id, tenant_key.c.id == key_id)
        async with operator_transaction(self._engine) as connection:
            purpose = await connection.scalar(select(tenant_key.c.purpose).where(*mine).with_for_update())
            if purpose is None:
                raise NotFound
            await connection.execute(
                update(tenant_key)
                .where(
                    tenant_key.c.tenant_id == tenant_id,
                    tenant_key.c.purpose == purpose,
                    tenant_key.c.state == "active",
                    tenant_key.c.id != key_id,
                )
                .values(state="retired")
            )
            row = (
                (
                    await connection.execute(
                        update(tenant_key)
                        .where(*mine)
                        .values(state="active", certificate_der=certificate_der, chain=list(chain), not_after=not_after)
                        .returning(tenant_key)
                    )
                )
                .mappings()
                .one()
            )
            await self._note(
                connection, scope, now, "key.certified", tenant_id, key_id, {"not_after": not_after.isoformat()}
            )
        return _key(row)

    async def keys(self, scope: OperatorScope, tenant_id: UUID) -> tuple[KeyRecord, ...]:
        query = select(tenant_key).where(tenant_key.c.tenant_id == tenant_id).order_by(tenant_key.c.created_at)
        async with operator_transaction(self._engine) as connection:
            return tuple(_key(row) for row in (await connection.execute(query)).mappings())

    async def key_material(self, scope: OperatorScope, tenant_id: UUID, key_id: UUID) -> bytes:
        query = select(tenant_key.c.sealed_pkcs8, tenant_key.c.dek).where(
            tenant_key.c.tenant_id == tenant_id, tenant_key.c.id == key_id
        )
        async with operator_transaction(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NotFound
        keys = await self._keys.of(tenant_id, [row.dek])
        return keys.open("tenant_key", key_id, row.dek).open(key_place(key_id), row.sealed_pkcs8)

    async def create_connection(self, scope: OperatorScope, record: Connection) -> Connection:
        async with operator_transaction(self._engine) as connection:
            try:
                await connection.execute(
                    insert(connection_table).values(
                        id=record.id,
                        name=record.name,
                        auth_level=record.auth_level,
                        profile=dict(record.profile),
                        active=record.active,
                        created_at=record.created_at,
                    )
                )
            except IntegrityError as error:
                raise Conflict("connection-name-taken") from error
            await self._note(
                connection, scope, record.created_at, "connection.created", None, record.id, {"name": record.name}
            )
        return record

    async def connections(self, scope: OperatorScope) -> tuple[Connection, ...]:
        async with operator_transaction(self._engine) as connection:
            rows = (
                await connection.execute(select(connection_table).order_by(connection_table.c.created_at))
            ).mappings()
            return tuple(read_connection(row) for row in rows)

    async def change_connection(
        self, scope: OperatorScope, connection_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> Connection:
        change = (
            update(connection_table)
            .where(connection_table.c.id == connection_id)
            .values(**changes)
            .returning(connection_table)
        )
        async with operator_transaction(self._engine) as connection:
            row = (await connection.execute(change)).mappings().one_or_none()
            if row is None:
                raise NotFound
            shown = {name: value for name, value in changes.items() if name != "profile"}
            await self._note(
                connection,
                scope,
                now,
                "connection.changed",
                None,
                connection_id,
                {**shown, "profile_changed": "profile" in changes},
            )
        return read_connection(row)

    def _transaction(self, scope: TenantScope | OperatorScope) -> AbstractAsyncContextManager[AsyncConnection]:
        if isinstance(scope, TenantScope):
            return tenant_transaction(self._engine, scope.tenant_id)
        return operator_transaction(self._engine)

    async def _note(
        self,
        connection: AsyncConnection,
        scope: OperatorScope,
        at: datetime,
        action: str,
        tenant_id: UUID | None,
        object_id: UUID,
        detail: Mapping[str, Any],
    ) -> None:
        prefix = Prefix.KEY if action.startswith("key.") else Prefix.CONNECTION
        actor = format_id(Prefix.CLIENT, scope.client_id)
        await enter(connection, at, actor, action, format_id(prefix, object_id), tenant_id=tenant_id, detail=detail)


def read_connection(row: Mapping[Any, Any]) -> Connection:
    """A connection from its row."""
    return Connection(
        id=row["id"],
        name=row["name"],
        auth_level=AuthLevel(row["auth_level"]),
        profile=row["profile"],
        active=row["active"],
        created_at=row["created_at"],
    )


def _key(row: Mapping[Any, Any]) -> KeyRecord:
    return KeyRecord(
        id=row["id"],
        tenant_id=row["tenant_id"],
        purpose=row["purpose"],
        state=row["state"],
        csr_pem=row["csr_pem"],
        certificate_der=row["certificate_der"],
        chain=tuple(row["chain"]),
        not_after=row["not_after"],
        created_at=row["created_at"],
    )
