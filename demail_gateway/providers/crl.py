"""Fetches revocation lists; they are signed, so plain http is usual and good enough."""

from __future__ import annotations

import httpx

from demail_gateway.providers.bounded_http import bounded_answer

_MOST_OCTETS = 32 << 20
_TIMEOUT_S = 20.0
"""Without a sign of life."""
_LONGEST_S = 120.0


class CrlFetcher:
    """`await fetcher(url)`: the octets behind it, or RevocationSourceUnavailable. Follows a few redirects."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=True, max_redirects=3, trust_env=False)

    async def __call__(self, url: str) -> bytes:
        return await bounded_answer(self._client, "GET", url, most_octets=_MOST_OCTETS, longest_s=_LONGEST_S)

    async def close(self) -> None:
        await self._client.aclose()
