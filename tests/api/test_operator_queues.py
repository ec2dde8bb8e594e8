"""The operator's queues over REST, and the operator's own clients."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from demail_gateway.application.ports.queues import WaitingCopy, WaitsFor
from demail_gateway.core.decision import Undecided
from demail_gateway.core.vocabulary import HandOver
from demail_gateway.tenancy.identifiers import Prefix, format_id, parse_id
from tests.fakes.client_keys import ec_key, jwk
from tests.fakes.gateway import Gateway
from tests.fakes.world import StandingStill


async def stuck(gateway: Gateway, reason: WaitsFor, attempts: int = 1) -> str:
    """A message of the city whose copy waits for a person; the copy's public id."""
    message_id = parse_id(Prefix.MESSAGE, (await gateway.send(str(len(gateway.world.sent)))).json()["id"])
    assert message_id is not None
    sent = gateway.world.sent[gateway.city.record.id, message_id]
    held = reason is WaitsFor.HELD
    copy = WaitingCopy(
        id=sent.message.copies[0].id,
        message_id=message_id,
        tenant_id=gateway.city.record.id,
        tenant_slug=gateway.city.slug,
        connection_id=gateway.connection.id,
        reason=reason,
        since=gateway.world.time.now,
        private_id=sent.message.copies[0].private_id,
        attempts=attempts,
        last_attempt_at=gateway.world.time.now,
        reply_code="451" if held else None,
        next_look_up_at=None if held else gateway.world.time.now,
    )
    known = Undecided(HandOver.WAITING if held else HandOver.UNCERTAIN, held, worker_at_it=False, attempts=attempts)
    gateway.world.standing_still[copy.id] = StandingStill(copy, known)
    return format_id(Prefix.COPY, copy.id)


async def settle(gateway: Gateway, copy: str, outcome: str, attempts: int = 1, key: str | None = None) -> Any:
    body = {"outcome": outcome, "attempts": attempts, "reason": "Anruf, Ticket 7"}
    headers = {} if key is None else {"Idempotency-Key": key}
    return await gateway.operate("POST", f"queues/{copy}/settle", json=body, headers=headers)


async def test_queues_show_numbers_and_copies_by_their_ids(gateway: Gateway) -> None:
    unsettled, held = await stuck(gateway, WaitsFor.UNSETTLED), await stuck(gateway, WaitsFor.HELD, attempts=9)
    totals = {each["tenant"]: each for each in (await gateway.operate("GET", "queues")).json()["items"]}
    assert (totals["stadt-elbtal"]["unsettled"], totals["stadt-elbtal"]["held"]) == (1, 1)
    assert totals["werke-elbtal"]["waiting_since"] is None
    listed = (await gateway.operate("GET", "queues/copies")).json()["items"]
    assert {each["id"] for each in listed} == {unsettled, held}
    one = (await gateway.operate("GET", f"queues/{held}")).json()
    assert one in listed
    assert (one["reason"], one["attempts"], one["reply_code"], one["tenant"]) == ("held", 9, "451", "stadt-elbtal")
    assert set(one) == {
        *("id", "message_id", "tenant_id", "tenant", "connection_id", "reason", "since", "attempts"),
        *("private_id", "last_attempt_at", "reply_code", "next_look_up_at"),
    }


async def test_copies_are_filtered_and_paged(gateway: Gateway) -> None:
    copies = [await stuck(gateway, WaitsFor.HELD) for _ in range(3)]
    await stuck(gateway, WaitsFor.UNSETTLED)

    async def found(query: str) -> list[str]:
        answer = await gateway.operate("GET", f"queues/copies?{query}")
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]]

    assert sorted(await found("reason=held")) == sorted(copies)
    assert len(await found(f"tenant={gateway.city.id}&connection=con_{gateway.connection.id}")) == 4
    assert await found(f"tenant={gateway.firm.id}") == []
    message = (await gateway.operate("GET", f"queues/{copies[0]}")).json()["message_id"]
    assert await found(f"message={message}") == [copies[0]]
    page = (await gateway.operate("GET", "queues/copies?limit=3")).json()
    assert len(await found(f"limit=3&cursor={page['next_cursor']}")) == 1
    for query, status in (("reason=tired", 422), ("tenant=stadt", 404), ("limit=0", 422), ("cursor=W10", 422)):
        assert (await gateway.operate("GET", f"queues/copies?{query}")).status_code == status, query


@pytest.mark.clause("SND-43")
async def test_settled_as_not_taken_wakes_the_worker_and_as_taken_nobody(gateway: Gateway) -> None:
    taken, absent = await stuck(gateway, WaitsFor.UNSETTLED), await stuck(gateway, WaitsFor.UNSETTLED)
    await gateway.services.settle()
    gateway.world.woken.clear()
    answer = await settle(gateway, taken, "taken")
    assert (answer.status_code, answer.json()["state"], answer.json()["hand_over"]) == (200, "submitted", "taken")
    await gateway.services.settle()
    assert gateway.world.woken == []
    answer = await settle(gateway, absent, "not-taken")
    assert (answer.json()["state"], answer.json()["id"]) == ("queued", absent)
    await gateway.services.settle()
    assert gateway.world.woken == [gateway.city.record.id]


@pytest.mark.clause("SND-52")
async def test_held_is_released_or_given_up(gateway: Gateway) -> None:
    first, second = await stuck(gateway, WaitsFor.HELD), await stuck(gateway, WaitsFor.HELD)
    released = await gateway.operate("POST", f"queues/{first}/release", json={"reason": "Störung behoben"})
    assert (released.status_code, released.json()["state"]) == (200, "queued")
    assert (await settle(gateway, second, "given-up")).json()["state"] == "failed"
    reasons = [entry["detail"]["reason"] for entry in gateway.world.journal if entry["action"] == "hand-over.decided"]
    assert reasons == ["Störung behoben", "Anruf, Ticket 7"]


async def test_what_does_not_fit_is_409_under_a_code_of_its_own(gateway: Gateway) -> None:
    unsettled, held = await stuck(gateway, WaitsFor.UNSETTLED), await stuck(gateway, WaitsFor.HELD)
    busy = await stuck(gateway, WaitsFor.UNSETTLED)
    uuid = UUID(busy.removeprefix("cpy_"))
    gateway.world.standing_still[uuid].undecided = Undecided(HandOver.UNCERTAIN, False, True, 1)
    release = await gateway.operate("POST", f"queues/{unsettled}/release", json={"reason": "x"})
    answers = [
        (release, "decision-not-fitting"),
        (await settle(gateway, held, "taken"), "decision-not-fitting"),
        (await settle(gateway, unsettled, "not-taken", attempts=2), "attempts-differ"),
        (await settle(gateway, busy, "not-taken"), "hand-over-in-progress"),
    ]
    await settle(gateway, unsettled, "taken")
    answers.append((await settle(gateway, unsettled, "not-taken"), "no-decision-needed"))
    for answer, code in answers:
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert "SND-" in answer.json()["rule"]


async def test_a_decision_under_a_key_is_made_once(gateway: Gateway) -> None:
    copy = await stuck(gateway, WaitsFor.UNSETTLED)
    first = await settle(gateway, copy, "not-taken", key="k")
    again = await settle(gateway, copy, "not-taken", key="k")
    assert (first.content, again.headers["idempotency-replayed"]) == (again.content, "true")
    assert (await settle(gateway, copy, "taken", key="k")).json()["code"] == "idempotency-key-reused"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"outcome": "taken"},
        {"outcome": "taken", "attempts": 1},
        {"outcome": "lost", "attempts": 1, "reason": "x"},
        {"outcome": "taken", "attempts": -1, "reason": "x"},
        {"outcome": "taken", "attempts": "1", "reason": "x"},
        {"outcome": "taken", "attempts": 1, "reason": ""},
        {"outcome": "taken", "attempts": 1, "reason": "a\nb"},
        {"outcome": "taken", "attempts": 1, "reason": "x" * 501},
        {"outcome": "taken", "attempts": 1, "reason": "x", "by": "me"},
    ],
)
async def test_a_decision_says_what_about_which_hand_overs_and_why(gateway: Gateway, body: dict[str, Any]) -> None:
    copy = await stuck(gateway, WaitsFor.UNSETTLED)
    answer = await gateway.operate("POST", f"queues/{copy}/settle", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert "decide" not in gateway.world.calls


async def test_only_the_operator_sees_and_settles(gateway: Gateway) -> None:
    copy = await stuck(gateway, WaitsFor.HELD)
    headers = {"Authorization": f"Bearer {await gateway.token(gateway.city)}"}
    for method, path in (("GET", "queues"), ("GET", "queues/copies"), ("POST", f"queues/{copy}/release")):
        answer = await gateway.http.request(method, f"/v1/operator/{path}", headers=headers, json={"reason": "x"})
        assert answer.status_code == 403
    for missing in ("cpy_x", f"msg_{copy[4:]}", "cpy_01990000-0000-7000-8000-000000000000"):
        assert (await gateway.operate("GET", f"queues/{missing}")).status_code == 404
        assert (await settle(gateway, missing, "taken")).status_code == 404


# --- the operator's own clients ---------------------------------------------------------------------------------------


async def test_operators_clients_are_listed_and_changed(gateway: Gateway) -> None:
    other = gateway.add_operator({"keys": [jwk(ec_key())]})
    listed = (await gateway.operate("GET", "clients")).json()["items"]
    assert {each["id"] for each in listed} == {gateway.operator_id, other}
    assert all(each["scopes"] == ["operator"] for each in listed)
    changed = await gateway.operate("PATCH", f"clients/{other}", json={"name": "Nachtdienst", "jwks": None})
    assert (changed.json()["name"], changed.json()["jwks"]) == ("Nachtdienst", None)
    assert (await gateway.operate("GET", f"clients/{other}")).json() == changed.json()


async def test_a_stopped_operators_token_ends_at_once(gateway: Gateway) -> None:
    assert (await gateway.operate("GET", "clients")).status_code == 200
    stopped = await gateway.operate("PATCH", f"clients/{gateway.operator_id}", json={"active": False})
    assert stopped.json()["active"] is False
    assert (await gateway.operate("GET", "clients")).status_code == 401


async def test_operators_and_tenants_clients_are_not_mixed_up(gateway: Gateway) -> None:
    base = f"tenants/{gateway.city.id}/clients"
    assert (await gateway.operate("PATCH", f"{base}/{gateway.operator_id}", json={"active": False})).status_code == 404
    assert (await gateway.operate("PATCH", f"clients/{gateway.city.client_id}", json={"name": "x"})).status_code == 404
    assert (await gateway.operate("GET", f"clients/{gateway.city.client_id}")).status_code == 404


@pytest.mark.parametrize("body", [{}, {"scopes": ["operator"]}, {"name": ""}, {"active": None}, {"jwks": {"keys": []}}])
async def test_what_is_no_change_of_an_operators_client_is_refused(gateway: Gateway, body: dict[str, Any]) -> None:
    answer = await gateway.operate("PATCH", f"clients/{gateway.operator_id}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
