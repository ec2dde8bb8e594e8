"""Processes killed, Redis emptied, the provider away: nothing is lost, nothing is done twice.

PostgreSQL holds the truth and Redis only wakes; a hand-over whose outcome is unknown is never made again blindly
(SND-43).
"""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import redis

from tests.journeys.installation import RESTART_S, Installation, children_of, is_running, until
from tests.journeys.people import CITIZENS, DISPATCH, RECEIPT, Application, Sandbox, kinds


def _kill(installation: Installation, name: str) -> int:
    """Ends a process without a word; its id."""
    pid = installation.processes()[name]
    os.kill(pid, signal.SIGKILL)
    return pid


def _restarted(installation: Installation, name: str, former: int) -> None:
    """Returns once the ready file names the successor."""
    until(lambda: installation.processes()[name], lambda pid: pid != former, within_s=RESTART_S)
    assert is_running(installation.processes()[name])
    assert not is_running(former)


def _proofs(town: Application, message_id: str) -> list[tuple[str, str]]:
    return kinds(town.evidence(message_id))


def test_thirty_messages_outlive_kills_an_empty_redis_and_an_outage(
    installation: Installation, town: Application, sandbox: Sandbox
) -> None:
    addresses = [f"{'drops.' if number % 10 == 3 else ''}storm{number:02}{CITIZENS}" for number in range(30)]
    killed: dict[str, int] = {}
    ids = []
    for number, address in enumerate(addresses):
        ids.append(town.send(address))
        if number == 5:
            workers = until(lambda: children_of(installation.processes()["worker"]))
            os.kill(workers[-1], signal.SIGKILL)
        elif number == 10:
            with redis.Redis.from_url(installation.ready()["redis_url"]) as connection:
                connection.flushall()
        elif number == 12:
            sandbox.outage(3)
        elif number == 18:
            killed["worker"] = _kill(installation, "worker")
        elif number == 22:
            killed["inbound"] = _kill(installation, "inbound")
        elif number == 25:
            killed["scheduler"] = _kill(installation, "scheduler")
        elif number == 27:
            # requests go on meanwhile: who has no answer asks again with the same Idempotency-Key
            killed["api"] = _kill(installation, "api")
    for name, pid in killed.items():
        _restarted(installation, name, pid)
    expected = [(DISPATCH, "passed"), (RECEIPT, "passed")]
    for message_id in ids:
        until(partial(_proofs, town, message_id), lambda found: len(found) >= 2, within_s=90)
        assert _proofs(town, message_id) == expected
        assert town.message(message_id)["state"] == "completed"
    # what is handed over twice would lie there twice
    assert {address: len(sandbox.mailbox(address)) for address in addresses} == dict.fromkeys(addresses, 1)
    listed = {item["id"] for item in town.get("messages", direction="outbound", limit=200)["items"]}
    assert set(ids) <= listed
    assert len(set(ids)) == 30


def test_the_sandbox_comes_back_with_its_mail_and_on_its_ports(
    installation: Installation, town: Application, sandbox: Sandbox
) -> None:
    before, after = f"before.crash{CITIZENS}", f"after.crash{CITIZENS}"
    town.when(town.send(before))
    former = _kill(installation, "sandbox")
    message_id = town.send(after)
    _restarted(installation, "sandbox", former)
    until(lambda: town.message(message_id)["state"] == "completed", within_s=90)
    assert [len(sandbox.mailbox(address)) for address in (before, after)] == [1, 1]


def test_an_empty_redis_delays_nothing_for_long(installation: Installation, town: Application) -> None:
    """The sweeper finds what no wake-up reached."""
    with redis.Redis.from_url(installation.ready()["redis_url"]) as connection:
        message_id = town.send(f"flushed{CITIZENS}")
        connection.flushall()
        begin = time.monotonic()
        town.when(message_id)
        assert time.monotonic() - begin < 30


def test_citizens_mail_waits_for_a_listener_that_is_down(
    installation: Installation, town: Application, sandbox: Sandbox
) -> None:
    former = _kill(installation, "inbound")
    for number in range(5):
        sandbox.write(f"erika.storm{CITIZENS}", town.address, subject=f"Während des Ausfalls {number}")
    _restarted(installation, "inbound", former)
    for number in range(5):
        assert town.inbox_item(f"Während des Ausfalls {number}")["verification"]["outcome"] == "passed"
