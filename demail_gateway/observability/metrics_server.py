"""Metrics of a process that has no HTTP of its own, on a port of their own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import start_http_server

from demail_gateway.observability.metrics import Metrics


def serve_metrics(metrics: Metrics, host: str, port: int) -> Callable[[], None]:
    """Serves ``/metrics`` from a thread; returns what ends it. Raises OSError when the port is taken."""
    server, thread = start_http_server(port, host, metrics.registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join(5.0)

    return end
