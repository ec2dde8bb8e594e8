"""Who calls, before any tenant is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from demail_gateway.tenancy.client_authentication import ClientAuthentication, PinnedCertificate
from demail_gateway.tenancy.scope import Scope


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """A client as the token endpoint and the access check need it."""

    id: UUID
    tenant_id: UUID | None
    """None: an operator's client."""
    tenant_slug: str | None
    scopes: frozenset[Scope]
    secret_sha256: bytes | None
    """None: the client has no secret."""
    active: bool
    locked_until: datetime | None
    """Growing lock after three wrong secrets in a row from one source (GWT-23)."""
    jwks: Mapping[str, Any] | None = None
    """Public keys of the client (RFC 7517)."""
    certificates: tuple[PinnedCertificate, ...] = ()
    methods: frozenset[ClientAuthentication] | None = None
    """What its tenant's policy permits (GWT-20); None: nothing is said, the installation's default holds."""


class Clients(Protocol):
    async def find(self, client_id: UUID, source: str, now: datetime) -> ClientRecord | None:
        """The client with the lock that holds for `source` (network address), before any tenant is known."""
        ...

    async def record_attempt(self, client_id: UUID, source: str, ok: bool, now: datetime) -> datetime | None:
        """Counts a check of credentials; returns until when the client is locked for `source`, or None."""
        ...

    async def use_assertion(self, client_id: UUID, jti_sha256: bytes, expires_at: datetime, now: datetime) -> bool:
        """Remembers a client's assertion until it ends; False: it has been used before."""
        ...
