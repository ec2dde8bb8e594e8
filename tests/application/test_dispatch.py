"""Dispatch, reconciliation and the turn of a tenant over fakes that fail or die at each stage."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from demail_gateway.application.backoff import Backoff
from demail_gateway.application.dispatch import Dispatch
from demail_gateway.application.drain import Drain, DrainPolicy, Handler
from demail_gateway.application.hand_over import HandOverPolicy
from demail_gateway.application.ports.dispatches import CopyContent
from demail_gateway.application.ports.installation import SigningMaterial
from demail_gateway.application.ports.providers import HandOverReceipt, HandOverRequest
from demail_gateway.application.ports.submissions import NewRecipient
from demail_gateway.application.ports.work import WorkKind
from demail_gateway.application.reconcile import Reconcile
from demail_gateway.core.errors import (
    KeyUnavailable,
    ProviderOutcomeUnknown,
    ProviderRefused,
    ProviderUnavailable,
    StoreUnavailable,
)
from demail_gateway.core.vocabulary import RecipientKind
from tests.application.outbox_fake import (
    START,
    TENANT,
    Clock,
    FakeInstallation,
    FakeProvider,
    FakeSealer,
    Killed,
    Outbox,
    away,
)

POLICY = HandOverPolicy(Backoff(first_s=2.0, longest_s=30.0, give_up_s=100.0), settle_first_s=1.0, absence_s=2.0)


class Bench:
    """A worker over the fakes. `restart` is a new process over the same database and provider."""

    def __init__(self, lookup: bool = True, attempt_s: float = 240.0, quick_s: float = 60.0, **drain: object) -> None:
        self.clock = Clock()
        self.outbox = Outbox(self.clock)
        self.provider = FakeProvider(lookup)
        self.installation = FakeInstallation()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.policy = DrainPolicy(**drain)  # type: ignore[arg-type]
        self.hand_over = replace(POLICY, attempt_s=attempt_s, quick_s=quick_s)
        self.restart()

    def restart(self) -> None:
        shared = (self.outbox, self.installation, self.provider)
        observe = self.observe
        dispatch = Dispatch(*shared, FakeSealer(), self.clock, os.urandom, observe, self.hand_over)
        reconcile = Reconcile(*shared, self.clock, observe, self.hand_over)
        handlers: dict[WorkKind, Handler] = {WorkKind.DISPATCH: dispatch, WorkKind.RECONCILE: reconcile}
        self.drain = Drain(self.outbox, handlers, self.clock, observe, self.policy)

    def observe(self, event: str, /, **facts: object) -> None:
        self.events.append((event, facts))

    def named(self, event: str) -> list[dict[str, object]]:
        return [facts for name, facts in self.events if name == event]

    async def run_to_the_end(self, turns: int = 60) -> None:
        """Turns, the sweeper and the clock until nothing is due but slow rows, as a worker and a scheduler would do."""
        for _ in range(turns):
            while await self.drain(TENANT):
                pass
            self.outbox.sweep()
            due = self.outbox.next_due()
            if due is None or due - self.clock.now >= timedelta(seconds=POLICY.unsettled_s / 2):
                return
            self.clock.now = max(self.clock.now, due)
            self.outbox.sweep()
        raise AssertionError(f"rows left: {self.outbox.rows}")


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.clause("TR 01201-3.1 step 9")
async def test_copy_is_handed_over_once_and_its_end_recorded(bench: Bench) -> None:
    copy_id = bench.outbox.add()
    assert await bench.drain(TENANT) is False
    copy = bench.outbox.copies[copy_id]
    assert copy.state == "taken"
    assert list(copy.attempts.values()) == ["taken"]
    assert bench.outbox.rows == {}
    (request,) = bench.provider.requests
    assert request.envelope_recipients == ("b1@sandbox.de-mail.de",)
    assert request.octets == copy.octets
    assert b"x-de-mail-private-id: " + request.private_id.encode() in request.octets


async def test_attempt_is_on_record_before_the_first_smtp_octet(bench: Bench) -> None:
    copy_id = bench.outbox.add()

    def look(provider: FakeProvider, request: HandOverRequest) -> None:
        assert list(bench.outbox.copies[copy_id].attempts.values()) == [None]

    bench.provider.script = look
    await bench.drain(TENANT)
    assert bench.outbox.copies[copy_id].state == "taken"


@pytest.mark.parametrize(("quick_s", "together"), [(60.0, 8), (0.0, 2)])
async def test_attempts_open_at_a_time_are_few_and_with_a_slow_provider_as_many_as_connections(
    quick_s: float, together: int
) -> None:
    bench = Bench(quick_s=quick_s)
    for number in range(100):
        bench.outbox.add(number)
    await bench.drain(TENANT)
    assert sum(bench.provider.taken.values()) == 100
    assert bench.provider.most_under_way <= 4
    assert max(size for name, size in bench.outbox.calls if name == "begin") == together
    assert bench.outbox.uncertain_most <= 2 * together + 2 * 25
    finishes = [size for name, size in bench.outbox.calls if name == "finish"]
    assert len(finishes) <= 10


async def test_turn_ends_after_a_slice_and_asks_for_another() -> None:
    bench = Bench(claim=10, slice=20)
    for number in range(45):
        bench.outbox.add(number)
    assert [await bench.drain(TENANT) for _ in range(3)] == [True, True, False]
    assert sum(bench.provider.taken.values()) == 45


@pytest.mark.clause("SND-52")
async def test_unavailable_provider_is_tried_again_by_back_off_and_then_held(bench: Bench) -> None:
    def down(provider: FakeProvider, request: HandOverRequest) -> None:
        raise ProviderUnavailable("451 later")

    bench.provider.script = down
    copy_id = bench.outbox.add()
    waits = []
    for _ in range(30):
        await bench.drain(TENANT)
        due = bench.outbox.next_due()
        if due is None:
            break
        waits.append((due - bench.clock.now).total_seconds())
        bench.clock.now = due
    assert waits[0] <= 2.0
    assert all(earlier <= later * 1.26 for earlier, later in pairwise(waits))
    assert max(waits) <= 30.0
    assert 80 <= sum(waits) <= 140
    copy = bench.outbox.copies[copy_id]
    assert copy.held
    assert copy.state == "waiting"
    assert len(bench.named("hand_over_held")) == 1


async def test_provider_that_asks_for_more_patience_gets_it(bench: Bench) -> None:
    def busy(provider: FakeProvider, request: HandOverRequest) -> None:
        raise ProviderUnavailable("421 busy", retry_after=timedelta(seconds=77))

    bench.provider.script = busy
    bench.outbox.add()
    await bench.drain(TENANT)
    assert bench.outbox.next_due() == bench.clock.now + timedelta(seconds=77)


async def test_octets_are_the_same_on_every_attempt(bench: Bench) -> None:
    def twice(provider: FakeProvider, request: HandOverRequest) -> None:
        if len(provider.requests) <= 2:
            raise ProviderUnavailable("451 later")

    bench.provider.script = twice
    bench.outbox.add()
    await bench.run_to_the_end()
    assert len(bench.provider.requests) == 3
    assert all(len(octets) == 1 for octets in bench.provider.octets.values())


async def test_refused_copy_is_rejected_for_good(bench: Bench) -> None:
    def no(provider: FakeProvider, request: HandOverRequest) -> None:
        raise ProviderRefused("550 5.7.1 no")

    bench.provider.script = no
    copy_id = bench.outbox.add()
    await bench.drain(TENANT)
    assert bench.outbox.copies[copy_id].state == "refused"
    assert bench.outbox.copies[copy_id].replies == ["550 5.7.1 no"]
    assert bench.outbox.rows == {}


def two_recipients(content: CopyContent) -> tuple[NewRecipient, ...]:
    other = NewRecipient(UUID(int=6001), content.copy_id, RecipientKind.CC, 0, "zweite@sandbox.de-mail.de")
    return (*content.recipients, other)


async def test_recipient_refused_alone_is_named_by_its_id(bench: Bench) -> None:
    copy_id = bench.outbox.add()
    copy = bench.outbox.copies[copy_id]
    copy.content = replace(copy.content, recipients=two_recipients(copy.content))

    def one(provider: FakeProvider, request: HandOverRequest) -> HandOverReceipt:
        provider.take(request)
        return HandOverReceipt("250 ok", {"Zweite@sandbox.de-mail.de": "550 no"})

    bench.provider.script = one
    await bench.drain(TENANT)
    assert copy.state == "taken"
    assert copy.refused == {UUID(int=6001)}


async def test_recipient_refused_before_is_not_addressed_again(bench: Bench) -> None:
    copy_id = bench.outbox.add()
    copy = bench.outbox.copies[copy_id]
    copy.content = replace(copy.content, recipients=two_recipients(copy.content))
    copy.refused = {UUID(int=6001)}
    await bench.drain(TENANT)
    assert bench.provider.requests[0].envelope_recipients == ("b1@sandbox.de-mail.de",)


@pytest.mark.clause("SND-43")
async def test_unknown_outcome_is_settled_by_look_up_when_it_was_taken(bench: Bench) -> None:
    def drops(provider: FakeProvider, request: HandOverRequest) -> None:
        provider.take(request)
        raise ProviderOutcomeUnknown("connection lost")

    bench.provider.script = drops
    copy_id = bench.outbox.add()
    await bench.drain(TENANT)
    assert bench.outbox.copies[copy_id].state == "uncertain"
    assert bench.provider.lookups == 0, "not at once: the provider may still be at work"
    bench.clock.advance(POLICY.settle_first_s)
    await bench.drain(TENANT)
    assert bench.outbox.copies[copy_id].state == "taken"
    assert bench.provider.taken.total() == 1


@pytest.mark.clause("SND-43")
async def test_absence_counts_only_when_it_is_said_twice(bench: Bench) -> None:
    def lost(provider: FakeProvider, request: HandOverRequest) -> None:
        if len(provider.requests) == 1:
            raise ProviderOutcomeUnknown("connection lost")

    bench.provider.script = lost
    copy_id = bench.outbox.add()
    await bench.drain(TENANT)
    bench.clock.advance(POLICY.settle_first_s)
    await bench.drain(TENANT)
    assert len(bench.provider.requests) == 1
    bench.clock.advance(POLICY.absence_s - 0.1)
    await bench.drain(TENANT)
    assert bench.provider.lookups == 1
    bench.clock.advance(0.2)
    await bench.drain(TENANT)
    await bench.drain(TENANT)
    assert bench.provider.lookups == 2
    assert len(bench.provider.requests) == 2
    assert bench.outbox.copies[copy_id].state == "taken"


@pytest.mark.clause("SND-43")
async def test_late_arrival_between_two_questions_is_not_sent_again(bench: Bench) -> None:
    def slow_provider(provider: FakeProvider, request: HandOverRequest) -> None:
        raise ProviderOutcomeUnknown("timeout")

    bench.provider.script = slow_provider
    copy_id = bench.outbox.add()
    await bench.drain(TENANT)
    bench.clock.advance(POLICY.settle_first_s)
    await bench.drain(TENANT)
    bench.provider.take(bench.provider.requests[0])  # it had only been slow
    await bench.run_to_the_end()
    assert bench.outbox.copies[copy_id].state == "taken"
    assert bench.provider.taken.total() == 1


@pytest.mark.clause("SND-43")
async def test_without_look_up_an_unknown_outcome_waits_for_evidence_or_a_person() -> None:
    bench = Bench(lookup=False)

    def drops(provider: FakeProvider, request: HandOverRequest) -> None:
        provider.take(request)
        raise ProviderOutcomeUnknown("connection lost")

    bench.provider.script = drops
    copy_id = bench.outbox.add()
    await bench.run_to_the_end()
    assert bench.outbox.copies[copy_id].state == "uncertain"
    assert bench.provider.taken.total() == 1
    assert len(bench.named("hand_over_unsettled")) == 1
    assert bench.named("hand_over_held") == []
    for hours in (2, 3):
        bench.clock.advance(POLICY.unsettled_s)
        await bench.drain(TENANT)
        assert len(bench.named("hand_over_unsettled")) == hours, "nobody may forget it"
    assert len(bench.provider.requests) == 1


Answer = bool | type[Killed] | type[ProviderUnavailable]


def answers(bench: Bench, *given: Answer) -> list[timedelta]:
    """The provider loses the first hand-over and answers look-ups one after another; returns when they were asked."""
    asked: list[timedelta] = []

    def lost(provider: FakeProvider, request: HandOverRequest) -> None:
        if len(provider.requests) == 1:
            raise ProviderOutcomeUnknown("connection lost")

    async def look_up(connection: object, private_id: str) -> bool | None:
        answer = given[len(asked)]
        asked.append(bench.clock.now - START)
        if answer is Killed:
            raise Killed
        if isinstance(answer, bool):
            return answer
        raise ProviderUnavailable("HTTP 503")

    bench.provider.script = lost
    bench.provider.look_up = look_up  # type: ignore[method-assign]
    return asked


@pytest.mark.clause("SND-43")
async def test_first_absence_after_a_failed_look_up_does_not_count_as_the_second(bench: Bench) -> None:
    answers(bench, ProviderUnavailable, False, True)
    copy_id = bench.outbox.add()
    await bench.run_to_the_end()
    assert bench.outbox.copies[copy_id].state == "taken"
    assert len(bench.provider.requests) == 1


@pytest.mark.clause("SND-43")
@pytest.mark.parametrize("between", [(), (ProviderUnavailable,), (ProviderUnavailable,) * 3])
async def test_absence_said_twice_sends_once_whatever_failed_before_or_between(
    bench: Bench, between: tuple[Answer, ...]
) -> None:
    asked = answers(bench, ProviderUnavailable, False, *between, False)
    copy_id = bench.outbox.add()
    await bench.run_to_the_end()
    assert bench.outbox.copies[copy_id].state == "taken"
    assert len(bench.provider.requests) == 2
    assert asked[-1] - asked[1] >= timedelta(seconds=POLICY.absence_s)
    assert len(asked) == 3 + len(between)


@pytest.mark.clause("SND-43")
@pytest.mark.parametrize(
    "given", [(Killed, False, False), (False, Killed, False), (ProviderUnavailable, Killed, False, False)]
)
async def test_worker_killed_while_it_asks_neither_counts_nor_undoes_an_absence(
    bench: Bench, given: tuple[Answer, ...]
) -> None:
    asked = answers(bench, *given)
    copy_id = bench.outbox.add()
    await bench.drain(TENANT)
    while bench.outbox.copies[copy_id].state != "taken":
        assert len(asked) <= len(given)
        try:
            await bench.drain(TENANT)
        except Killed:
            bench.restart()
        due = bench.outbox.next_due()
        bench.clock.now = max(bench.clock.now, due or bench.clock.now)
        bench.outbox.sweep()
    absent = [at for at, answer in zip(asked, given, strict=True) if answer is False]
    assert len(absent) == 2
    assert absent[1] - absent[0] >= timedelta(seconds=POLICY.absence_s)
    assert len(bench.provider.requests) == 2


@pytest.mark.clause("SND-52")
async def test_hand_overs_that_are_always_cut_and_never_taken_are_held_in_the_end(bench: Bench) -> None:
    def cut(provider: FakeProvider, request: HandOverRequest) -> None:
        begun.append(bench.clock.now)
        raise ProviderOutcomeUnknown("connection lost")

    begun: list[datetime] = []
    bench.provider.script = cut
    copy_id = bench.outbox.add()
    await bench.run_to_the_end(turns=200)
    copy = bench.outbox.copies[copy_id]
    assert (copy.state, copy.held) == ("waiting", True)
    assert bench.outbox.rows == {}
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(begun)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == POLICY.backoff.longest_s
    assert begun[-1] - begun[0] >= timedelta(seconds=POLICY.backoff.give_up_s)
    assert len(bench.named("hand_over_held")) == 1


async def test_look_up_that_fails_is_asked_again_and_never_sent(bench: Bench) -> None:
    def drops(provider: FakeProvider, request: HandOverRequest) -> None:
        raise ProviderOutcomeUnknown("connection lost")

    async def down(connection: object, private_id: str) -> bool | None:
        raise ProviderUnavailable("HTTP 503")

    bench.provider.script = drops
    bench.provider.look_up = down  # type: ignore[method-assign]
    copy_id = bench.outbox.add()
    await bench.run_to_the_end()
    assert bench.outbox.copies[copy_id].state == "uncertain"
    assert len(bench.provider.requests) == 1


# --- a worker dies, the database goes, at every point ----------------------------------------------------------------


def killed_at(bench: Bench, when: str, call: str, nth: int) -> None:
    seen = 0

    def kill(name: str) -> None:
        nonlocal seen
        if name == call:
            seen += 1
            if seen == nth:
                bench.outbox.die()

    setattr(bench.outbox, when, kill)


POINTS = [(when, call) for call in ("claim", "begin", "finish") for when in ("before", "after")] + [("before", "load")]


@pytest.mark.clause("SND-43")
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize(("when", "call"), POINTS)
@pytest.mark.parametrize("lookup", [True, False])
async def test_worker_killed_around_any_commit_neither_loses_nor_doubles(
    when: str, call: str, nth: int, lookup: bool
) -> None:
    bench = Bench(lookup=lookup, claim=12, lease_s=30.0)
    ids = [bench.outbox.add(number) for number in range(30)]
    killed_at(bench, when, call, nth)
    try:
        while await bench.drain(TENANT):
            pass
    except Killed:
        pass
    bench.outbox.before = bench.outbox.after = lambda name: None
    bench.outbox.dead = False
    bench.restart()
    await bench.run_to_the_end()
    assert max(bench.provider.taken.values()) == 1, "doubled"
    states = {bench.outbox.copies[each].state for each in ids}
    if lookup:
        assert states == {"taken"}
        assert bench.provider.taken.total() == 30
    else:
        # uncertain ones are left to evidence or a person; nothing is forgotten
        assert states <= {"taken", "uncertain"}


@pytest.mark.clause("SND-43")
@pytest.mark.parametrize("taken_first", [True, False])
async def test_worker_killed_inside_smtp_neither_loses_nor_doubles(taken_first: bool) -> None:
    bench = Bench(lease_s=30.0)
    ids = [bench.outbox.add(number) for number in range(10)]

    def die(provider: FakeProvider, request: HandOverRequest) -> None:
        if bench.outbox.dead:
            raise Killed
        if provider.taken.total() == 2:
            if taken_first:
                provider.take(request)
            bench.outbox.die()

    bench.provider.script = die
    with pytest.raises(Killed):
        await bench.drain(TENANT)
    bench.outbox.dead = False
    bench.provider.script = lambda provider, request: None
    bench.restart()
    await bench.run_to_the_end()
    assert {bench.outbox.copies[each].state for each in ids} == {"taken"}
    assert set(bench.provider.taken.values()) == {1}


async def test_lease_that_was_lost_sends_nothing(bench: Bench) -> None:
    copy_id = bench.outbox.add()

    def lose(name: str) -> None:
        if name == "begin":
            for row in bench.outbox.rows.values():
                row.token = UUID(int=99)

    bench.outbox.before = lose
    await bench.drain(TENANT)
    assert bench.provider.requests == []
    assert bench.outbox.copies[copy_id].state == "waiting"


@pytest.mark.parametrize("call", ["claim", "load", "begin"])
async def test_database_that_is_away_before_hand_over_sends_nothing(bench: Bench, call: str) -> None:
    for number in range(40):
        bench.outbox.add(number)
    bench.outbox.before = away(call)
    with pytest.raises(StoreUnavailable):
        await bench.drain(TENANT)
    assert bench.provider.requests == []
    bench.outbox.before = lambda name: None
    await bench.run_to_the_end()
    assert bench.provider.taken.total() == 40


async def test_end_that_cannot_be_written_at_once_is_written_later(bench: Bench) -> None:
    copy_id = bench.outbox.add()
    failures = iter([True, True])

    def flaky(name: str) -> None:
        if name == "finish" and next(failures, False):
            raise StoreUnavailable

    bench.outbox.before = flaky
    await bench.drain(TENANT)
    assert bench.outbox.copies[copy_id].state == "taken"
    assert len(bench.named("store_away")) == 2


@pytest.mark.clause("TR 01201-3.1 step 9 FC-03")
async def test_hand_over_is_broken_off_before_its_lease_ends() -> None:
    bench = Bench(attempt_s=0.3)
    copy_id = bench.outbox.add()

    async def hang(request: HandOverRequest) -> HandOverReceipt:
        await asyncio.Event().wait()
        raise AssertionError

    bench.provider.hand_over = hang  # type: ignore[method-assign]
    async with asyncio.timeout(0.3):
        await bench.drain(TENANT)
    copy = bench.outbox.copies[copy_id]
    assert copy.state == "uncertain"
    assert copy.replies == ["lease at its end"]


async def test_unforeseen_error_after_the_beginning_is_uncertain(bench: Bench) -> None:
    def bug(provider: FakeProvider, request: HandOverRequest) -> None:
        raise ZeroDivisionError

    bench.provider.script = bug
    copy_id = bench.outbox.add()
    await bench.drain(TENANT)
    assert bench.outbox.copies[copy_id].state == "uncertain"


# --- composing -------------------------------------------------------------------------------------------------------


async def test_copy_that_cannot_be_composed_fails_and_the_others_go_on(bench: Bench) -> None:
    bad = bench.outbox.add(1, attachments=(("x", "not a type\r\n", b""),))
    good = bench.outbox.add(2)
    await bench.drain(TENANT)
    assert bench.outbox.copies[bad].state == "failed"
    assert bench.outbox.copies[bad].attempts == {}
    assert bench.outbox.copies[good].state == "taken"


async def test_copy_larger_than_45_mib_as_transmitted_fails(bench: Bench) -> None:
    copy_id = bench.outbox.add(1, attachments=(("x.bin", "application/octet-stream", bytes(35 << 20)),))
    await bench.drain(TENANT)
    assert bench.outbox.copies[copy_id].state == "failed"
    assert bench.outbox.copies[copy_id].replies == ["too-large"]


@pytest.mark.clause("TR 01201-3.1 step 6 FC-02")
async def test_missing_key_puts_a_signed_copy_off_and_fails_it_when_that_lasts(bench: Bench) -> None:
    copy_id = bench.outbox.add(1, sign=True)
    await bench.drain(TENANT)
    assert bench.provider.requests == []
    assert bench.outbox.copies[copy_id].state == "waiting"
    await bench.run_to_the_end()
    assert bench.outbox.copies[copy_id].state == "failed"
    assert set(bench.outbox.copies[copy_id].replies) == {"key-unavailable: tenant has no active S/MIME key"}
    assert len(bench.outbox.copies[copy_id].replies) < 20


async def test_key_that_comes_back_in_time_sends_the_copy(bench: Bench) -> None:
    copy_id = bench.outbox.add(1, sign=True)
    await bench.drain(TENANT)
    bench.installation.material = SigningMaterial(UUID(int=9), b"key", b"certificate", ())
    bench.restart()
    await bench.run_to_the_end()
    assert bench.outbox.copies[copy_id].state == "taken"
    assert b"multipart/signed" in bench.provider.requests[0].octets


async def test_key_is_asked_for_once_for_a_whole_batch(bench: Bench) -> None:
    bench.installation.material = SigningMaterial(UUID(int=9), b"key", b"certificate", ())
    for number in range(50):
        bench.outbox.add(number, sign=True)
    await bench.drain(TENANT)
    assert bench.provider.taken.total() == 50
    assert bench.installation.asked == 1


async def test_content_that_cannot_be_read_now_is_given_back(bench: Bench) -> None:
    copy_id = bench.outbox.add()

    def locked(name: str) -> None:
        if name == "load":
            raise KeyUnavailable

    bench.outbox.before = locked
    await bench.drain(TENANT)
    bench.outbox.before = lambda name: None
    await bench.run_to_the_end()
    assert bench.outbox.copies[copy_id].state == "taken"


async def test_row_whose_copy_is_gone_is_done(bench: Bench) -> None:
    copy_id = bench.outbox.add()
    del bench.outbox.copies[copy_id]
    await bench.drain(TENANT)
    assert bench.outbox.rows == {}


async def test_unknown_outcome_whose_content_cannot_be_read_now_is_settled_later(bench: Bench) -> None:
    def drops(provider: FakeProvider, request: HandOverRequest) -> None:
        provider.take(request)
        raise ProviderOutcomeUnknown("connection lost")

    bench.provider.script = drops
    copy_id = bench.outbox.add()
    await bench.drain(TENANT)

    def locked(name: str) -> None:
        if name == "load":
            raise KeyUnavailable

    bench.outbox.before = locked
    bench.clock.advance(POLICY.settle_first_s)
    await bench.drain(TENANT)
    assert bench.outbox.copies[copy_id].state == "uncertain"
    bench.outbox.before = lambda name: None
    await bench.run_to_the_end()
    assert bench.outbox.copies[copy_id].state == "taken"


async def test_unknown_outcome_of_a_copy_that_is_gone_is_done(bench: Bench) -> None:
    bench.outbox._row(WorkKind.RECONCILE, UUID(int=76), bench.clock.now)
    await bench.drain(TENANT)
    assert bench.outbox.rows == {}


# --- ending ----------------------------------------------------------------------------------------------------------


async def test_stop_finishes_what_is_begun_and_gives_the_rest_back() -> None:
    bench = Bench(claim=100)
    for number in range(100):
        bench.outbox.add(number)

    def stop(provider: FakeProvider, request: HandOverRequest) -> None:
        if provider.taken.total() == 5:
            bench.drain.stop()

    bench.provider.script = stop
    assert await bench.drain(TENANT) is False
    states = [copy.state for copy in bench.outbox.copies.values()]
    assert "uncertain" not in states
    assert 5 <= states.count("taken") <= 5 + 2 * 8
    assert all(row.token is None for row in bench.outbox.rows.values()), "every lease was given back"


async def test_failure_of_one_kind_does_not_stop_the_others(bench: Bench) -> None:
    bench.outbox.add()
    bench.outbox._row(WorkKind.RECEIVED, UUID(int=77), bench.clock.now)

    async def broken(work: object, leases: object) -> None:
        raise StoreUnavailable

    bench.drain._handlers[WorkKind.RECEIVED] = broken
    with pytest.raises(StoreUnavailable):
        await bench.drain(TENANT)
    assert bench.provider.taken.total() == 1


async def test_review_goes_to_the_database(bench: Bench) -> None:
    bench.outbox._row(WorkKind.REVIEW, UUID(int=78), bench.clock.now)
    await bench.drain(TENANT)
    assert ("review", 1) in bench.outbox.calls


async def test_hand_over_reports_the_trace_and_no_address(bench: Bench) -> None:
    bench.outbox.add()
    await bench.drain(TENANT)
    (facts,) = bench.named("hand_over_ended")
    assert facts["trace_id"] == "trace"
    assert facts["end"] == "taken"
    assert "@" not in str(bench.events)
    assert "Bescheid" not in str(bench.events)
