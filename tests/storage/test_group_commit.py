"""Messages that share a commit: each is answered for itself."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from uuid import uuid4

from demail_gateway.application.ports.answers import Accepted, AcceptResult, IdempotencyKey
from demail_gateway.application.ports.submissions import NewAttachment, NewMessage
from demail_gateway.core.errors import NotFound, StoreUnavailable
from demail_gateway.storage import group_commit
from tests.storage.stage import ANSWER, NOW, Stage, Tenant, new_message

MANY = 3 * group_commit.BATCH


async def accept(
    stage: Stage, tenant: Tenant, message: NewMessage, key: str, version: int, request: bytes = b"\1" * 32
) -> Accepted:
    return await stage.submissions.accept(tenant.scope, message, IdempotencyKey(key, request), ANSWER, version)


async def test_many_at_once_are_all_stored(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    """Every one whole, of both tenants, in far fewer transactions than messages."""
    octets = os.urandom(50)
    attachment = NewAttachment(1, "a", "b/c", 50, octets, None)
    messages = {t.id: [new_message(t, attachments=(attachment,)) for _ in range(MANY)] for t in (elbtal, other)}
    versions = {t.id: await stage.config_version(t) for t in (elbtal, other)}
    results = await asyncio.gather(
        *(
            accept(stage, tenant, message, str(uuid4()), versions[tenant.id])
            for n in range(MANY)
            for tenant in (elbtal, other)
            for message in [messages[tenant.id][n]]
        )
    )
    assert {result.result for result in results} == {AcceptResult.ACCEPTED}
    for tenant in (elbtal, other):
        leases = await stage.claim(tenant, limit=1000)
        copies = await stage.dispatches.load(tenant.id, leases)
        assert {c.content.message_id for c in copies} == {m.id for m in messages[tenant.id]}
        assert {c.content.attachments for c in copies} == {(("a", "b/c", octets),)}
    assert await stage.value("SELECT count(DISTINCT xact) FROM event") < MANY
    assert await stage.value("SELECT count(*) FROM journal_intake") == 2 * MANY


async def test_each_of_a_mixed_batch_gets_its_own_answer(stage: Stage, elbtal: Tenant) -> None:
    version = await stage.config_version(elbtal)
    await accept(stage, elbtal, new_message(elbtal), "known", version)
    other_answer = replace(ANSWER, body=b"another")
    first = asyncio.gather(*(accept(stage, elbtal, new_message(elbtal), f"w{n}", version) for n in range(2)))
    mixed = asyncio.gather(
        accept(stage, elbtal, new_message(elbtal), "known", version),
        accept(stage, elbtal, new_message(elbtal), "known", version, b"\2" * 32),
        accept(stage, elbtal, new_message(elbtal), "stale", version - 1),
        accept(stage, elbtal, new_message(elbtal), "new", version),
        stage.submissions.accept(
            elbtal.scope, new_message(elbtal), IdempotencyKey("twice", b"\1" * 32), other_answer, version
        ),
        accept(stage, elbtal, new_message(elbtal), "twice", version),
    )
    await first
    results = await mixed
    assert [result.result for result in results] == ["replayed", "reused", "stale", "accepted", "accepted", "replayed"]
    assert results[5].answer == other_answer
    assert await stage.value("SELECT count(*) FROM message") == 5


async def test_a_bad_one_fails_alone(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    version = await stage.config_version(elbtal)
    gone = NewAttachment(1, "a", "b/c", 3, None, uuid4())
    messages = [new_message(elbtal) for _ in range(12)]
    messages[5] = new_message(elbtal, attachments=(gone,))
    results = await asyncio.gather(
        *(accept(stage, elbtal, m, str(uuid4()), version) for m in messages), return_exceptions=True
    )
    assert [n for n, result in enumerate(results) if isinstance(result, NotFound)] == [5]
    assert await stage.value("SELECT count(*) FROM message") == 11
    assert await stage.value("SELECT count(*) FROM idempotency_key") == 11


async def test_large_and_small_go_side_by_side(stage: Stage, elbtal: Tenant) -> None:
    version = await stage.config_version(elbtal)
    large = NewAttachment(1, "a", "b/c", 600_000, os.urandom(600_000), None)
    messages = [new_message(elbtal, attachments=(large,) if n % 2 else ()) for n in range(6)]
    results = await asyncio.gather(
        *(accept(stage, elbtal, m, "k" if n < 2 else f"k{n}", version) for n, m in enumerate(messages))
    )
    assert sorted(result.result for result in results) == ["accepted"] * 5 + ["replayed"]
    assert await stage.value("SELECT count(*) FROM message") == 5


async def test_cancelled_request_is_not_stored_once_it_only_waits(stage: Stage, elbtal: Tenant) -> None:
    version = await stage.config_version(elbtal)
    tasks = [asyncio.create_task(accept(stage, elbtal, new_message(elbtal), f"k{n}", version)) for n in range(8)]
    await asyncio.sleep(0)
    for task in tasks[4:]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [False] * 4 + [True] * 4
    assert (await accept(stage, elbtal, new_message(elbtal), "k9", version)).result == "accepted"


async def test_away_database_is_told_to_all_that_wait(stage: Stage, elbtal: Tenant) -> None:
    version = await stage.config_version(elbtal)
    await stage.keys.of(elbtal.id)
    async with stage.superuser() as connection:
        await connection.execute(f'ALTER ROLE "{stage.database.app_role}" NOLOGIN')
        try:
            await stage.engine.dispose()
            results = await asyncio.gather(
                *(accept(stage, elbtal, new_message(elbtal, created_at=NOW), f"k{n}", version) for n in range(10)),
                return_exceptions=True,
            )
        finally:
            await connection.execute(f'ALTER ROLE "{stage.database.app_role}" LOGIN')
    assert {type(result) for result in results} == {StoreUnavailable}
    assert (await accept(stage, elbtal, new_message(elbtal), "k1", version)).result == "accepted"
