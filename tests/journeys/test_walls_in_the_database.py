"""Row-level security, tried with the application role of a running installation (GWT-39)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.harness.servers import in_own_loop
from tests.journeys.installation import Installation
from tests.journeys.people import CITIZENS, Application

TENANT_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
 WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') ORDER BY 1
"""


@pytest.fixture(scope="module")
def database_urls(installation: Installation, town: Application, works: Application) -> tuple[str, str]:
    """Application's and owner's URL of a database in which both tenants have rows."""
    ids = [(application, application.send(f"walls{CITIZENS}")) for application in (town, works)]
    for application, message_id in ids:
        application.when(message_id)
    ready = installation.ready()
    return ready["database_url"], ready["owner_database_url"]


UNFORCED = """
SELECT relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
"""


def ask(url: str, statements: list[str], tenant: UUID | None = None) -> list[Any]:
    """Answers in one transaction, after setting the tenant."""

    async def run() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                if tenant is not None:
                    await connection.execute("SELECT set_config('demail.tenant_id', $1, true)", str(tenant))
                return [await connection.fetch(statement) for statement in statements]
        finally:
            await connection.close()

    return in_own_loop(run())


def tables(url: str) -> list[str]:
    return [row["relname"] for row in ask(url, [TENANT_TABLES])[0]]


def uuid_of(application: Application) -> UUID:
    return UUID(application.id.removeprefix("ten_"))


def test_without_a_tenant_no_row_of_any_tenant_is_seen(database_urls: tuple[str, str]) -> None:
    app_url, _ = database_urls
    names = tables(app_url)
    assert {"message", "recipient", "evidence"} & {name.rstrip("s") for name in names}
    counts = ask(app_url, [f"SELECT count(*) FROM {name}" for name in names])
    assert {name: rows[0]["count"] for name, rows in zip(names, counts, strict=True)} == dict.fromkeys(names, 0)


def test_with_a_tenant_set_only_its_rows_are_seen(
    database_urls: tuple[str, str], town: Application, works: Application
) -> None:
    app_url, _ = database_urls
    names, seen = tables(app_url), {}
    for application in (town, works):
        own = uuid_of(application)
        statements = [f"SELECT tenant_id, count(*) FROM {name} GROUP BY tenant_id" for name in names]
        answers = dict(zip(names, ask(app_url, statements, own), strict=True))
        for name, rows in answers.items():
            assert {row["tenant_id"] for row in rows} <= {own}, name
        seen[application.slug] = {name for name, rows in answers.items() if rows}
    assert seen[town.slug] == seen[town.slug] | seen[works.slug]
    assert len(seen[works.slug]) > 5


def test_a_row_for_another_tenant_cannot_be_written(
    database_urls: tuple[str, str], town: Application, works: Application
) -> None:
    app_url, _ = database_urls
    own, foreign = uuid_of(town), uuid_of(works)
    for name in tables(app_url):
        try:
            answer = ask(
                app_url, [f"UPDATE {name} SET tenant_id = '{own}' WHERE tenant_id = '{foreign}' RETURNING 1"], own
            )
        except asyncpg.InsufficientPrivilegeError:
            continue
        assert answer == [[]], name


def test_the_application_owns_nothing_and_passes_no_wall(database_urls: tuple[str, str]) -> None:
    app_url, _ = database_urls
    (role,), owned, unforced = ask(
        app_url,
        [
            "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user",
            "SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) = current_user",
            UNFORCED,
        ],
    )
    assert not any(role.values())
    assert owned == []
    assert unforced == []


def test_the_journal_is_for_reading_and_adding_only(database_urls: tuple[str, str], town: Application) -> None:
    app_url, _ = database_urls
    for statement in ("DELETE FROM journal", "UPDATE journal SET seq = 0", "TRUNCATE journal"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            ask(app_url, [statement], uuid_of(town))


def test_no_content_lies_in_the_database_in_clear(installation: Installation, town: Application) -> None:
    """GWT-37: not in any row, as the database itself gives it out."""
    word = "Kennwort Seidelbast"
    message_id = town.send(f"clear{CITIZENS}", subject=f"Betreff {word}", text=f"Text {word}\n")
    town.when(message_id)
    app_url = installation.ready()["database_url"]
    for name in tables(app_url):
        (rows,) = ask(app_url, [f"SELECT t::text AS row FROM {name} t"], uuid_of(town))
        for row in rows:
            assert word not in row["row"], name
            assert word.encode().hex() not in row["row"], name
