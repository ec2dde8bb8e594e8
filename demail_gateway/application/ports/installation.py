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


class Installation(Protocol):
    async def connection(self, connection_id: UUID) -> Connection:
        """Raises NotFound."""
        ...

    async def connections(self) -> tuple[Connection, ...]: ...

    async def signing_material(self, tenant_id: UUID, purpose: str) -> SigningMaterial | None: ...

    async def store_crl(
        self,
        issuer_sha256: str,
        source: str,
        der: bytes,
        this_update: datetime,
        next_update: datetime | None,
        now: datetime,
    ) -> None: ...

    async def crls(self) -> tuple[bytes, ...]: ...

    async def ping(self) -> None:
        """Raises StoreUnavailable."""
        ...
