"""The tenants' content keys in this process: read once, kept unwrapped for some minutes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.storage.engine import tenant_driver
from demail_gateway.storage.envelope import MasterKeys, TenantKeys, WrappedTenantKey

KEEP_S = 300.0
"""How long a tenant's key stays usable here after it was destroyed in the database; also when a new version is seen."""


class ContentKeys:
    """Unwrapped content keys by tenant. One per process; harmless to use from many tasks at once."""

    def __init__(self, engine: AsyncEngine, master: MasterKeys, *, keep_s: float = KEEP_S) -> None:
        self.master = master
        self._engine = engine
        self._keep_s = keep_s
        self._kept: dict[UUID, tuple[float, TenantKeys]] = {}

    async def of(self, tenant_id: UUID, wrapped: Iterable[bytes] = (), connection: Any = None) -> TenantKeys:
        """The tenant's keys; read anew when they are old or do not fit the data keys `wrapped`.

        Who holds a transaction of this tenant gives its (asyncpg) `connection`: waiting for a second one while holding
        a first lets a full pool wait for itself.

        Raises:
            KeyUnavailable: the tenant has no key (any more), or its master key is not here.
            StoreUnavailable: the database is away.
        """
        kept = self._kept.get(tenant_id)
        if kept and kept[0] > time.monotonic() and kept[1].knows(wrapped):
            return kept[1]
        if connection is not None:
            rows = await _read(connection, tenant_id)
        else:
            async with tenant_driver(self._engine, tenant_id) as own:
                rows = await _read(own, tenant_id)
        keys = self.master.unwrap(rows)
        self._kept[tenant_id] = (time.monotonic() + self._keep_s, keys)
        return keys

    def forget(self, tenant_id: UUID) -> None:
        """After a change of the tenant's keys in this process."""
        self._kept.pop(tenant_id, None)


async def _read(connection: Any, tenant_id: UUID) -> list[WrappedTenantKey]:
    rows = await connection.fetch(
        "SELECT tenant_id, version, master_key_id, wrapped FROM tenant_content_key WHERE tenant_id = $1", tenant_id
    )
    return [WrappedTenantKey(*row) for row in rows]
