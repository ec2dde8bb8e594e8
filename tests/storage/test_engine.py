"""Connections: the database may go and come back."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from sqlalchemy import text

from demail_gateway.core.errors import StoreUnavailable
from demail_gateway.storage.engine import create_engine, statement_driver, tenant_driver, tenant_transaction
from tests.harness.database import Database
from tests.storage.stage import Stage, Tenant


async def test_absent_database_is_unavailable() -> None:
    engine = create_engine("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable):
        async with statement_driver(engine):
            pass
    await engine.dispose()


async def test_connections_cut_by_the_server_are_replaced(stage: Stage, elbtal: Tenant) -> None:
    await stage.accept(elbtal)
    async with stage.superuser() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE usename = $1 AND datname = current_database()",
            stage.database.app_role,
        )
    for _ in range(4):  # one for each connection whose end may not have been noticed yet
        with contextlib.suppress(StoreUnavailable):
            await stage.accept(elbtal)
    await stage.accept(elbtal)


async def test_connection_cut_in_the_middle_is_unavailable(stage: Stage, elbtal: Tenant) -> None:
    async def cut(pid: int) -> None:
        async with stage.superuser() as connection:
            await connection.execute("SELECT pg_terminate_backend($1, 5000)", pid)

    async def by_driver() -> None:
        async with tenant_driver(stage.engine, elbtal.id) as connection:
            await cut(connection.get_server_pid())
            await connection.fetchval("SELECT 1")

    async def by_sqlalchemy() -> None:
        async with tenant_transaction(stage.engine, elbtal.id) as connection:
            await cut((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())
            await connection.execute(text("SELECT 1"))

    for work in (by_driver, by_sqlalchemy):
        with pytest.raises(StoreUnavailable):
            await work()
    await stage.accept(elbtal)


async def test_cancelled_statement_does_not_spoil_the_pool(database: Database) -> None:
    engine = create_engine(database.app_url, pool_size=1)
    running = asyncio.Event()

    async def long() -> None:
        async with statement_driver(engine) as connection:
            running.set()
            await connection.fetchval("SELECT pg_sleep(60)")

    task = asyncio.create_task(long())
    await running.wait()
    await asyncio.sleep(0.05)  # the statement is on its way; there is nothing to wait for but the server
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with statement_driver(engine) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    await engine.dispose()


async def test_exhausted_pool_is_unavailable(database: Database) -> None:
    engine = create_engine(database.app_url, pool_size=1, pool_timeout_s=0.05)
    async with statement_driver(engine):
        with pytest.raises(StoreUnavailable):
            async with statement_driver(engine):
                pass
    await engine.dispose()
