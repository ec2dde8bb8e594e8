"""The tenants' keys in a process: kept, refreshed when they do not fit, gone when they are destroyed."""

from __future__ import annotations

import asyncio
import os

import pytest

from demail_gateway.core.errors import KeyUnavailable
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.envelope import MasterKey, MasterKeys, WrappedTenantKey
from demail_gateway.storage.reading import PostgresReading
from tests.storage.stage import NOW, Stage, Tenant


async def add_version(stage: Stage, tenant: Tenant, version: int) -> None:
    row = stage.master.new_tenant_key(tenant.id, version)
    async with stage.superuser() as connection:
        await connection.execute("INSERT INTO tenant_content_key VALUES ($1, $2, $3, $4, $5)", *row, NOW)


async def test_new_version_is_read_as_soon_as_it_is_met(stage: Stage, elbtal: Tenant) -> None:
    old = await stage.accept(elbtal)
    await add_version(stage, elbtal, 2)
    other_process = Stage(stage.database, stage.engine, stage.master)
    new = await other_process.accept(elbtal)
    for message in (old, new):
        for process in (stage, other_process):
            assert (await process.reading.message(elbtal.scope, message.id)).subject == message.subject
    versions = await stage.fetch("SELECT get_byte(dek, 4) FROM message ORDER BY 1")
    assert [row[0] for row in versions] == [1, 2]


async def test_keys_are_read_once_and_again_when_old(stage: Stage, elbtal: Tenant) -> None:
    kept = ContentKeys(stage.engine, stage.master)
    first = await kept.of(elbtal.id)
    assert await kept.of(elbtal.id) is first
    kept.forget(elbtal.id)
    assert await kept.of(elbtal.id) is not first
    short = ContentKeys(stage.engine, stage.master, keep_s=0)
    assert await short.of(elbtal.id) is not await short.of(elbtal.id)


@pytest.mark.clause("GWT-36")
async def test_destroyed_key_shreds_what_it_sealed(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    """A restored backup of the content without the key proves nothing to anybody (trap E21)."""
    message, foreign = await stage.accept(elbtal), await stage.accept(other)
    async with stage.superuser() as connection:
        await connection.execute("DELETE FROM tenant_content_key WHERE tenant_id = $1", elbtal.id)
    reading = PostgresReading(stage.engine, ContentKeys(stage.engine, stage.master))
    with pytest.raises(KeyUnavailable):
        await reading.message(elbtal.scope, message.id)
    assert (await reading.message(other.scope, foreign.id)).subject == foreign.subject


async def test_rotated_master_key_opens_everything(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    rotated = MasterKeys(MasterKey("2", os.urandom(32)), former=[stage.master._current])
    (row,) = await stage.fetch("SELECT tenant_id, version, master_key_id, wrapped FROM tenant_content_key")
    rewrapped = rotated.rewrap(WrappedTenantKey(*row))
    async with stage.superuser() as connection:
        await connection.execute(
            "UPDATE tenant_content_key SET master_key_id = $1, wrapped = $2", rewrapped.master_key_id, rewrapped.wrapped
        )
    alone = MasterKeys(rotated._current)
    reading = PostgresReading(stage.engine, ContentKeys(stage.engine, alone))
    assert (await reading.message(elbtal.scope, message.id)).subject == message.subject
    with pytest.raises(KeyUnavailable):
        await PostgresReading(stage.engine, ContentKeys(stage.engine, stage.master)).message(elbtal.scope, message.id)


async def test_first_use_of_many_tasks_does_not_exhaust_the_pool(stage: Stage, elbtal: Tenant) -> None:
    """No task waits for a second connection while it holds one."""
    message = await stage.accept(elbtal)
    stage.keys.forget(elbtal.id)
    cold = Stage(stage.database, stage.engine, stage.master)
    async with asyncio.timeout(8):
        views = await asyncio.gather(*(cold.reading.message(elbtal.scope, message.id) for _ in range(30)))
    assert {view.id for view in views} == {message.id}
