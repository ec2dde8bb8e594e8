"""Periodic work of the whole installation, one process: sweep and wake, seal the journal, refresh revocation lists."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from demail_gateway.application.worker_services import SchedulerServices
from demail_gateway.core.errors import DemailError

_AGAIN_S = 5.0


class Scheduler:
    """Several of them do no harm: the work is the same rows."""

    def __init__(self, services: SchedulerServices, *, sweep_s: float = 1.0) -> None:
        self._services = services
        self._sweep_s = sweep_s

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set. What fails is reported and tried again; nothing here ends the process."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(stop, "sweep", self._sweep))
            group.create_task(self._repeat(stop, "seal_journal", self._seal))
            group.create_task(self._repeat(stop, "refresh_crls", self._services.refresh))

    async def _sweep(self) -> float:
        """Rows whose lease ran out, and a turn for every tenant with due rows: none is without a next step."""
        services = self._services
        result = await services.sweeping.sweep(services.clock())
        for tenant_id in result.tenants:
            await services.waker.wake(tenant_id)
        if result.reopened or result.uncertain:
            services.observe("leases_ran_out", reopened=result.reopened, uncertain=result.uncertain)
        age_s = await services.sweeping.queue_age_s(services.clock())
        retrying = await services.sweeping.retrying(services.clock())
        services.observe(
            "queue_age", seconds=float(age_s), retrying=retrying.copies, retrying_seconds=float(retrying.age_s)
        )
        return self._sweep_s

    async def _seal(self) -> float:
        await self._services.sweeping.seal_journal()
        return self._sweep_s

    async def _repeat(self, stop: asyncio.Event, name: str, step: Callable[[], Awaitable[float]]) -> None:
        while not stop.is_set():
            try:
                wait_s = await step()
            except DemailError as error:
                self._services.observe("work_failed", stage=name, code=error.code)
                wait_s = min(_AGAIN_S, self._sweep_s * 5)
            except Exception as error:  # a periodic step that failed once must not stop all the others for ever
                self._services.observe("work_failed", stage=name, code=type(error).__name__)
                wait_s = _AGAIN_S
            await _wait(stop, wait_s)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
