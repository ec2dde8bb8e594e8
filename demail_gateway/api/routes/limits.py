"""GET limits: what holds for this client, so that no client has to know it by heart."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api import render
from demail_gateway.api.access import Reader
from demail_gateway.api.documents import LimitsDocument
from demail_gateway.api.fields import Line
from demail_gateway.api.paths import TENANT
from demail_gateway.api.requests import services_of as services
from demail_gateway.core.options import OPTION_NAMES, PROFILES

router = APIRouter(prefix=TENANT, tags=["limits"])


@router.get(
    "/limits", summary="Effective sizes, quotas and permitted options", responses={200: {"model": LimitsDocument}}
)
async def read_limits(
    request: Request, scope: Reader, sender: Annotated[Line | None, Query(alias="from", max_length=253)] = None
) -> Response:
    """`from` asks for one of the client's sender addresses; connection and quota are those of its account."""
    found = await services(request).read.limits(scope, None if sender is None else sender.lower())
    limits, context = found.limits, found.context
    body = {
        "net_bytes": limits.net_bytes,
        "gross_bytes": limits.gross_bytes,
        "upload_bytes": services(request).attach.limit_bytes,
        "request_bytes": request.app.state.json_body_bytes,
        "reference_chars": limits.reference_chars,
        "recipients": limits.recipients,
        "messages_per_day": limits.messages_per_day,
        "recipients_per_day": limits.recipients_per_day,
        "auth_level": context.auth_level if context.connection_id is not None else None,
        "may_send": context.tenant_sending,
        "senders": [
            {"address": address, "options": list(OPTION_NAMES) if options is None else sorted(options)}
            for address, options in sorted(context.may_use.items())
        ],
        "profiles": list(PROFILES),
    }
    return render.json_response(body)
