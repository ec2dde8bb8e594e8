"""A provider's side: handing over, look-up, recipients' certificates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from demail_gateway.application.ports.connections import Connection


@dataclass(frozen=True, slots=True)
class HandOverRequest:
    connection: Connection
    envelope_sender: str
    envelope_recipients: tuple[str, ...]
    octets: bytes
    private_id: str
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class HandOverReceipt:
    reply: str
    """The final 250 line."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Recipients refused for good (address → reply) while the others were taken."""


class Provider(Protocol):
    """One provider's submission side. Connections are kept and reused; TLS is mutual and checked (DIR-32)."""

    async def hand_over(self, request: HandOverRequest) -> HandOverReceipt:
        """Raises ProviderRefused, ProviderUnavailable or ProviderOutcomeUnknown, and no other provider error."""
        ...

    async def look_up(self, connection: Connection, private_id: str) -> bool | None:
        """True: taken; False: proven absent; None: this provider offers no look-up. Raises ProviderUnavailable."""
        ...

    async def recipient_certificates(
        self, connection: Connection, addresses: Sequence[str]
    ) -> Mapping[str, Sequence[bytes]]:
        """Certificates (DER) from the provider's directory, for addresses that have any; expired ones may be among them
        (DIR-51). Raises ProviderUnavailable."""
        ...

    async def close(self) -> None: ...
