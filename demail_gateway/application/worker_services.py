"""What worker, scheduler and listener receive from `bootstrap`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from demail_gateway.application.drain import Drain
from demail_gateway.application.ports.arrivals import Arrivals
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.surroundings import Clock, Observe, Randomness, Waker
from demail_gateway.application.ports.work import Sweeping
from demail_gateway.application.revocation import RefreshRevocation

Close = Callable[[], Awaitable[None]]

QUEUE = "demail"
"""Celery's queue, a list in Redis."""
DRAIN_TASK = "demail.drain"
"""The one task: a turn of a tenant; its only argument is the tenant's id."""


class Turns(Waker, Protocol):
    """The queue of tenants' turns."""

    async def begun(self, tenant_id: UUID) -> None:
        """A turn begins: whatever is committed from now on needs a wake-up of its own."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerServices:
    drain: Drain
    turns: Turns
    observe: Observe
    close: Close
    """Ends database pool, provider connections and Redis, once nothing uses them any more."""


@dataclass(frozen=True, slots=True)
class SchedulerServices:
    sweeping: Sweeping
    waker: Waker
    refresh: RefreshRevocation
    clock: Clock
    observe: Observe
    close: Close


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What the TLS handshake proved of whoever delivers to us."""

    fingerprint: str
    """SHA-256 over the DER, lower-case hex."""
    names: frozenset[str]
    """Subject CN and DNS names, lower-cased."""
    der: bytes


class Peers(Protocol):
    async def connection_of(self, peer: PeerCertificate) -> Connection | None:
        """The active connection on which this certificate may deliver; None: nobody known.

        Raises:
            StoreUnavailable: the connections cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class InboundServices:
    arrivals: Arrivals
    peers: Peers
    waker: Waker
    clock: Clock
    randomness: Randomness
    observe: Observe
    close: Close
