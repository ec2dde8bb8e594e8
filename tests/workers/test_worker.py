"""A real Celery worker over a real Redis server: woken, drained, stopped and killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis

from demail_gateway.embedded.valkey import Valkey
from demail_gateway.waking.redis_waker import RedisWaker

TENANT, OTHER = UUID(int=1), UUID(int=2)
PROGRAM = Path(__file__).with_name("worker_program.py")


def quiet(event: str, /, **facts: object) -> None:
    """An observer that keeps nothing."""


class Running:
    """A worker process that writes a line for whatever happens in it."""

    def __init__(self, url: str, log: Path, **environment: str) -> None:
        self.log = log
        with (log.parent / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), url, str(log)],
                # a worker that is killed leaves its shared memory's files behind: they go with the test
                env={
                    **os.environ,
                    **environment,
                    "PYTHONPATH": str(PROGRAM.parents[2]),
                    "TMPDIR": str(log.parent),
                },
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def events(self, name: str | None = None) -> list[dict[str, str]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [line for line in lines if name in (None, line["event"])]

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, (self.log.parent / "stderr").read_text()
            assert time.monotonic() < end, (self.events(), (self.log.parent / "stderr").read_text())
            time.sleep(0.02)

    def kill_all(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start(redis_url: str, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def begin(first_event: str = "started", **environment: str) -> Running:
        started.append(Running(redis_url, tmp_path / "log", **environment))
        running = started[-1]
        running.until(lambda: len(running.events(first_event)) >= 1)
        return running

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.kill_all()


@pytest.fixture
async def waker(redis_url: str) -> AsyncIterator[RedisWaker]:
    made = RedisWaker(redis_url, os.urandom, quiet)
    yield made
    await made.close()


async def test_worker_understands_the_wake_up_and_gives_another_turn_while_there_is_more(
    start: Callable[..., Running], waker: RedisWaker
) -> None:
    worker = start(TURNS="3")
    await waker.wake(TENANT)
    worker.until(lambda: len(worker.events("turn")) == 3)
    assert {event["tenant"] for event in worker.events("turn")} == {str(TENANT)}


async def test_commit_during_a_turn_gets_a_turn_of_its_own(start: Callable[..., Running], waker: RedisWaker) -> None:
    worker = start(TURN_S="0.3")
    await waker.wake(TENANT)
    worker.until(lambda: len(worker.events("turn")) == 1)
    await waker.wake(TENANT)
    worker.until(lambda: len(worker.events("turn")) == 2)


async def test_children_have_loops_of_their_own_made_after_the_fork(start: Callable[..., Running]) -> None:
    worker = start(PROCESSES="2")
    worker.until(lambda: len(worker.events("started")) == 2)
    pids = {event["pid"] for event in worker.events("started")}
    assert len(pids) == 2
    assert str(worker.process.pid) not in pids


async def test_turn_that_fails_does_not_end_the_worker(start: Callable[..., Running], waker: RedisWaker) -> None:
    worker = start(FAIL_FIRST="1")
    await waker.wake(TENANT)
    worker.until(lambda: len(worker.events("work_failed")) == 1)
    await waker.wake(OTHER)
    worker.until(lambda: len(worker.events("turn_ended")) == 1)


async def test_child_whose_start_fails_tries_again_and_takes_its_turns_then(
    start: Callable[..., Running], waker: RedisWaker
) -> None:
    worker = start(FAIL_STARTS="2")
    await waker.wake(TENANT)
    worker.until(lambda: len(worker.events("turn_ended")) == 1)
    assert len(worker.events("worker_not_started")) == 2
    assert len({event["pid"] for event in worker.events()}) == 1


def test_worker_ends_while_its_child_cannot_start(start: Callable[..., Running]) -> None:
    worker = start("worker_not_started", FAIL_STARTS="1000000")
    worker.process.terminate()
    assert worker.process.wait(20) == 0


async def test_database_away_is_left_to_the_sweeper(start: Callable[..., Running], waker: RedisWaker) -> None:
    worker = start(STORE_AWAY="1")
    await waker.wake(TENANT)
    worker.until(lambda: len(worker.events("store_away")) == 1)
    assert worker.events("work_failed") == []


async def test_sigterm_ends_the_turn_in_order_and_closes_everything(
    start: Callable[..., Running], waker: RedisWaker
) -> None:
    worker = start(TURN_S="forever")
    await waker.wake(TENANT)
    worker.until(lambda: len(worker.events("turn")) == 1)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(timeout=20) == 0
    assert len(worker.events("turn_stopped")) == 1, "the turn heard of the end and finished what was begun"
    assert len(worker.events("closed")) == len(worker.events("started"))


async def test_killed_main_process_leaves_no_child_behind(start: Callable[..., Running], waker: RedisWaker) -> None:
    worker = start(TURN_S="forever")
    await waker.wake(TENANT)
    worker.until(lambda: len(worker.events("turn")) == 1)
    child = int(worker.events("turn")[0]["pid"])
    worker.process.kill()
    worker.process.wait()
    end = time.monotonic() + 20
    while _alive(child):
        assert time.monotonic() < end
        time.sleep(0.05)


async def test_killed_worker_is_replaced_and_the_next_wake_up_is_served(
    start: Callable[..., Running], waker: RedisWaker, redis_url: str
) -> None:
    worker = start(TURN_S="forever")
    await waker.wake(TENANT)
    worker.until(lambda: len(worker.events("turn")) == 1)
    worker.kill_all()
    with Redis.from_url(redis_url) as client:
        client.delete("demail", "unacked", "unacked_index", f"demail:wake:{TENANT}")  # Redis has lost everything
    again = start()
    before = len(again.events("turn"))
    await waker.wake(TENANT)
    again.until(lambda: len(again.events("turn")) > before)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # a zombie that nobody has waited for yet is no process any more
    return ") Z " not in Path(f"/proc/{pid}/stat").read_text()


async def test_worker_survives_a_redis_that_goes_and_comes_back_empty(tmp_path: Path) -> None:
    server = Valkey(durable=False)
    url = server.start()
    running = Running(url, tmp_path / "log")
    waker = RedisWaker(url, os.urandom, quiet)
    try:
        running.until(lambda: len(running.events("started")) >= 1)
        await waker.wake(TENANT)
        running.until(lambda: len(running.events("turn_ended")) == 1)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        running.until(lambda: not server.is_running())
        server.revive()

        async def woken() -> None:
            await waker.wake(OTHER)  # as the sweeper does again and again

        end = time.monotonic() + 30
        while not any(event["tenant"] == str(OTHER) for event in running.events("turn")):
            assert time.monotonic() < end, (tmp_path / "stderr").read_text()
            await woken()
            await asyncio.sleep(0.2)
    finally:
        running.kill_all()
        await waker.close()
        server.stop()
