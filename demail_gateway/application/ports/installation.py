"""What workers and listeners need of the installation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from demail_gateway.application.ports.connections import Connection


@dataclass(frozen=True, slots=True)
class SigningMaterial:
    key_id: UUID
    pkcs8: bytes
    certificate_der: bytes
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class FetchedAnswer:
    """A revocation list or OCSP answer as its source gave it.

    A list's signature is checked where a certificate is judged by it; an OCSP answer's has been.
    """

    der: bytes
    issuer_sha256: str
    """SHA-256 over the name of the authority that it speaks for, lower-case hex."""
    this_update: datetime
    next_update: datetime | None


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """A stored answer, and when its source last gave it."""

    der: bytes
    fetched_at: datetime


class Installation(Protocol):
    async def connection(self, connection_id: UUID) -> Connection:
        """Raises NotFound."""
        ...

    async def connections(self) -> tuple[Connection, ...]: ...

    async def signing_material(self, tenant_id: UUID, purpose: str) -> SigningMaterial | None: ...

    async def store_status_answer(self, source: str, answer: FetchedAnswer, now: datetime) -> None:
        """Keeps the newest answer of a source; an older one never takes its place, so that none can be replayed.

        `source` names a list by its URL, an OCSP answer by the responder's URL and the certificate. Answers that no
        source has given again for a month go.
        """
        ...

    async def status_answers(self) -> tuple[KnownAnswer, ...]:
        """The answer last had from each source."""
        ...

    async def ping(self) -> None:
        """Raises StoreUnavailable."""
        ...
