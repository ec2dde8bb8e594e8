"""Operator: connections to providers, and the journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from demail_gateway.api import render
from demail_gateway.api.access import Operator
from demail_gateway.api.documents import ConnectionDocument, ConnectionList, JournalList
from demail_gateway.api.fields import Cursor, id_in_path, only
from demail_gateway.api.once import answer_once, created
from demail_gateway.api.openapi import takes
from demail_gateway.api.paging import LIMIT, Limit, page_response
from demail_gateway.api.paths import OPERATOR
from demail_gateway.api.requests import read_json
from demail_gateway.api.requests import services_of as services
from demail_gateway.api.schemas import ConnectionChanges, ConnectionRequest
from demail_gateway.application.ports.answers import StoredAnswer
from demail_gateway.application.ports.connections import Connection
from demail_gateway.tenancy.identifiers import Prefix, format_id

router = APIRouter(prefix=OPERATOR, tags=["operator: connections"])


@router.post(
    "/connections",
    status_code=201,
    summary="Add a connection to a provider (GWT-10)",
    responses={201: {"model": ConnectionDocument}},
    openapi_extra={"x-idempotency": "optional", "x-impact": "write"},
)
@takes(ConnectionRequest)
async def create_connection(request: Request, scope: Operator) -> Response:
    async def make(body: ConnectionRequest) -> StoredAnswer:
        made = await services(request).administer.create_connection(scope, body.name, body.auth_level, body.profile)
        return created(request, _connection(made))

    return await answer_once(request, scope, ConnectionRequest, make)


@router.get("/connections", summary="Connections", responses={200: {"model": ConnectionList}})
async def list_connections(
    request: Request, scope: Operator, limit: Limit = LIMIT, cursor: Cursor | None = None
) -> Response:
    found = await services(request).administer.connections(scope)
    return page_response(request, found, _connection, limit, cursor)


@router.get("/connections/{connection_id}", summary="One connection", responses={200: {"model": ConnectionDocument}})
async def read_connection(request: Request, scope: Operator, connection_id: str) -> Response:
    uuid = id_in_path(Prefix.CONNECTION, connection_id)
    return render.json_response(_connection(only(await services(request).administer.connections(scope), uuid)))


@router.patch(
    "/connections/{connection_id}",
    summary="Change a connection (merge patch), at once for new submissions",
    responses={200: {"model": ConnectionDocument}},
    openapi_extra={"x-impact": "write"},
)
@takes(ConnectionChanges)
async def change_connection(request: Request, scope: Operator, connection_id: str) -> Response:
    uuid = id_in_path(Prefix.CONNECTION, connection_id)
    body = await read_json(request, ConnectionChanges)
    changed = await services(request).administer.change_connection(scope, uuid, body.changes())
    return render.json_response(_connection(changed))


@router.get("/journal", summary="Journal of a tenant, or of the operator", responses={200: {"model": JournalList}})
async def read_journal(
    request: Request,
    scope: Operator,
    tenant: str | None = None,
    limit: Limit = LIMIT,
    cursor: Cursor | None = None,
) -> Response:
    uuid = None if tenant is None else id_in_path(Prefix.TENANT, tenant)
    page = await services(request).administer.journal(scope, uuid, limit, cursor)
    return render.json_response(render.listed(page, dict))


@router.get(
    "/journal/export",
    summary="The whole journal, one entry a line, verifiable with `demail-gateway verify` (GWT-50)",
    responses={200: {"description": "Entries in their order", "content": {"application/x-ndjson": {}}}},
)
async def export_journal(request: Request, scope: Operator, tenant: str | None = None) -> Response:
    administer = services(request).administer
    uuid = None if tenant is None else id_in_path(Prefix.TENANT, tenant)
    # the first page before the status is sent, so that an unknown tenant is a 404
    page = await administer.journal(scope, uuid, 200, None)

    async def lines() -> AsyncIterator[bytes]:
        current = page
        while True:
            yield b"".join(_line(entry) for entry in current.items)
            if current.next_cursor is None:
                return
            current = await administer.journal(scope, uuid, 200, current.next_cursor)

    return StreamingResponse(lines(), media_type="application/x-ndjson")


def _line(entry: Mapping[str, Any]) -> bytes:
    return render.json_bytes(dict(entry)) + b"\n"


def _connection(record: Connection) -> dict[str, Any]:
    return {
        "id": format_id(Prefix.CONNECTION, record.id),
        "name": record.name,
        "auth_level": record.auth_level,
        "profile": dict(record.profile),
        "active": record.active,
        "created_at": render.moment(record.created_at),
    }
