"""Structured log: one JSON object a line on standard output, the same chain for our events and for foreign loggers.

Our own code reports events with facts that it chose. Libraries write sentences, and some of them quote addresses,
commands or whole lines of a message: their warnings are kept, shortened and cleaned of everything that looks like an
address; anything below a warning is dropped (GWT-51).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars, unbind_contextvars

__all__ = ["bind", "clear", "configure_logging", "get_logger", "unbind"]

_FOREIGN_LIMIT = 300
_ADDRESS = re.compile(r"[^\s<>\"'(),;:=\[\]]+@[^\s<>\"'(),;:=\[\]]+")
_FOREIGN_ROOTS = (
    "aiosmtpd",
    "mail.log",
    "aiosmtplib",
    "asyncio",
    "celery",
    "kombu",
    "redis",
    "httpx",
    "httpcore",
    "uvicorn",
    "sqlalchemy",
    "alembic",
)
_LEVELS = logging.getLevelNamesMapping()

Event = MutableMapping[str, Any]


def configure_logging(service: str, level: str = "INFO", *, stream: TextIO | None = None) -> None:
    """Sets up the whole process's log; `service` names the program in every line. Call once, before anything logs."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_Service(service), *_SHARED, _clean_foreign],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    _quieten(_LEVELS[level])
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            _Service(service),
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str = "demail_gateway") -> structlog.stdlib.BoundLogger:
    """A logger for events: ``log.info("message_handed_over", copy=…)``."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def bind(**facts: object) -> None:
    """Adds facts (``request_id``, ``trace_id``, ``tenant``, ``message``) to every event of this request or task."""
    bind_contextvars(**facts)


def unbind(*names: str) -> None:
    unbind_contextvars(*names)


def clear() -> None:
    """Forgets what was bound; at the start of each request or task."""
    clear_contextvars()


class _Service:
    """Puts the program's name into each line."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        event.setdefault("service", self._name)
        return event


def _clean_foreign(_logger: object, _method: str, event: Event) -> Event:
    """Libraries' texts, without addresses and line breaks, and without a traceback's local texts."""
    text = _ADDRESS.sub("<address>", str(event.get("event", "")))
    event["event"] = "foreign_log"
    event["text"] = " ".join(text.split())[:_FOREIGN_LIMIT]
    return event


def _error_name(_logger: object, _method: str, event: Event) -> Event:
    """A traceback as the error's class and the places it went through; never its text, which may quote content."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["at_line"] = _places(error)
    event.pop("stack_info", None)
    return event


def _places(error: BaseException) -> list[str]:
    places, trace = [], error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "?")
        places.append(f"{module}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places[-8:]


def _quieten(level: int) -> None:
    """Foreign loggers only from warnings on, and through our handler alone."""
    for name in _FOREIGN_ROOTS:
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(max(level, logging.WARNING))


def _render(logger: object, method: str, event: Mapping[str, Any]) -> str:
    rendered = _JSON(logger, method, dict(event))
    return rendered if isinstance(rendered, str) else rendered.decode("utf-8")


_JSON = structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False, default=str)
_SHARED: tuple[structlog.typing.Processor, ...] = (
    merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    _error_name,
)
