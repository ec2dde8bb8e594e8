"""The Celery worker: `python -m demail_gateway.workers`."""

from __future__ import annotations

from demail_gateway.application.worker_services import WorkerServices
from demail_gateway.bootstrap.parts import observing
from demail_gateway.bootstrap.work import worker_services
from demail_gateway.observability.logs import get_logger
from demail_gateway.observability.metrics_server import serve_metrics
from demail_gateway.settings import Settings, entry_settings
from demail_gateway.workers.celery_app import Worker, child_number


def run(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT."""
    settings.need("redis_url", "database_url", "master_key", "log_key")
    assert settings.redis_url is not None, "asked for by need()"
    observing(settings, "worker")

    async def build() -> WorkerServices:
        # in the child: its own metrics, pools and connections
        seen = observing(settings, "worker")
        if settings.metrics_port is not None:
            serve_metrics(seen.metrics, settings.api_host, settings.metrics_port + child_number())
        return await worker_services(settings, seen)

    def failed(event: str, error: BaseException) -> None:
        get_logger().error(event, exc_info=error)

    worker = Worker(
        settings.redis_url.get_secret_value(),
        build,
        processes=settings.worker_processes,
        queue=settings.queue,
        failed=failed,
    )
    worker.run()


if __name__ == "__main__":
    with entry_settings() as settings:
        run(settings)
