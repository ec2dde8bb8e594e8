"""Asks OCSP responders over HTTP (RFC 6960 appendix A); their answers are signed, so plain http is usual."""

from __future__ import annotations

import asyncio

import httpx

from demail_gateway.providers.bounded_http import bounded_answer

_MOST_OCTETS = 64 << 10
_TIMEOUT_S = 5.0
_LONGEST_S = 10.0
"""A proof waits for it; it is checked again later anyway."""
_AT_ONCE = 4


class OcspPoster:
    """`await post(url, request)`: the response's octets, or RevocationSourceUnavailable. Follows no redirect.

    Only so many requests are under way at once: what arrives must not make us a burden to a trust centre.
    """

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, url: str, request: bytes) -> bytes:
        async with self._slots:
            return await bounded_answer(
                self._client,
                "POST",
                url,
                most_octets=_MOST_OCTETS,
                longest_s=_LONGEST_S,
                content=request,
                headers={"content-type": "application/ocsp-request", "accept": "application/ocsp-response"},
            )

    async def close(self) -> None:
        await self._client.aclose()
