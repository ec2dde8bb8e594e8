"""What a source of status answers gives, within bounds of size and time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from demail_gateway.application.revocation import RevocationSourceUnavailable


async def bounded_answer(
    client: httpx.AsyncClient, method: str, url: str, *, most_octets: int, longest_s: float, **request: Any
) -> bytes:
    """Body of an answer 200. `longest_s` is for all of it, so that nobody can hold us by sending a little at a time.

    Nothing is unpacked: answers are small or hardly compressible, and a few octets could become gigabytes.

    Raises:
        RevocationSourceUnavailable: another status, too long, too slow, not reachable, or the URL is none.
    """
    headers = {"accept-encoding": "identity", **request.pop("headers", {})}
    try:
        async with asyncio.timeout(longest_s), client.stream(method, url, headers=headers, **request) as response:
            if response.status_code != 200:
                raise RevocationSourceUnavailable(f"HTTP {response.status_code}")
            return await _body(response, most_octets)
    except TimeoutError as error:
        raise RevocationSourceUnavailable("too slow") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RevocationSourceUnavailable(type(error).__name__) from error


async def _body(response: httpx.Response, most_octets: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most_octets:
            raise RevocationSourceUnavailable("too long")
    return bytes(body)
