"""Who may deliver to us: certificates that connections name, below the anchors of exactly that connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import Installation
from demail_gateway.application.remembered import Remembered
from demail_gateway.application.worker_services import PeerCertificate
from demail_gateway.core.errors import RuleViolation
from demail_gateway.providers.profile import ProviderProfile, parse_profile

_KEEP_S = 5.0
_FINGERPRINT_CHARS = 64


class ProfilePeers:
    """Meets `Peers` with the connections' profiles, remembered for five seconds.

    A fingerprint names one certificate and is enough by itself. A name could be certified by any authority that the
    listener trusts for any connection, so it counts only if `is_below` says that the certificate leads to the TLS
    anchors (PEM) of the connection that names it. Either way `is_revoked` has the last word (DIR-35).
    """

    def __init__(
        self,
        installation: Installation,
        is_below: Callable[[bytes, bytes], bool],
        is_revoked: Callable[[bytes, bytes], Awaitable[bool]],
    ) -> None:
        async def read(_: str) -> list[tuple[Connection, ProviderProfile]]:
            return _known(await installation.connections())

        self._connections = Remembered(read, _KEEP_S)
        self._is_below = is_below
        self._is_revoked = is_revoked

    async def connection_of(self, peer: PeerCertificate) -> Connection | None:
        """Raises StoreUnavailable."""
        for connection, profile in await self._connections("all"):
            try:
                anchors = await asyncio.to_thread(profile.tls_anchor_pem)
            except OSError:
                anchors = b""  # what cannot be read vouches for nobody
            if any(self._fits(peer, named, anchors) for named in profile.peers):
                return None if anchors and await self._is_revoked(peer.der, anchors) else connection
        return None

    def _fits(self, peer: PeerCertificate, named: str, anchors: bytes) -> bool:
        if len(named) == _FINGERPRINT_CHARS and named == peer.fingerprint:
            return True
        return bool(anchors) and named in peer.names and self._is_below(peer.der, anchors)


def _known(connections: tuple[Connection, ...]) -> list[tuple[Connection, ProviderProfile]]:
    known = []
    for connection in connections:
        try:
            known.append((connection, parse_profile(connection.profile)))
        except RuleViolation:
            continue  # a connection whose profile is faulty lets nobody in
    return [(connection, profile) for connection, profile in known if connection.active]
