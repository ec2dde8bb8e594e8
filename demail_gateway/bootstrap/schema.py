"""The database schema, for `migrate` and `doctor`."""

from __future__ import annotations

from demail_gateway.storage import migrate as storage_migrate


async def migrate(owner_url: str, app_role: str) -> None:
    """The schema at head. Raises as `storage.migrate.upgrade`."""
    await storage_migrate.upgrade(owner_url, app_role=app_role)
