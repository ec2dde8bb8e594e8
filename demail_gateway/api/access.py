"""Whose request it is: token (401), tenant (404), scope (403), in this order and before anything else is looked at."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from demail_gateway.api.edge import note
from demail_gateway.api.requests import caller_of, services_of
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope, Scope, TenantScope


class TenantAccess:
    """Dependency: the tenant named in the path, for a token with one of `scopes`."""

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes

    async def __call__(self, request: Request, tenant: str) -> TenantScope:
        scope = await services_of(request).access.tenant(caller_of(request), tenant, *self.scopes)
        note(request, tenant=format_id(Prefix.TENANT, scope.tenant_id))
        return scope


class OperatorAccess:
    """Dependency: an operator's token."""

    scopes = (Scope.OPERATOR,)

    async def __call__(self, request: Request) -> OperatorScope:
        return await services_of(request).access.operator(caller_of(request))


SENDER = TenantAccess(Scope.MESSAGES_SEND)
Sender = Annotated[TenantScope, Depends(SENDER)]
Reader = Annotated[TenantScope, Depends(TenantAccess(Scope.MESSAGES_READ))]
MessageReader = Annotated[TenantScope, Depends(TenantAccess(Scope.MESSAGES_READ, Scope.INBOX_READ))]
"""Outbound or inbound; which of them this token may see is decided when the message is known."""
InboxReader = Annotated[TenantScope, Depends(TenantAccess(Scope.INBOX_READ))]
EvidenceReader = Annotated[TenantScope, Depends(TenantAccess(Scope.EVIDENCE_READ))]
Operator = Annotated[OperatorScope, Depends(OperatorAccess())]
