"""What a provider answers over HTTPS to the connection's client certificate: sent items and the public directory."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from demail_gateway.core.errors import ProviderUnavailable
from demail_gateway.providers.certificates_answer import read_certificates
from demail_gateway.providers.profile import ProviderProfile

_ANSWER_BYTES = 1 << 20
_TIMEOUT_S = 20.0
"""A directory may take 20 s for its whole answer (TR 01201-1.1 §2.1, DIR-6)."""


class ProviderHttp:
    """Client of one connection; made when first asked."""

    def __init__(self, profile: ProviderProfile, tls: ssl.SSLContext | None) -> None:
        self._profile = profile
        self._tls = tls
        self._client: httpx.AsyncClient | None = None

    async def look_up(self, private_id: str) -> bool | None:
        """True: taken; False: the provider says 404; None: there is no look-up.

        Raises ProviderUnavailable for every other answer. Source: contract §4; SND-43.
        """
        if self._profile.lookup_url is None:
            return None
        url = f"{self._profile.lookup_url}/{quote(private_id, safe='')}"
        status, _ = await self._get(url)
        if status in (200, 404):
            return status == 200
        raise ProviderUnavailable(f"look-up: HTTP {status}")

    async def certificates(self, addresses: Sequence[str]) -> Mapping[str, Sequence[bytes]]:
        """Certificates of exactly these addresses (DIR-50); without a directory: none. Raises ProviderUnavailable."""
        found: dict[str, Sequence[bytes]] = {}
        if self._profile.directory_url is None:
            return found
        for address in addresses:
            status, body = await self._get(f"{self._profile.directory_url}?address={quote(address, safe='')}")
            if status == 200 and (ders := read_certificates(body, address)):
                found[address] = ders
            elif status not in (200, 404):
                raise ProviderUnavailable(f"directory: HTTP {status}")
        return found

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _get(self, url: str) -> tuple[int, bytes]:
        """Status and body. No redirects: the answer of somebody else proves nothing."""
        try:
            async with self._open().stream("GET", url, extensions=self._extensions(url)) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _ANSWER_BYTES:
                        raise ProviderUnavailable("answer too long")
                return response.status_code, bytes(body)
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"http: {type(error).__name__}") from error

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(verify=self._tls or True, timeout=_TIMEOUT_S, trust_env=False)
        return self._client

    def _extensions(self, url: str) -> dict[str, Any]:
        """The same machine as the mail server shows the same certificate, so the same name is asked for."""
        smtp = self._profile.smtp
        return {"sni_hostname": smtp.server_name} if urlsplit(url).hostname == smtp.host else {}
