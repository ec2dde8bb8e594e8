"""Who may deliver to us: certificates that connections name, below the anchors of exactly that connection."""

from __future__ import annotations

from collections.abc import Callable

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
    anchors (PEM) of the connection that names it.
    """

    def __init__(self, installation: Installation, is_below: Callable[[bytes, bytes], bool]) -> None:
        async def read(_: str) -> list[tuple[Connection, ProviderProfile]]:
            return _known(await installation.connections())

        self._connections = Remembered(read, _KEEP_S)
        self._is_below = is_below

    async def connection_of(self, peer: PeerCertificate) -> Connection | None:
        for connection, profile in await self._connections("all"):
            if any(self._fits(peer, named, profile) for named in profile.peers):
                return connection
        return None

    def _fits(self, peer: PeerCertificate, named: str, profile: ProviderProfile) -> bool:
        if len(named) == _FINGERPRINT_CHARS and named == peer.fingerprint:
            return True
        if named not in peer.names:
            return False
        try:
            return self._is_below(peer.der, profile.tls_anchor_pem())
        except OSError:
            return False  # anchors that cannot be read vouch for nobody


def _known(connections: tuple[Connection, ...]) -> list[tuple[Connection, ProviderProfile]]:
    known = []
    for connection in connections:
        try:
            known.append((connection, parse_profile(connection.profile)))
        except RuleViolation:
            continue  # a connection whose profile is faulty lets nobody in
    return [(connection, profile) for connection, profile in known if connection.active]
