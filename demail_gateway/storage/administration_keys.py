"""Tenants' S/MIME keys (GWT-36): sealed under a data key of their own row.

A private key leaves storage only to the signer, and to the check of a certificate against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, update

from demail_gateway.application.ports.administration import KeyRecord
from demail_gateway.core.errors import Conflict
from demail_gateway.storage.administering import Change, Operations, Row, only
from demail_gateway.storage.envelope import Place
from demail_gateway.storage.schema import tenant, tenant_key
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope


def key_place(key_id: UUID) -> Place:
    """Where a private key stands, for its seal."""
    return Place("tenant_key", "sealed_pkcs8", str(key_id))


class KeyAdministration(Operations):
    """The part of ports.Administration on keys."""

    async def create_key(self, scope: OperatorScope, key: KeyRecord, pkcs8: bytes) -> KeyRecord:
        """Raises NotFound (tenant)."""
        only(await self._rows(select(tenant.c.tenant_id).where(tenant.c.tenant_id == key.tenant_id)))
        data_key = (await self._keys.of(key.tenant_id)).new("tenant_key", key.id)
        statement = insert(tenant_key).values(
            tenant_id=key.tenant_id,
            id=key.id,
            purpose=key.purpose,
            state=key.state,
            sealed_pkcs8=data_key.seal(key_place(key.id), pkcs8),
            dek=data_key.wrapped,
            csr_pem=key.csr_pem,
            created_at=key.created_at,
        )
        async with self._change(scope, key.created_at) as change:
            await change.execute(statement)
            await change.note("key.requested", format_id(Prefix.KEY, key.id), key.tenant_id, {"purpose": key.purpose})
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
        """Raises NotFound; Conflict('state-changed'): the key has been retired meanwhile."""
        table = tenant_key.c
        mine = (table.tenant_id == tenant_id, table.id == key_id)
        certified = {"certificate_der": certificate_der, "chain": list(chain), "not_after": not_after}
        async with self._change(scope, now) as change:
            purpose = await _lock(change, tenant_id, key_id)
            former = (table.tenant_id == tenant_id, table.purpose == purpose, table.state == "active")
            await change.execute(update(tenant_key).where(*former, table.id != key_id).values(state="retired"))
            activated = update(tenant_key).where(*mine).values(state="active", **certified)
            row = await change.one(activated.returning(tenant_key))
            detail = {"not_after": not_after.isoformat()}
            await change.note("key.certified", format_id(Prefix.KEY, key_id), tenant_id, detail)
        return _key(row)

    async def keys(self, scope: OperatorScope, tenant_id: UUID) -> tuple[KeyRecord, ...]:
        """The oldest first."""
        table = tenant_key.c
        query = select(tenant_key).where(table.tenant_id == tenant_id).order_by(table.created_at, table.id)
        return tuple(_key(row) for row in await self._rows(query))

    async def key_material(self, scope: OperatorScope, tenant_id: UUID, key_id: UUID) -> bytes:
        """Raises NotFound, KeyUnavailable."""
        table = tenant_key.c
        query = select(table.sealed_pkcs8, table.dek).where(table.tenant_id == tenant_id, table.id == key_id)
        row = only(await self._rows(query))
        keys = await self._keys.of(tenant_id, [row["dek"]])
        return keys.open("tenant_key", key_id, row["dek"]).open(key_place(key_id), row["sealed_pkcs8"])


async def _lock(change: Change, tenant_id: UUID, key_id: UUID) -> str:
    """Locks all keys of the tenant, in one order: two installations at once must not both leave their key active.

    Returns the purpose of `key_id`, a key that may become active.
    """
    table = tenant_key.c
    all_of_tenant = select(table.id, table.purpose, table.state).where(table.tenant_id == tenant_id).order_by(table.id)
    rows = await change.execute(all_of_tenant.with_for_update())
    key = only([row for row in rows if row["id"] == key_id])
    if key["state"] == "retired":
        raise Conflict("state-changed")
    return str(key["purpose"])


def _key(row: Row) -> KeyRecord:
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
