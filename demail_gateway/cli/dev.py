"""`dev`: the whole stack in the foreground until a signal to stop, with two test tenants and the sandbox provider."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from demail_gateway.cli.rest import RestFailed
from demail_gateway.cli.screen import Screen
from demail_gateway.cli.seed import BETRIEB, STADT
from demail_gateway.cli.stack import Running, Stack
from demail_gateway.cli.supervise import ChildFailed, StopRequested
from demail_gateway.embedded import EmbeddedError


async def run_dev(port: int, ready_file: Path | None, screen: Screen) -> int:
    """Exit code of the command: 0 after a clean stop, 1 when it cannot start. Whatever was started is gone then."""
    if ready_file is not None and (fault := _unwritable(ready_file)) is not None:
        print(f"dev: --ready-file {ready_file}: {fault}", file=sys.stderr)
        return 1
    try:
        await _run(port, ready_file, screen)
    except StopRequested:
        return 0
    except (ChildFailed, EmbeddedError, RestFailed) as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(port: int, ready_file: Path | None, screen: Screen) -> None:
    stack = Stack(api_port=port, wanted=(STADT, BETRIEB), step=screen.step, environ=os.environ, say=screen.report)
    try:
        await _keep_up(stack, ready_file, screen)
    finally:
        if stack.kept is not None:
            screen.note(f"Protokolle: {stack.kept}")


async def _keep_up(stack: Stack, ready_file: Path | None, screen: Screen) -> None:
    async with stack:
        running = await stack.start()

        async def write(_restarted: str = "") -> None:
            if ready_file is not None:
                _write(ready_file, _document(running, stack.supervisor.pids()))

        await write()
        screen.done(f"Bereit: {running.base_url}  (Beschreibung der Schnittstelle: {running.base_url}/docs)")
        screen.note(f"Protokolle: {stack.directory}/*.log (UTC)")
        screen.note("Testinstallation mit Sandbox-Anbieter, kein Betrieb. Beenden mit Strg-C.")
        try:
            await stack.watch(write)
        finally:
            if ready_file is not None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(ready_file)


def _unwritable(path: Path) -> str | None:
    """Why the file cannot be written later; None if it can. Asked before anything is started, without making it."""
    if path.is_dir():
        return "ist ein Verzeichnis"
    try:
        part = _part(path)
        part.touch(mode=0o600)
        part.unlink()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _document(running: Running, pids: dict[str, int]) -> dict[str, Any]:
    return {
        "base_url": running.base_url,
        "operator": {"client_id": running.operator_id, "client_secret": running.operator_secret},
        "tenants": [tenant.ready_entry() for tenant in running.tenants],
        "sandbox": {
            "url": running.sandbox.url,
            "trust_anchor": str(running.sandbox.trust_anchor),
            "crl_url": running.sandbox.crl_url,
            "ocsp_url": running.sandbox.ocsp_url,
        },
        "connection_id": running.connection_id,
        "environment": running.variables,
        "database_url": running.servers.access.app_url,
        "owner_database_url": running.servers.access.owner_url,
        "redis_url": running.servers.redis_url,
        "processes": [{"name": name, "pid": pid} for name, pid in pids.items()],
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    """In one step: a reader sees the old file or the new one. It holds secrets, so it is its owner's alone."""
    part = _part(path)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)
    part.replace(path)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
