"""The SMTP listener for providers: `python -m demail_gateway.inbound`."""

from __future__ import annotations

import asyncio
import signal

import uvloop

from demail_gateway.bootstrap.parts import observing
from demail_gateway.bootstrap.work import inbound_services
from demail_gateway.inbound.listener import Listener
from demail_gateway.observability.metrics_server import serve_metrics
from demail_gateway.settings import Settings, entry_settings


async def serve(settings: Settings) -> None:
    """Listens until SIGTERM or SIGINT; messages under way are stored and answered."""
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    seen = observing(settings, "inbound")
    if settings.metrics_port is not None:
        serve_metrics(seen.metrics, settings.api_host, settings.metrics_port)
    services, tls = await inbound_services(settings, seen)
    listener = Listener(services, name=settings.inbound_name, size_bytes=settings.inbound_bytes)
    try:
        port = await listener.start(settings.inbound_host, settings.inbound_port, tls)
        seen.observe("listening", port=port)
        await stop.wait()
        await listener.close()
    finally:
        await services.close()


if __name__ == "__main__":
    with entry_settings() as settings, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
