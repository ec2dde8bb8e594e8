"""Operator: its own clients and those of tenants, the matrix client × address × options (GWT-30), and S/MIME keys."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api import render
from demail_gateway.api.access import Operator
from demail_gateway.api.documents import (
    ClientDocument,
    ClientList,
    KeyDocument,
    KeyList,
    NewClientDocument,
    SenderDocument,
    SenderList,
)
from demail_gateway.api.fields import Cursor, id_in_path, only
from demail_gateway.api.once import answer_once, created
from demail_gateway.api.openapi import takes
from demail_gateway.api.paging import LIMIT, Limit, page_response
from demail_gateway.api.paths import OPERATOR
from demail_gateway.api.requests import read_json
from demail_gateway.api.requests import services_of as services
from demail_gateway.api.schemas import (
    CertificateRequest,
    ClientChanges,
    ClientRequest,
    KeyRequest,
    OperatorClientChanges,
    SenderRequest,
)
from demail_gateway.application.ports.administration import ClientSummary, KeyRecord
from demail_gateway.application.ports.answers import StoredAnswer
from demail_gateway.application.register import ClientKeys
from demail_gateway.tenancy.client_authentication import PinnedCertificate
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import Scope

router = APIRouter(prefix=OPERATOR, tags=["operator: clients"])


@router.post(
    "/tenants/{tenant_id}/clients",
    status_code=201,
    summary="Create a client; its secret, if it has one, is shown once",
    responses={201: {"model": NewClientDocument}},
    openapi_extra={"x-idempotency": "optional", "x-impact": "write"},
)
@takes(ClientRequest)
async def create_client(request: Request, scope: Operator, tenant_id: str) -> Response:
    """A new client may use no sender address yet: see `senders`. One with keys or certificates gets no secret."""
    uuid = id_in_path(Prefix.TENANT, tenant_id)

    async def make(body: ClientRequest) -> StoredAnswer:
        scopes = frozenset(Scope(name) for name in body.scopes)
        jwks = None if body.jwks is None else body.jwks.model_dump()
        made = await services(request).register.create_client(
            scope, uuid, body.name, scopes, ClientKeys(jwks, body.certificates)
        )
        client = _client(made.summary)
        return created(request, {**client, "client_id": client["id"], "client_secret": made.secret})

    return await answer_once(request, scope, ClientRequest, make)


@router.get("/tenants/{tenant_id}/clients", summary="Clients", responses={200: {"model": ClientList}})
async def list_clients(
    request: Request, scope: Operator, tenant_id: str, limit: Limit = LIMIT, cursor: Cursor | None = None
) -> Response:
    found = await services(request).register.clients(scope, id_in_path(Prefix.TENANT, tenant_id))
    return page_response(request, found, _client, limit, cursor)


@router.get(
    "/tenants/{tenant_id}/clients/{client_id}", summary="One client", responses={200: {"model": ClientDocument}}
)
async def read_client(request: Request, scope: Operator, tenant_id: str, client_id: str) -> Response:
    tenant, client = id_in_path(Prefix.TENANT, tenant_id), id_in_path(Prefix.CLIENT, client_id)
    return render.json_response(_client(only(await services(request).register.clients(scope, tenant), client)))


@router.patch(
    "/tenants/{tenant_id}/clients/{client_id}",
    summary="Change name, scopes or keys, stop or start a client",
    responses={200: {"model": ClientDocument}},
    openapi_extra={"x-impact": "write"},
)
@takes(ClientChanges)
async def change_client(request: Request, scope: Operator, tenant_id: str, client_id: str) -> Response:
    """A stopped client's tokens, a withdrawn scope and tokens bound to a withdrawn certificate end within 30 seconds
    (GWT-40). `jwks` and `certificates` are given as a whole."""
    tenant, client = id_in_path(Prefix.TENANT, tenant_id), id_in_path(Prefix.CLIENT, client_id)
    body = await read_json(request, ClientChanges)
    changes = _changes(body)
    if "scopes" in changes:
        changes["scopes"] = frozenset(Scope(name) for name in body.scopes)
    return render.json_response(_client(await services(request).register.change_client(scope, tenant, client, changes)))


@router.get("/clients", summary="The operator's clients", responses={200: {"model": ClientList}})
async def list_operator_clients(
    request: Request, scope: Operator, limit: Limit = LIMIT, cursor: Cursor | None = None
) -> Response:
    """They are made at the command line alone (`demail-gateway client create`)."""
    return page_response(request, await services(request).register.clients(scope, None), _client, limit, cursor)


@router.get("/clients/{client_id}", summary="One client of the operator", responses={200: {"model": ClientDocument}})
async def read_operator_client(request: Request, scope: Operator, client_id: str) -> Response:
    client = id_in_path(Prefix.CLIENT, client_id)
    return render.json_response(_client(only(await services(request).register.clients(scope, None), client)))


@router.patch(
    "/clients/{client_id}",
    summary="Change name or keys of a client of the operator, stop or start it",
    responses={200: {"model": ClientDocument}},
    openapi_extra={"x-impact": "write"},
)
@takes(OperatorClientChanges)
async def change_operator_client(request: Request, scope: Operator, client_id: str) -> Response:
    """A stopped client's tokens end at once. Whoever stops the last one goes on at the command line."""
    client = id_in_path(Prefix.CLIENT, client_id)
    changes = _changes(await read_json(request, OperatorClientChanges))
    return render.json_response(_client(await services(request).register.change_client(scope, None, client, changes)))


@router.get("/tenants/{tenant_id}/senders", summary="The sender matrix", responses={200: {"model": SenderList}})
async def list_senders(
    request: Request, scope: Operator, tenant_id: str, limit: Limit = LIMIT, cursor: Cursor | None = None
) -> Response:
    found = await services(request).administer.senders(scope, id_in_path(Prefix.TENANT, tenant_id))
    return page_response(request, found, _sender, limit, cursor)


@router.put(
    "/tenants/{tenant_id}/senders/{client_id}/{address}",
    summary="Permit a client to use an address with these options (GWT-30)",
    responses={200: {"model": SenderDocument}},
    openapi_extra={"x-impact": "write"},
)
@takes(SenderRequest)
async def permit_sender(request: Request, scope: Operator, tenant_id: str, client_id: str, address: str) -> Response:
    tenant, client = id_in_path(Prefix.TENANT, tenant_id), id_in_path(Prefix.CLIENT, client_id)
    body = await read_json(request, SenderRequest)
    stored = await services(request).administer.permit_sender(
        scope, tenant, client, address, body.options, body.quota_per_day
    )
    row = {"client_id": client, "address": stored, "options": body.options, "quota_per_day": body.quota_per_day}
    return render.json_response(_sender(row))


@router.delete(
    "/tenants/{tenant_id}/senders/{client_id}/{address}",
    status_code=204,
    summary="Withdraw the permission",
    openapi_extra={"x-impact": "destructive"},
)
async def revoke_sender(request: Request, scope: Operator, tenant_id: str, client_id: str, address: str) -> Response:
    tenant, client = id_in_path(Prefix.TENANT, tenant_id), id_in_path(Prefix.CLIENT, client_id)
    await services(request).administer.revoke_sender(scope, tenant, client, address)
    return Response(status_code=204)


@router.post(
    "/tenants/{tenant_id}/keys",
    status_code=201,
    summary="Make an S/MIME key and its certificate request (PKCS#10)",
    responses={201: {"model": KeyDocument}},
    openapi_extra={"x-idempotency": "optional", "x-impact": "write"},
)
@takes(KeyRequest)
async def request_key(request: Request, scope: Operator, tenant_id: str) -> Response:
    """The private key stays inside; have the request certified and install the certificate."""
    uuid = id_in_path(Prefix.TENANT, tenant_id)

    async def make(body: KeyRequest) -> StoredAnswer:
        key = await services(request).certify.request(scope, uuid, body.algorithm, body.address)
        return created(request, _key(key))

    return await answer_once(request, scope, KeyRequest, make)


@router.get("/tenants/{tenant_id}/keys", summary="Keys", responses={200: {"model": KeyList}})
async def list_keys(
    request: Request, scope: Operator, tenant_id: str, limit: Limit = LIMIT, cursor: Cursor | None = None
) -> Response:
    found = await services(request).certify.keys(scope, id_in_path(Prefix.TENANT, tenant_id))
    return page_response(request, found, _key, limit, cursor)


@router.get("/tenants/{tenant_id}/keys/{key_id}", summary="One key", responses={200: {"model": KeyDocument}})
async def read_key(request: Request, scope: Operator, tenant_id: str, key_id: str) -> Response:
    tenant, key = id_in_path(Prefix.TENANT, tenant_id), id_in_path(Prefix.KEY, key_id)
    return render.json_response(_key(only(await services(request).certify.keys(scope, tenant), key)))


@router.put(
    "/tenants/{tenant_id}/keys/{key_id}/certificate",
    summary="Install the certificate of a key and make it the active one",
    responses={200: {"model": KeyDocument}},
    openapi_extra={"x-impact": "write"},
)
@takes(CertificateRequest)
async def install_certificate(request: Request, scope: Operator, tenant_id: str, key_id: str) -> Response:
    tenant, key = id_in_path(Prefix.TENANT, tenant_id), id_in_path(Prefix.KEY, key_id)
    body = await read_json(request, CertificateRequest)
    record = await services(request).certify.install(scope, tenant, key, body.certificate, body.chain)
    return render.json_response(_key(record))


def _changes(body: ClientChanges | OperatorClientChanges) -> dict[str, Any]:
    changes = body.changes()
    if body.jwks is not None:
        changes["jwks"] = body.jwks.model_dump()
    return changes


def _client(summary: ClientSummary) -> dict[str, Any]:
    return {
        "id": format_id(Prefix.CLIENT, summary.id),
        "name": summary.name,
        "scopes": sorted(summary.scopes),
        "active": summary.active,
        "created_at": render.moment(summary.created_at),
        "has_secret": summary.has_secret,
        "jwks": summary.jwks,
        "certificates": [_certificate(each) for each in summary.certificates],
    }


def _certificate(pinned: PinnedCertificate) -> dict[str, Any]:
    return {
        "sha256": pinned.sha256.hex(),
        "issuer": pinned.issuer,
        "serial": pinned.serial,
        "not_before": render.moment(pinned.not_before),
        "not_after": render.moment(pinned.not_after),
    }


def _sender(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "client_id": format_id(Prefix.CLIENT, row["client_id"]),
        "address": row["address"],
        "options": None if row["options"] is None else sorted(row["options"]),
        "quota_per_day": row["quota_per_day"],
    }


def _key(record: KeyRecord) -> dict[str, Any]:
    return {
        "id": format_id(Prefix.KEY, record.id),
        "purpose": record.purpose,
        "state": record.state,
        "csr": record.csr_pem,
        "certificate": None if record.certificate_der is None else _pem(record.certificate_der),
        "not_after": render.moment(record.not_after),
        "created_at": render.moment(record.created_at),
    }


def _pem(der: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(der).decode("ascii"), 64)
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
