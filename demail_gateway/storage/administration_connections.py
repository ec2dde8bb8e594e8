"""Connections to providers (GWT-10); their profile is data, and secrets are not part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from demail_gateway.application.ports.connections import Connection
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.storage.administering import Operations, Row, plain_json
from demail_gateway.storage.schema import connection as table
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope

_TAKEN = "connection-name-taken"


class ConnectionAdministration(Operations):
    """The part of ports.Administration on connections."""

    async def create_connection(self, scope: OperatorScope, record: Connection) -> Connection:
        """Raises Conflict('connection-name-taken')."""
        statement = insert(table).values(
            id=record.id,
            name=record.name,
            auth_level=record.auth_level,
            profile=plain_json(record.profile),
            active=record.active,
            created_at=record.created_at,
        )
        detail = {"name": record.name, "auth_level": record.auth_level}
        async with self._change(scope, record.created_at) as change:
            await change.execute(statement, taken=_TAKEN)
            await change.note("connection.created", format_id(Prefix.CONNECTION, record.id), None, detail)
        return record

    async def connections(self, scope: OperatorScope) -> tuple[Connection, ...]:
        """The oldest first."""
        rows = await self._rows(select(table).order_by(table.c.created_at, table.c.id))
        return tuple(read_connection(row) for row in rows)

    async def change_connection(
        self,
        scope: OperatorScope,
        connection_id: UUID,
        changes: Mapping[str, Any] | Callable[[Connection], Mapping[str, Any]],
        now: datetime,
    ) -> Connection:
        """Raises NotFound, Conflict('connection-name-taken')."""
        mine = table.c.id == connection_id
        async with self._change(scope, now) as change:
            current = read_connection(await change.one(select(table).where(mine).with_for_update()))
            fields = changes(current) if callable(changes) else changes
            if not fields:
                return current
            columns = {**fields, **({"profile": plain_json(fields["profile"])} if "profile" in fields else {})}
            row = await change.one(update(table).where(mine).values(**columns).returning(table), taken=_TAKEN)
            # names and certificates of a whole profile are too much for an entry
            shown = {name: "changed" if name == "profile" else value for name, value in fields.items()}
            await change.note("connection.changed", format_id(Prefix.CONNECTION, connection_id), None, shown)
        return read_connection(row)


def read_connection(row: Row) -> Connection:
    """A connection from its row."""
    return Connection(
        id=row["id"],
        name=row["name"],
        auth_level=AuthLevel(row["auth_level"]),
        profile=row["profile"],
        active=row["active"],
        created_at=row["created_at"],
    )
