"""Operator's work on tenants, accounts, addresses, clients and the sender matrix (ports.Administration).

Everything here runs in an operator transaction: the administrative tables of all tenants, no content (GWT-37). Every
change writes the journal in the same transaction. Keys and connections: `storage.administration_keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from demail_gateway.application.ports import AccountRecord, AddressRecord, ClientSummary, Page, TenantRecord
from demail_gateway.core.errors import Conflict, NotFound
from demail_gateway.core.vocabulary import AccountState
from demail_gateway.storage.administration_keys import KeysAndConnections
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.cursors import make_cursor, make_number_cursor, read_cursor, read_number_cursor
from demail_gateway.storage.engine import operator_transaction
from demail_gateway.storage.journal_intake import enter
from demail_gateway.storage.schema import (
    account,
    address,
    client,
    journal,
    sender_permission,
    tenant,
    tenant_content_key,
)
from demail_gateway.storage.views import journal_item
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope, Scope, TenantScope


def actor_of(scope: OperatorScope | TenantScope) -> str:
    """Who acted, as the journal names it."""
    return format_id(Prefix.CLIENT, scope.client_id) if scope.client_id else "gateway"


class PostgresAdministration(KeysAndConnections):
    """ports.Administration on PostgreSQL."""

    def __init__(self, engine: AsyncEngine, keys: ContentKeys) -> None:
        super().__init__(engine, keys)

    # tenants

    async def create_tenant(self, scope: OperatorScope, record: TenantRecord) -> TenantRecord:
        wrapped = self._keys.master.new_tenant_key(record.id)
        async with operator_transaction(self._engine) as connection:
            await _insert(
                connection,
                insert(tenant).values(
                    tenant_id=record.id,
                    slug=record.slug,
                    name=record.name,
                    kind=record.kind,
                    public_body=record.public_body,
                    state=record.state,
                    effects=dict(record.effects),
                    permissions=sorted(record.permissions),
                    policy=dict(record.policy),
                    created_at=record.created_at,
                ),
                "slug-taken",
            )
            await connection.execute(
                insert(tenant_content_key).values(
                    tenant_id=record.id,
                    version=wrapped.version,
                    master_key_id=wrapped.master_key_id,
                    wrapped=wrapped.wrapped,
                    created_at=record.created_at,
                )
            )
            await enter(
                connection,
                record.created_at,
                actor_of(scope),
                "tenant.created",
                format_id(Prefix.TENANT, record.id),
                tenant_id=record.id,
                detail={"slug": record.slug, "kind": record.kind, "public_body": record.public_body},
            )
        return record

    async def tenants(self, scope: OperatorScope, limit: int, cursor: str | None) -> Page[TenantRecord]:
        query = select(tenant).order_by(tenant.c.created_at, tenant.c.tenant_id).limit(limit + 1)
        if cursor is not None:
            after = read_cursor("tenants", cursor)
            query = query.where(tuple_(tenant.c.created_at, tenant.c.tenant_id) > tuple_(*after))
        async with operator_transaction(self._engine) as connection:
            rows = [_tenant(row) for row in (await connection.execute(query)).mappings()]
        more = rows[limit - 1] if len(rows) > limit else None
        return Page(tuple(rows[:limit]), make_cursor("tenants", more.created_at, more.id) if more else None)

    async def tenant(self, scope: OperatorScope, tenant_id: UUID) -> TenantRecord:
        async with operator_transaction(self._engine) as connection:
            return _tenant(await _one(connection, select(tenant).where(tenant.c.tenant_id == tenant_id)))

    async def change_tenant(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        changes: Mapping[str, Any],
        now: datetime,
        *,
        expected_state: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> TenantRecord:
        values = {**changes, **({"permissions": sorted(changes["permissions"])} if "permissions" in changes else {})}
        async with operator_transaction(self._engine) as connection:
            current = await connection.scalar(
                select(tenant.c.state).where(tenant.c.tenant_id == tenant_id).with_for_update()
            )
            if current is None:
                raise NotFound
            if expected_state is not None and current != expected_state:
                raise Conflict("state-changed")
            change = update(tenant).where(tenant.c.tenant_id == tenant_id).values(**values).returning(tenant)
            row = _tenant(await _one(connection, change))
            await enter(
                connection,
                now,
                actor_of(scope),
                "tenant.changed",
                format_id(Prefix.TENANT, tenant_id),
                tenant_id=tenant_id,
                detail={**values, **(detail or {})},
            )
        return row

    # accounts and addresses

    async def create_account(self, scope: OperatorScope, record: AccountRecord, now: datetime) -> AccountRecord:
        async with operator_transaction(self._engine) as connection:
            await _insert(
                connection,
                insert(account).values(
                    tenant_id=record.tenant_id,
                    id=record.id,
                    connection_id=record.connection_id,
                    holder=record.holder,
                    state=record.state,
                    retrieval_entitlement=record.retrieval_entitlement,
                    natural_person=record.natural_person,
                    created_at=now,
                ),
                None,
            )
            await enter(
                connection,
                now,
                actor_of(scope),
                "account.created",
                format_id(Prefix.ACCOUNT, record.id),
                tenant_id=record.tenant_id,
                detail={"connection": format_id(Prefix.CONNECTION, record.connection_id), "state": record.state},
            )
        return record

    async def change_account(
        self, scope: OperatorScope, tenant_id: UUID, account_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> AccountRecord:
        async with operator_transaction(self._engine) as connection:
            change = (
                update(account)
                .where(account.c.tenant_id == tenant_id, account.c.id == account_id)
                .values(**changes)
                .returning(account)
            )
            row = _account(await _one(connection, change))
            await enter(
                connection,
                now,
                actor_of(scope),
                "account.changed",
                format_id(Prefix.ACCOUNT, account_id),
                tenant_id=tenant_id,
                detail={name: _plain(value) for name, value in changes.items()},
            )
        return row

    async def accounts(self, scope: TenantScope | OperatorScope, tenant_id: UUID) -> tuple[AccountRecord, ...]:
        query = select(account).where(account.c.tenant_id == tenant_id).order_by(account.c.created_at, account.c.id)
        async with self._transaction(scope) as connection:
            return tuple(_account(row) for row in (await connection.execute(query)).mappings())

    async def create_address(self, scope: OperatorScope, record: AddressRecord, now: datetime) -> AddressRecord:
        async with operator_transaction(self._engine) as connection:
            await _insert(
                connection,
                insert(address).values(
                    tenant_id=record.tenant_id,
                    id=record.id,
                    account_id=record.account_id,
                    address=record.address,
                    created_at=now,
                ),
                "address-taken",
            )
            await enter(
                connection,
                now,
                actor_of(scope),
                "address.created",
                record.address,
                tenant_id=record.tenant_id,
                detail={"account": format_id(Prefix.ACCOUNT, record.account_id)},
            )
        return record

    async def addresses(self, scope: OperatorScope, tenant_id: UUID) -> tuple[AddressRecord, ...]:
        query = select(address).where(address.c.tenant_id == tenant_id).order_by(address.c.address)
        async with operator_transaction(self._engine) as connection:
            rows = (await connection.execute(query)).mappings()
            return tuple(AddressRecord(r["id"], r["tenant_id"], r["account_id"], r["address"]) for r in rows)

    # clients and the sender matrix

    async def create_client(self, scope: OperatorScope, record: ClientSummary, secret_sha256: bytes) -> ClientSummary:
        statement: Any = insert(client).values(
            tenant_id=record.tenant_id,
            id=record.id,
            name=record.name,
            scopes=sorted(record.scopes),
            secret_sha256=secret_sha256,
            active=record.active,
            created_at=record.created_at,
        )
        if record.tenant_id is None:
            # the table of operators' clients is out of the application's reach
            statement = select(func.create_operator_client(record.id, record.name, secret_sha256, record.created_at))
        async with operator_transaction(self._engine) as connection:
            await _insert(connection, statement, None)
            await enter(
                connection,
                record.created_at,
                actor_of(scope),
                "client.created",
                format_id(Prefix.CLIENT, record.id),
                tenant_id=record.tenant_id,
                detail={"name": record.name, "scopes": sorted(record.scopes)},
            )
        return record

    async def clients(self, scope: OperatorScope, tenant_id: UUID) -> tuple[ClientSummary, ...]:
        query = select(client).where(client.c.tenant_id == tenant_id).order_by(client.c.created_at, client.c.id)
        async with operator_transaction(self._engine) as connection:
            return tuple(_client(row) for row in (await connection.execute(query)).mappings())

    async def change_client(
        self, scope: OperatorScope, tenant_id: UUID, client_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> ClientSummary:
        values = {**changes, **({"scopes": sorted(changes["scopes"])} if "scopes" in changes else {})}
        async with operator_transaction(self._engine) as connection:
            change = (
                update(client)
                .where(client.c.tenant_id == tenant_id, client.c.id == client_id)
                .values(**values)
                .returning(client)
            )
            row = _client(await _one(connection, change))
            shown = {name: value for name, value in values.items() if not isinstance(value, bytes)}
            await enter(
                connection,
                now,
                actor_of(scope),
                "client.changed",
                format_id(Prefix.CLIENT, client_id),
                tenant_id=tenant_id,
                detail={**shown, "secret_renewed": "secret_sha256" in values},
            )
        return row

    async def permit_sender(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        client_id: UUID,
        sender: str,
        options: frozenset[str] | None,
        quota_per_day: int | None,
        now: datetime,
    ) -> None:
        permitted: dict[str, Any] = {
            "options": None if options is None else sorted(options),
            "quota_per_day": quota_per_day,
        }
        statement = (
            upsert(sender_permission)
            .values(tenant_id=tenant_id, client_id=client_id, address=sender, created_at=now, **permitted)
            .on_conflict_do_update(index_elements=["tenant_id", "client_id", "address"], set_=permitted)
        )
        async with operator_transaction(self._engine) as connection:
            await _insert(connection, statement, None)
            await enter(
                connection,
                now,
                actor_of(scope),
                "sender.permitted",
                sender,
                tenant_id=tenant_id,
                detail={"client": format_id(Prefix.CLIENT, client_id), **permitted},
            )

    async def senders(self, scope: OperatorScope, tenant_id: UUID) -> tuple[Mapping[str, Any], ...]:
        columns = (
            sender_permission.c.client_id,
            sender_permission.c.address,
            sender_permission.c.options,
            sender_permission.c.quota_per_day,
        )
        query = select(*columns).where(sender_permission.c.tenant_id == tenant_id).order_by(*columns[:2])
        async with operator_transaction(self._engine) as connection:
            return tuple(dict(row) for row in (await connection.execute(query)).mappings())

    async def revoke_sender(
        self, scope: OperatorScope, tenant_id: UUID, client_id: UUID, sender: str, now: datetime
    ) -> None:
        table = sender_permission.c
        async with operator_transaction(self._engine) as connection:
            done = await connection.execute(
                delete(sender_permission).where(
                    table.tenant_id == tenant_id, table.client_id == client_id, table.address == sender
                )
            )
            if done.rowcount == 0:
                raise NotFound
            await enter(
                connection,
                now,
                actor_of(scope),
                "sender.revoked",
                sender,
                tenant_id=tenant_id,
                detail={"client": format_id(Prefix.CLIENT, client_id)},
            )

    # journal

    async def journal(
        self, scope: OperatorScope, tenant_id: UUID | None, limit: int, cursor: str | None
    ) -> Page[Mapping[str, Any]]:
        after = read_number_cursor("journal", cursor) if cursor is not None else 0
        chain = journal.c.tenant_id.is_(None) if tenant_id is None else journal.c.tenant_id == tenant_id
        query = select(journal).where(chain, journal.c.seq > after).order_by(journal.c.seq).limit(limit + 1)
        async with operator_transaction(self._engine) as connection:
            rows = [journal_item(row) for row in (await connection.execute(query)).mappings()]
        following = make_number_cursor("journal", rows[limit - 1]["seq"]) if len(rows) > limit else None
        return Page(tuple(rows[:limit]), following)


async def _insert(connection: AsyncConnection, statement: Any, taken: str | None) -> None:
    """Executes; a broken unique constraint is Conflict(`taken`), a broken foreign key NotFound."""
    try:
        await connection.execute(statement)
    except IntegrityError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state == "23503":
            raise NotFound from error
        if state == "23505" and taken:
            raise Conflict(taken) from error
        raise


async def _one(connection: AsyncConnection, statement: Select[Any] | Any) -> Mapping[Any, Any]:
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        raise NotFound
    return dict(row)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _tenant(row: Mapping[Any, Any]) -> TenantRecord:
    return TenantRecord(
        id=row["tenant_id"],
        slug=row["slug"],
        name=row["name"],
        kind=row["kind"],
        public_body=row["public_body"],
        state=row["state"],
        effects=row["effects"],
        permissions=frozenset(row["permissions"]),
        policy=row["policy"],
        created_at=row["created_at"],
    )


def _account(row: Mapping[Any, Any]) -> AccountRecord:
    return AccountRecord(
        id=row["id"],
        tenant_id=row["tenant_id"],
        connection_id=row["connection_id"],
        holder=row["holder"],
        state=AccountState(row["state"]),
        retrieval_entitlement=row["retrieval_entitlement"],
        natural_person=row["natural_person"],
    )


def _client(row: Mapping[Any, Any]) -> ClientSummary:
    return ClientSummary(
        id=row["id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        scopes=frozenset(Scope(name) for name in row["scopes"]),
        active=row["active"],
        created_at=row["created_at"],
    )
