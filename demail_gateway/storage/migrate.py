"""Brings the database to the tables this release needs, or back.

Only the owner role does this. Two migrating processes wait for each other (within one process there can be only one,
Alembic's context is global); each migration is a transaction with time-outs, so that one which cannot get its lock
gives up instead of holding every tenant (trap E28). A database that is newer than this release is refused: its tables
are not known here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from demail_gateway.core.errors import Conflict, StoreUnavailable
from demail_gateway.storage.engine import CONNECT_TIMEOUT_S, driver_url, translated

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"
DEFAULT_APP_ROLE = "demail_app"

_MIGRATOR_LOCK = 0x44454D61_696C4757
"""Of `pg_advisory_lock`; any number that nobody else uses."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where a database stands against this release."""

    current: str | None
    """Revision of the database; None: no tables yet."""
    head: str
    """Revision this release needs."""
    newer: bool
    """The database's revision is not known here: a later release made it."""

    @property
    def up_to_date(self) -> bool:
        return self.current == self.head


async def upgrade(
    owner_url: str, *, app_role: str = DEFAULT_APP_ROLE, revision: str = "head", lock_timeout: str = LOCK_TIMEOUT
) -> SchemaState:
    """Migrate up; returns where the database stands then. `app_role` exists and gets the rights of the application.

    Raises:
        Conflict: ``schema-newer``, the database was made by a later release.
        StoreUnavailable: the database is away, or a lock could not be had in time; nothing was done by that migration.
    """
    await _migrated(owner_url, _config(app_role, lock_timeout), lambda config: command.upgrade(config, revision))
    return await state(owner_url)


async def downgrade(
    owner_url: str, revision: str, *, app_role: str = DEFAULT_APP_ROLE, lock_timeout: str = LOCK_TIMEOUT
) -> SchemaState:
    """Migrate down to `revision` (``base``: no tables). Raises as `upgrade`."""
    await _migrated(owner_url, _config(app_role, lock_timeout), lambda config: command.downgrade(config, revision))
    return await state(owner_url)


async def state(url: str) -> SchemaState:
    """Where the database stands; the application's URL will do.

    Raises:
        StoreUnavailable: the database is away.
    """
    scripts = ScriptDirectory.from_config(_config())
    engine = owner_engine(url)
    try:
        with translated():
            async with engine.connect() as connection:
                current = await connection.run_sync(_revision)
    finally:
        await engine.dispose()
    return _state(scripts, current)


def owner_engine(url: str) -> AsyncEngine:
    """Engine without a pool for one migrator."""
    return create_async_engine(driver_url(url), poolclass=NullPool, connect_args={"timeout": CONNECT_TIMEOUT_S})


@contextlib.contextmanager
def alone(connection: Connection, lock_timeout: str = LOCK_TIMEOUT) -> Iterator[None]:
    """Waits until no other migrator is at work, then sets the time-outs on this connection, the migrator's own."""
    connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATOR_LOCK})
    for name, value in (("lock_timeout", lock_timeout), ("statement_timeout", STATEMENT_TIMEOUT)):
        connection.execute(sa.text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value})
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATOR_LOCK})
        connection.commit()


def migrations_directory(package: Path = Path(__file__).parents[1]) -> Path:
    """Beside the package (checkout, container), else in the working directory, else where DEMAIL_MIGRATIONS says.

    Raises:
        FileNotFoundError: nowhere.
    """
    named = os.environ.get("DEMAIL_MIGRATIONS")
    places = [package.parent / "migrations", Path.cwd() / "migrations", *([Path(named)] if named else [])]
    for place in places:
        if (place / "env.py").is_file():
            return place
    raise FileNotFoundError("no migrations found; set DEMAIL_MIGRATIONS to their directory")


def _config(app_role: str = DEFAULT_APP_ROLE, lock_timeout: str = LOCK_TIMEOUT) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    config.attributes.update(app_role=app_role, lock_timeout=lock_timeout)
    return config


async def _migrated(owner_url: str, config: Config, work: Callable[[Config], None]) -> None:
    scripts = ScriptDirectory.from_config(config)
    engine = owner_engine(owner_url)

    def run(connection: Connection) -> None:
        if _state(scripts, _revision(connection)).newer:
            raise Conflict("schema-newer")
        connection.rollback()  # the look at the revision opened a transaction
        config.attributes["connection"] = connection
        work(config)

    try:
        with translated():
            async with engine.connect() as connection:
                await connection.run_sync(run)
    finally:
        await engine.dispose()


def _state(scripts: ScriptDirectory, current: str | None) -> SchemaState:
    head = scripts.get_current_head()
    if head is None:
        raise StoreUnavailable("the directory of migrations is empty")
    known = {script.revision for script in scripts.walk_revisions()}
    return SchemaState(current, head, newer=current is not None and current not in known)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
