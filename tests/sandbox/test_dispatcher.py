"""Steps are done when the provider's clock says so, once, and none is lost to an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from demail_gateway.sandbox import tables
from demail_gateway.sandbox.clock import Clock
from demail_gateway.sandbox.dispatcher import Dispatcher
from demail_gateway.sandbox.effects import Action, Effects, NewAction, NewMessage, Outgoing, Step, StoredMessage
from demail_gateway.sandbox.store import Store


class Bench:
    """A dispatcher on a real store, whose steps are told to the test."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = Clock()
        self.sent: list[Outgoing] = []
        self.failures = 0
        self.dispatcher = Dispatcher(store, self.clock, self._perform, self.sent.extend, retry_s=0.05)
        self._done: asyncio.Queue[str] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def _perform(self, action: Action, message: StoredMessage, now: datetime) -> Effects:
        assert now.timestamp() >= action.due
        if self.failures:
            self.failures -= 1
            raise LookupError("broken")
        self._loop.call_soon_threadsafe(self._done.put_nowait, action.recipient)
        return Effects(remote=((message.id, "a@b.de-mail.de"),))

    async def schedule(self, **delays_s: float) -> None:
        now = self.clock.now()
        actions = (NewAction(now + timedelta(seconds=d), Step.CONFIRM, recipient=name) for name, d in delays_s.items())
        message = NewMessage("id", "normal", "a@b", b"x", actions=tuple(actions))
        effects = Effects(messages=(message,))
        self.dispatcher.add(await self.store.run(partial(tables.record, effects=effects, at=now)))

    async def open_steps(self) -> int:
        return len((await self.store.run(tables.everything_open)).actions)

    async def next(self) -> str:
        async with asyncio.timeout(10):
            return await self._done.get()


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Bench]:
    store = Store(path)
    await store.open()
    bench = Bench(store)
    await bench.dispatcher.start()
    try:
        yield bench
    finally:
        await bench.dispatcher.stop()
        await store.close()


async def test_steps_are_done_in_the_order_of_their_time(tmp_path: Path) -> None:
    async with running(tmp_path / "m") as bench:
        await bench.schedule(third=0.3, first=0.0, second=0.15)
        assert [await bench.next() for _ in range(3)] == ["first", "second", "third"]


async def test_a_moved_clock_brings_later_steps_at_once(tmp_path: Path) -> None:
    async with running(tmp_path / "m") as bench:
        await bench.schedule(tomorrow=86_400, in_a_week=7 * 86_400)
        bench.clock.advance(86_401)
        bench.dispatcher.clock_moved()
        assert await bench.next() == "tomorrow"
    async with running(tmp_path / "m") as bench:
        assert await bench.open_steps() == 1


async def test_a_step_that_fails_is_tried_again(tmp_path: Path) -> None:
    async with running(tmp_path / "m") as bench:
        bench.failures = 2
        await bench.schedule(stubborn=0.0)
        assert await bench.next() == "stubborn"
        assert bench.failures == 0


async def test_what_stop_finds_open_is_done_after_the_next_start(tmp_path: Path) -> None:
    async with running(tmp_path / "m") as bench:
        bench.failures = 10**6
        await bench.schedule(now=0.0, later=0.2)
    async with running(tmp_path / "m") as bench:
        assert {await bench.next(), await bench.next()} == {"now", "later"}


async def test_a_step_is_done_once_and_hands_on_what_it_brought_about(tmp_path: Path) -> None:
    async with running(tmp_path / "m") as bench:
        await bench.schedule(**{f"n{number}": 0.0 for number in range(200)})
        assert len({await bench.next() for _ in range(200)}) == 200
    assert len(bench.sent) == 200
    async with running(tmp_path / "m") as bench:
        assert await bench.open_steps() == 0
        assert len(bench.sent) == 200
