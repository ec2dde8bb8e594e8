"""Databases of our own: the owner owns, the application role is bound by row-level security."""

from __future__ import annotations

import secrets

import asyncpg
import pytest

from demail_gateway.embedded import databases
from demail_gateway.embedded.databases import connected
from tests.harness.database import Database
from tests.harness.servers import Servers

_PASSWORD = "p/a:s@s w%rd"


async def test_the_owner_makes_tables_and_the_app_role_only_uses_what_is_granted(empty_database: Database) -> None:
    async with connected(empty_database.owner_url) as owner, connected(empty_database.app_url) as app:
        await owner.execute("CREATE TABLE kept (number int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetch("SELECT * FROM kept")
        await owner.execute(f"GRANT SELECT ON kept TO {empty_database.app_role}")
        assert await app.fetch("SELECT * FROM kept") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("CREATE TABLE other (number int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("CREATE TEMP TABLE other (number int)")


async def test_forced_row_security_binds_owner_and_app(empty_database: Database) -> None:
    async with connected(empty_database.owner_url) as owner, connected(empty_database.app_url) as app:
        await owner.execute("CREATE TABLE kept AS SELECT generate_series(1, 3) AS number")
        await owner.execute(f"GRANT SELECT ON kept TO {empty_database.app_role}")
        await owner.execute("ALTER TABLE kept ENABLE ROW LEVEL SECURITY; ALTER TABLE kept FORCE ROW LEVEL SECURITY")
        await owner.execute("CREATE POLICY odd ON kept USING (number % 2 = 1)")
        for connection in (owner, app):
            assert await connection.fetchval("SELECT count(*) FROM kept") == 2
            rights = "SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
            assert await connection.fetchval(rights) is False


async def test_provisioning_again_changes_the_passwords_and_keeps_the_data(servers: Servers) -> None:
    name = f"demail_test_{secrets.token_hex(5)}"
    first = await databases.provision(servers.superuser_url, name, owner_password="first", app_password="first")
    async with connected(first.owner_url) as owner:
        await owner.execute("CREATE TABLE kept (number int)")
    access = await databases.provision(servers.superuser_url, name, owner_password=_PASSWORD, app_password=_PASSWORD)
    async with connected(access.owner_url) as owner:
        assert await owner.fetchval("SELECT count(*) FROM kept") == 0
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(first.owner_url)
    await databases.drop(servers.superuser_url, name)
    async with connected(servers.superuser_url) as connection:
        left = "SELECT count(*) FROM pg_roles WHERE rolname IN ($1, $2)"
        assert await connection.fetchval(left, *databases.roles_of(name)) == 0


async def test_a_role_that_may_only_create_can_provision_too(servers: Servers) -> None:
    deputy, name = f"demail_test_{secrets.token_hex(5)}", f"demail_test_{secrets.token_hex(5)}"
    async with connected(servers.superuser_url) as connection:
        await connection.execute(f"CREATE ROLE {deputy} LOGIN CREATEDB CREATEROLE PASSWORD 'x'")
        deputy_url = databases._as_role(servers.superuser_url, deputy, "x")
        access = await databases.provision(deputy_url, name, owner_password="x", app_password="y")
        assert access.app_role == f"{name}_app"
        async with connected(access.app_url) as app:
            assert await app.fetchval("SELECT current_database()") == name
        await databases.drop(deputy_url, name)
        await connection.execute(f"DROP ROLE {deputy}")


@pytest.mark.parametrize("name", ["", "Demail", "1st", 'x"; DROP DATABASE postgres; --', "x" * 51, "x-y"])
async def test_a_name_that_needs_quoting_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="database name"):
        await databases.provision("postgresql://nowhere", name, owner_password="x", app_password="y")
