"""Whose certificates end soon: clients that could no longer prove themselves, tenants that could no longer sign
(GWT-21), connections that no provider would let in any more (DIR-32)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from demail_gateway.application.ports.administration import Administration, ClientSummary, TenantRecord
from demail_gateway.application.ports.connections import Connection
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope

_PAGE = 200


async def expiring_clients(administration: Administration, scope: OperatorScope, before: datetime) -> list[str]:
    """``tenant/client_id (day)`` of each active client whose last certificate ends before this moment.

    A client that has its next certificate registered already, or keys of its own, is not among them.
    """
    found = []
    async for tenant, client in _clients(administration, scope):
        end = max((each.not_after for each in client.certificates), default=None)
        if client.active and client.jwks is None and end is not None and end < before:
            found.append(f"{tenant.slug}/{format_id(Prefix.CLIENT, client.id)} ({end:%d.%m.%Y})")
    return found


async def expiring_keys(administration: Administration, scope: OperatorScope, before: datetime) -> list[str]:
    """``tenant/key_id (day)`` of each S/MIME key in use whose certificate ends before this moment."""
    found = []
    async for tenant in _tenants(administration, scope):
        for key in await administration.keys(scope, tenant.id):
            if key.state == "active" and key.not_after is not None and key.not_after < before:
                found.append(f"{tenant.slug}/{format_id(Prefix.KEY, key.id)} ({key.not_after:%d.%m.%Y})")
    return found


def expiring_connections(
    connections: Sequence[Connection], not_after: Callable[[Connection], datetime | None], before: datetime
) -> list[str]:
    """``connection (day)`` of each active one whose client certificate ends before this moment."""
    ends = [(each, not_after(each)) for each in connections if each.active]
    return [f"{each.name} ({end:%d.%m.%Y})" for each, end in ends if end is not None and end < before]


async def _clients(
    administration: Administration, scope: OperatorScope
) -> AsyncIterator[tuple[TenantRecord, ClientSummary]]:
    async for tenant in _tenants(administration, scope):
        for client in await administration.clients(scope, tenant.id):
            yield tenant, client


async def _tenants(administration: Administration, scope: OperatorScope) -> AsyncIterator[TenantRecord]:
    cursor: str | None = None
    while True:
        page = await administration.tenants(scope, _PAGE, cursor)
        for tenant in page.items:
            yield tenant
        cursor = page.next_cursor
        if cursor is None:
            return
