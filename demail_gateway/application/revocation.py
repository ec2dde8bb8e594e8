"""Keeping the revocation lists of all connections fresh: without them no proof is decided (IN-26, DIR-35)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import FetchedAnswer, Installation
from demail_gateway.application.ports.surroundings import Clock, Observe
from demail_gateway.core.errors import CertificateMalformed

_RETRY_S = 15.0
_NEW_S = 1.0
"""How often connections are looked at for lists that were never fetched."""
_EARLIER = 0.2
"""Part of a list's remaining life that is left when the next one is fetched."""


class RevocationSourceUnavailable(Exception):
    """No list or answer was to be had; the text is the reason, for the operator."""


class RefreshRevocation:
    """Fetches every list that a connection names.

    `fetch` returns the octets behind a URL or raises RevocationSourceUnavailable; `read` reads DER or PEM or raises
    CertificateMalformed.
    """

    def __init__(
        self,
        installation: Installation,
        fetch: Callable[[str], Awaitable[bytes]],
        read: Callable[[bytes], FetchedAnswer],
        clock: Clock,
        observe: Observe,
        *,
        longest_s: float = 3600.0,
    ) -> None:
        self._installation = installation
        self._fetch = fetch
        self._read = read
        self._clock = clock
        self._observe = observe
        self._longest_s = longest_s
        self._due: dict[str, datetime] = {}

    async def __call__(self) -> float:
        """Fetches every list that is due; returns in how many seconds to look again, a second at most.

        Raises:
            StoreUnavailable: the database is away.
        """
        urls = _urls(await self._installation.connections())
        now = self._clock()
        for url in urls:
            if url not in self._due or self._due[url] <= now:
                self._due[url] = self._clock() + timedelta(seconds=await self._refresh(url))
        waits = [(self._due[url] - self._clock()).total_seconds() for url in urls]
        # a new connection's list is wanted at once: its first proofs are on their way
        return max(0.0, min([_NEW_S, *waits]))

    async def _refresh(self, url: str) -> float:
        now = self._clock()
        try:
            fresh = self._read(await self._fetch(url))
        except (RevocationSourceUnavailable, CertificateMalformed) as error:
            self._observe("crl_unavailable", source=url, error=type(error).__name__)
            return min(_RETRY_S, self._longest_s)
        await self._installation.store_status_answer(url, fresh, now)
        self._observe("crl_stored", source=url, octets=len(fresh.der))
        if fresh.next_update is None:
            return self._longest_s
        left_s = (fresh.next_update - now).total_seconds() * (1 - _EARLIER)
        # a list may be good for weeks; what was revoked since must be known within the day all the same (DIR-35)
        return max(min(left_s, self._longest_s), min(_RETRY_S, self._longest_s))


def _urls(connections: Sequence[Connection]) -> list[str]:
    """Of active connections, each once."""
    named = [connection.profile.get("crl_urls") for connection in connections if connection.active]
    lists = [urls for urls in named if isinstance(urls, list | tuple)]
    return [*dict.fromkeys(url for urls in lists for url in urls if isinstance(url, str))]
