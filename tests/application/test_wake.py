"""Wake-ups after commits: not twice at once, and none lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

from demail_gateway.application.wake import WakeUps

TENANT = UUID(int=1)


class Waker:
    """Commits something more while, or just after, the first wake-up goes out."""

    def __init__(self) -> None:
        self.woken = 0
        self.meanwhile: Callable[[], object] = lambda: None

    async def wake(self, tenant_id: UUID) -> None:
        self.woken += 1
        if self.woken == 1:
            self.meanwhile()


async def test_what_is_committed_meanwhile_is_woken_once_more() -> None:
    waker = Waker()
    wake_ups = WakeUps(waker)

    def more() -> None:
        for _ in range(3):
            wake_ups.soon(TENANT)

    waker.meanwhile = more
    wake_ups.soon(TENANT)
    await wake_ups.settle()
    assert waker.woken == 2


async def test_what_is_committed_just_when_a_wake_up_ends_is_woken() -> None:
    waker = Waker()
    wake_ups = WakeUps(waker)
    loop = asyncio.get_running_loop()
    # runs after the task has ended and before anybody has heard of its end
    waker.meanwhile = lambda: loop.call_soon(wake_ups.soon, TENANT)
    wake_ups.soon(TENANT)
    await wake_ups.settle()
    assert waker.woken == 2
