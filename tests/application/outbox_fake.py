"""The port `Dispatches` in memory, faithful in what hand-over rests on, and able to fail or die at each stage.

A worker's death is a `Killed` raised from a call: everything that was committed before stays, nothing after happens.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.dispatches import (
    AttemptBegin,
    AttemptEnd,
    AttemptOutcome,
    ClaimedCopy,
    CopyContent,
    HandOversSoFar,
)
from demail_gateway.application.ports.installation import KnownAnswer, SigningMaterial
from demail_gateway.application.ports.providers import HandOverReceipt, HandOverRequest
from demail_gateway.application.ports.submissions import NewRecipient
from demail_gateway.application.ports.work import Lease, WorkKind
from demail_gateway.core.errors import ProviderOutcomeUnknown, ProviderUnavailable, StoreUnavailable
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import AuthLevel, RecipientKind

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TENANT, CONNECTION = UUID(int=1), UUID(int=2)
PROFILE = {"connections": 4, "domains": ["de-mail.de"]}


class Killed(BaseException):
    """kill -9: no handler may run."""


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Row:
    id: UUID
    kind: WorkKind
    subject_id: UUID
    due_at: datetime
    tries: int = 0
    token: UUID | None = None
    leased_until: datetime | None = None


@dataclass
class Copy:
    content: CopyContent
    state: str = "waiting"
    octets: bytes | None = None
    attempts: dict[UUID, str | None] = field(default_factory=dict)
    replies: list[str] = field(default_factory=list)
    refused: set[UUID] = field(default_factory=set)
    held: bool = False
    begun_at: datetime | None = None
    absent_since: datetime | None = None
    """Of the last attempt."""


class Outbox:
    """Rows and copies; `before`/`after` are called with the name of each call and may raise."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: dict[UUID, Row] = {}
        self.copies: dict[UUID, Copy] = {}
        self.calls: list[tuple[str, int]] = []
        self.before: Callable[[str], None] = lambda call: None
        self.after: Callable[[str], None] = lambda call: None
        self.uncertain_most = 0
        self.dead = False
        """The process is gone: whatever else was under way in it does nothing any more."""

    def die(self) -> None:
        self.dead = True
        raise Killed

    def add(self, number: int = 1, **changes: object) -> UUID:
        content = replace(copy_content(number), **changes)  # type: ignore[arg-type]
        self.copies[content.copy_id] = Copy(content)
        self._row(WorkKind.DISPATCH, content.copy_id, self.clock.now)
        return content.copy_id

    async def claim(
        self, tenant_id: UUID, kinds: Sequence[WorkKind], now: datetime, limit: int, lease_s: float, worker: str
    ) -> list[Lease]:
        self._call("claim", 0)
        due = [row for row in self.rows.values() if row.token is None and row.due_at <= now and row.kind in kinds]
        leases = []
        for row in sorted(due, key=lambda row: row.due_at)[:limit]:
            row.token, row.leased_until = uuid4(), now + timedelta(seconds=lease_s)
            leases.append(Lease(row.id, row.kind, row.subject_id, row.token, row.tries, "trace"))
        self.after("claim")
        return leases

    async def load(self, tenant_id: UUID, leases: Sequence[Lease]) -> list[ClaimedCopy]:
        self._call("load", len(leases))
        loaded = []
        for lease in leases:
            if (copy := self.copies.get(lease.subject_id)) is not None:
                content = replace(copy.content, octets=copy.octets, refused=frozenset(copy.refused))
                so_far = HandOversSoFar(len(copy.attempts), copy.begun_at, copy.absent_since)
                loaded.append(ClaimedCopy(lease, content, so_far))
        return loaded

    async def begin(self, tenant_id: UUID, attempts: Sequence[AttemptBegin]) -> frozenset[UUID]:
        self._call("begin", len(attempts))
        held = set()
        for attempt in attempts:
            copy = self.copies[attempt.copy_id]
            if self._holds(attempt.lease) and copy.state == "waiting":
                assert copy.octets in (None, attempt.octets), "octets of a copy never change"
                copy.octets = attempt.octets
                copy.attempts[attempt.attempt_id] = None
                copy.begun_at, copy.absent_since = attempt.at, None
                copy.state = "uncertain"
                held.add(attempt.copy_id)
        uncertain = sum(None in copy.attempts.values() for copy in self.copies.values())
        self.uncertain_most = max(self.uncertain_most, uncertain)
        self.after("begin")
        return frozenset(held)

    async def finish(self, tenant_id: UUID, outcomes: Sequence[AttemptOutcome]) -> None:
        self._call("finish", len(outcomes))
        for outcome in outcomes:
            if self._holds(outcome.lease):
                self._end(outcome)
        self.after("finish")

    async def release(self, tenant_id: UUID, leases: Sequence[Lease], due_at: datetime) -> None:
        self._call("release", len(leases))
        for lease in leases:
            if self._holds(lease):
                row = self.rows[lease.work_id]
                row.token, row.leased_until, row.due_at = None, None, due_at

    async def done(self, tenant_id: UUID, lease: Lease) -> None:
        self._call("done", 1)
        if self._holds(lease):
            del self.rows[lease.work_id]

    async def review(self, tenant_id: UUID, lease: Lease, now: datetime) -> None:
        self._call("review", 1)
        del self.rows[lease.work_id]

    def sweep(self) -> None:
        """Leases that ran out: uncertain ones to reconciliation, the others open again (SND-43)."""
        for row in list(self.rows.values()):
            if row.leased_until is None or row.leased_until > self.clock.now:
                continue
            if row.kind is WorkKind.DISPATCH and self.copies[row.subject_id].state == "uncertain":
                self._next(row, WorkKind.RECONCILE, self.clock.now)
            else:
                row.token, row.leased_until, row.tries = None, None, row.tries + 1

    def next_due(self) -> datetime | None:
        moments = [row.leased_until or row.due_at for row in self.rows.values()]
        return min(moments, default=None)

    def _call(self, name: str, size: int) -> None:
        if self.dead:
            raise Killed
        self.calls.append((name, size))
        self.before(name)

    def _holds(self, lease: Lease) -> bool:
        row = self.rows.get(lease.work_id)
        return row is not None and row.token == lease.token

    def _end(self, outcome: AttemptOutcome) -> None:
        copy, row = self.copies[outcome.copy_id], self.rows[outcome.lease.work_id]
        if outcome.attempt_id is not None:
            copy.attempts[outcome.attempt_id] = outcome.end.value
        else:
            copy.attempts = {attempt: end or outcome.end.value for attempt, end in copy.attempts.items()}
        copy.replies.append(outcome.reply)
        if outcome.absent and copy.absent_since is None:
            copy.absent_since = outcome.at
        copy.refused |= set(outcome.refused_recipients)
        if outcome.end is AttemptEnd.UNAVAILABLE:
            copy.state, copy.held = "waiting", outcome.next_at is None
            self._next(row, WorkKind.DISPATCH, outcome.next_at, outcome.begun)
        elif outcome.end is AttemptEnd.UNKNOWN:
            copy.state = "uncertain"
            self._next(row, WorkKind.RECONCILE, outcome.next_at)
        else:
            copy.state = outcome.end.value
            del self.rows[row.id]

    def _next(self, row: Row, kind: WorkKind, due_at: datetime | None, begun: int = 0) -> None:
        del self.rows[row.id]
        if due_at is not None:
            self._row(kind, row.subject_id, due_at, row.tries + 1 if row.kind is kind else begun)

    def _row(self, kind: WorkKind, subject_id: UUID, due_at: datetime, tries: int = 0) -> None:
        row = Row(uuid4(), kind, subject_id, due_at, tries)
        self.rows[row.id] = row


class FakeProvider:
    """Counts what it took; `script` may raise or answer for a request; `lookup` says whether it has a look-up."""

    def __init__(self, lookup: bool = True) -> None:
        self.taken: Counter[str] = Counter()
        self.octets: dict[str, set[bytes]] = {}
        self.requests: list[HandOverRequest] = []
        self.lookup = lookup
        self.lookups = 0
        self.under_way = self.most_under_way = 0
        self.script: Callable[[FakeProvider, HandOverRequest], HandOverReceipt | None] = lambda provider, request: None

    async def hand_over(self, request: HandOverRequest) -> HandOverReceipt:
        self.requests.append(request)
        self.octets.setdefault(request.private_id, set()).add(request.octets)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            if (scripted := self.script(self, request)) is not None:
                return scripted
            self.take(request)
            return HandOverReceipt("250 taken")
        finally:
            self.under_way -= 1

    def take(self, request: HandOverRequest) -> None:
        self.taken[request.private_id] += 1

    async def look_up(self, connection: Connection, private_id: str) -> bool | None:
        self.lookups += 1
        return self.taken[private_id] > 0 if self.lookup else None

    async def recipient_certificates(
        self, connection: Connection, addresses: Sequence[str]
    ) -> dict[str, Sequence[bytes]]:
        return {}

    async def close(self) -> None: ...


class FakeInstallation:
    def __init__(self, material: SigningMaterial | None = None) -> None:
        self.material = material
        self.asked = 0

    async def connection(self, connection_id: UUID) -> Connection:
        return Connection(connection_id, "probe", AuthLevel.HIGH, PROFILE, True, START)

    async def connections(self) -> tuple[Connection, ...]:
        return (await self.connection(CONNECTION),)

    async def signing_material(self, tenant_id: UUID, purpose: str) -> SigningMaterial | None:
        self.asked += 1
        return self.material

    async def store_status_answer(self, *args: object) -> None: ...

    async def status_answers(self) -> tuple[KnownAnswer, ...]:
        return ()

    async def ping(self) -> None: ...


class FakeSealer:
    """A signature that names what it covers, and an encryption that anybody can read."""

    def sign(self, entity: bytes, material: SigningMaterial, at: datetime) -> tuple[bytes, str]:
        return b"signature over %d" % len(entity), "sha-256"

    def encrypt(
        self, entity: Sequence[bytes | memoryview], certificates: Sequence[bytes], at: datetime
    ) -> tuple[Sequence[bytes], str]:
        return [b"|".join([*certificates, b"".join(entity)])], "enveloped-data"

    def objection(self, certificate_der: bytes, at: datetime) -> str | None:
        return "certificate-expired" if certificate_der.startswith(b"ended") else None


def copy_content(number: int) -> CopyContent:
    copy_id = UUID(int=1000 + number)
    recipient = NewRecipient(UUID(int=5000 + number), copy_id, RecipientKind.TO, 0, f"b{number}@sandbox.de-mail.de")
    return CopyContent(
        tenant_id=TENANT,
        message_id=UUID(int=3000 + number),
        copy_id=copy_id,
        connection_id=CONNECTION,
        account_id=UUID(int=4),
        sender="poststelle@stadt.de-mail.de",
        account_holder="Stadt Elbtal",
        reply_to=None,
        subject="Bescheid",
        text="Grüße",
        html=None,
        options=SendOptions(confirmation_of_dispatch=True),
        sign=False,
        encrypt=False,
        split=False,
        recipient_certificates={},
        created_at=START,
        private_id=f"urn:uuid:{copy_id}",
        internet_message_id=f"<{number}@gateway.test>",
        recipients=(recipient,),
        refused=frozenset(),
        attachments=(),
        octets=None,
    )


def away(call: str) -> Callable[[str], None]:
    """The database is away for `call`."""

    def raise_for(name: str) -> None:
        if name == call:
            raise StoreUnavailable

    return raise_for


__all__ = ["Killed", "Outbox", "ProviderOutcomeUnknown", "ProviderUnavailable"]
