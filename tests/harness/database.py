"""One database per test process, emptied after each test in one round trip."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

import asyncpg

from demail_gateway.embedded import databases
from tests.harness.servers import Servers, in_own_loop

_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) AS name,
       (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'alembic_version'
   AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Database:
    """The ways into one database; `app_url` is what the product runs with."""

    name: str
    superuser_url: str
    owner_url: str
    app_url: str
    app_role: str


class ClonedDatabase:
    """A clone of the run's template; `empty` brings it back to what the migrations left."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.database = cloned(servers)
        self._connection: Any = None
        self._emptying = ""
        self._runner.run(self._watch())

    def empty(self) -> None:
        """Delete all rows, put back those that the migrations made; about two milliseconds."""
        self._runner.run(self._connection.execute(self._emptying))

    def drop(self) -> None:
        """Remove the database."""
        self._runner.run(self._connection.close())
        self._runner.close()
        in_own_loop(databases.drop_database(self._servers.superuser_url, self.database.name))

    async def _watch(self) -> None:
        self._connection = await asyncpg.connect(self.database.superuser_url)
        # triggers that forbid deleting (the journal) and the order of foreign keys do not hold here; a test that leaves
        # a transaction open is told so instead of hanging
        await self._connection.execute("SET session_replication_role = replica; SET lock_timeout = '5s'")
        statements = []
        for number, (table, columns) in enumerate(await self._connection.fetch(_TABLES)):
            statements.append(f"DELETE FROM {table}")
            if await self._connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):
                await self._connection.execute(f"CREATE TEMP TABLE kept_{number} AS SELECT {columns} FROM {table}")
                back = f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM kept_{number}"
                statements.append(back)
        self._emptying = ";".join(statements)


def cloned(servers: Servers) -> Database:
    """A new migrated database."""
    name = f"{servers.template}_{secrets.token_hex(4)}"
    superuser_url = in_own_loop(databases.clone(servers.superuser_url, servers.template, name))
    return Database(
        name=name,
        superuser_url=superuser_url,
        owner_url=databases.at_database(servers.owner_url, name),
        app_url=databases.at_database(servers.app_url, name),
        app_role=servers.app_role,
    )


def provisioned(servers: Servers) -> Database:
    """A new database without any table, with an owner and an application role of its own."""
    name = f"demail_test_{secrets.token_hex(5)}"
    access = in_own_loop(
        databases.provision(
            servers.superuser_url, name, owner_password=secrets.token_hex(8), app_password=secrets.token_hex(8)
        )
    )
    return Database(
        name, databases.at_database(servers.superuser_url, name), access.owner_url, access.app_url, access.app_role
    )
