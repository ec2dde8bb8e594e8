"""Content of a message, byte for byte: the message itself and its attachments."""

from __future__ import annotations

import re

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api.access import MessageReader
from demail_gateway.api.fields import id_in_path
from demail_gateway.api.paths import TENANT
from demail_gateway.api.ranges import content_response
from demail_gateway.api.requests import services_of as services
from demail_gateway.core.errors import NotFound
from demail_gateway.tenancy.identifiers import Prefix

router = APIRouter(prefix=TENANT, tags=["messages"])

_BYTES = {"description": "Octets", "content": {"application/octet-stream": {}}}
_NUMBER = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


@router.get(
    "/messages/{message_id}/raw",
    summary="The message as handed over or as received, byte for byte",
    responses={200: {"description": "RFC 5322 message", "content": {"message/rfc822": {}}}, 206: _BYTES},
)
async def read_raw(
    request: Request,
    scope: MessageReader,
    message_id: str,
    recipient: str | None = None,
    acknowledge_risk: bool = False,
) -> Response:
    """Where copies differ (BCC, split) `recipient` chooses; without it the first copy of `to`.

    A quarantined inbound message is handed out with `acknowledge_risk=true` alone (SND-73).
    """
    uuid = id_in_path(Prefix.MESSAGE, message_id)
    chosen = None if recipient is None else id_in_path(Prefix.RECIPIENT, recipient)
    octets = await services(request).read.raw(scope, uuid, chosen, risk_acknowledged=acknowledge_risk)
    return content_response(request, octets, "message/rfc822", f"{message_id}.eml")


@router.get(
    "/messages/{message_id}/attachments/{number}",
    summary="A decoded attachment; ranges are supported",
    responses={200: _BYTES, 206: _BYTES},
)
async def read_attachment(
    request: Request, scope: MessageReader, message_id: str, number: str, acknowledge_risk: bool = False
) -> Response:
    """`number` counts from 1."""
    uuid = id_in_path(Prefix.MESSAGE, message_id)
    if not _NUMBER.fullmatch(number):
        raise NotFound
    filename, content_type, octets = await services(request).read.attachment(
        scope, uuid, int(number), risk_acknowledged=acknowledge_risk
    )
    return content_response(request, octets, content_type, filename)
