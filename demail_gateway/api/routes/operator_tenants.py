"""Operator: tenants, their life cycle, accounts and addresses."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api import render
from demail_gateway.api.access import Operator
from demail_gateway.api.documents import (
    AccountDocument,
    AccountList,
    AddressDocument,
    AddressList,
    TenantDocument,
    TenantList,
)
from demail_gateway.api.fields import Cursor, id_in_path, only
from demail_gateway.api.once import answer_once, created, done
from demail_gateway.api.openapi import takes
from demail_gateway.api.paging import LIMIT, Limit, page_response
from demail_gateway.api.paths import OPERATOR
from demail_gateway.api.requests import read_json
from demail_gateway.api.requests import services_of as services
from demail_gateway.api.schemas import (
    AccountChanges,
    AccountRequest,
    AddressRequest,
    TenantChanges,
    TenantRequest,
    TransitionRequest,
)
from demail_gateway.application.ports.administration import AccountRecord, AddressRecord, TenantRecord
from demail_gateway.application.ports.answers import StoredAnswer
from demail_gateway.tenancy.identifiers import Prefix, format_id

router = APIRouter(prefix=OPERATOR, tags=["operator: tenants"])


@router.post(
    "/tenants",
    status_code=201,
    summary="Create a tenant (at the step `interested`)",
    responses={201: {"model": TenantDocument}},
    openapi_extra={"x-idempotency": "optional", "x-impact": "write"},
)
@takes(TenantRequest)
async def create_tenant(request: Request, scope: Operator) -> Response:
    async def make(body: TenantRequest) -> StoredAnswer:
        record = await services(request).administer.create_tenant(
            scope, body.slug, body.name, body.kind, public_body=body.public_body
        )
        return created(request, tenant_json(record))

    return await answer_once(request, scope, TenantRequest, make)


@router.get("/tenants", summary="List tenants", responses={200: {"model": TenantList}})
async def list_tenants(
    request: Request,
    scope: Operator,
    limit: Limit = LIMIT,
    cursor: Cursor | None = None,
) -> Response:
    page = await services(request).administer.tenants(scope, limit, cursor)
    return render.json_response(render.listed(page, tenant_json))


@router.get("/tenants/{tenant_id}", summary="One tenant", responses={200: {"model": TenantDocument}})
async def read_tenant(request: Request, scope: Operator, tenant_id: str) -> Response:
    record = await services(request).administer.tenant(scope, id_in_path(Prefix.TENANT, tenant_id))
    return render.json_response(tenant_json(record))


@router.patch(
    "/tenants/{tenant_id}",
    summary="Change name, public_body, permissions or policy (merge patch)",
    responses={200: {"model": TenantDocument}},
    openapi_extra={"x-impact": "write"},
)
@takes(TenantChanges)
async def change_tenant(request: Request, scope: Operator, tenant_id: str) -> Response:
    uuid = id_in_path(Prefix.TENANT, tenant_id)
    body = await read_json(request, TenantChanges)
    changes = body.changes()
    if "permissions" in changes:
        changes["permissions"] = frozenset(body.permissions)
    if "policy" in changes:
        changes["policy"] = body.policy.model_dump(exclude_unset=True)
    record = await services(request).administer.change_tenant(scope, uuid, changes)
    return render.json_response(tenant_json(record))


@router.post(
    "/tenants/{tenant_id}/transitions",
    summary="Take a step of the life cycle (GWT-60 to GWT-62)",
    responses={200: {"model": TenantDocument}},
    openapi_extra={"x-idempotency": "optional", "x-impact": "write"},
)
@takes(TransitionRequest)
async def take_step(request: Request, scope: Operator, tenant_id: str) -> Response:
    """A gate that is not met: 409 `gate-not-met`, and `errors` names what is missing under `/evidence/…`."""
    uuid = id_in_path(Prefix.TENANT, tenant_id)

    async def make(body: TransitionRequest) -> StoredAnswer:
        effects = None if body.effects is None else body.effects.model_dump()
        record = await services(request).administer.transition(scope, uuid, body.to, body.reason, effects, body.items())
        return done(tenant_json(record))

    return await answer_once(request, scope, TransitionRequest, make)


@router.post(
    "/tenants/{tenant_id}/accounts",
    status_code=201,
    summary="Add a De-Mail account of the tenant",
    responses={201: {"model": AccountDocument}},
    openapi_extra={"x-idempotency": "optional", "x-impact": "write"},
)
@takes(AccountRequest)
async def create_account(request: Request, scope: Operator, tenant_id: str) -> Response:
    uuid = id_in_path(Prefix.TENANT, tenant_id)

    async def make(body: AccountRequest) -> StoredAnswer:
        record = await services(request).administer.create_account(
            scope,
            uuid,
            body.connection_id,
            body.holder,
            body.state,
            retrieval_entitlement=body.retrieval_entitlement,
            natural_person=body.natural_person,
        )
        return created(request, _account(record))

    return await answer_once(request, scope, AccountRequest, make)


@router.get("/tenants/{tenant_id}/accounts", summary="Accounts", responses={200: {"model": AccountList}})
async def list_accounts(
    request: Request, scope: Operator, tenant_id: str, limit: Limit = LIMIT, cursor: Cursor | None = None
) -> Response:
    found = await services(request).administer.accounts(scope, id_in_path(Prefix.TENANT, tenant_id))
    return page_response(request, found, _account, limit, cursor)


@router.get(
    "/tenants/{tenant_id}/accounts/{account_id}", summary="One account", responses={200: {"model": AccountDocument}}
)
async def read_account(request: Request, scope: Operator, tenant_id: str, account_id: str) -> Response:
    tenant, account = id_in_path(Prefix.TENANT, tenant_id), id_in_path(Prefix.ACCOUNT, account_id)
    return render.json_response(_account(only(await services(request).administer.accounts(scope, tenant), account)))


@router.patch(
    "/tenants/{tenant_id}/accounts/{account_id}",
    summary="Mirror what the provider reports of an account (ADR-50)",
    responses={200: {"model": AccountDocument}},
    openapi_extra={"x-impact": "write"},
)
@takes(AccountChanges)
async def change_account(request: Request, scope: Operator, tenant_id: str, account_id: str) -> Response:
    tenant, account = id_in_path(Prefix.TENANT, tenant_id), id_in_path(Prefix.ACCOUNT, account_id)
    body = await read_json(request, AccountChanges)
    record = await services(request).administer.change_account(scope, tenant, account, body.changes())
    return render.json_response(_account(record))


@router.post(
    "/tenants/{tenant_id}/addresses",
    status_code=201,
    summary="Assign a De-Mail address",
    responses={201: {"model": AddressDocument}},
    openapi_extra={"x-idempotency": "optional", "x-impact": "write"},
)
@takes(AddressRequest)
async def create_address(request: Request, scope: Operator, tenant_id: str) -> Response:
    """`account_id` may be left out when the tenant has one account."""
    uuid = id_in_path(Prefix.TENANT, tenant_id)

    async def make(body: AddressRequest) -> StoredAnswer:
        record = await services(request).administer.create_address(scope, uuid, body.address, body.account_id)
        return created(request, _address(record))

    return await answer_once(request, scope, AddressRequest, make)


@router.get(
    "/tenants/{tenant_id}/addresses/{address_id}", summary="One address", responses={200: {"model": AddressDocument}}
)
async def read_address(request: Request, scope: Operator, tenant_id: str, address_id: str) -> Response:
    tenant, address = id_in_path(Prefix.TENANT, tenant_id), id_in_path(Prefix.ADDRESS, address_id)
    return render.json_response(_address(only(await services(request).administer.addresses(scope, tenant), address)))


@router.get("/tenants/{tenant_id}/addresses", summary="Addresses", responses={200: {"model": AddressList}})
async def list_addresses(
    request: Request, scope: Operator, tenant_id: str, limit: Limit = LIMIT, cursor: Cursor | None = None
) -> Response:
    found = await services(request).administer.addresses(scope, id_in_path(Prefix.TENANT, tenant_id))
    return page_response(request, found, _address, limit, cursor)


def tenant_json(record: TenantRecord) -> dict[str, Any]:
    return {
        "id": format_id(Prefix.TENANT, record.id),
        "slug": record.slug,
        "name": record.name,
        "kind": record.kind,
        "public_body": record.public_body,
        "state": record.state,
        "effects": dict(record.effects),
        "permissions": sorted(record.permissions),
        "policy": dict(record.policy),
        "created_at": render.moment(record.created_at),
    }


def _account(record: AccountRecord) -> dict[str, Any]:
    return {
        "id": format_id(Prefix.ACCOUNT, record.id),
        "connection_id": format_id(Prefix.CONNECTION, record.connection_id),
        "holder": record.holder,
        "state": record.state,
        "retrieval_entitlement": record.retrieval_entitlement,
        "natural_person": record.natural_person,
    }


def _address(record: AddressRecord) -> dict[str, Any]:
    return {
        "id": format_id(Prefix.ADDRESS, record.id),
        "account_id": format_id(Prefix.ACCOUNT, record.account_id),
        "address": record.address,
    }
