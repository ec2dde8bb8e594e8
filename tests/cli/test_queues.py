"""`queue` and the operator's clients at the command line, on a real database; bad names are refused as over REST."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from demail_gateway.application.ports.dispatches import AttemptEnd
from demail_gateway.application.ports.submissions import NewMessage
from demail_gateway.cli.program import app
from demail_gateway.core.errors import Conflict, NotFound, NothingNamed
from demail_gateway.storage.engine import create_engine
from demail_gateway.storage.envelope import MasterKey, MasterKeys
from tests.fakes.gateway import Gateway
from tests.harness.database import Database
from tests.storage.stage import Stage, Tenant, outcome
from tests.storage.test_queues import unsettled

KEY = base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
async def stage(database: Database) -> AsyncIterator[Stage]:
    made = Stage(
        database,
        create_engine(database.app_url, pool_size=2),
        master=MasterKeys(MasterKey("1", base64.b64decode(KEY))),
    )
    yield made
    await made.close()


class Commands:
    def __init__(self, database: Database) -> None:
        self._environment = {
            "DEMAIL_DATABASE_URL": database.app_url,
            "DEMAIL_MASTER_KEY": KEY,
            "DEMAIL_ENVIRONMENT": "test",
        }

    async def __call__(self, *words: str) -> Any:
        """What the command prints as JSON; raises what it fails with."""
        return json.loads(await self.told(*words[:2], "--json", *words[2:]))

    async def told(self, *named: str) -> str:
        """What the command prints."""
        # in a thread: a command has an event loop of its own
        ran = await asyncio.to_thread(CliRunner().invoke, app, named, env=self._environment)
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        assert ran.exit_code == 0, ran.stderr
        return ran.stdout


@pytest.fixture
def command(database: Database) -> Commands:
    return Commands(database)


async def held(stage: Stage, tenant: Tenant) -> NewMessage:
    message = await stage.accept(tenant)
    await stage.dispatches.finish(tenant.id, [outcome(await stage.begun(tenant), AttemptEnd.UNAVAILABLE)])
    return message


def copy_of(message: NewMessage) -> str:
    return f"cpy_{message.copies[0].id}"


@pytest.mark.clause("SND-43")
async def test_what_nobody_could_settle_is_listed_and_settled(stage: Stage, command: Commands) -> None:
    tenant = await stage.tenant("elbtal")
    message = await unsettled(stage, tenant)
    (waiting,) = await command("queue", "list", "--tenant", "elbtal", "--reason", "unsettled")
    assert (waiting["id"], waiting["message_id"]) == (copy_of(message), f"msg_{message.id}")
    assert (waiting["attempts"], waiting["tenant_slug"]) == (1, "elbtal")
    assert (await command("queue", "totals"))[0]["unsettled"] == 1
    words = ("queue", "settle", copy_of(message), "taken", "--reason", "Anruf")
    with pytest.raises(Conflict, match="attempts-differ"):
        await command(*words, "--attempts", "2")
    assert (await command(*words, "--attempts", "1"))["state"] == "submitted"
    assert await stage.state(message) == "submitted"
    assert await command("queue", "list") == []


@pytest.mark.clause("SND-52")
async def test_after_an_outage_everything_held_is_released_at_once(stage: Stage, command: Commands) -> None:
    elbtal, other = await stage.tenant("elbtal"), await stage.tenant("other")
    mine, theirs = [await held(stage, elbtal) for _ in range(3)], await held(stage, other)
    one = await command("queue", "release", copy_of(mine[0]), "--reason", "geprüft")
    assert [each["state"] for each in one] == ["queued"]
    connection = f"provider-{elbtal.connection_id}"
    words = ("queue", "release", "--all", "--reason", "Störung behoben")
    assert len(await command(*words, "--tenant", "elbtal", "--connection", connection)) == 2
    assert await stage.state(theirs) == "held"
    assert len(await command(*words)) == 1
    assert {await stage.state(each) for each in (*mine, theirs)} == {"queued"}
    for named in (("--tenant", "nobody"), ("--connection", "nobody")):
        with pytest.raises(NotFound):
            await command(*words, *named)


async def test_either_copies_or_all_are_released(command: Commands) -> None:
    for words in ((), ("cpy_x", "--all")):
        with pytest.raises(AssertionError, match="entweder Kopien nennen oder --all"):
            await command("queue", "release", *words, "--reason", "x")


async def test_operators_clients_are_listed_changed_and_stopped(command: Commands) -> None:
    made = await command("client", "create", "Leitstand")
    stopped = await command("client", "change", made["id"], "--stopped", "--name", "Nachtdienst")
    assert (stopped["active"], stopped["name"], stopped["scopes"]) == (False, "Nachtdienst", ["operator"])
    assert await command("client", "list") == [stopped]
    assert (await command("client", "change", made["id"], "--active"))["active"] is True


@pytest.mark.parametrize(
    ("slug", "name"),
    [("Elbtal", "x"), ("-a", "x"), ("a_b", "x"), ("a" * 64, "x"), ("a", ""), ("a", "x" * 201), ("a", "x\ny")],
)
async def test_bad_names_are_refused_alike_over_rest_and_at_the_command_line(
    command: Commands, slug: str, name: str
) -> None:
    gateway = Gateway()
    body = {"slug": slug, "name": name, "kind": "other", "public_body": False}
    answer = await gateway.operate("POST", "tenants", json=body)
    await gateway.http.aclose()
    (fault,) = answer.json()["errors"]
    assert answer.status_code == 422
    with pytest.raises(AssertionError) as caught:
        await command("tenant", "create", "--kind", "other", "--", slug, name)
    assert f"Fehler: {fault['pointer']}: {fault['detail']} ({fault['code']})" in str(caught.value)


async def test_a_list_without_entries_says_so_to_a_person(command: Commands) -> None:
    assert await command.told("queue", "list") == "Nichts wartet.\n"
    assert await command.told("queue", "release", "--all", "--reason", "geprüft") == "0 freigegeben.\n"
    assert await command("queue", "list") == []


async def test_requests_of_keys_are_shown_where_they_are_asked_for(
    stage: Stage, command: Commands, tmp_path: Path
) -> None:
    await stage.tenant("elbtal")
    key = await command("key", "request", "elbtal", "--algorithm", "p256")
    request = "BEGIN CERTIFICATE REQUEST"
    assert request not in await command.told("key", "list", "elbtal")
    assert request not in await command.told("tenant", "show", "elbtal")
    assert request in await command.told("key", "show", "elbtal", key["id"])
    assert request in (await command("key", "list", "elbtal"))[0]["csr_pem"]
    other = tmp_path / "antrag.pem"
    other.write_text(key["csr_pem"])
    with pytest.raises(AssertionError) as refused:
        await command("key", "install", "elbtal", key["id"], str(other))
    assert "antrag.pem" in "".join(str(refused.value).split()).replace("│", "")
    with pytest.raises(NothingNamed) as caught:
        await command("key", "list", "nix")
    assert (caught.value.kind, caught.value.named) == ("tenant", "nix")
