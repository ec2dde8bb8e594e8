"""Operator's work (ports.Administration): a file each for tenants, clients, keys, connections; and the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from demail_gateway.application.ports.page import Page
from demail_gateway.storage.administration_clients import ClientAdministration
from demail_gateway.storage.administration_connections import ConnectionAdministration
from demail_gateway.storage.administration_keys import KeyAdministration
from demail_gateway.storage.administration_tenants import TenantAdministration
from demail_gateway.storage.cursors import make_number_cursor, read_number_cursor
from demail_gateway.storage.schema import journal
from demail_gateway.storage.views import journal_item
from demail_gateway.tenancy.scope import OperatorScope


class PostgresAdministration(TenantAdministration, ClientAdministration, KeyAdministration, ConnectionAdministration):
    """ports.Administration on PostgreSQL."""

    async def journal(
        self, scope: OperatorScope, tenant_id: UUID | None, limit: int, cursor: str | None
    ) -> Page[Mapping[str, Any]]:
        """In the order of the chain."""
        after = 0 if cursor is None else read_number_cursor("journal", cursor)
        chain = journal.c.tenant_id.is_(None) if tenant_id is None else journal.c.tenant_id == tenant_id
        query = select(journal).where(chain, journal.c.seq > after).order_by(journal.c.seq).limit(limit + 1)
        items = [journal_item(row) for row in await self._rows(query)]
        following = make_number_cursor("journal", items[limit - 1]["seq"]) if len(items) > limit else None
        return Page(tuple(items[:limit]), following)
