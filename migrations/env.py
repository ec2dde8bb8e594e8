"""Runs migrations over asyncpg: one migrator at a time, each migration a transaction with time-outs of its own.

`demail_gateway.storage.migrate` hands over a connection; the `alembic` command (for writing migrations) opens one to
DEMAIL_OWNER_DATABASE_URL.
"""

from __future__ import annotations

import asyncio
import os

import sqlalchemy as sa
from alembic import context
from sqlalchemy.engine import Connection

from demail_gateway.storage import migrate
from demail_gateway.storage.schema import metadata


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=False,
    )
    lock_timeout = context.config.attributes.get("lock_timeout", migrate.LOCK_TIMEOUT)
    with migrate.alone(connection, lock_timeout), context.begin_transaction():
        context.run_migrations()


async def _run_with_own_connection() -> None:
    engine = migrate.owner_engine(os.environ["DEMAIL_OWNER_DATABASE_URL"])
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


def _offline() -> None:
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.execute(sa.text(f"SET LOCAL lock_timeout = '{migrate.LOCK_TIMEOUT}'"))
        context.run_migrations()


if context.is_offline_mode():
    _offline()
elif (given := context.config.attributes.get("connection")) is not None:
    _run(given)
else:
    asyncio.run(_run_with_own_connection())
