"""Wake-ups through a real Redis server, and what happens when there is none."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from redis.asyncio import Redis

from demail_gateway.application.worker_services import QUEUE
from demail_gateway.waking.redis_waker import KEPT_S, RedisWaker, drain_message
from tests.providers.conftest import Events

TENANT, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def waker(redis_url: str, events: Events) -> AsyncIterator[RedisWaker]:
    made = RedisWaker(redis_url, os.urandom, events)
    yield made
    await made.close()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_tenant_waits_for_one_turn_however_often_it_is_woken(waker: RedisWaker, redis: Redis) -> None:
    await asyncio.gather(*(waker.wake(TENANT) for _ in range(20)))
    await waker.wake(OTHER)
    assert await redis.llen(QUEUE) == 2


async def test_after_the_turn_has_begun_the_next_commit_wakes_again(waker: RedisWaker, redis: Redis) -> None:
    await waker.wake(TENANT)
    await waker.begun(TENANT)
    await waker.wake(TENANT)
    assert await redis.llen(QUEUE) == 2


async def test_lost_wake_up_stands_in_the_way_for_seconds_only(waker: RedisWaker, redis: Redis) -> None:
    await waker.wake(TENANT)
    assert 0 < await redis.ttl(f"demail:wake:{TENANT}") <= KEPT_S


async def test_turns_are_taken_in_the_order_of_waking(waker: RedisWaker, redis: Redis) -> None:
    await waker.wake(TENANT)
    await waker.wake(OTHER)
    first = await redis.rpop(QUEUE)  # Celery takes from the right
    assert isinstance(first, bytes)
    assert json.loads(first)["headers"]["task"] == "demail.drain"
    assert str(TENANT) not in json.dumps(json.loads(first)["headers"])


async def test_flushed_redis_hinders_nothing(waker: RedisWaker, redis: Redis) -> None:
    await waker.wake(TENANT)
    await redis.delete(QUEUE, f"demail:wake:{TENANT}")
    await redis.script_flush()
    await waker.wake(TENANT)
    assert await redis.llen(QUEUE) == 1


async def test_redis_that_is_away_is_reported_and_nothing_is_raised(events: Events) -> None:
    waker = RedisWaker("redis://127.0.0.1:9/0", os.urandom, events)
    async with asyncio.timeout(5):
        await waker.wake(TENANT)
        await waker.begun(TENANT)
        with pytest.raises(OSError, match="does not answer"):
            await waker.ping()
    assert events.count("wake_failed") == 2
    await waker.close()


async def test_ping_answers(waker: RedisWaker) -> None:
    await waker.ping()


def test_each_message_is_a_task_of_its_own() -> None:
    first, second = (json.loads(drain_message(TENANT, os.urandom(16))) for _ in range(2))
    assert first["headers"]["id"] != second["headers"]["id"]
    assert first["body"] == second["body"]
