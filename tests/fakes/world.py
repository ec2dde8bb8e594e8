"""A gateway's data in memory: faithful to the ports, small, and able to fail where a test says so."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from demail_gateway.application.ports.administration import (
    AccountRecord,
    AddressRecord,
    ClientSummary,
    KeyRecord,
    TenantRecord,
)
from demail_gateway.application.ports.answers import IdempotencyKey, StoredAnswer
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import KnownAnswer
from demail_gateway.application.ports.page import Page
from demail_gateway.application.ports.queues import WaitingCopy
from demail_gateway.application.ports.reading import EventView, EvidenceView, MessageView
from demail_gateway.application.ports.submissions import NewMessage, UploadFacts
from demail_gateway.core.decision import Undecided
from demail_gateway.core.errors import CursorInvalid
from demail_gateway.core.vocabulary import HandOver, MessageState
from demail_gateway.tenancy.identifiers import uuid7

T = TypeVar("T")
Owner = UUID | None


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


class Dice:
    """Octets that never repeat and look random enough: a counter through SHA-256 would hide a missing call."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(size, "big") if size >= 4 else bytes([self._count % 256] * size)


@dataclass
class Sent:
    message: NewMessage
    view: MessageView
    handed_over: dict[UUID, bytes] = field(default_factory=dict)
    """Octets per copy."""


@dataclass
class KeptAnswer:
    request_sha256: bytes
    answer: StoredAnswer | None
    at: datetime


@dataclass
class StandingStill:
    copy: WaitingCopy
    undecided: Undecided
    state: MessageState = MessageState.SUBMITTING

    @property
    def waits(self) -> bool:
        return self.undecided.held or self.undecided.hand_over is HandOver.UNCERTAIN


@dataclass
class World:
    """Everything there is; the fakes are views of it."""

    time: Time = field(default_factory=Time)
    dice: Dice = field(default_factory=Dice)
    version: int = 1
    tenants: dict[UUID, TenantRecord] = field(default_factory=dict)
    accounts: dict[UUID, AccountRecord] = field(default_factory=dict)
    addresses: dict[str, AddressRecord] = field(default_factory=dict)
    clients: dict[UUID, ClientSummary] = field(default_factory=dict)
    assertions: set[tuple[UUID, bytes]] = field(default_factory=set)
    secrets: dict[UUID, bytes | None] = field(default_factory=dict)
    senders: dict[tuple[UUID, UUID, str], tuple[frozenset[str] | None, int | None]] = field(default_factory=dict)
    keys: dict[UUID, KeyRecord] = field(default_factory=dict)
    material: dict[UUID, bytes] = field(default_factory=dict)
    connections: dict[UUID, Connection] = field(default_factory=dict)
    attempts: dict[tuple[UUID, str], tuple[int, datetime | None]] = field(default_factory=dict)
    uploads: dict[tuple[UUID, UUID], tuple[UploadFacts, bytes]] = field(default_factory=dict)
    sent: dict[tuple[UUID, UUID], Sent] = field(default_factory=dict)
    inbound: dict[tuple[UUID, UUID], tuple[MessageView, bytes]] = field(default_factory=dict)
    evidence: dict[tuple[UUID, UUID], list[tuple[EvidenceView, bytes]]] = field(default_factory=dict)
    certificates: tuple[bytes, ...] = ()
    status_answers: tuple[bytes, ...] = ()
    known_answers: dict[str, KnownAnswer] = field(default_factory=dict)
    events: dict[UUID, list[EventView]] = field(default_factory=dict)
    answers: dict[tuple[Owner, UUID, str], KeptAnswer] = field(default_factory=dict)
    journal: list[dict[str, Any]] = field(default_factory=list)
    woken: list[UUID] = field(default_factory=list)
    standing_still: dict[UUID, StandingStill] = field(default_factory=dict)
    """By copy: what waits, or has waited, for a person."""
    courts: frozenset[str] = frozenset()
    used: dict[UUID, dict[str, int]] = field(default_factory=dict)
    """Quota used, by account."""
    failing: dict[str, Exception] = field(default_factory=dict)
    """By the name of the port's method: raised instead of doing anything."""
    holding: dict[str, asyncio.Event] = field(default_factory=dict)
    """By the name of the port's method: it waits until the test lets it go on."""
    calls: list[str] = field(default_factory=list)

    def call(self, name: str) -> None:
        """Notes a call of a port, and fails where a test wants it."""
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]

    async def pause(self, name: str) -> None:
        """Waits where a test wants it."""
        if name in self.holding:
            await self.holding[name].wait()

    def changed(self, action: str, what: str, tenant_id: UUID | None, detail: Mapping[str, Any]) -> None:
        """A change of configuration: a new version and an entry of the journal."""
        self.version += 1
        number = sum(1 for entry in self.journal if entry["tenant_id"] == tenant_id) + 1
        entry = {"seq": number, "tenant_id": tenant_id, "action": action, "object": what, "detail": dict(detail)}
        self.journal.append(entry)

    def id(self) -> UUID:
        return uuid7(self.time.now, self.dice(10))


def page_of(items: list[T], limit: int, cursor: str | None, name: str) -> Page[T]:
    """A page behind `cursor`, which names its list and counts what came before."""
    start = 0
    if cursor is not None:
        start = _read_cursor(cursor, name)
    following = _cursor(name, start + limit) if len(items) > start + limit else None
    return Page(tuple(items[start : start + limit]), following)


def kept(world: World, owner: Owner, client_id: UUID, key: IdempotencyKey) -> KeptAnswer | None:
    return world.answers.get((owner, client_id, key.key))


def _cursor(name: str, start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([name, start]).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, name: str) -> int:
    try:
        found, start = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        raise CursorInvalid from None
    if found != name or not isinstance(start, int):
        raise CursorInvalid
    return start
