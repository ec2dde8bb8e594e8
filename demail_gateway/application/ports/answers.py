"""First answers of creating requests: the same key, the same answer (`contract.md` §3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from demail_gateway.tenancy.scope import OperatorScope, TenantScope


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    key: str
    request_sha256: bytes
    """Over the operation's name and the body, so that one key cannot stand for two different operations."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer to an idempotent request."""

    status: int
    body: bytes
    location: str | None


class AcceptResult(StrEnum):
    ACCEPTED = "accepted"
    REPLAYED = "replayed"
    """Same key, same request: `answer` holds the first answer."""
    REUSED = "reused"
    """Same key, another request: 422 ``idempotency-key-reused``."""
    STALE = "stale"
    """The sender's context has changed since it was read: read it again and examine again."""


@dataclass(frozen=True, slots=True)
class Accepted:
    result: AcceptResult
    answer: StoredAnswer | None = None


class Answers(Protocol):
    """First answers of creating requests other than sending, kept at least 72 h (`contract.md` §3).

    Sending keeps its own answer within `Submissions.accept`; keys of both share one space per client.
    """

    async def reserve(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, now: datetime) -> Accepted | None:
        """None: the key is new, and now this request's. Else REPLAYED with the answer, or REUSED.

        Raises Conflict('idempotency-in-progress') while the first request still runs; a reservation without an
        answer that is older than five minutes counts as abandoned and is taken over.
        """
        ...

    async def keep(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, answer: StoredAnswer) -> None:
        """Keeps the answer of a reserved key (sealed: it may hold a secret that is shown once).

        Nothing happens when an answer is kept already, or the key was taken over by another request.
        """
        ...

    async def forget(self, scope: TenantScope | OperatorScope, key: IdempotencyKey) -> None:
        """Frees a reserved key whose request was refused: it may be used again; else nothing, as with `keep`."""
        ...
