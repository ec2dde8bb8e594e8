"""Tenants, their accounts and addresses (GWT-12, GWT-13, GWT-60)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, tuple_, update

from demail_gateway.application.ports.administration import AccountRecord, AddressRecord, TenantRecord
from demail_gateway.application.ports.page import Page
from demail_gateway.core.errors import Conflict
from demail_gateway.core.vocabulary import AccountState
from demail_gateway.storage.administering import Change, Operations, Row, only, plain_json
from demail_gateway.storage.cursors import make_cursor, read_cursor
from demail_gateway.storage.engine import tenant_transaction
from demail_gateway.storage.schema import account, address, tenant, tenant_content_key
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope, TenantScope


class TenantAdministration(Operations):
    """The part of ports.Administration on tenants, accounts and addresses."""

    async def create_tenant(self, scope: OperatorScope, record: TenantRecord) -> TenantRecord:
        """With its content key, so that there is no moment in which its content could not be sealed."""
        key = self._keys.master.new_tenant_key(record.id)
        row = {
            "tenant_id": record.id,
            "slug": record.slug,
            "name": record.name,
            "kind": record.kind,
            "public_body": record.public_body,
            "state": record.state,
            "created_at": record.created_at,
        }
        fields = {"effects": record.effects, "permissions": record.permissions, "policy": record.policy}
        async with self._change(scope, record.created_at) as change:
            await change.execute(insert(tenant).values(**row, **_columns(fields)), taken="slug-taken")
            await change.execute(insert(tenant_content_key).values(**key._asdict(), created_at=record.created_at))
            detail = {"slug": record.slug, "kind": record.kind, "public_body": record.public_body}
            await change.note("tenant.created", format_id(Prefix.TENANT, record.id), record.id, detail)
        return record

    async def tenants(self, scope: OperatorScope, limit: int, cursor: str | None) -> Page[TenantRecord]:
        """The oldest first."""
        query = select(tenant).order_by(tenant.c.created_at, tenant.c.tenant_id).limit(limit + 1)
        if cursor is not None:
            after = read_cursor("tenants", cursor)
            query = query.where(tuple_(tenant.c.created_at, tenant.c.tenant_id) > after)
        found = [_tenant(row) for row in await self._rows(query)]
        last = found[limit - 1] if len(found) > limit else None
        return Page(tuple(found[:limit]), make_cursor("tenants", last.created_at, last.id) if last else None)

    async def tenant(self, scope: OperatorScope, tenant_id: UUID) -> TenantRecord:
        return _tenant(only(await self._rows(select(tenant).where(tenant.c.tenant_id == tenant_id))))

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
        mine = tenant.c.tenant_id == tenant_id
        async with self._change(scope, now) as change:
            current = await change.one(select(tenant).where(mine).with_for_update())
            if expected_state not in (None, current["state"]):
                raise Conflict("state-changed")
            fields = changes(_tenant(current)) if callable(changes) else changes
            if not fields:
                return _tenant(current)
            row = await change.one(update(tenant).where(mine).values(**_columns(fields)).returning(tenant))
            if not row["public_body"]:
                await _end_entitlements(change, tenant_id)
            shown = {**fields, **(detail or {})}
            await change.note("tenant.changed", format_id(Prefix.TENANT, tenant_id), tenant_id, shown)
        return _tenant(row)

    async def create_account(self, scope: OperatorScope, record: AccountRecord, now: datetime) -> AccountRecord:
        statement = insert(account).values(
            tenant_id=record.tenant_id,
            id=record.id,
            connection_id=record.connection_id,
            holder=record.holder,
            state=record.state,
            retrieval_entitlement=record.retrieval_entitlement,
            natural_person=record.natural_person,
            created_at=now,
        )
        detail = {"connection": format_id(Prefix.CONNECTION, record.connection_id), "state": record.state}
        async with self._change(scope, now) as change:
            if record.retrieval_entitlement:
                await _require_public_body(change, record.tenant_id)
            await change.execute(statement)
            await change.note("account.created", format_id(Prefix.ACCOUNT, record.id), record.tenant_id, detail)
        return record

    async def change_account(
        self, scope: OperatorScope, tenant_id: UUID, account_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> AccountRecord:
        mine = (account.c.tenant_id == tenant_id, account.c.id == account_id)
        if not changes:
            return _account(only(await self._rows(select(account).where(*mine))))
        async with self._change(scope, now) as change:
            if changes.get("retrieval_entitlement"):
                await _require_public_body(change, tenant_id)
            row = await change.one(update(account).where(*mine).values(**changes).returning(account))
            await change.note("account.changed", format_id(Prefix.ACCOUNT, account_id), tenant_id, changes)
        return _account(row)

    async def accounts(self, scope: TenantScope | OperatorScope, tenant_id: UUID) -> tuple[AccountRecord, ...]:
        """The oldest first; none of another tenant than the scope's."""
        query = select(account).where(account.c.tenant_id == tenant_id).order_by(account.c.created_at, account.c.id)
        if isinstance(scope, OperatorScope):
            return tuple(_account(row) for row in await self._rows(query))
        async with tenant_transaction(self._engine, scope.tenant_id) as connection:
            return tuple(_account(row) for row in (await connection.execute(query)).mappings())

    async def create_address(self, scope: OperatorScope, record: AddressRecord, now: datetime) -> AddressRecord:
        statement = insert(address).values(
            tenant_id=record.tenant_id,
            id=record.id,
            account_id=record.account_id,
            address=record.address,
            created_at=now,
        )
        detail = {"account": format_id(Prefix.ACCOUNT, record.account_id)}
        async with self._change(scope, now) as change:
            await change.execute(statement, taken="address-taken")
            await change.note("address.created", record.address, record.tenant_id, detail)
        return record

    async def addresses(self, scope: OperatorScope, tenant_id: UUID) -> tuple[AddressRecord, ...]:
        query = select(address).where(address.c.tenant_id == tenant_id).order_by(address.c.address)
        rows = await self._rows(query)
        return tuple(AddressRecord(row["id"], row["tenant_id"], row["account_id"], row["address"]) for row in rows)


async def _require_public_body(change: Change, tenant_id: UUID) -> None:
    """Only public bodies may serve formally (SND-16, ADR-71). Locks the tenant: it stays one until the commit.

    Raises NotFound, Conflict('entitlement-needs-public-body').
    """
    query = select(tenant.c.public_body).where(tenant.c.tenant_id == tenant_id).with_for_update(read=True)
    if not (await change.one(query))["public_body"]:
        raise Conflict("entitlement-needs-public-body")


async def _end_entitlements(change: Change, tenant_id: UUID) -> None:
    mine = (account.c.tenant_id == tenant_id, account.c.retrieval_entitlement.is_(True))
    ended = {"retrieval_entitlement": False}
    for row in await change.execute(update(account).where(*mine).values(**ended).returning(account.c.id)):
        await change.note("account.changed", format_id(Prefix.ACCOUNT, row["id"]), tenant_id, ended)


def _columns(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a TenantRecord as its row holds them."""
    columns = dict(fields)
    if "permissions" in columns:
        columns["permissions"] = sorted(columns["permissions"])
    return columns | {name: plain_json(columns[name]) for name in ("effects", "policy") if name in columns}


def _tenant(row: Row) -> TenantRecord:
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


def _account(row: Row) -> AccountRecord:
    return AccountRecord(
        id=row["id"],
        tenant_id=row["tenant_id"],
        connection_id=row["connection_id"],
        holder=row["holder"],
        state=AccountState(row["state"]),
        retrieval_entitlement=row["retrieval_entitlement"],
        natural_person=row["natural_person"],
    )
