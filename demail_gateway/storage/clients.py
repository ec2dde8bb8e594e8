"""Clients before any tenant is known (ports.Clients), through functions with the owner's rights and least result."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.clients import ClientRecord
from demail_gateway.storage.client_rows import certificates_of
from demail_gateway.storage.engine import statement_driver
from demail_gateway.tenancy.client_authentication import read_methods
from demail_gateway.tenancy.scope import Scope


class PostgresClients:
    """ports.Clients on PostgreSQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, client_id: UUID, source: str, now: datetime) -> ClientRecord | None:
        async with statement_driver(self._engine) as connection:
            row = await connection.fetchrow("SELECT * FROM find_client($1, $2)", client_id, source)
        if row is None:
            return None
        return ClientRecord(
            id=row["id"],
            tenant_id=row["tenant_id"],
            tenant_slug=row["tenant_slug"],
            scopes=frozenset(Scope(name) for name in row["scopes"]),
            secret_sha256=row["secret_sha256"],
            active=row["active"],
            locked_until=row["locked_until"],
            jwks=row["jwks"],
            certificates=certificates_of(row["certificates"]),
            methods=None if row["methods"] is None else read_methods(row["methods"]),
        )

    async def record_attempt(self, client_id: UUID, source: str, ok: bool, now: datetime) -> datetime | None:
        async with statement_driver(self._engine) as connection:
            locked: datetime | None = await connection.fetchval(
                "SELECT record_client_attempt($1, $2, $3, $4)", client_id, source, ok, now
            )
        return locked

    async def use_assertion(self, client_id: UUID, jti_sha256: bytes, expires_at: datetime, now: datetime) -> bool:
        async with statement_driver(self._engine) as connection:
            first: bool = await connection.fetchval(
                "SELECT use_client_assertion($1, $2, $3, $4)", client_id, jti_sha256, expires_at, now
            )
        return first
