"""Migrations: up, down, together, refused on a newer database, and what they make is what the code expects."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from demail_gateway.core.errors import Conflict, StoreUnavailable
from demail_gateway.storage import migrate
from demail_gateway.storage.schema import metadata
from tests.harness.database import Database


async def fetch(url: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


OBJECTS = """
SELECT 'relation', relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'function', proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'right', table_name::text FROM information_schema.role_table_grants
           WHERE table_schema = 'public' AND grantee <> grantor
 ORDER BY 1, 2
"""


async def test_up_and_down_and_up_again(empty_database: Database) -> None:
    urls, role = (empty_database.owner_url, empty_database.app_url), empty_database.app_role
    assert (await migrate.state(urls[0])).current is None
    assert (await migrate.upgrade(urls[0], app_role=role)).up_to_date
    assert (await migrate.state(urls[1])).up_to_date
    made = await fetch(empty_database.superuser_url, OBJECTS)
    assert (await migrate.downgrade(urls[0], "base", app_role=role)).current is None
    left = await fetch(empty_database.superuser_url, OBJECTS)
    assert {name for _, name in left} <= {"alembic_version", "alembic_version_pkc"}
    await migrate.upgrade(urls[0], app_role=role)
    assert await fetch(empty_database.superuser_url, OBJECTS) == made


async def test_every_single_step_goes_back(empty_database: Database) -> None:
    url, role = empty_database.owner_url, empty_database.app_role
    revisions = [script.revision for script in ScriptDirectory(str(migrate.migrations_directory())).walk_revisions()]
    for revision in reversed(revisions):
        before = await fetch(empty_database.superuser_url, OBJECTS)
        await migrate.upgrade(url, app_role=role, revision=revision)
        after = await fetch(empty_database.superuser_url, OBJECTS)
        await migrate.downgrade(url, "-1", app_role=role)
        if before:
            assert await fetch(empty_database.superuser_url, OBJECTS) == before
        await migrate.upgrade(url, app_role=role, revision=revision)
        assert await fetch(empty_database.superuser_url, OBJECTS) == after


async def test_clients_without_a_secret_survive_the_release_before_and_cannot_enter_there(
    fresh_database: Database,
) -> None:
    url, role = fresh_database.owner_url, fresh_database.app_role
    tenant, client, operator = uuid4(), uuid4(), uuid4()
    owner = await asyncpg.connect(fresh_database.superuser_url)
    await owner.execute(
        "INSERT INTO tenant (tenant_id, slug, name, kind, public_body, state, created_at)"
        " VALUES ($1, 's', 'n', 'other', false, 'live', now())",
        tenant,
    )
    await owner.execute(
        "INSERT INTO client (tenant_id, id, name, scopes, created_at) VALUES ($1, $2, 'n', '{}', now())", tenant, client
    )
    await owner.execute("INSERT INTO operator_client (id, name, created_at) VALUES ($1, 'n', now())", operator)
    await owner.close()
    await migrate.downgrade(url, "0004", app_role=role)
    for each in (client, operator):
        found = await fetch(fresh_database.app_url, f"SELECT secret_sha256 FROM find_client('{each}', 'here')")
        assert found == [(bytes(32),)]
    await migrate.upgrade(url, app_role=role)


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory(str(migrate.migrations_directory())).get_heads()) == 1


async def test_database_is_what_the_schema_says(database: Database) -> None:
    engine = migrate.owner_engine(database.owner_url)
    try:
        async with engine.connect() as connection:
            differences = await connection.run_sync(_differences)
    finally:
        await engine.dispose()
    assert differences == []


def _differences(connection: Any) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_ciphertext_is_stored_without_compression(database: Database) -> None:
    rows = await fetch(
        database.owner_url,
        "SELECT c.relname::text, a.attname::text, a.attstorage::text FROM pg_attribute a JOIN pg_class c"
        " ON c.oid = a.attrelid WHERE c.relkind = 'r' AND a.attname LIKE 'sealed\\_%' AND atttypid = 'bytea'::regtype",
    )
    assert {row[2] for row in rows} == {"e"}
    expected = {(t.name, c.name) for t in metadata.sorted_tables for c in t.c if c.name.startswith("sealed_")}
    assert {row[:2] for row in rows} == expected - {("message_copy", "sealed_copy_id")}


async def test_migrators_at_once_take_turns(empty_database: Database) -> None:
    program = (
        "import asyncio, sys; from demail_gateway.storage import migrate;"
        "asyncio.run(migrate.upgrade(sys.argv[1], app_role=sys.argv[2]))"
    )
    arguments = ("-c", program, empty_database.owner_url, empty_database.app_role)
    migrators = [await asyncio.create_subprocess_exec(sys.executable, *arguments) for _ in range(3)]
    assert [await migrator.wait() for migrator in migrators] == [0, 0, 0]
    assert (await migrate.state(empty_database.owner_url)).up_to_date


async def test_newer_database_is_refused(fresh_database: Database) -> None:
    owner = await asyncpg.connect(fresh_database.owner_url)
    await owner.execute("UPDATE alembic_version SET version_num = '9999'")
    await owner.close()
    assert (await migrate.state(fresh_database.app_url)).newer
    for call in (
        migrate.upgrade(fresh_database.owner_url, app_role=fresh_database.app_role),
        migrate.downgrade(fresh_database.owner_url, "base", app_role=fresh_database.app_role),
    ):
        with pytest.raises(Conflict, match="schema-newer"):
            await call
    assert len(await fetch(fresh_database.owner_url, "SELECT 1 FROM tenant")) == 0


async def test_a_migration_that_cannot_get_its_lock_gives_up_whole(fresh_database: Database) -> None:
    url, role = fresh_database.owner_url, fresh_database.app_role
    blocker = await asyncpg.connect(fresh_database.app_url)
    try:
        async with blocker.transaction():
            await blocker.fetch("SELECT 1 FROM message")
            with pytest.raises(StoreUnavailable):
                await migrate.downgrade(url, "base", app_role=role, lock_timeout="100ms")
            assert await blocker.fetchval("SELECT count(*) FROM message") == 0
    finally:
        await blocker.close()


async def test_database_that_is_away_is_told_so() -> None:
    with pytest.raises(StoreUnavailable):
        await migrate.state("postgresql://nobody@127.0.0.1:1/none")


def test_migrations_are_found_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = migrate.migrations_directory()
    copy = tmp_path / "elsewhere"
    shutil.copytree(real, copy)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        migrate.migrations_directory(tmp_path / "lib" / "demail_gateway")
    monkeypatch.setenv("DEMAIL_MIGRATIONS", str(copy))
    assert migrate.migrations_directory(tmp_path / "lib" / "demail_gateway") == copy
