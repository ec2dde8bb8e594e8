"""A provider that cuts the line and answers no questions: the operator says how it ended (SND-43, SND-44)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from tests.journeys.installation import Installation, Json, until
from tests.journeys.people import CITIZENS, RECEIPT, Application, Sandbox

RECEIPT_ALONE = {"confirmation_of_receipt": True}
PROOF_AFTER_S = 16
"""Until then nothing but the operator knows anything."""


class Operator:
    def __init__(self, ready: Json) -> None:
        self._http = httpx.Client(base_url=ready["base_url"], timeout=30)
        credentials = (ready["operator"]["client_id"], ready["operator"]["client_secret"])
        token = self._http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=credentials).json()
        self._http.headers["Authorization"] = f"Bearer {token['access_token']}"

    def __call__(self, method: str, path: str, body: Json | None = None) -> Json:
        """JSON of a request that must succeed."""
        answer = self._http.request(method, f"/v1/operator/{path}", json=body)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def waiting(self, message_id: str) -> list[Json]:
        items: list[Json] = self("GET", f"queues/copies?message={message_id}")["items"]
        return items

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def operator(installation: Installation) -> Iterator[Operator]:
    """While it works, the provider answers no question about submissions."""
    made = Operator(installation.ready())
    (connection,) = made("GET", "connections")["items"]
    path = f"connections/{connection['id']}"
    made("PATCH", path, {"profile": {"lookup_url": None}})
    yield made
    made("PATCH", path, {"profile": {"lookup_url": connection["profile"]["lookup_url"]}})
    made.close()


@pytest.mark.clause("SND-43", "SND-44")
def test_an_operator_settles_what_nobody_can_and_proofs_still_count(
    operator: Operator, works: Application, sandbox: Sandbox
) -> None:
    addresses = {name: f"drops.{name}+{PROOF_AFTER_S}{CITIZENS}" for name in ("taken", "absent")}
    taken, absent = (works.send(address, options=RECEIPT_ALONE) for address in addresses.values())
    for message_id, outcome, state in ((taken, "taken", "submitted"), (absent, "not-taken", "queued")):
        (copy,) = until(partial(operator.waiting, message_id))
        assert (copy["reason"], copy["attempts"], copy["tenant"]) == ("unsettled", 1, works.slug)
        assert works.message(message_id)["state"] == "submitting"
        body = {"outcome": outcome, "attempts": 1, "reason": "Anruf beim Anbieter"}
        assert operator("POST", f"queues/{copy['id']}/settle", body)["state"] == state
    assert works.message(taken)["state"] == "submitted"
    # handed over once more, and cut off again: what was said of the first is not taken for the second
    (again,) = until(partial(operator.waiting, absent))
    assert again["attempts"] == 2
    for message_id in (taken, absent):
        assert works.when(message_id, "completed")["recipients"][0]["state"] == "delivered"
        assert {(item["kind"], item["verification"]["outcome"]) for item in works.evidence(message_id)} == {
            (RECEIPT, "passed")
        }
        assert operator.waiting(message_id) == []
    # the sandbox had taken both, whatever was said on the telephone: one De-Mail, and one handed over twice
    assert len(until(partial(sandbox.mailbox, addresses["taken"]))) == 1
    assert len(until(partial(sandbox.mailbox, addresses["absent"]), lambda copies: len(copies) > 1)) == 2
