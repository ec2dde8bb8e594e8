"""Liveness, readiness, metrics; without a token, and without anything about tenants."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api.documents import HealthDocument
from demail_gateway.api.problems import RETRY_AFTER_S
from demail_gateway.api.render import Json, json_response
from demail_gateway.api.requests import services_of as services
from demail_gateway.application.services import Probe
from demail_gateway.core.errors import DemailError

router = APIRouter(tags=["health"])
metrics_router = APIRouter(tags=["health"])


@router.get("/livez", summary="The process answers")
async def livez() -> Response:
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    summary="Whether the gateway can work, part by part",
    responses={200: {"model": HealthDocument}, 503: {"model": HealthDocument}},
)
async def readyz(request: Request) -> Response:
    """503 when a part is away without which nothing works (database, key material); 200 `degraded` for any other."""
    probes = services(request).probes
    parts = dict(zip(probes, await asyncio.gather(*map(_asked, probes.values())), strict=True))
    away = [probes[name] for name, part in parts.items() if part["status"] != "ok"]
    if any(probe.needed for probe in away):
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return json_response({"status": "unavailable", "parts": parts}, 503, headers)
    return json_response({"status": "degraded" if away else "ok", "parts": parts})


@metrics_router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    return Response(request.app.state.metrics.render(), media_type=CONTENT_TYPE_LATEST)


async def _asked(probe: Probe) -> Json:
    try:
        detail, status = await asyncio.wait_for(probe.ask(), probe.patience_s), "ok"
    except (DemailError, OSError, TimeoutError) as error:
        # the kind of fault only: its text may name hosts
        detail, status = type(error).__name__, "unavailable"
    return {"status": status, "detail": detail, "needed": probe.needed}
