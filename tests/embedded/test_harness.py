"""The tests' own ground: what one test leaves, the next does not find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from demail_gateway.embedded.databases import connected
from tests.harness.database import ClonedDatabase, Database
from tests.harness.redis import ClaimedNumber
from tests.harness.servers import Servers, in_own_loop

_SCHEMA = """
CREATE TABLE parent (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, double int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent);
CREATE TABLE alembic_version (version_num text);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'append only'; END $$;
CREATE TRIGGER append_only BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION refuse();
INSERT INTO parent DEFAULT VALUES;
INSERT INTO alembic_version VALUES ('0001');
"""


async def _run(url: str, statement: str) -> None:
    async with connected(url) as connection:
        await connection.execute(statement)


async def _rows(url: str, table: str) -> list[tuple[object, ...]]:
    async with connected(url) as connection:
        return [tuple(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")]


@pytest.fixture
def clone(servers: Servers, empty_database: Database) -> Iterator[ClonedDatabase]:
    in_own_loop(_run(empty_database.owner_url, _SCHEMA))
    template = replace(
        servers,
        template=empty_database.name,
        owner_url=empty_database.owner_url,
        app_url=empty_database.app_url,
    )
    made = ClonedDatabase(template)
    yield made
    made.drop()


def test_emptying_deletes_past_triggers_and_keys_and_puts_back_what_the_migrations_made(clone: ClonedDatabase) -> None:
    url = clone.database.owner_url
    in_own_loop(_run(url, "INSERT INTO parent DEFAULT VALUES; INSERT INTO child VALUES (1, 2)"))
    in_own_loop(_run(url, "DELETE FROM parent WHERE id = 1"))
    clone.empty()
    assert in_own_loop(_rows(url, "parent")) == [(1, 2)]
    assert in_own_loop(_rows(url, "child")) == []
    assert in_own_loop(_rows(url, "alembic_version")) == [("0001",)]


async def test_the_fixture_gives_the_application_role_the_tenants_own_view(database: Database) -> None:
    async with connected(database.app_url) as connection:
        role = await connection.fetchrow("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert tuple(role) == (False, False)


async def test_each_fresh_database_is_another_one(database: Database, fresh_database: Database) -> None:
    assert database.name != fresh_database.name
    assert database.app_role == fresh_database.app_role


def test_two_processes_never_get_the_same_redis_number(servers: Servers) -> None:
    first, second = ClaimedNumber(servers.redis_url), ClaimedNumber(servers.redis_url)
    assert first.url != second.url
    for each in (first, second):
        each.release()


def test_a_redis_number_is_empty_again_after_a_test(servers: Servers) -> None:
    claimed = ClaimedNumber(servers.redis_url)
    client = redis.Redis.from_url(claimed.url)
    client.set("left", "behind")
    claimed.empty()
    assert client.get("left") is None
    client.close()
    claimed.release()


def test_a_redis_number_that_somebody_uses_is_not_taken(servers: Servers) -> None:
    taken = ClaimedNumber(servers.redis_url)
    somebody = redis.Redis.from_url(taken.url)
    taken.release()
    somebody.set("theirs", "kept")
    other = ClaimedNumber(servers.redis_url)
    assert other.url != taken.url
    assert somebody.get("theirs") == b"kept"
    somebody.flushdb()
    somebody.close()
    other.release()
