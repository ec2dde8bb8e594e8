"""Wakes Celery workers through Redis: one round trip, without Celery in the way, and harmless when it fails.

The wake-up is a Celery task message (protocol version 2 in the envelope of kombu's Redis transport), pushed by the
same script that remembers that the tenant was woken. Celery's own `send_task` would block the event loop, and its
reconnecting would hold up a request while Redis is away. That a real worker understands the message is tested.
"""

from __future__ import annotations

import base64
import json
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from demail_gateway.application.ports.surroundings import Observe, Randomness
from demail_gateway.application.worker_services import DRAIN_TASK, QUEUE

KEPT_S = 5
"""How long a wake-up stands for others. It is taken back when its turn begins; only a lost one lasts that long."""
_TIMEOUT_S = 1.0
_WAKE = """
if redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then
  redis.call('LPUSH', KEYS[2], ARGV[2])
  return 1
end
return 0
"""


class RedisWaker:
    """Meets the port `Waker`. Belongs to the event loop that first uses it."""

    def __init__(self, url: str, randomness: Randomness, observe: Observe, *, queue: str = QUEUE) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),  # a connection that Redis closed while it was idle
        )
        self._script = self._redis.register_script(_WAKE)
        self._randomness = randomness
        self._observe = observe
        self._queue = queue

    async def wake(self, tenant_id: UUID) -> None:
        """Gives the tenant a turn unless one is waiting already. Never raises: the sweeper finds what was not woken."""
        message = drain_message(tenant_id, self._randomness(16), self._queue)
        try:
            await self._script(keys=[self._key(tenant_id), self._queue], args=[KEPT_S, message])
        except (RedisError, OSError) as error:
            self._observe("wake_failed", tenant=tenant_id, error=type(error).__name__)

    async def begun(self, tenant_id: UUID) -> None:
        """A turn begins: whatever is committed from now on needs a wake-up of its own. Call before the first claim."""
        try:
            await self._redis.delete(self._key(tenant_id))
        except (RedisError, OSError) as error:
            self._observe("wake_failed", tenant=tenant_id, error=type(error).__name__)

    async def ping(self) -> None:
        """Raises OSError when Redis does not answer."""
        try:
            await self._redis.ping()
        except RedisError as error:
            raise OSError("redis does not answer") from error

    async def close(self) -> None:
        await self._redis.aclose()

    def _key(self, tenant_id: UUID) -> str:
        return f"{self._queue}:wake:{tenant_id}"


def drain_message(tenant_id: UUID, random: bytes, queue: str = QUEUE) -> str:
    """The task "drain this tenant" as a Celery worker reads it from the list `queue`."""
    task_id = str(UUID(bytes=random, version=4))
    body = json.dumps([[str(tenant_id)], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    headers = {
        "lang": "py",
        "task": DRAIN_TASK,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "retries": 0,
        "eta": None,
        "expires": None,
        "timelimit": [None, None],
        "ignore_result": True,
    }
    properties = {
        "correlation_id": task_id,
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": task_id,
    }
    envelope = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
    }
    return json.dumps(envelope)
