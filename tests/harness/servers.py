"""The servers of one test run: given ones, or private ones, with a migrated template database that tests clone."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from demail_gateway.embedded import Postgres, Valkey, databases

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Servers:
    """What a test process needs to know of them."""

    superuser_url: str
    redis_url: str
    template: str
    """Name of the template database; its two roles serve every clone."""
    owner_url: str
    app_url: str

    @property
    def app_role(self) -> str:
        """Application role of the template and of all its clones."""
        return databases.roles_of(self.template)[1]


class RunningServers:
    """Starts what is not given by `DEMAIL_DATABASE_URL` and `DEMAIL_REDIS_URL`, makes the template, clears up after."""

    def __init__(self) -> None:
        self._postgres: Postgres | None = None
        self._valkey: Valkey | None = None
        self.servers: Servers | None = None

    def start(self) -> Servers:
        """Everything up, template migrated; about a second."""
        try:
            self.servers = self._start()
        except BaseException:
            self.stop()
            raise
        return self.servers

    def stop(self) -> None:
        """Template and roles dropped, private servers ended."""
        if self.servers and not self._postgres:
            in_own_loop(databases.drop(self.servers.superuser_url, self.servers.template))
        self.servers = None
        for server in (self._valkey, self._postgres):
            if server:
                server.stop()

    def _start(self) -> Servers:
        given_database, given_redis = _given("DEMAIL_DATABASE_URL"), _given("DEMAIL_REDIS_URL")
        if not given_database:
            self._postgres = Postgres(durable=False)
        if not given_redis:
            self._valkey = Valkey(durable=False)
        superuser_url = self._postgres.start() if self._postgres else str(given_database)
        redis_url = self._valkey.start() if self._valkey else str(given_redis)
        template = f"demail_test_{secrets.token_hex(5)}"
        passwords = {"owner_password": secrets.token_urlsafe(12), "app_password": secrets.token_urlsafe(12)}
        access = in_own_loop(databases.provision(superuser_url, template, **passwords))
        self.servers = Servers(superuser_url, redis_url, template, access.owner_url, access.app_url)
        in_own_loop(_migrate(access))
        return self.servers


def as_words(servers: Servers) -> Mapping[str, str]:
    """For the way to a worker process."""
    return asdict(servers)


def in_own_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` in a loop of its own that leaves the thread's current loop as it was."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)


def _given(variable: str) -> str | None:
    if path := os.environ.get(f"{variable}_FILE"):
        return Path(path).read_text().strip()
    return os.environ.get(variable)


async def _migrate(access: databases.Access) -> None:
    # imported here: tests without a database do not wait for SQLAlchemy
    from demail_gateway.storage import migrate

    await migrate.upgrade(access.owner_url, app_role=access.app_role)
