"""Servers of a test installation: as DEMAIL_DATABASE_URL and DEMAIL_REDIS_URL say, else private ones."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from demail_gateway.embedded import Access, EmbeddedError, Postgres, Valkey, databases, provision

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class Servers:
    """A database of our own with its two roles, and a Redis. `stop` removes what was made."""

    database: str
    access: Access
    superuser_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    private: dict[str, Postgres | Valkey]
    """Servers that we started, by name."""

    @classmethod
    async def start(cls, directory: Path, environ: Mapping[str, str]) -> Self:
        """Servers with durability on: fsync and synchronous commit (only the tests' fixture does without).

        Private servers end with the thread that starts them: call this in the main thread.

        Raises:
            EmbeddedError: a private server cannot be started, or the given one does not let us in.
        """
        private: dict[str, Postgres | Valkey] = {}
        try:
            return await cls._start(private, environ)
        except BaseException:
            for server in private.values():
                server.stop()
            raise

    @classmethod
    async def _start(cls, private: dict[str, Postgres | Valkey], environ: Mapping[str, str]) -> Self:
        superuser_url, redis_url = environ.get("DEMAIL_DATABASE_URL"), environ.get("DEMAIL_REDIS_URL")
        if redis_url is None:
            private["redis"] = Valkey(durable=False)
            redis_url = private["redis"].start()
        if superuser_url is None:
            private["postgres"] = Postgres(durable=True)
            superuser_url = private["postgres"].start()
        name = "demail_" + "".join(secrets.choice(_LETTERS) for _ in range(10))
        passwords = {each: secrets.token_urlsafe(24) for each in ("owner_password", "app_password")}
        access = await provision(superuser_url, name, **passwords)
        return cls(name, access, superuser_url, redis_url, private)

    def superuser_url_of_database(self) -> str:
        """A superuser's way into our database, past row-level security; for measurements."""
        return databases.at_database(self.superuser_url, self.database)

    async def stop(self) -> None:
        """Private servers go with all they hold; on a given server our database and roles are dropped."""
        try:
            if "postgres" not in self.private:
                with contextlib.suppress(EmbeddedError):  # a server that is gone took our database along, or keeps it
                    await databases.drop(self.superuser_url, self.database)
        finally:
            for server in self.private.values():
                await asyncio.to_thread(server.stop)
