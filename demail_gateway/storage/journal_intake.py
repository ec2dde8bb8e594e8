"""Writing a journal entry in the transaction of its cause (SND-100); `storage.sweeping` chains it afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from demail_gateway.storage.rows import storable
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
    entry = {
        "tenant_id": tenant_id,
        "at": at,
        "actor": actor,
        "action": action,
        "object": what,
        "detail": flat(detail or {}),
    }
    # inline: the application may write here and not read, so nothing is asked back
    await connection.execute(insert(journal_intake).values(entry).inline())


def flat(detail: Mapping[str, Any]) -> dict[str, str]:
    """The detail as texts alone, so that the chain's canonical form needs no rules for numbers and nesting."""
    return {name: storable(_text(value)) for name, value in detail.items()}


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_text(inner)}" for name, inner in sorted(value.items()))
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(_text(inner) for inner in value))
    if isinstance(value, list | tuple):
        return ", ".join(_text(inner) for inner in value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
