"""Submit, Once and WakeUps where the API's tests do not reach: races, abandoned work, wake-ups."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import pytest

from demail_gateway.application.once import Once
from demail_gateway.application.ports.answers import IdempotencyKey, StoredAnswer
from demail_gateway.application.ports.reading import MessageView
from demail_gateway.application.ports.submissions import SenderContext
from demail_gateway.application.submission import Submission
from demail_gateway.application.submit import TRIES
from demail_gateway.application.wake import WakeUps
from demail_gateway.core.draft import DraftInput
from demail_gateway.core.errors import Conflict, RuleViolation, StoreUnavailable
from demail_gateway.tenancy.scope import TENANT_SCOPES, OperatorScope, TenantScope
from tests.fakes.gateway import Gateway
from tests.fakes.sending import MemoryAnswers, MemorySubmissions
from tests.fakes.world import World

KEY = IdempotencyKey("k", b"hash")


def render(view: MessageView) -> StoredAnswer:
    return StoredAnswer(202, str(view.id).encode(), None)


def scope_of(gateway: Gateway) -> TenantScope:
    return TenantScope(gateway.city.record.id, gateway.city.client_uuid, TENANT_SCOPES)


def submission(gateway: Gateway, subject: str = "Betreff") -> Submission:
    draft = DraftInput(sender=gateway.city.address, to=("a@sandbox.de-mail.de",), subject=subject, text="Text")
    return Submission(draft)


class Restless(MemorySubmissions):
    """A configuration that changes after each time it was read, `times` often."""

    def __init__(self, world: World, times: int) -> None:
        super().__init__(world)
        self._left = times

    async def context(self, scope: TenantScope, sender: str | None, now: datetime) -> SenderContext:
        found = await super().context(scope, sender, now)
        if self._left:
            self._left -= 1
            self._world.version += 1
        return found


@pytest.mark.parametrize("times", [1, TRIES - 1])
async def test_a_configuration_that_changes_meanwhile_is_read_again(times: int) -> None:
    gateway = Gateway()
    submit = gateway.make_submit(Restless(gateway.world, times))
    answer = await submit(scope_of(gateway), submission(gateway), KEY, render)
    assert not answer.replayed
    assert len(gateway.world.sent) == 1
    assert gateway.world.calls.count("context") == times + 1


async def test_a_configuration_that_never_stands_still_is_a_conflict_and_nothing_is_stored() -> None:
    gateway = Gateway()
    submit = gateway.make_submit(Restless(gateway.world, 100))
    with pytest.raises(Conflict, match="state-changed"):
        await submit(scope_of(gateway), submission(gateway), KEY, render)
    assert gateway.world.sent == {}


async def test_a_refusal_is_made_from_what_was_just_read() -> None:
    gateway = Gateway()
    submit = gateway.make_submit(MemorySubmissions(gateway.world))
    await submit(scope_of(gateway), submission(gateway), KEY, render)
    gateway.world.calls.clear()
    with pytest.raises(RuleViolation):
        await submit(scope_of(gateway), submission(gateway, subject=""), IdempotencyKey("2", b""), render)
    assert gateway.world.calls == ["context", "replay", "note_refusal"]


async def test_what_is_remembered_stays_bounded() -> None:
    gateway = Gateway()
    submit = gateway.make_submit(MemorySubmissions(gateway.world), remembered=3)
    for number in range(10):
        sender = f"nobody-{number}@stadt-elbtal.de-mail.de"
        draft = DraftInput(sender=sender, to=("a@sandbox.de-mail.de",), subject="s", text="t")
        with pytest.raises(RuleViolation):
            await submit(scope_of(gateway), Submission(draft), IdempotencyKey(str(number), b""), render)
    assert len(submit.situations) <= 3


# --- once


OPERATOR = OperatorScope(UUID(int=1))


async def test_work_that_is_cancelled_keeps_its_key_since_it_may_be_done() -> None:
    world = World()
    once = Once(MemoryAnswers(world), world.time)

    async def forever() -> StoredAnswer:
        await asyncio.Event().wait()
        raise AssertionError("never set")

    task = asyncio.create_task(once(OPERATOR, KEY, forever))
    while not world.answers:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [each.answer for each in world.answers.values()] == [None]


async def test_a_failure_is_told_although_its_key_cannot_be_freed() -> None:
    world = World(failing={"forget": StoreUnavailable()})
    once = Once(MemoryAnswers(world), world.time)

    async def fail() -> StoredAnswer:
        raise Conflict("slug-taken")

    with pytest.raises(Conflict, match="slug-taken"):
        await once(OPERATOR, KEY, fail)
    assert world.calls == ["reserve", "forget"]


# --- wake-ups


class SlowWaker:
    def __init__(self) -> None:
        self.woken: list[UUID] = []
        self.go_on = asyncio.Event()

    async def wake(self, tenant_id: UUID) -> None:
        self.woken.append(tenant_id)
        await self.go_on.wait()


async def test_wake_ups_while_one_is_under_way_become_one_more_afterwards() -> None:
    waker = SlowWaker()
    wake_ups = WakeUps(waker)
    one, two = UUID(int=1), UUID(int=2)
    wake_ups.soon(one)
    await asyncio.sleep(0)
    for _ in range(10):
        wake_ups.soon(one)
    wake_ups.soon(two)
    await asyncio.sleep(0)
    assert waker.woken == [one, two]
    waker.go_on.set()
    await wake_ups.settle()
    assert waker.woken == [one, two, one]
    wake_ups.soon(two)
    await wake_ups.settle()
    assert waker.woken[-1] == two
