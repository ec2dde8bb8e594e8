"""The REST API as an ASGI application, made from the use cases it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway import __version__
from demail_gateway.api.edge import Edge
from demail_gateway.api.faults import faults_of
from demail_gateway.api.openapi import build_openapi
from demail_gateway.api.problems import Problem, problem_response
from demail_gateway.api.proxies import DIRECT, Proxies
from demail_gateway.api.routes import (
    content,
    evidence,
    health,
    inbox,
    limits,
    messages,
    operator_clients,
    operator_connections,
    operator_queues,
    operator_tenants,
    reference,
    tokens,
    uploads,
)
from demail_gateway.application.services import Services
from demail_gateway.core.errors import DemailError
from demail_gateway.observability.metrics import Metrics

_ROUTERS = (
    messages.router,
    content.router,
    evidence.router,
    uploads.router,
    inbox.router,
    limits.router,
    operator_tenants.router,
    operator_clients.router,
    operator_connections.router,
    operator_queues.router,
    tokens.router,
    health.router,
    reference.router,
)
"""The busiest first."""


def create_app(
    services: Services,
    metrics: Metrics,
    *,
    json_body_bytes: int,
    expose_metrics: bool,
    proxies: Proxies = DIRECT,
    close: Callable[[], Any] | None = None,
) -> FastAPI:
    """The application.

    `json_body_bytes` bounds the body of a submission; `expose_metrics` puts /metrics on this port, which production
    does not (it has a port of its own); `proxies` are those whose word on a client is believed; `close` is awaited when
    the server stops.
    """

    app = FastAPI(
        title="De-Mail-Gateway",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_settling(services, close),
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.metrics = metrics
    app.state.proxies = proxies
    app.state.json_body_bytes = json_body_bytes
    for router in (*_ROUTERS, *([health.metrics_router] if expose_metrics else [])):
        # each router carries its prefix; taken over flat, a request is matched in one list
        app.router.routes.extend(router.routes)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    _answer_errors(app)
    app.add_middleware(Edge, randomness=services.randomness, metrics=metrics)
    return app


def _settling(
    services: Services, close: Callable[[], Any] | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """When the server stops, what was begun ends before `close`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await services.settle()
        if close is not None:
            await close()

    return lifespan


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = build_openapi(app)
    return app.openapi_schema


def _answer_errors(app: FastAPI) -> None:
    async def known(request: Request, error: Exception) -> Response:
        return problem_response(error, request)

    async def parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = faults_of(error.errors(), "invalid-request", skip=1)
        return problem_response(Problem("invalid-request", found), request)

    async def routing(request: Request, error: Exception) -> Response:
        """What the router itself refuses: no such path, no such method."""
        assert isinstance(error, HTTPException)
        code = _ROUTING.get(error.status_code, "internal" if error.status_code >= 500 else "invalid-request")
        headers = dict(error.headers or {})
        if "GET" in headers.get("Allow", "").split(", "):
            headers["Allow"] += ", HEAD"  # answered at the edge
        return problem_response(Problem(code, headers=headers), request)

    app.add_exception_handler(DemailError, known)
    app.add_exception_handler(Problem, known)
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(HTTPException, routing)


_ROUTING = {404: "not-found", 405: "method-not-allowed"}
