"""Databases of our own on a server where we may: one database, its owner, its application role.

A superuser bypasses row-level security even where it is forced, so the given URL serves the making of databases
alone. Role names carry the database's name: parallel runs on one server do not meet.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg

from demail_gateway.embedded.errors import EmbeddedError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
_SCRAM_ITERATIONS = 4096
_TEMPLATE_BUSY_S = 10.0


class Access(NamedTuple):
    """The two ways into one database."""

    owner_url: str
    """Owner of database and tables: migrations alone."""
    app_url: str
    """The application: no ownership, no BYPASSRLS."""

    @property
    def app_role(self) -> str:
        """Role that the migrations grant to."""
        return unquote(urlsplit(self.app_url).username or "")


def roles_of(name: str) -> tuple[str, str]:
    """Names of owner and application role of the database `name`."""
    return f"{name}_owner", f"{name}_app"


async def provision(superuser_url: str, name: str, *, owner_password: str, app_password: str) -> Access:
    """Make the database `name`, `<name>_owner` and `<name>_app`, or bring those that exist to this state.

    The URL may be a superuser's, or that of a role with CREATEDB and CREATEROLE. Passwords are sent as SCRAM verifiers:
    a server that logs statements does not log them. `name` is `[a-z][a-z0-9_]*`, at most 50 characters.
    """
    _check(name)
    owner, app = roles_of(name)
    async with connected(superuser_url) as connection:
        await _make_role(connection, owner, owner_password)
        await _make_role(connection, app, app_password)
        # from PostgreSQL 16 on, who makes a role may not act as it without this
        await _execute(connection, "GRANT %I TO CURRENT_USER", owner)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await _execute(connection, "CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING 'UTF8'", name, owner)
        await _execute(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", name)
        await _execute(connection, "GRANT CONNECT ON DATABASE %I TO %I, %I", name, owner, app)
    access = _access(superuser_url, name, owner_password=owner_password, app_password=app_password)
    async with connected(access.owner_url) as connection:
        await _execute(connection, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
        await _execute(connection, "GRANT USAGE ON SCHEMA public TO %I", app)
    return access


async def clone(superuser_url: str, template: str, name: str) -> str:
    """Copy the database `template` to `name`, with its roles and grants; returns the superuser's URL of the copy."""
    _check(name)
    owner, app = roles_of(template)
    async with connected(superuser_url) as connection:
        create = "CREATE DATABASE %I TEMPLATE %I OWNER %I STRATEGY file_copy"
        await _when_free(connection, create, name, template, owner)
        await _execute(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", name)
        await _execute(connection, "GRANT CONNECT ON DATABASE %I TO %I, %I", name, owner, app)
    return at_database(superuser_url, name)


async def drop_database(superuser_url: str, name: str) -> None:
    """Remove the database `name`, connections or not; its roles stay."""
    _check(name)
    async with connected(superuser_url) as connection:
        await _execute(connection, "DROP DATABASE IF EXISTS %I WITH (FORCE)", name)


async def drop(superuser_url: str, name: str) -> None:
    """Remove the database `name` and its two roles."""
    await drop_database(superuser_url, name)
    async with connected(superuser_url) as connection:
        for role in roles_of(name):
            await _execute(connection, "DROP ROLE IF EXISTS %I", role)


def at_database(url: str, name: str) -> str:
    """The same server and account, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(name)}"))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """One connection to `url` (asyncpg). Raises EmbeddedError when there is none to be had."""
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        # the class alone: texts of the library may quote the URL and with it the password
        raise EmbeddedError(f"no connection to the database server: {type(error).__name__}") from error
    try:
        yield connection
    finally:
        await connection.close()


def _access(url: str, name: str, *, owner_password: str, app_password: str) -> Access:
    owner, app = roles_of(name)
    return Access(
        at_database(_as_role(url, owner, owner_password), name), at_database(_as_role(url, app, app_password), name)
    )


def _as_role(url: str, role: str, password: str) -> str:
    parts = urlsplit(url)
    server = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role)}:{quote(password, safe='')}@{server}"))


async def _make_role(connection: Any, role: str, password: str) -> None:
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if exists else "CREATE"
    # INHERIT: before PostgreSQL 16 an owner without it has no rights in the schema public (pg_database_owner)
    rights = "LOGIN INHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT -1"
    if await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        rights += " NOSUPERUSER NOBYPASSRLS NOREPLICATION"  # who is no superuser may not even say so
    await _execute(connection, f"{verb} ROLE %I {rights} PASSWORD %L", role, _scram_verifier(password))


def _scram_verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5803 form of RFC 7677). ASCII passwords only: no SASLprep here."""
    secret, salt = password.encode("ascii"), os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", secret, salt, _SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(value).decode() for value in (salt, stored, server))
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{salt_text}${stored_text}:{server_text}"


async def _execute(connection: Any, statement: str, *values: str) -> None:
    # names in data definitions cannot be parameters: the server itself quotes them
    await connection.execute(await connection.fetchval(f"SELECT format($1{_placeholders(values)})", statement, *values))


def _placeholders(values: tuple[str, ...]) -> str:
    return "".join(f", ${number}::text" for number in range(2, len(values) + 2))


async def _when_free(connection: Any, statement: str, *values: str) -> None:
    # a session of the template that was closed a moment ago may still be on the server
    deadline = asyncio.get_running_loop().time() + _TEMPLATE_BUSY_S
    while True:
        try:
            return await _execute(connection, statement, *values)
        except asyncpg.ObjectInUseError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError("a database name is [a-z][a-z0-9_]*, at most 50 characters")
