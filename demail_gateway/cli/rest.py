"""A small REST client of the gateway for `dev` and `demo`: token by client credentials, then JSON."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

import httpx


class RestFailed(Exception):
    """The gateway refused; the message holds status and code."""


class Rest:
    """One client of the gateway. Use as an async context."""

    def __init__(self, base_url: str, client_id: str, client_secret: str) -> None:
        self._client = httpx.AsyncClient(base_url=base_url, timeout=30)
        self._credentials = (client_id, client_secret)
        self._token = ""
        self._good_until = 0.0

    async def __aenter__(self) -> Rest:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str, **params: Any) -> Any:
        return (await self._request("GET", path, params=params)).json()

    async def octets(self, path: str) -> bytes:
        return (await self._request("GET", path)).content

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """With an Idempotency-Key of its own."""
        return (await self._request("POST", path, json=body, headers={"Idempotency-Key": secrets.token_hex(16)})).json()

    async def upload(self, path: str, filename: str, content_type: str, octets: bytes) -> Any:
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        files = {"file": (filename, octets, content_type)}
        return (await self._request("POST", path, files=files, headers=headers)).json()

    async def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return (await self._request("PATCH", path, json=body)).json()

    async def put(self, path: str, body: Mapping[str, Any]) -> None:
        await self._request("PUT", path, json=body)

    async def _request(self, method: str, path: str, **words: Any) -> httpx.Response:
        headers = {**words.pop("headers", {}), "Authorization": f"Bearer {await self.token()}"}
        answer = await self._client.request(method, path, headers=headers, **words)
        if answer.is_error:
            raise RestFailed(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer

    async def token(self) -> str:
        """A bearer token that lives for another minute at least."""
        if time.monotonic() > self._good_until:
            answer = await self._client.post(
                "/oauth2/token", data={"grant_type": "client_credentials"}, auth=self._credentials
            )
            if answer.is_error:
                raise RestFailed(f"POST /oauth2/token: {answer.status_code} {answer.text[:500]}")
            document = answer.json()
            self._token = document["access_token"]
            self._good_until = time.monotonic() + document["expires_in"] - 60
        return self._token
