"""First answers of creating requests other than sending (ports.Answers); `Submissions.accept` uses the same keys.

A reservation is committed before the request's work, so that the same key meanwhile is told to wait; the answer comes
after. A reservation that has no answer after five minutes was abandoned (its process died) and is taken over.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.answers import Accepted, AcceptResult, IdempotencyKey, StoredAnswer
from demail_gateway.core.errors import Conflict
from demail_gateway.storage.acceptance import place_of_answer
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.engine import statement_driver, tenant_driver
from demail_gateway.storage.envelope import Place
from demail_gateway.tenancy.scope import OperatorScope, TenantScope

ABANDONED = timedelta(minutes=5)


class PostgresAnswers:
    """ports.Answers on PostgreSQL."""

    def __init__(self, engine: AsyncEngine, keys: ContentKeys) -> None:
        self._engine = engine
        self._keys = keys

    async def reserve(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, now: datetime) -> Accepted | None:
        statements, row = _mine(scope, key)
        while True:
            async with self._driver(scope) as connection:
                values = (key.request_sha256, now, now - ABANDONED, *row)
                if await connection.fetchval(statements.reserve, *values):
                    return None
                found = await connection.fetchrow(statements.find, *row)
            # freed between the two statements: once more
            if found is not None:
                return await self._known(scope, key, found)

    async def keep(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, answer: StoredAnswer) -> None:
        """Nothing happens when the reservation was taken for abandoned and given to another request."""
        statements, row = _mine(scope, key)
        values = (key.request_sha256, answer.status, answer.location, *await self._sealed(scope, key, answer.body))
        async with self._driver(scope) as connection:
            await connection.execute(statements.keep, *values, *row)

    async def forget(self, scope: TenantScope | OperatorScope, key: IdempotencyKey) -> None:
        """As `keep`; an answer that is kept stays."""
        statements, row = _mine(scope, key)
        async with self._driver(scope) as connection:
            await connection.execute(statements.forget, key.request_sha256, *row)

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
        """Data key and sealed body; the operator's answers are sealed by the master key itself."""
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

    def _driver(self, scope: TenantScope | OperatorScope) -> AbstractAsyncContextManager[Any]:
        if isinstance(scope, TenantScope):
            return tenant_driver(self._engine, scope.tenant_id)
        return statement_driver(self._engine)


@dataclass(frozen=True, slots=True)
class _Statements:
    """Of one table; the values of its key come last."""

    reserve: str
    find: str
    keep: str
    forget: str


def _statements(table: str, *key: str) -> _Statements:
    def mine(first: int) -> str:
        return " AND ".join(f"{name} = ${first + n}" for n, name in enumerate(key))

    columns, values = ", ".join(key), ", ".join(f"${4 + n}" for n in range(len(key)))
    # names of tables and columns alone, from the two lines below
    return _Statements(
        reserve=f"INSERT INTO {table} AS i (request_sha256, created_at, {columns}) VALUES ($1, $2, {values})"  # noqa: S608
        f" ON CONFLICT ({columns}) DO UPDATE SET request_sha256 = excluded.request_sha256,"
        " created_at = excluded.created_at WHERE i.status IS NULL AND i.created_at < $3 RETURNING 1",
        find=f"SELECT request_sha256, status, location, dek, sealed_body FROM {table} WHERE {mine(1)}",  # noqa: S608
        keep=f"UPDATE {table} SET status = $2, location = $3, dek = $4, sealed_body = $5"  # noqa: S608
        f" WHERE status IS NULL AND request_sha256 = $1 AND {mine(6)}",
        forget=f"DELETE FROM {table} WHERE status IS NULL AND request_sha256 = $1 AND {mine(2)}",  # noqa: S608
    )


_OF_TENANT = _statements("idempotency_key", "tenant_id", "client_id", "key")
_OF_OPERATOR = _statements("operator_idempotency_key", "client_id", "key")


def _mine(scope: TenantScope | OperatorScope, key: IdempotencyKey) -> tuple[_Statements, tuple[UUID | str | None, ...]]:
    """The statements of the scope's table, and the key of the row."""
    if isinstance(scope, OperatorScope):
        return _OF_OPERATOR, (scope.client_id, key.key)
    return _OF_TENANT, (scope.tenant_id, scope.client_id, key.key)


def _operator_place(client_id: UUID, key: IdempotencyKey) -> Place:
    return Place("operator_idempotency_key", "sealed_body", f"{client_id}/{key.key.encode().hex()}")
