"""Writing a journal entry in the transaction of its cause (SND-100); `storage.sweeping` chains it afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from demail_gateway.storage.schema import journal_intake


async def enter(
    connection: AsyncConnection,
    at: datetime,
    actor: str,
    action: str,
    what: str,
    *,
    tenant_id: UUID | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """One entry: who (`actor`) did what (`action`, e.g. ``client.created``) to which object (a public id)."""
    await connection.execute(
        insert(journal_intake).values(
            tenant_id=tenant_id, at=at, actor=actor, action=action, object=what, detail=dict(detail or {})
        )
    )
