"""The scheduler's process: `python -m demail_gateway.workers.periodic`."""

from __future__ import annotations

import asyncio
import signal

import uvloop

from demail_gateway.bootstrap.parts import observing
from demail_gateway.bootstrap.work import scheduler_services
from demail_gateway.observability.metrics_server import serve_metrics
from demail_gateway.settings import Settings, entry_settings
from demail_gateway.workers.scheduler import Scheduler


async def run(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT; a step under way is finished."""
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    seen = observing(settings, "scheduler")
    if settings.metrics_port is not None:
        serve_metrics(seen.metrics, settings.api_host, settings.metrics_port)
    services = await scheduler_services(settings, seen)
    try:
        await Scheduler(services, sweep_s=settings.sweep_s).run(stop)
    finally:
        await services.close()


if __name__ == "__main__":
    with entry_settings() as settings, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings))
