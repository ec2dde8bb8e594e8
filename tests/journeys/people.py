"""Who takes part: tenants' applications over REST, the operator, and the sandbox provider with its citizens."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Sequence
from typing import Any, Self

import httpx

from tests.journeys.installation import RESTART_S, Json, until

CITIZENS = "@sandbox.de-mail.de"
DISPATCH, RECEIPT, RETRIEVE = "confirmation of dispatch", "confirmation of receipt", "confirmation of retrieve"
WITH_DISPATCH_AND_RECEIPT = {"confirmation_of_dispatch": True, "confirmation_of_receipt": True}
WITH_ALL_PROOFS = {**WITH_DISPATCH_AND_RECEIPT, "confirmation_of_retrieve": True}
FINAL = ("completed", "rejected", "failed", "cancelled")


class Application:
    """A Fachverfahren with the credentials of one client; `scopes` narrows what its token may do."""

    def __init__(self, base_url: str, entry: Json, scopes: str | None = None) -> None:
        self._entry = entry
        self._scopes = scopes
        self.slug: str = entry["slug"]
        self.id: str = entry["id"]
        self.address: str = entry["addresses"][0]
        self._http = httpx.Client(base_url=base_url, timeout=30)
        self._http.headers["Authorization"] = f"Bearer {self._token()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def narrowed(self, scopes: str) -> Application:
        """The same client with a lesser token."""
        return Application(str(self._http.base_url), self._entry, scopes)

    def request(self, method: str, path: str, **words: Any) -> httpx.Response:
        """Below the tenant's path; a request that a restarted process cut off is made again."""
        deadline = time.monotonic() + RESTART_S
        while True:
            try:
                return self._http.request(method, f"/v1/tenants/{self.slug}/{path}", **words)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.25)

    def get(self, path: str, **params: Any) -> Any:
        """JSON of a request that must succeed."""
        answer = self.request("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def octets(self, path: str, **params: Any) -> bytes:
        answer = self.request("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.content

    def post(self, to: str | Sequence[str], *, key: str | None = None, **fields: Any) -> httpx.Response:
        """The answer to a De-Mail that may be refused; with dispatch and receipt unless `fields` say otherwise."""
        body: Json = {
            "from": self.address,
            "to": [to] if isinstance(to, str) else list(to),
            "subject": "Bescheid",
            "text": "Sehr geehrte Damen und Herren,\n\nanbei.\n",
            **fields,
        }
        if "profile" not in body:
            body.setdefault("options", WITH_DISPATCH_AND_RECEIPT)
        return self.request("POST", "messages", json=body, headers={"Idempotency-Key": key or secrets.token_hex(12)})

    def send(self, to: str | Sequence[str], **fields: Any) -> str:
        """Id of a De-Mail that was accepted."""
        answer = self.post(to, **fields)
        assert answer.status_code == 202, answer.text
        message_id: str = answer.json()["id"]
        assert answer.headers["location"] == f"/v1/tenants/{self.slug}/messages/{message_id}"
        return message_id

    def message(self, message_id: str) -> Json:
        found: Json = self.get(f"messages/{message_id}")
        return found

    def when(self, message_id: str, *states: str) -> Json:
        """The message once it is in one of `states`, by default a final one."""
        return until(lambda: self.message(message_id), lambda seen: seen["state"] in (states or FINAL))

    def evidence(self, message_id: str) -> list[Json]:
        items: list[Json] = self.get(f"messages/{message_id}/evidence?limit=200")["items"]
        return items

    def events(self, message_id: str) -> list[str]:
        return [event["type"] for event in self.get(f"messages/{message_id}/events?limit=200")["items"]]

    def inbox_item(self, subject: str) -> Json:
        """The inbound De-Mail with this subject, once it is there."""

        def look() -> list[Json]:
            return [item for item in self.get("inbox", limit=200)["items"] if item.get("subject") == subject]

        found = until(look)
        assert len(found) == 1
        return found[0]

    def _token(self) -> str:
        form = {"grant_type": "client_credentials"} | ({"scope": self._scopes} if self._scopes else {})
        credentials = (self._entry["client_id"], self._entry["client_secret"])
        answer = self._http.post("/oauth2/token", data=form, auth=credentials)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token


class Sandbox:
    """The provider's control surface."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)

    def close(self) -> None:
        self._http.close()

    def mailbox(self, address: str, folder: str = "inbox") -> list[Json]:
        """Every copy that was ever put into a citizen's mailbox."""
        answer = self._http.get(f"/mailbox/{address}", params={"folder": folder})
        assert answer.status_code == 200, answer.text
        items: list[Json] = answer.json()["items"]
        return items

    def write(self, sender: str, to: str, **fields: Any) -> Json:
        """A citizen writes; the answer of the sandbox."""
        answer = self._http.post("/mail", json={"from": sender, "to": [to], "text": "Guten Tag", **fields})
        assert answer.status_code == 201, answer.text
        written: Json = answer.json()
        return written

    def outage(self, seconds: float) -> None:
        assert self._http.post("/outage", json={"seconds": seconds}).is_success

    def crl(self) -> bytes:
        return self._http.get("/crl.der").content


def octets_of(item: Json, name: str = "raw") -> bytes:
    """Octets of a mailbox item or of one of its parts."""
    return base64.b64decode(item[name])


def parts_of(item: Json) -> dict[str, bytes]:
    """Files of a mailbox item by name."""
    return {part["filename"]: base64.b64decode(part["content"]) for part in item["parts"] if part["filename"]}


def as_attachment(filename: str, content_type: str, octets: bytes) -> Json:
    return {"filename": filename, "content_type": content_type, "content": base64.b64encode(octets).decode("ascii")}


def body_of(octets: bytes) -> bytes:
    """What follows the header section."""
    return octets.split(b"\r\n\r\n", 1)[1]


def kinds(evidence: Sequence[Json]) -> list[tuple[str, str]]:
    """Kind and outcome of each proof, in alphabetical order."""
    return sorted((item["kind"], item["verification"]["outcome"]) for item in evidence)
