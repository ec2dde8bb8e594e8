"""Does what is due by the provider's clock: every step once, none lost when the program ends.

A step is a row until its effects are written, in the same transaction that takes it off the list. The heap in memory
only says which row is next.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial

from demail_gateway.observability.logs import get_logger
from demail_gateway.sandbox import tables
from demail_gateway.sandbox.clock import Clock
from demail_gateway.sandbox.effects import Action, Effects, Outgoing, Recorded, StoredMessage
from demail_gateway.sandbox.store import Store

_log = get_logger(__name__)

Perform = Callable[[Action, StoredMessage, datetime], Effects]
"""What a step brings about; runs in a thread, touches nothing shared."""

_AT_ONCE = 16
_THREADS = 2
_LONGEST_SLEEP_S = 3600.0


class Dispatcher:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        perform: Perform,
        send: Callable[[Sequence[Outgoing]], None],
        *,
        retry_s: float = 30.0,
    ) -> None:
        """`retry_s`: pause before a step that failed is tried again."""
        self._store = store
        self._clock = clock
        self._perform = perform
        self._send = send
        self._retry_s = retry_s
        self._heap: list[tuple[float, int, Action]] = []
        self._wake = asyncio.Event()
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sandbox-steps")
        self._under_way: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Takes up everything that was open when the program last ended."""
        self.add(await self._store.run(tables.everything_open))
        self._loop = asyncio.create_task(self._run(), name="sandbox-dispatcher")

    def add(self, recorded: Recorded) -> None:
        """New rows, already durable."""
        for action in recorded.actions:
            heapq.heappush(self._heap, (action.due, action.id, action))
        if recorded.outgoing:
            self._send(recorded.outgoing)
        self._wake.set()

    def clock_moved(self) -> None:
        self._wake.set()

    async def stop(self) -> None:
        """Finishes the steps that were begun; the others stay in the store."""
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
        await asyncio.gather(*self._under_way)
        self._threads.shutdown()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            now = self._clock.now().timestamp()
            while self._heap and self._heap[0][0] <= now:
                await self._free.acquire()
                self._begin(heapq.heappop(self._heap)[2])
            pause = min(self._heap[0][0] - now, _LONGEST_SLEEP_S) if self._heap else _LONGEST_SLEEP_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def _begin(self, action: Action) -> None:
        task = asyncio.create_task(self._do(action))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._free.release()

    async def _do(self, action: Action) -> None:
        try:
            message = await self._store.run(partial(tables.message, message_id=action.message_id))
            now = self._clock.now()
            loop = asyncio.get_running_loop()
            effects = await loop.run_in_executor(self._threads, self._perform, action, message, now)
            self.add(await self._store.run(partial(tables.record, effects=effects, at=now, done=action)))
        except Exception:  # a message that breaks us must not stop the others' mail; its row stays for another try
            _log.exception("sandbox_step_failed", step=action.step, action=action.id, again_in_s=self._retry_s)
            heapq.heappush(self._heap, (self._clock.now().timestamp() + self._retry_s, action.id, action))
            self._wake.set()
