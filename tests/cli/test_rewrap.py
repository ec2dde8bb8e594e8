"""`key rewrap` on a real database: the operator's way to a new master key."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from typing import Any

import pytest
from typer.testing import CliRunner

from demail_gateway.cli.program import app
from tests.harness.database import Database

OLD, NEW = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))


async def called(database: Database, *words: str, **settings: str) -> tuple[int, Any]:
    """Exit code and the JSON that was printed."""
    environment = {"DEMAIL_DATABASE_URL": database.app_url, "DEMAIL_ENVIRONMENT": "test", **settings}
    # in a thread: a command has an event loop of its own
    ran = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--json"], env=environment)
    assert isinstance(ran.exception, SystemExit | None), ran.exception
    return ran.exit_code, json.loads(ran.stdout)


@pytest.mark.clause("GWT-36")
async def test_a_new_master_key_takes_over_and_the_former_one_can_go(database: Database) -> None:
    before = {"DEMAIL_MASTER_KEY": OLD, "DEMAIL_MASTER_KEY_ID": "2025"}
    after = {"DEMAIL_MASTER_KEY": NEW, "DEMAIL_MASTER_KEY_ID": "2026"}
    with_former = {**after, "DEMAIL_FORMER_MASTER_KEYS": f"2025:{OLD}"}
    _, tenant = await called(database, "tenant", "create", "elbtal", "Elbtal", **before)

    assert await called(database, "key", "rewrap", **after) == (
        1,
        {"master_key_id": "2026", "rewrapped": 0, "left": 1},
    )
    assert await called(database, "key", "rewrap", **with_former) == (
        0,
        {"master_key_id": "2026", "rewrapped": 1, "left": 0},
    )
    assert await called(database, "key", "rewrap", **after) == (
        0,
        {"master_key_id": "2026", "rewrapped": 0, "left": 0},
    )
    assert (await called(database, "key", "list", tenant["id"], **after)) == (0, [])
