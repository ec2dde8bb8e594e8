"""A worker whose turns only write down that they took place; what they do comes from the environment."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from demail_gateway.application.drain import Drain
from demail_gateway.application.worker_services import WorkerServices
from demail_gateway.core.errors import StoreUnavailable
from demail_gateway.waking.redis_waker import RedisWaker
from demail_gateway.workers.celery_app import Worker

URL, LOG = sys.argv[1], Path(sys.argv[2])


def note(event: str, /, **facts: object) -> None:
    line = {"event": event, "pid": str(os.getpid()), **{name: str(value) for name, value in facts.items()}}
    with LOG.open("a") as file:
        file.write(json.dumps(line) + "\n")


class Turn:
    """Plays `Drain`."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self.left = int(os.environ.get("TURNS", "1"))
        self.failures = int(os.environ.get("FAIL_FIRST", "0"))

    def stop(self) -> None:
        self.stopped.set()

    async def __call__(self, tenant_id: UUID) -> bool:
        note("turn", tenant=tenant_id)
        if os.environ.get("STORE_AWAY"):
            raise StoreUnavailable
        if self.failures:
            self.failures -= 1
            raise ValueError("unforeseen")
        seconds = os.environ.get("TURN_S", "0")
        try:
            async with asyncio.timeout(None if seconds == "forever" else float(seconds)):
                await self.stopped.wait()
            note("turn_stopped")
        except TimeoutError:
            pass
        note("turn_ended")
        self.left -= 1
        return self.left > 0


failing_starts = iter(range(int(os.environ.get("FAIL_STARTS", "0"))))


async def build() -> WorkerServices:
    for _ in failing_starts:
        raise ConnectionRefusedError
    turns = RedisWaker(URL, os.urandom, note)

    async def close() -> None:
        await turns.close()
        note("closed")

    note("started")
    return WorkerServices(cast("Drain", cast("Any", Turn())), turns, note, close)


def failed(event: str, error: BaseException) -> None:
    note(event, error=type(error).__name__)


if __name__ == "__main__":
    Worker(URL, build, processes=int(os.environ.get("PROCESSES", "1")), failed=failed).run()
