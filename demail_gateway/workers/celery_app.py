"""The Celery application: one task, "drain this tenant"; everything else is rows in PostgreSQL (decision 1).

Celery only wakes. Its messages may be lost, doubled or late without harm: a task that finds nothing to do ends at once,
and the sweeper finds every tenant with due rows. So there are no results, no ETA, no retries here (trap E12, E16).
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from billiard.process import current_process
from celery import Celery, signals

from demail_gateway.application.worker_services import DRAIN_TASK, QUEUE
from demail_gateway.bootstrap.memory import keep_freed_memory
from demail_gateway.workers.lifeline import Lifeline
from demail_gateway.workers.runtime import Build, Runtime

_VISIBILITY_S = 3600
"""Far above the longest turn; a killed worker's rows come back by their leases long before that."""
_START_AGAIN_S = 1.0
"""The pause before a child whose start failed tries again."""


def create_celery(broker_url: str, *, processes: int = 2, queue: str = QUEUE) -> Celery:
    """The application without its task; enough to inspect a worker."""
    app = Celery("demail_gateway", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_default_queue=queue,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_concurrency=processes,
        worker_pool="prefork",
        worker_proc_alive_timeout=30.0,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": _VISIBILITY_S,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 30.0,
            "socket_connect_timeout": 5.0,
        },
    )
    return app


def child_number() -> int:
    """Which of the worker's children this process is, from 0; a replacement has the number of the one that ended."""
    return int(getattr(current_process(), "index", 0) or 0)


class Worker:
    """A Celery worker with its children; `run` returns when it was told to end."""

    def __init__(
        self,
        broker_url: str,
        build: Build,
        *,
        processes: int = 2,
        queue: str = QUEUE,
        in_child: Callable[[], None] = lambda: None,
        failed: Callable[[str, BaseException], None] = lambda event, error: None,
    ) -> None:
        """`build` opens the services in each child, on its loop. `in_child` prepares a child's process (logging).

        `failed` hears of errors that nobody foresaw, by event.
        """
        self.app = create_celery(broker_url, processes=processes, queue=queue)
        self._build = build
        self._in_child = in_child
        self._failed = failed
        self._lifeline = Lifeline()
        self._runtime: Runtime | None = None
        self.app.task(name=DRAIN_TASK)(self._drain)

    def run(self, arguments: tuple[str, ...] = ()) -> None:
        """Works until SIGTERM or SIGINT: what is begun is finished, leases of the rest are given back."""
        signals.worker_process_init.connect(self._child_begins)
        signals.worker_process_shutdown.connect(self._child_ends)
        signals.worker_shutting_down.connect(self._shutting_down)
        self.app.worker_main(
            ["worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING", *arguments]
        )

    def _drain(self, tenant_id: str) -> None:
        if self._runtime is None:  # the worker ended before this child had begun; the sweeper gives another turn
            return
        try:
            self._runtime.drain(UUID(tenant_id))
        except Exception as error:
            # rows are safe under their leases, and a redelivered task would meet the same fault at once
            self._failed("work_failed", error)

    def _child_begins(self, **_: object) -> None:
        """Returns only when the services are open or the worker ends: until then Celery gives this child no task.

        An exception would not do: Celery logs what a receiver of its signals raises, and the child would take tasks.
        """
        keep_freed_memory()
        self._in_child()
        while (runtime := self._started()) is None:
            if self._lifeline.gone_within(_START_AGAIN_S):
                return
        self._runtime = runtime

    def _started(self) -> Runtime | None:
        runtime = Runtime(self._build)
        try:
            runtime.start(self._lifeline)
        except Exception as error:
            self._failed("worker_not_started", error)
            runtime.stop()
            return None
        return runtime

    def _child_ends(self, **_: object) -> None:
        if self._runtime is not None:
            self._runtime.stop()
            self._runtime = None

    def _shutting_down(self, **_: object) -> None:
        self._lifeline.let_go()
