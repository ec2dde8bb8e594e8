"""What must happen although nobody asks (ports.Sweeping). Over all tenants, by functions that give the least result."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.application.ports.work import Retrying, SweepResult
from demail_gateway.storage.engine import statement_driver

JOURNAL_ENTRIES = 2000
"""Chained in one transaction; more wait for the next."""


class PostgresSweeping:
    """ports.Sweeping on PostgreSQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def sweep(self, now: datetime) -> SweepResult:
        async with statement_driver(self._engine) as connection:
            reopened, uncertain = await connection.fetchrow("SELECT * FROM sweep_outbox($1)", now)
            tenants = await connection.fetch("SELECT due_tenants($1)", now)
        return SweepResult(reopened, uncertain, tuple(row[0] for row in tenants))

    async def seal_journal(self) -> int:
        """In transactions of `JOURNAL_ENTRIES`, until what was there at the start is done."""
        total = 0
        async with statement_driver(self._engine) as connection:
            while chained := await connection.fetchval("SELECT seal_journal($1)", JOURNAL_ENTRIES):
                total += chained
                if chained < JOURNAL_ENTRIES:
                    break
        return total

    async def queue_age_s(self, now: datetime) -> float:
        async with statement_driver(self._engine) as connection:
            return float(await connection.fetchval("SELECT queue_age_s($1)", now))

    async def retrying(self, now: datetime) -> Retrying:
        async with statement_driver(self._engine) as connection:
            return Retrying(*await connection.fetchrow("SELECT * FROM retrying_total($1)", now))
