"""Fetches revocation lists; they are signed, so plain http is usual and good enough."""

from __future__ import annotations

import httpx

from demail_gateway.application.revocation import RevocationSourceUnavailable

_MOST_BYTES = 32 << 20
_TIMEOUT_S = 20.0


class CrlFetcher:
    """`await fetcher(url)`: the octets behind it, or RevocationSourceUnavailable. Follows a few redirects."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=True, max_redirects=3, trust_env=False)

    async def __call__(self, url: str) -> bytes:
        try:
            async with self._client.stream("GET", url) as response:
                if response.status_code != 200:
                    raise RevocationSourceUnavailable(f"HTTP {response.status_code}")
                return await _bounded(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RevocationSourceUnavailable(type(error).__name__) from error

    async def close(self) -> None:
        await self._client.aclose()


async def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise RevocationSourceUnavailable("too long")
    return bytes(body)
