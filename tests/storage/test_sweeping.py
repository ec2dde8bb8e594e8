"""The journal's chain in the database, the feed's order, the queue's age."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from demail_gateway.application.ports.work import WorkKind
from demail_gateway.core.journal import chain_faults
from demail_gateway.storage.engine import operator_transaction, tenant_driver
from demail_gateway.storage.journal_intake import enter
from demail_gateway.storage.views import journal_item
from tests.storage.stage import NOW, Stage, Tenant, later

ODD = 'q"\\ \n\t\r\b\f\x01\x1f\x7f \u2028 ä€😀'


async def chains(stage: Stage) -> dict[Any, list[Any]]:
    """Exported entries by tenant, in order."""
    found: dict[Any, list[Any]] = defaultdict(list)
    async with operator_transaction(stage.engine) as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM journal ORDER BY seq")).mappings()
        for row in rows:
            found[row["tenant_id"]].append(journal_item(row))
    return found


@pytest.mark.clause("SND-100")
async def test_chain_of_each_tenant_holds_by_the_offline_rule(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    for tenant in (elbtal, other, elbtal):
        await stage.accept(tenant)
    async with operator_transaction(stage.engine) as connection:
        detail = {ODD: ODD, "b": "2", "a": 1, "ä": None, "Z": True}
        await enter(connection, NOW, ODD, "tenant.created", ODD, detail=detail)
        await enter(connection, later(microseconds=1), "cli", "x", "y", tenant_id=elbtal.id, detail={"k": ODD})
    assert await stage.sweeping.seal_journal() == 5
    await stage.accept(elbtal)
    assert await stage.sweeping.seal_journal() == 1
    assert await stage.sweeping.seal_journal() == 0
    found = await chains(stage)
    assert {tenant: [item["seq"] for item in items] for tenant, items in found.items()} == {
        None: [1],
        elbtal.id: [1, 2, 3, 4],
        other.id: [1],
    }
    for items in found.values():
        assert chain_faults(items) == ()


@pytest.mark.parametrize(
    ("harm", "finding"),
    [
        ("UPDATE journal SET actor = 'somebody' WHERE seq = 2", "changed"),
        ("""UPDATE journal SET detail = '{"a": "b"}' WHERE seq = 2""", "changed"),
        ("UPDATE journal SET at = at + interval '1 microsecond' WHERE seq = 2", "changed"),
        ("DELETE FROM journal WHERE seq = 2", "gap"),
    ],
)
async def test_harm_done_by_a_superuser_is_found(stage: Stage, elbtal: Tenant, harm: str, finding: str) -> None:
    for _ in range(3):
        await stage.accept(elbtal)
    await stage.sweeping.seal_journal()
    async with stage.superuser() as connection:
        await connection.execute(harm)
    assert finding in {fault.finding for fault in chain_faults((await chains(stage))[elbtal.id])}


async def test_sealers_at_once_make_one_chain(stage: Stage, elbtal: Tenant) -> None:
    for _ in range(12):
        await stage.accept(elbtal)
    assert sum(await asyncio.gather(*(stage.sweeping.seal_journal() for _ in range(4)))) == 12
    items = (await chains(stage))[elbtal.id]
    assert len(items) == 12
    assert chain_faults(items) == ()


async def test_details_of_the_journal_are_texts(stage: Stage, elbtal: Tenant) -> None:
    for detail in ('{"n": 1}', '{"o": {"a": "b"}}', '{"x": null}'):
        with pytest.raises(asyncpg.CheckViolationError):
            async with tenant_driver(stage.engine, elbtal.id) as connection:
                await connection.execute(
                    "INSERT INTO journal_intake (tenant_id, at, actor, action, object, detail)"
                    " VALUES ($1, $2, 'a', 'b', 'c', $3)",
                    elbtal.id,
                    NOW,
                    detail,
                )


async def test_age_of_the_queue_is_that_of_its_oldest_due_row(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    assert await stage.sweeping.queue_age_s(NOW) == 0.0
    await stage.accept(elbtal)
    await stage.accept(other)
    assert await stage.sweeping.queue_age_s(later(seconds=90)) == 90.0
    assert await stage.sweeping.queue_age_s(later(seconds=-90)) == 0.0
    for tenant in (elbtal, other):
        await stage.claim(tenant)
    assert await stage.sweeping.queue_age_s(later(seconds=90)) == 0.0


async def test_tenants_with_due_work_are_named(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await stage.accept(elbtal)
    swept = await stage.sweeping.sweep(NOW)
    assert (swept.reopened, swept.uncertain, swept.tenants) == (0, 0, (elbtal.id,))
    assert (await stage.sweeping.sweep(later(seconds=-1))).tenants == ()


async def test_two_sweepers_reopen_a_row_once(stage: Stage, elbtal: Tenant) -> None:
    for _ in range(10):
        await stage.accept(elbtal)
    await stage.claim(elbtal, WorkKind.DISPATCH)
    results = await asyncio.gather(*(stage.sweeping.sweep(later(minutes=5)) for _ in range(3)))
    assert sum(result.reopened for result in results) == 10


_FEED = """
SELECT id FROM event
 WHERE tenant_id = $1 AND (xact, position) > ($2, $3)
   AND xact < (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint
 ORDER BY xact, position
"""


async def test_feed_misses_no_event_of_a_transaction_that_commits_late(stage: Stage, elbtal: Tenant) -> None:
    """An id taken early and committed late appears behind what was read before, never in front (trap E8)."""
    insert = "INSERT INTO event (tenant_id, id, type, at) VALUES ($1, $2, 'x', $3)"
    read: list[Any] = []
    cursor = (0, 0)
    ids = [uuid4() for _ in range(4)]

    async def read_on() -> None:
        nonlocal cursor
        async with tenant_driver(stage.engine, elbtal.id) as connection:
            new = [row[0] for row in await connection.fetch(_FEED, elbtal.id, *cursor)]
            if new:
                cursor = await connection.fetchrow("SELECT xact, position FROM event WHERE id = $1", new[-1])
        read.extend(new)

    async with tenant_driver(stage.engine, elbtal.id) as slow:
        await slow.execute(insert, elbtal.id, ids[0], NOW)
        async with tenant_driver(stage.engine, elbtal.id) as quick:
            await quick.execute(insert, elbtal.id, ids[1], NOW)
        await read_on()
        assert read == [], "what is behind an open transaction waits"
        await slow.execute(insert, elbtal.id, ids[2], NOW)
    await read_on()
    async with tenant_driver(stage.engine, elbtal.id) as connection:
        await connection.execute(insert, elbtal.id, ids[3], NOW)
    await read_on()
    assert read == [ids[0], ids[2], ids[1], ids[3]]
