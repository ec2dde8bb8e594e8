"""GET inbox: inbound De-Mail. Lease, acknowledgement and hand-back follow with receiving."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api import render
from demail_gateway.api.access import InboxReader
from demail_gateway.api.documents import MessageList
from demail_gateway.api.fields import Cursor, Line, Moment
from demail_gateway.api.paging import LIMIT, Limit
from demail_gateway.api.paths import TENANT
from demail_gateway.api.requests import services_of as services
from demail_gateway.api.routes.messages import shown_to
from demail_gateway.application.ports.reading import MessageFilter
from demail_gateway.core.vocabulary import Direction, MessageState

router = APIRouter(prefix=TENANT, tags=["inbox"])


@router.get("/inbox", summary="Inbound De-Mail, newest first", responses={200: {"model": MessageList}})
async def list_inbox(
    request: Request,
    scope: InboxReader,
    state: Annotated[list[MessageState], Query(max_length=20)] = [],  # noqa: B006  FastAPI copies defaults
    mailbox: Annotated[Line, Query(max_length=253)] | None = None,
    created_after: Moment | None = None,
    created_before: Moment | None = None,
    limit: Limit = LIMIT,
    cursor: Cursor | None = None,
) -> Response:
    """Persönlich messages show without `inbox:private` only that they exist (SND-91)."""
    box = None if mailbox is None else mailbox.lower()
    where = MessageFilter(Direction.INBOUND, tuple(state), None, created_after, created_before, box)
    page = await services(request).read.messages(scope, where, limit, cursor)
    return render.json_response(render.listed(page, shown_to(scope)))
