"""One event loop for the whole life of a worker process: its database pool and provider connections live on it.

Celery's tasks are synchronous; each runs a coroutine on this loop and waits for its end (decision 11). The loop is made
after the fork, in a thread of its own, so that no socket is ever shared between processes (trap E11).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

import uvloop

from demail_gateway.application.worker_services import WorkerServices
from demail_gateway.core.errors import StoreUnavailable
from demail_gateway.workers.lifeline import Lifeline

T = TypeVar("T")
Build = Callable[[], Awaitable[WorkerServices]]

_START_S = 30.0
_STOP_S = 60.0


class Runtime:
    """`start` in the child, `drain` from its tasks, `stop` at its end."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demail-loop", daemon=True)
        self._services: WorkerServices | None = None

    def start(self, lifeline: Lifeline) -> None:
        """Raises whatever building the services raises; the process must not take tasks then."""
        self._thread.start()
        self._services = self._run(self._open(lifeline), _START_S)

    def drain(self, tenant_id: UUID) -> None:
        """One turn of a tenant, and another one at the end of the queue if there may be more to do."""
        self._run(self._turn(tenant_id), None)

    def stop(self) -> None:
        """Begins nothing more, closes what is open, ends the loop. Waits for turns that are under way."""
        if self._services is not None:
            self._services.drain.stop()
            self._run(self._close(self._services), _STOP_S)
            self._services = None
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_STOP_S)
        self._loop.close()

    async def _open(self, lifeline: Lifeline) -> WorkerServices:
        services = await self._build()
        lifeline.hold_on(services.drain.stop)
        return services

    async def _close(self, services: WorkerServices) -> None:
        await services.close()

    async def _turn(self, tenant_id: UUID) -> None:
        services = self._services
        assert services is not None, "tasks come after the start"
        await services.turns.begun(tenant_id)
        try:
            more = await services.drain(tenant_id)
        except StoreUnavailable:
            # nothing is lost: leases run out and the sweeper gives the tenant another turn
            services.observe("store_away", tenant=tenant_id)
            return
        if more:
            await services.turns.wake(tenant_id)

    def _run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)
