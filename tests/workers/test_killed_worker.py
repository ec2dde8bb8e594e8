"""kill -9 of real workers over a real database, a real Redis and a real TLS connection: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from redis.asyncio import Redis

from demail_gateway.application.ports.submissions import NewMessage
from demail_gateway.storage.envelope import MasterKey, MasterKeys
from demail_gateway.waking.redis_waker import RedisWaker
from tests.providers.conftest import Listening, Peer, Pki, Script, listening, pki, provider_tls  # noqa: F401  fixtures
from tests.storage.conftest import elbtal, stage  # noqa: F401  fixtures
from tests.storage.stage import Stage, Tenant, new_message

PROGRAM = Path(__file__).with_name("drain_program.py")
MASTER = bytes(range(32))
COUNT = 40


class SlowProvider(Script):
    """Takes its time for each message, so that a kill finds some under way."""

    async def _answer(self, peer: Peer, key: str, usual: str) -> str:
        if key == "CONTENT":
            await asyncio.sleep(0.02)
        return await super()._answer(peer, key, usual)

    def private_ids(self) -> Counter[str]:
        found = (re.search(rb"x-de-mail-private-id: (\S+)", content) for _, _, content in self.taken)
        return Counter(match[1].decode() for match in found if match)


def looked_up(provider: SlowProvider) -> Callable[[Peer], Any]:
    async def serve(peer: Peer) -> None:
        path = (await peer.hear()).split()[1]
        while await peer.hear():
            pass
        known = unquote(path.rpartition("/")[2]) in provider.private_ids()
        await peer.say(f"HTTP/1.1 {200 if known else 404} x", "content-length: 2", "connection: close", "", "{}")
        peer.writer.close()

    return serve


@pytest.fixture
def start(redis_url: str, stage: Stage, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:  # noqa: F811
    started: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(PROGRAM.parents[2]),
            "TMPDIR": str(tmp_path),  # a killed worker leaves its shared memory's files behind: they go with the test
            "PROBE_DATABASE_URL": stage.database.app_url,
            "PROBE_REDIS_URL": redis_url,
            "PROBE_MASTER_KEY": MASTER.hex(),
        }
        with (tmp_path / "worker.log").open("ab") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, str(PROGRAM)], env=environment, start_new_session=True, stdout=log, stderr=log
                )
            )
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@asynccontextmanager
async def installed(
    stage: Stage,  # noqa: F811
    pki: Pki,  # noqa: F811
    provider: SlowProvider,
    tls: ssl.SSLContext,
) -> AsyncIterator[Listening]:
    """The provider listens and the tenant's connection leads to it."""
    async with listening(pki, provider.serve, tls) as smtp, listening(pki, looked_up(provider), tls) as web:
        address = f"https://127.0.0.1:{web.port}/submissions"
        profile = smtp.connection(lookup_url=address).profile
        async with stage.superuser() as connection:
            await connection.execute("UPDATE connection SET profile = $1", json.dumps(profile))
        yield smtp


@asynccontextmanager
async def swept(stage: Stage, tenant: Tenant, redis_url: str) -> AsyncIterator[None]:  # noqa: F811
    """What the scheduler does, meanwhile."""
    waker = RedisWaker(redis_url, os.urandom, lambda event, /, **facts: None)

    async def sweep() -> None:
        while True:
            for tenant_id in (await stage.sweeping.sweep(datetime.now(UTC))).tenants:
                await waker.wake(tenant_id)
            await asyncio.sleep(0.2)

    task = asyncio.create_task(sweep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await waker.close()


async def until(condition: Callable[[], Any], seconds: float, told: Callable[[], object]) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(str(told())) from None


@pytest.fixture
def stage_key(stage: Stage) -> Stage:  # noqa: F811
    """The stage under the key that the worker knows."""
    stage.master = MasterKeys(MasterKey("1", MASTER))
    stage.__post_init__()
    return stage


@pytest.mark.clause("SND-43")
async def test_killed_workers_and_flushed_redis_lose_nothing_and_double_nothing(
    stage_key: Stage,
    redis_url: str,
    start: Callable[[], subprocess.Popen[bytes]],
    pki: Pki,  # noqa: F811
    provider_tls: ssl.SSLContext,  # noqa: F811
    tmp_path: Path,
) -> None:
    provider = SlowProvider()
    tenant = await stage_key.tenant("elbtal")
    for _ in range(COUNT):
        message = new_message(tenant, created_at=datetime.now(UTC))
        await stage_key.accept(tenant, replace_sign(message))

    async def submitted() -> int:
        return int(await stage_key.value("SELECT count(*) FROM message WHERE state = 'submitted'"))

    def told() -> object:
        return provider.private_ids().total(), (tmp_path / "worker.log").read_text()[-2000:]

    async with (
        installed(stage_key, pki, provider, provider_tls),
        swept(stage_key, tenant, redis_url),
        Redis.from_url(redis_url) as redis,
    ):
        for goal in (10, 20):
            process = start()

            async def reached(goal: int = goal) -> bool:
                return provider.private_ids().total() >= goal

            await until(reached, 30, told)
            kill(process)
            await redis.delete("demail", "unacked", "unacked_index", "unacked_mutex", f"demail:wake:{tenant.id}")
        last = start()

        async def settled() -> bool:
            open_rows = "SELECT count(*) FROM outbox WHERE kind IN ('dispatch', 'reconcile')"
            return int(await stage_key.value(open_rows)) == 0

        await until(settled, 60, told)
        last.terminate()
        assert await asyncio.to_thread(last.wait, 20) == 0
    counts = provider.private_ids()
    assert max(counts.values()) == 1, "handed over twice"
    assert len(counts) == COUNT
    assert await submitted() == COUNT


def replace_sign(message: NewMessage) -> NewMessage:
    """Without a signature: this tenant has no S/MIME key."""
    return replace(message, sign=False)
