"""Talking to the API as a tenant's client and as the operator, whatever stores the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from demail_gateway.tenancy.scope import Scope


@dataclass
class Kit:
    """A tenant with what its client needs."""

    id: str
    slug: str
    address: str
    client_id: str
    secret: str


class ApiClient:
    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.http = AsyncClient(transport=ASGITransport(app), base_url="http://gateway.test")
        self.operator_id, self.operator_secret = "", ""
        self.default: Kit | None = None
        """The tenant that is meant when none is named."""
        self._tokens: dict[tuple[str, frozenset[Scope] | None], str] = {}

    async def token(self, kit: Kit | None, *scopes: Scope) -> str:
        """A token of the tenant's client, or of the operator's; with `scopes`, or all."""
        client_id, secret = (kit.client_id, kit.secret) if kit else (self.operator_id, self.operator_secret)
        key = client_id, frozenset(scopes) or None
        if key not in self._tokens:
            form = {"grant_type": "client_credentials", **({"scope": " ".join(scopes)} if scopes else {})}
            answer = await self.http.post("/oauth2/token", data=form, auth=(client_id, secret))
            assert answer.status_code == 200, answer.text
            self._tokens[key] = answer.json()["access_token"]
        return self._tokens[key]

    def keep_token(self, client_id: str, token: str) -> None:
        """Lets `operate` act as this client of the operator."""
        self._tokens[client_id, None] = token
        self.operator_id = client_id

    async def call(self, method: str, path: str, *scopes: Scope, kit: Kit | None = None, **options: Any) -> Response:
        """A tenant's request; `path` is below its tenant."""
        kit = self._meant(kit)
        headers = {"Authorization": f"Bearer {await self.token(kit, *scopes)}", **options.pop("headers", {})}
        return await self.http.request(method, f"/v1/tenants/{kit.slug}/{path}", headers=headers, **options)

    async def operate(self, method: str, path: str, **options: Any) -> Response:
        headers = {"Authorization": f"Bearer {await self.token(None)}", **options.pop("headers", {})}
        return await self.http.request(method, f"/v1/operator/{path}", headers=headers, **options)

    async def send(self, key: str = "key-1", kit: Kit | None = None, **changes: Any) -> Response:
        """A submission that is right but for `changes`."""
        kit = self._meant(kit)
        body = draft(kit, **changes)
        return await self.call("POST", "messages", kit=kit, json=body, headers={"Idempotency-Key": key})

    def _meant(self, kit: Kit | None) -> Kit:
        chosen = kit or self.default
        assert chosen is not None, "no tenant yet"
        return chosen


def draft(kit: Kit, **changes: Any) -> dict[str, Any]:
    """The body of a right submission, with `changes`; `from_` stands for `from`."""
    return {
        "from": kit.address,
        "to": ["buergerin@sandbox.de-mail.de"],
        "subject": "Gewerbesteuerbescheid 2026",
        "text": "Sehr geehrte Frau Muster",
        **{name.removesuffix("_"): value for name, value in changes.items()},
    }
