"""First answers of creating requests other than sending (ports.Answers); they share the keys of `Submissions.accept`.

A reservation is committed before the request's work, so that the same key meanwhile is told to wait; the answer follows.
A reservation without an answer after five minutes was abandoned (its process died) and is taken over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports import Accepted, AcceptResult, IdempotencyKey, StoredAnswer
from demail_gateway.core.errors import Conflict
from demail_gateway.storage.acceptance import place_of_answer
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.engine import statement_driver, tenant_driver
from demail_gateway.storage.envelope import Place
from demail_gateway.tenancy.scope import OperatorScope, TenantScope

ABANDONED = timedelta(minutes=5)

_COLUMNS = "request_sha256, status, location, dek, sealed_body"


class PostgresAnswers:
    """ports.Answers on PostgreSQL."""

    def __init__(self, engine: AsyncEngine, keys: ContentKeys) -> None:
        self._engine = engine
        self._keys = keys

    async def reserve(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, now: datetime) -> Accepted | None:
        table, names, values = _row(scope, key)
        marks = ", ".join(f"${n + 1}" for n in range(len(values)))
        reserve = (
            f"INSERT INTO {table} AS i ({names}, request_sha256, created_at)"
            f" VALUES ({marks}, ${len(values) + 1}, ${len(values) + 2})"
            f" ON CONFLICT ({names}) DO UPDATE SET request_sha256 = excluded.request_sha256,"
            f" created_at = excluded.created_at WHERE i.status IS NULL AND i.created_at <= ${len(values) + 3} RETURNING 1"
        )
        async with self._driver(scope) as connection:
            if await connection.fetchval(reserve, *values, key.request_sha256, now, now - ABANDONED):
                return None
            found = await connection.fetchrow(f"SELECT {_COLUMNS} FROM {table} WHERE {_mine(names)}", *values)
        return None if found is None else await self._known(scope, key, found)

    async def keep(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, answer: StoredAnswer) -> None:
        table, names, values = _row(scope, key)
        dek, sealed = await self._sealed(scope, key, answer.body)
        n = len(values)
        async with self._driver(scope) as connection:
            await connection.execute(
                f"UPDATE {table} SET status = ${n + 1}, location = ${n + 2}, dek = ${n + 3}, sealed_body = ${n + 4}"
                f" WHERE {_mine(names)} AND status IS NULL",
                *values,
                answer.status,
                answer.location,
                dek,
                sealed,
            )

    async def forget(self, scope: TenantScope | OperatorScope, key: IdempotencyKey) -> None:
        table, names, values = _row(scope, key)
        async with self._driver(scope) as connection:
            await connection.execute(f"DELETE FROM {table} WHERE {_mine(names)} AND status IS NULL", *values)

    async def _known(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, row: Any) -> Accepted:
        if row["request_sha256"] != key.request_sha256:
            return Accepted(AcceptResult.REUSED)
        if row["status"] is None:
            raise Conflict("idempotency-in-progress")
        body = await self._opened(scope, key, row)
        return Accepted(AcceptResult.REPLAYED, StoredAnswer(row["status"], body, row["location"]))

    async def _sealed(
        self, scope: TenantScope | OperatorScope, key: IdempotencyKey, body: bytes
    ) -> tuple[bytes | None, bytes]:
        if isinstance(scope, OperatorScope):
            return None, self._keys.master.seal(_operator_place(scope.client_id, key), body)
        place = place_of_answer(scope.client_id, key.key)
        data_key = (await self._keys.of(scope.tenant_id)).new(place.table, place.row)
        return data_key.wrapped, data_key.seal(place, body)

    async def _opened(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, row: Any) -> bytes:
        if isinstance(scope, OperatorScope):
            return self._keys.master.open(_operator_place(scope.client_id, key), row["sealed_body"])
        place = place_of_answer(scope.client_id, key.key)
        keys = await self._keys.of(scope.tenant_id, [row["dek"]])
        return keys.open(place.table, place.row, row["dek"]).open(place, row["sealed_body"])

    @asynccontextmanager
    async def _driver(self, scope: TenantScope | OperatorScope) -> AsyncIterator[Any]:
        if isinstance(scope, TenantScope):
            async with tenant_driver(self._engine, scope.tenant_id) as connection:
                yield connection
        else:
            async with statement_driver(self._engine) as connection:
                yield connection


def _row(scope: TenantScope | OperatorScope, key: IdempotencyKey) -> tuple[str, str, tuple[UUID | str | None, ...]]:
    """Table, names of the key's columns, their values."""
    if isinstance(scope, OperatorScope):
        return "operator_idempotency_key", "client_id, key", (scope.client_id, key.key)
    return "idempotency_key", "tenant_id, client_id, key", (scope.tenant_id, scope.client_id, key.key)


def _mine(names: str) -> str:
    return " AND ".join(f"{name} = ${n + 1}" for n, name in enumerate(names.split(", ")))


def _operator_place(client_id: UUID, key: IdempotencyKey) -> Place:
    return Place("operator_idempotency_key", "sealed_body", f"{client_id}/{key.key.encode().hex()}")
