"""The production processes: each a program of its own that takes this process over."""

from __future__ import annotations

import asyncio
import os
import sys

from demail_gateway.settings import load_settings

MODULES = {
    "api": "demail_gateway.api",
    "worker": "demail_gateway.workers",
    "inbound": "demail_gateway.inbound",
    "scheduler": "demail_gateway.workers.periodic",
}
"""What the process of each command runs."""


def run_module(module: str, *arguments: str) -> None:
    """Becomes `python -m module`: same process id, same environment, so signals and exit codes are its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606  a module of ours


def run_api(host: str | None, port: int | None) -> None:
    for name, value in (("DEMAIL_API_HOST", host), ("DEMAIL_API_PORT", port)):
        if value is not None:
            os.environ[name] = str(value)
    run_module(MODULES["api"])


def run_worker() -> None:
    run_module(MODULES["worker"])


def run_inbound() -> None:
    run_module(MODULES["inbound"])


def run_scheduler() -> None:
    run_module(MODULES["scheduler"])


def run_migrate() -> None:
    """Raises ConfigurationError; SchemaNewer when the database is newer than this program."""
    from demail_gateway.bootstrap.schema import migrate

    settings = load_settings()
    settings.need("owner_database_url")
    assert settings.owner_database_url is not None, "asked for by need()"
    asyncio.run(migrate(settings.owner_database_url.get_secret_value(), settings.app_role))
    print("Datenbankschema ist auf dem Stand des Programms.")
