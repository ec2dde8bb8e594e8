"""Messages of one tenant that come at the same time share a commit.

Each request returns after the commit that holds its rows, so nothing is less durable; what is saved is the statement,
the round trip and the wait for the disk of every message but the first. A lone message goes at once. While a tenant's
commits are under way what arrives is collected for the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from demail_gateway.core.errors import NotFound, StoreUnavailable
from demail_gateway.storage.acceptance import Submitted, batch_arguments
from demail_gateway.storage.contents import ATTACHMENT, insert_contents
from demail_gateway.storage.engine import statement_driver, tenant_driver

BATCH = 64
AT_ONCE = 2
"""Commits of one tenant under way at the same time: one writes while the other waits for the disk."""
WAITING = 5000
"""Messages of one tenant that wait in this process; more are refused, to be sent again later."""

_ACCEPT = f"SELECT * FROM accept_messages({', '.join(f'${n}' for n in range(1, 56))})"  # noqa: S608  numbers alone


class _Waiting(NamedTuple):
    submitted: Submitted
    known: asyncio.Future[Any]


class GroupCommit:
    """Writes messages in batches. One per process and event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._tenants: dict[UUID, _Tenant] = {}

    async def accept(self, tenant_id: UUID, submitted: Submitted) -> Any:
        """None: stored now. Else what is known of its idempotency key, or that the configuration changed.

        Raises:
            NotFound: an upload is gone.
            StoreUnavailable: the database is away, or too many wait.
        """
        if submitted.large:
            return await self._accept_large(tenant_id, submitted)
        tenant = self._tenants.setdefault(tenant_id, _Tenant())
        if len(tenant.waiting) >= WAITING:
            raise StoreUnavailable("too many messages wait to be stored")
        known = asyncio.get_running_loop().create_future()
        tenant.waiting.append(_Waiting(submitted, known))
        if len(tenant.writers) < AT_ONCE:
            writer = asyncio.create_task(self._write(tenant_id, tenant))
            tenant.writers.add(writer)
            writer.add_done_callback(tenant.writers.discard)
        return await known

    async def _write(self, tenant_id: UUID, tenant: _Tenant) -> None:
        while batch := tenant.next_batch():
            await self._settle(tenant_id, batch)

    async def _settle(self, tenant_id: UUID, batch: Sequence[_Waiting]) -> None:
        """Every future of the batch gets its answer or its error, also when this task is cancelled."""
        try:
            known = await self._store(tenant_id, [each.submitted for each in batch])
        except BaseException as error:
            if len(batch) > 1 and not isinstance(error, StoreUnavailable | asyncio.CancelledError):
                # one of them is bad, and shall fail alone
                for each in batch:
                    await self._settle(tenant_id, [each])
                return
            for each in batch:
                if not each.known.done():
                    each.known.set_exception(_told(error))
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        for each in batch:
            if not each.known.done():
                each.known.set_result(known.get(each.submitted.message_id))

    async def _store(self, tenant_id: UUID, batch: Sequence[Submitted]) -> dict[UUID, Any]:
        values = batch_arguments(tenant_id, batch)
        async with statement_driver(self._engine) as connection:
            return {row["message_id"]: row for row in await connection.fetch(_ACCEPT, *values)}

    async def _accept_large(self, tenant_id: UUID, submitted: Submitted) -> Any:
        values = batch_arguments(tenant_id, [submitted])
        at = submitted.copies[0][-1]
        try:
            async with tenant_driver(self._engine, tenant_id) as connection:
                await insert_contents(connection, tenant_id, ATTACHMENT, submitted.large, at)
                known = await connection.fetchrow(_ACCEPT, *values)
                if known is not None:
                    raise _NotNew(known)
        except _NotNew as not_new:
            return not_new.known
        except asyncpg.NoDataFoundError as error:
            raise NotFound from error
        return None


class _Tenant:
    """What waits for one tenant, and who writes it."""

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self.writers: set[asyncio.Task[None]] = set()

    def next_batch(self) -> list[_Waiting]:
        """At most `BATCH` that still wait, in order, no idempotency key twice: its second asks after the first."""
        batch: list[_Waiting] = []
        keys: set[tuple[UUID | None, str]] = set()
        put_back: list[_Waiting] = []
        while self.waiting and len(batch) < BATCH:
            each = self.waiting.popleft()
            if each.known.done():
                continue  # its request was cancelled
            if each.submitted.key in keys:
                put_back.append(each)
                continue
            keys.add(each.submitted.key)
            batch.append(each)
        self.waiting.extendleft(reversed(put_back))
        return batch


class _NotNew(Exception):
    """Rolls back the contents of a submission that turned out not to be new."""

    def __init__(self, known: Any) -> None:
        super().__init__()
        self.known = known


def _told(error: BaseException) -> BaseException:
    if isinstance(error, asyncpg.NoDataFoundError):
        return NotFound()
    # a cancelled writer is a process that stops: whether the commit came through is not known
    return StoreUnavailable("stopped") if isinstance(error, asyncio.CancelledError) else error
