"""The outermost layer: ids of the request, headers that every answer carries, one line of log, one measurement.

Pure ASGI, because a framework's middleware would copy every body.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demail_gateway.api.problems import problem_response
from demail_gateway.observability.logs import bind, clear, get_logger
from demail_gateway.observability.metrics import Metrics
from demail_gateway.observability.trace import new_trace_id, parse_traceparent

log = get_logger("demail_gateway.api")
_gate = logging.getLogger("demail_gateway.api")
"""Asked before a line is prepared that nobody will see."""

_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
_QUIET = ("/livez", "/readyz", "/metrics")


class Edge:
    def __init__(self, app: ASGIApp, randomness: Callable[[int], bytes], metrics: Metrics) -> None:
        self._app = app
        self._randomness = randomness
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        request_id = self._identify(scope)
        status: list[int] = []
        # HEAD is GET without its content (RFC 9110 §9.3.2), on every path that has a GET
        is_head = scope["method"] == "HEAD"
        asked = {**scope, "method": "GET"} if is_head else scope

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
                _mark(message, request_id)
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(asked, receive, send_marked)
        except ClientDisconnect:
            log.info("client_gone")
        except Exception as error:  # the edge of the process: whatever it is, the caller learns that it failed, not why
            log.error("request_failed", exc_info=error)
            if not status:
                await problem_response(error, Request(scope))(scope, receive, send_marked)
        finally:
            answered = status[0] if status else 499
            self._report(asked, _method(scope), answered, time.perf_counter() - started_at)

    def _identify(self, scope: Scope) -> str:
        """Binds trace and request id for the log; a caller's trace is continued, its request id echoed."""
        given = {name: value for name, value in scope["headers"] if name in (b"traceparent", b"x-request-id")}
        trace = parse_traceparent(given.get(b"traceparent", b"").decode("latin-1"))
        trace_id = trace.trace_id if trace else new_trace_id(self._randomness(16))
        wanted = given.get(b"x-request-id", b"")
        request_id = wanted.decode("ascii") if _REQUEST_ID.fullmatch(wanted) else trace_id
        scope["demail.trace_id"] = trace_id
        clear()
        bind(request_id=request_id, trace_id=trace_id)
        return request_id

    def _report(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.requests_s.labels(method, route, str(status)).observe(seconds)
        if route not in _QUIET and _gate.isEnabledFor(logging.INFO):
            facts: dict[str, Any] = scope.get("demail.facts", {})
            log.info("request", method=method, route=route, status=status, seconds=round(seconds, 6), **facts)


def note(request: Request, **facts: object) -> None:
    """Adds facts (public ids) to the request's line of log."""
    request.scope.setdefault("demail.facts", {}).update(facts)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "other"


def _mark(message: Message, request_id: str) -> None:
    headers = MutableHeaders(scope=message)
    headers["X-Request-Id"] = request_id
    headers["X-Content-Type-Options"] = "nosniff"
    # personal data and secrets: nothing of this API belongs into a cache
    headers.setdefault("Cache-Control", "no-store")
