"""Rotation of the master key: tenants' content keys are wrapped anew, what they protect stays as it is (GWT-36)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_, update

from demail_gateway.core.errors import KeyUnavailable
from demail_gateway.storage.administering import Change, Operations
from demail_gateway.storage.envelope import WrappedTenantKey
from demail_gateway.storage.schema import tenant_content_key
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope

BATCH = 100
"""Keys of one transaction: what an interruption undoes, and how long a tenant's creation may wait."""

_key = tenant_content_key.c


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What became of the tenants' keys."""

    master_key_id: str
    """The current master key, which protects the rewrapped ones now."""
    rewrapped: int
    left: int
    """Keys that cannot be unwrapped here: their former master key is missing, or is another one of the same id."""


class KeyRotation(Operations):
    """Can be interrupted and started again at any time: what was done stays done."""

    async def rewrap(self, scope: OperatorScope, now: datetime, batch: int = BATCH) -> Rewrapped:
        """Wraps every tenant's key that another master key protects by the current one, in transactions of `batch`.

        Every process must know the current master key before: it would find no tenant's key otherwise.
        """
        done = left = 0
        last: tuple[UUID, int] | None = None
        while rows := await self._batch(scope, now, last, batch):
            done += sum(rewrapped for _, rewrapped in rows)
            left += sum(not rewrapped for _, rewrapped in rows)
            last = (rows[-1][0].tenant_id, rows[-1][0].version)
        return Rewrapped(self._keys.master.current_id, done, left)

    async def _batch(
        self, scope: OperatorScope, now: datetime, last: tuple[UUID, int] | None, size: int
    ) -> list[tuple[WrappedTenantKey, bool]]:
        """The next keys in order, and whether each was wrapped anew."""
        due = select(_key.tenant_id, _key.version, _key.master_key_id, _key.wrapped)
        due = due.where(_key.master_key_id != self._keys.master.current_id)
        if last is not None:
            due = due.where(tuple_(_key.tenant_id, _key.version) > last)
        due = due.order_by(_key.tenant_id, _key.version).limit(size).with_for_update()
        async with self._change(scope, now) as change:
            rows = [WrappedTenantKey(**row) for row in await change.execute(due)]
            return [(row, await self._rewrapped(change, row)) for row in rows]

    async def _rewrapped(self, change: Change, row: WrappedTenantKey) -> bool:
        try:
            new = self._keys.master.rewrap(row)
        except KeyUnavailable:
            return False
        where = (_key.tenant_id == row.tenant_id) & (_key.version == row.version)
        values = {"master_key_id": new.master_key_id, "wrapped": new.wrapped}
        await change.execute(update(tenant_content_key).where(where).values(values))
        detail = {"version": row.version, "from": row.master_key_id, "to": new.master_key_id}
        await change.note("content-key.rewrapped", format_id(Prefix.TENANT, row.tenant_id), row.tenant_id, detail)
        return True
