"""The ground of all the operator's work: one transaction that sees the administrative tables of all tenants, and none
of their content (GWT-37); every change writes its journal entry in the same transaction (SND-100).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Executable
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from demail_gateway.core.errors import Conflict, NotFound
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.engine import operator_transaction
from demail_gateway.storage.journal_intake import enter
from demail_gateway.storage.rows import to_jsonb
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope

Row = Mapping[Any, Any]

_FOREIGN_KEY_BROKEN = "23503"
_NOT_UNIQUE = "23505"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of configuration: its transaction, who makes it, and when."""

    connection: AsyncConnection
    actor: str
    at: datetime

    async def execute(self, statement: Executable, *, taken: str | None = None) -> Sequence[Row]:
        """The rows that `statement` returns, if any.

        Raises:
            NotFound: it refers to a row that does not exist, or belongs to another tenant.
            Conflict: `taken`, when what must be unique is there already.
        """
        try:
            result = await self.connection.execute(statement)
        except IntegrityError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state == _FOREIGN_KEY_BROKEN:
                raise NotFound from error
            if state == _NOT_UNIQUE and taken:
                raise Conflict(taken) from error
            raise
        return result.mappings().all() if result.returns_rows else ()

    async def one(self, statement: Executable, *, taken: str | None = None) -> Row:
        """The only row. Raises NotFound when there is none, else as `execute`."""
        return only(await self.execute(statement, taken=taken))

    async def note(
        self, action: str, what: str, tenant_id: UUID | None = None, detail: Mapping[str, Any] | None = None
    ) -> None:
        """The journal entry: `action`, e.g. ``client.created``, on the object `what`, a public id or an address."""
        await enter(self.connection, self.at, self.actor, action, what, tenant_id=tenant_id, detail=detail)


class Operations:
    """What the operator's adapters share."""

    def __init__(self, engine: AsyncEngine, keys: ContentKeys) -> None:
        self._engine = engine
        self._keys = keys

    @asynccontextmanager
    async def _change(self, scope: OperatorScope, at: datetime) -> AsyncIterator[Change]:
        async with operator_transaction(self._engine) as connection:
            yield Change(connection, format_id(Prefix.CLIENT, scope.client_id), at)

    async def _rows(self, query: Executable) -> Sequence[Row]:
        async with operator_transaction(self._engine) as connection:
            rows: Sequence[Row] = (await connection.execute(query)).mappings().all()
            return rows


def only(rows: Sequence[Row]) -> Row:
    """The one row. Raises NotFound when there is none."""
    if not rows:
        raise NotFound
    (row,) = rows
    return row


def plain_json(value: Any) -> Any:
    """`value` for a jsonb column: plain containers, and in every text only what PostgreSQL can hold."""
    return json.loads(to_jsonb(value))
