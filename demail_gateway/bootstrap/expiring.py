"""Which clients will soon be unable to prove themselves because their certificates end (GWT-21)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from demail_gateway.application.ports import Administration, ClientSummary, TenantRecord
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


async def _clients(
    administration: Administration, scope: OperatorScope
) -> AsyncIterator[tuple[TenantRecord, ClientSummary]]:
    cursor: str | None = None
    while True:
        page = await administration.tenants(scope, _PAGE, cursor)
        for tenant in page.items:
            for client in await administration.clients(scope, tenant.id):
                yield tenant, client
        cursor = page.next_cursor
        if cursor is None:
            return
