"""What workers and listeners need: connections, tenants' keys, status answers (ports.Installation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import FetchedAnswer, KnownAnswer, SigningMaterial
from demail_gateway.core.errors import NotFound
from demail_gateway.storage.administration_connections import read_connection
from demail_gateway.storage.administration_keys import key_place
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.engine import tenant_transaction, translated
from demail_gateway.storage.envelope import TenantKeys
from demail_gateway.storage.schema import connection as connection_table
from demail_gateway.storage.schema import revocation_list, tenant_key

_KEPT_FOR = timedelta(days=31)


class PostgresInstallation:
    """ports.Installation on PostgreSQL."""

    def __init__(self, engine: AsyncEngine, keys: ContentKeys) -> None:
        self._engine = engine
        self._keys = keys

    async def connection(self, connection_id: UUID) -> Connection:
        """Raises NotFound."""
        rows = await self._rows(select(connection_table).where(connection_table.c.id == connection_id))
        if not rows:
            raise NotFound
        return read_connection(rows[0])

    async def connections(self) -> tuple[Connection, ...]:
        query = select(connection_table).order_by(connection_table.c.created_at, connection_table.c.id)
        return tuple(read_connection(row) for row in await self._rows(query))

    async def signing_material(self, tenant_id: UUID, purpose: str) -> SigningMaterial | None:
        """The newest active key that is certified. Raises KeyUnavailable."""
        key = tenant_key.c
        query = (
            select(key.id, key.sealed_pkcs8, key.dek, key.certificate_der, key.chain)
            .where(key.tenant_id == tenant_id, key.purpose == purpose, key.state == "active")
            .where(key.certificate_der.is_not(None))
            .order_by(key.created_at.desc(), key.id.desc())
            .limit(1)
        )
        async with tenant_transaction(self._engine, tenant_id) as database:
            row = (await database.execute(query)).one_or_none()
        return None if row is None else _material(await self._keys.of(tenant_id, [row.dek]), row)

    async def store_status_answer(self, source: str, answer: FetchedAnswer, now: datetime) -> None:
        values: dict[str, Any] = {
            "issuer_sha256": answer.issuer_sha256,
            "der": answer.der,
            "this_update": answer.this_update,
            "next_update": answer.next_update,
            "fetched_at": now,
        }
        statement = upsert(revocation_list).values(source=source, **values)
        # never back to an older answer: a replayed one could make a revocation undone
        statement = statement.on_conflict_do_update(
            index_elements=["source"], set_=values, where=revocation_list.c.this_update <= answer.this_update
        )
        with translated():
            async with self._engine.begin() as database:
                await database.execute(statement)
                await database.execute(delete(revocation_list).where(revocation_list.c.fetched_at < now - _KEPT_FOR))

    async def status_answers(self) -> tuple[KnownAnswer, ...]:
        query = select(revocation_list.c.der, revocation_list.c.fetched_at).order_by(revocation_list.c.source)
        return tuple(KnownAnswer(row["der"], row["fetched_at"]) for row in await self._rows(query))

    async def ping(self) -> None:
        """Raises StoreUnavailable."""
        await self._rows(select(literal(1)))

    async def clock(self) -> datetime:
        """The time of the database's machine, for a comparison of clocks. Raises StoreUnavailable."""
        (row,) = await self._rows(select(func.clock_timestamp().label("now")))
        now: datetime = row["now"]
        return now

    async def _rows(self, query: Select[Any]) -> Sequence[Mapping[Any, Any]]:
        """Of tables that belong to no tenant."""
        with translated():
            async with self._engine.connect() as database:
                rows: Sequence[Mapping[Any, Any]] = (await database.execute(query)).mappings().all()
                return rows


def _material(keys: TenantKeys, row: Any) -> SigningMaterial:
    pkcs8 = keys.open("tenant_key", row.id, row.dek).open(key_place(row.id), row.sealed_pkcs8)
    return SigningMaterial(row.id, pkcs8, row.certificate_der, tuple(row.chain))
