"""The REST process: `python -m demail_gateway.api`."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import uvicorn
import uvloop
from prometheus_client import start_http_server

from demail_gateway.api.app import create_app
from demail_gateway.api.proxies import Proxies
from demail_gateway.bootstrap.parts import observing
from demail_gateway.bootstrap.rest import rest_services
from demail_gateway.settings import Settings, entry_settings


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are finished."""
    seen = observing(settings, "api")
    async with contextlib.AsyncExitStack() as stack:
        services = await stack.enter_async_context(rest_services(settings, seen))
        expose = settings.metrics_port is None and settings.environment != "production"
        app = create_app(
            services,
            seen.metrics,
            json_body_bytes=settings.json_body_bytes,
            expose_metrics=expose,
            proxies=Proxies(settings.trusted_proxies, settings.client_certificate_header),
        )
        if settings.metrics_port is not None:
            server, _ = start_http_server(settings.metrics_port, settings.api_host, seen.metrics.registry)
            stack.callback(server.shutdown)
        config = uvicorn.Config(
            app,
            host=settings.api_host,
            port=settings.api_port,
            http="httptools",
            loop="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            # `Proxies` asks who the peer really is; the server must not put another address in its place
            proxy_headers=False,
            timeout_graceful_shutdown=30,
        )
        _spare_the_collector()
        await uvicorn.Server(config).serve()


def _spare_the_collector() -> None:
    """What was loaded at the start stays for good and need not be looked through again; a request leaves no cycles.

    Searching for cycles every 700 objects took a tenth of a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


if __name__ == "__main__":
    with entry_settings() as settings, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
