"""The operator's half: tenants, life cycle, accounts, addresses, clients, matrix, keys, connections, journal."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from demail_gateway.application.ports.answers import IdempotencyKey, StoredAnswer
from demail_gateway.core.errors import Conflict, StoreUnavailable
from demail_gateway.core.journal import chain_faults
from demail_gateway.tenancy.scope import OperatorScope
from tests.fakes.api_client import draft
from tests.fakes.gateway import Gateway

CONNECTION = {"name": "anbieter", "auth_level": "high", "profile": {"smtp": {"host": "h"}, "domains": ["de-mail.de"]}}
TENANT = {"slug": "kreis-elbe", "name": "Landkreis Elbe", "kind": "authority", "public_body": True}
PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


async def created(gateway: Gateway, path: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    answer = await gateway.operate("POST", path, json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_tenant_is_onboarded_by_rest_alone_until_it_sends(gateway: Gateway) -> None:
    connection = await created(gateway, "connections", CONNECTION)
    tenant = await created(gateway, "tenants", TENANT)
    base = f"tenants/{tenant['id']}"
    assert (tenant["state"], tenant["permissions"]) == ("interested", [])
    await created(
        gateway,
        f"{base}/accounts",
        {"connection_id": connection["id"], "holder": "Landkreis Elbe", "retrieval_entitlement": True},
    )
    await created(gateway, f"{base}/addresses", {"address": "Post@kreis-elbe.de-mail.de"})
    client = await created(gateway, f"{base}/clients", {"name": "Bau", "scopes": ["messages:send"]})
    assert client["client_id"] == client["id"]
    senders = f"{base}/senders/{client['id']}/post@kreis-elbe.de-mail.de"
    permitted = await gateway.operate("PUT", senders, json={"options": ["confirmation_of_receipt"]})
    assert permitted.json()["options"] == ["confirmation_of_receipt"]

    async def send(key: str, **changes: Any) -> dict[str, Any]:
        form = {"grant_type": "client_credentials"}
        asked = await gateway.http.post("/oauth2/token", data=form, auth=(client["client_id"], client["client_secret"]))
        headers = {"Authorization": f"Bearer {asked.json()['access_token']}", "Idempotency-Key": key}
        body = draft(gateway.city, from_="post@kreis-elbe.de-mail.de", **changes)
        answer = await gateway.http.post("/v1/tenants/kreis-elbe/messages", json=body, headers=headers)
        found: dict[str, Any] = answer.json()
        return found

    assert (await send("1"))["code"] == "account-state"
    await gateway.operate("PATCH", base, json={"permissions": ["send", "receive"]})
    for step in ("offered", "contracted", "account_applied", "account_active", "configured", "testing"):
        await step_with_all_its_items(gateway, base, step)
    assert (await send("2"))["state"] == "queued"
    assert (await send("3", options={"authoritative": True}))["errors"][0]["pointer"] == "/options/authoritative"
    assert (await gateway.operate("DELETE", senders)).status_code == 204
    assert (await send("4"))["code"] == "sender-not-authorised"


async def step_with_all_its_items(gateway: Gateway, base: str, to: str) -> None:
    refused = await gateway.operate("POST", f"{base}/transitions", json={"to": to, "reason": "progress"})
    assert (refused.status_code, refused.json()["code"]) == (409, "gate-not-met")
    missing = [error["pointer"].removeprefix("/evidence/") for error in refused.json()["errors"]]
    body = {"to": to, "reason": "progress", "evidence": dict.fromkeys(missing, "Akte 12")}
    taken = await gateway.operate("POST", f"{base}/transitions", json=body)
    assert (taken.status_code, taken.json()["state"]) == (200, to)


@pytest.mark.clause("GWT-61")
async def test_a_suspended_tenant_sends_nothing_and_goes_on_afterwards(gateway: Gateway) -> None:
    base = f"tenants/{gateway.city.id}"
    suspended = await gateway.operate("POST", f"{base}/transitions", json={"to": "suspended", "reason": "security"})
    assert suspended.json()["effects"] == {"sending": False, "polling": True, "portal": True}
    assert (await gateway.send("a")).json()["code"] == "account-state"
    await gateway.operate("POST", f"{base}/transitions", json={"to": "live", "reason": "progress"})
    assert (await gateway.send("b")).status_code == 202
    entries = [entry for entry in gateway.world.journal if entry["action"] == "tenant.changed"]
    assert entries[0]["detail"] == {"from": "live", "reason": "security", "evidence": []}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"to": "live", "reason": "progress"}, 409, "transition-not-allowed"),
        ({"to": "suspended", "reason": "progress"}, 409, "transition-reason"),
        ({"to": "paused", "reason": "progress"}, 422, "invalid-request"),
        ({"to": "suspended", "reason": "mood"}, 422, "invalid-request"),
        ({"to": "suspended", "reason": "security", "effects": {"lights": True}}, 422, "invalid-request"),
        ({"to": "suspended", "reason": "security", "evidence": "all"}, 422, "invalid-request"),
        ({}, 422, "invalid-request"),
    ],
)
async def test_impossible_steps_are_refused(gateway: Gateway, body: dict[str, Any], status: int, code: str) -> None:
    answer = await gateway.operate("POST", f"tenants/{gateway.city.id}/transitions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert gateway.world.tenants[gateway.city.record.id].state == "live"


async def test_creating_under_a_key_happens_once(gateway: Gateway) -> None:
    async def create(name: str = "Landkreis Elbe") -> Any:
        return await gateway.operate("POST", "tenants", json={**TENANT, "name": name}, headers={"Idempotency-Key": "k"})

    first, second = await create(), await create()
    assert (first.status_code, first.content) == (201, second.content)
    assert second.headers["idempotency-replayed"] == "true"
    assert first.headers["location"] == f"/v1/operator/tenants/{first.json()['id']}"
    assert (await create("anders")).json()["code"] == "idempotency-key-reused"
    without = await gateway.operate("POST", "tenants", json=TENANT)
    assert (without.status_code, without.json()["code"]) == (409, "slug-taken")


async def test_a_key_stands_for_one_operation(gateway: Gateway) -> None:
    body = {"name": "x", "scopes": ["messages:send"]}
    headers = {"Idempotency-Key": "k"}
    first = await gateway.operate("POST", f"tenants/{gateway.city.id}/clients", json=body, headers=headers)
    other = await gateway.operate("POST", f"tenants/{gateway.firm.id}/clients", json=body, headers=headers)
    assert (first.status_code, other.status_code, other.json()["code"]) == (201, 422, "idempotency-key-reused")


async def test_a_malformed_key_is_told_before_the_body_is_looked_at(gateway: Gateway) -> None:
    answer = await gateway.operate("POST", "tenants", json={}, headers={"Idempotency-Key": "a b"})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-invalid")


async def test_a_key_in_use_is_409_and_a_failed_request_frees_it(gateway: Gateway) -> None:
    release = gateway.world.holding["create_tenant"] = asyncio.Event()
    call = {"json": TENANT, "headers": {"Idempotency-Key": "k"}}
    await gateway.token(None)
    first = asyncio.create_task(gateway.operate("POST", "tenants", **call))
    while "reserve" not in gateway.world.calls:
        await asyncio.sleep(0)
    second = await gateway.operate("POST", "tenants", **call)
    assert (second.status_code, second.json()["code"]) == (409, "idempotency-in-progress")
    release.set()
    assert (await first).status_code == 201
    failed = {"json": {**TENANT, "name": "y"}, "headers": {"Idempotency-Key": "other"}}
    assert (await gateway.operate("POST", "tenants", **failed)).status_code == 409
    assert (await gateway.operate("POST", "tenants", **failed)).json()["code"] == "slug-taken"


@pytest.mark.parametrize("lost", [StoreUnavailable("commit"), RuntimeError("bug"), asyncio.CancelledError()])
async def test_a_request_that_may_have_been_done_keeps_its_key(gateway: Gateway, lost: BaseException) -> None:
    calls = []

    async def make() -> StoredAnswer:
        calls.append("written")
        if len(calls) == 1:
            raise lost
        return StoredAnswer(201, b"{}", None)

    scope, key = OperatorScope(gateway.connection.id), IdempotencyKey("k", b"1" * 32)
    once = gateway.services.once
    with pytest.raises(type(lost)):
        await once(scope, key, make)
    with pytest.raises(Conflict, match="idempotency-in-progress"):
        await once(scope, key, make)
    assert calls == ["written"]
    gateway.world.time.advance(minutes=5, seconds=1)
    assert (await once(scope, key, make)).stored.status == 201


async def test_an_abandoned_key_is_taken_over_after_five_minutes(gateway: Gateway) -> None:
    call = {"json": TENANT, "headers": {"Idempotency-Key": "k"}}
    assert (await gateway.operate("POST", "tenants", **call)).status_code == 201
    (kept,) = gateway.world.answers.values()
    kept.answer = None  # as if the process had died before it answered
    assert (await gateway.operate("POST", "tenants", **call)).json()["code"] == "idempotency-in-progress"
    gateway.world.time.advance(minutes=5, seconds=1)
    assert (await gateway.operate("POST", "tenants", **call)).json()["code"] == "slug-taken"


BAD_TENANTS: list[dict[str, Any]] = [
    {**TENANT, "slug": "Groß"},
    {**TENANT, "slug": ""},
    {**TENANT, "slug": "-a"},
    {**TENANT, "slug": "a\n"},
    {**TENANT, "slug": "a" * 64},
    {**TENANT, "name": ""},
    {**TENANT, "name": "a\x00b"},
    {**TENANT, "name": "a" * 201},
    {**TENANT, "kind": "firm"},
    {**TENANT, "public_body": "yes"},
    {**TENANT, "state": "live"},
    {"slug": "a"},
]


@pytest.mark.parametrize("body", BAD_TENANTS, ids=range(len(BAD_TENANTS)))
async def test_a_malformed_tenant_is_refused(gateway: Gateway, body: dict[str, Any]) -> None:
    answer = await gateway.operate("POST", "tenants", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert answer.json()["errors"]
    assert len(gateway.world.tenants) == 2


@pytest.mark.parametrize("unknown", ["ten_01990000-0000-7000-8000-000000000000", "x", "%00"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("POST", "/transitions", {"to": "offered", "reason": "progress"}),
        ("GET", "/accounts", None),
        ("GET", "/addresses", None),
        ("POST", "/addresses", {"address": "a@b.de-mail.de"}),
        ("GET", "/clients", None),
        ("POST", "/clients", {"name": "x", "scopes": ["messages:send"]}),
        ("GET", "/senders", None),
        ("GET", "/keys", None),
        ("POST", "/keys", {}),
    ],
)
async def test_an_unknown_tenant_is_404_everywhere(
    gateway: Gateway, unknown: str, method: str, path: str, body: Any
) -> None:
    answer = await gateway.operate(method, f"tenants/{unknown}{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_a_patch_changes_what_it_names_and_merges_the_policy(gateway: Gateway) -> None:
    path = f"tenants/{gateway.city.id}"
    await gateway.operate("PATCH", path, json={"policy": {"sign_by_default": True, "net_bytes": 1000}})
    changed = await gateway.operate("PATCH", path, json={"name": "Neu", "policy": {"net_bytes": None}})
    assert (changed.json()["name"], changed.json()["policy"]) == ("Neu", {"sign_by_default": True})
    assert changed.json()["public_body"] is True
    merge = {"content": b'{"public_body": false}', "headers": {"Content-Type": "application/merge-patch+json"}}
    assert (await gateway.operate("PATCH", path, **merge)).json()["public_body"] is False
    for bad in ({}, {"state": "closed"}, {"slug": "x"}, {"policy": {"x": 1}}, {"permissions": ["all"]}, {"name": None}):
        assert (await gateway.operate("PATCH", path, json=bad)).status_code == 422


# --- addresses and accounts


async def test_an_address_needs_an_account_and_one_owner(gateway: Gateway) -> None:
    path = f"tenants/{gateway.city.id}/addresses"
    made = await created(gateway, path, {"address": "Bauamt@stadt-elbtal.de-mail.de"})
    assert made["address"] == "bauamt@stadt-elbtal.de-mail.de"
    taken = await gateway.operate("POST", path, json={"address": gateway.firm.address})
    assert (taken.status_code, taken.json()["code"]) == (409, "address-taken")
    foreign = {"address": "x@stadt-elbtal.de-mail.de", "account_id": f"acc_{gateway.firm.account.id}"}
    assert (await gateway.operate("POST", path, json=foreign)).status_code == 404
    second = {"connection_id": f"con_{gateway.connection.id}", "holder": "Eigenbetrieb"}
    account = await created(gateway, f"tenants/{gateway.city.id}/accounts", second)
    ambiguous = await gateway.operate("POST", path, json={"address": "y@stadt-elbtal.de-mail.de"})
    assert (ambiguous.status_code, ambiguous.json()["code"]) == (409, "account-ambiguous")
    await created(gateway, path, {"address": "y@stadt-elbtal.de-mail.de", "account_id": account["id"]})


@pytest.mark.clause("ADR-33")
@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("Versandbestaetigung@stadt.de-mail.de", 409, "address-reserved"),
        ("pn_elbe@stadt.de-mail.de", 409, "address-reserved"),
        ("kein-at", 422, "recipient-invalid"),
        ("müller@stadt.de-mail.de", 422, "recipient-invalid"),
        ("a@b.de\r\nx", 422, "invalid-request"),
    ],
)
async def test_addresses_that_no_tenant_can_own_are_refused(
    gateway: Gateway, address: str, status: int, code: str
) -> None:
    answer = await gateway.operate("POST", f"tenants/{gateway.city.id}/addresses", json={"address": address})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.clause("ADR-50")
async def test_a_changed_account_state_stops_sending_at_once(gateway: Gateway) -> None:
    assert (await gateway.send("a")).status_code == 202
    path = f"tenants/{gateway.city.id}/accounts/acc_{gateway.city.account.id}"
    assert (await gateway.operate("PATCH", path, json={"state": "restricted"})).json()["state"] == "restricted"
    assert (await gateway.send("b")).json()["code"] == "account-state"
    other = f"tenants/{gateway.firm.id}/accounts/acc_{gateway.city.account.id}"
    assert (await gateway.operate("PATCH", other, json={"state": "active"})).status_code == 404


async def test_an_account_needs_a_connection_that_exists(gateway: Gateway) -> None:
    body = {"connection_id": "con_01990000-0000-7000-8000-000000000000", "holder": "x"}
    assert (await gateway.operate("POST", f"tenants/{gateway.city.id}/accounts", json=body)).status_code == 404


@pytest.mark.clause("SND-16")
async def test_an_account_of_no_public_body_is_not_entitled_to_retrieval_proofs(gateway: Gateway) -> None:
    path = f"tenants/{gateway.firm.id}/accounts/acc_{gateway.firm.account.id}"
    refused = await gateway.operate("PATCH", path, json={"retrieval_entitlement": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "entitlement-needs-public-body")
    wanted = {"confirmation_of_retrieve": True, "private": True}
    assert (await gateway.send("a", options=wanted)).status_code == 202
    await gateway.operate("PATCH", f"tenants/{gateway.city.id}", json={"public_body": False})
    assert (await gateway.send("b", options=wanted)).json()["code"] == "retrieval-proof-not-permitted"


# --- clients and the matrix


async def test_a_clients_secret_is_shown_once(gateway: Gateway) -> None:
    path = f"tenants/{gateway.city.id}/clients"
    client = await created(gateway, path, {"name": "Bau", "scopes": ["messages:send", "messages:read"]})
    assert len(client["client_secret"]) >= 43
    listed = (await gateway.operate("GET", path)).json()["items"]
    assert client["id"] in [item["id"] for item in listed]
    assert all("client_secret" not in item for item in listed)
    stored = repr(gateway.world.secrets) + repr(gateway.world.journal)
    assert client["client_secret"] not in stored


@pytest.mark.parametrize("scopes", [["operator"], ["all"], [], "messages:send"])
async def test_a_tenants_client_gets_no_other_scopes_than_a_tenants(gateway: Gateway, scopes: Any) -> None:
    answer = await gateway.operate("POST", f"tenants/{gateway.city.id}/clients", json={"name": "x", "scopes": scopes})
    assert answer.status_code == 422


async def test_clients_are_stopped_and_their_scopes_changed(gateway: Gateway) -> None:
    path = f"tenants/{gateway.city.id}/clients/{gateway.city.client_id}"
    changed = await gateway.operate("PATCH", path, json={"active": False, "scopes": ["inbox:read"]})
    assert (changed.json()["active"], changed.json()["scopes"]) == (False, ["inbox:read"])
    foreign = f"tenants/{gateway.firm.id}/clients/{gateway.city.client_id}"
    assert (await gateway.operate("PATCH", foreign, json={"active": True})).status_code == 404


@pytest.mark.clause("GWT-30")
async def test_the_matrix_knows_only_own_clients_addresses_and_options(gateway: Gateway) -> None:
    base = f"tenants/{gateway.city.id}/senders"
    mine = f"{base}/{gateway.city.client_id}/{gateway.city.address}"
    assert (await gateway.operate("PUT", mine, json={"options": None, "quota_per_day": 5})).status_code == 200
    (row,) = (await gateway.operate("GET", base)).json()["items"]
    assert (row["options"], row["quota_per_day"]) == (None, 5)
    for path in (
        f"{base}/{gateway.firm.client_id}/{gateway.city.address}",
        f"{base}/{gateway.city.client_id}/{gateway.firm.address}",
    ):
        assert (await gateway.operate("PUT", path, json={})).status_code == 404
        assert (await gateway.operate("DELETE", path)).status_code == 404
    for bad in ({"options": ["read"]}, {"quota_per_day": -1}, {"quota_per_day": 2**31}, {"x": 1}):
        assert (await gateway.operate("PUT", mine, json=bad)).status_code == 422


# --- keys


async def test_a_key_is_requested_certified_and_replaced(gateway: Gateway) -> None:
    path = f"tenants/{gateway.city.id}/keys"
    first = await created(gateway, path, {})
    assert (first["state"], first["certificate"]) == ("requested", None)
    assert gateway.city.address in first["csr"]
    wrong = await gateway.operate("PUT", f"{path}/{first['id']}/certificate", json={"certificate": PEM.format("other")})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "certificate-key-mismatch")
    right = await gateway.operate(
        "PUT", f"{path}/{first['id']}/certificate", json={"certificate": PEM.format("rsa-3072-1")}
    )
    assert (right.status_code, right.json()["state"]) == (200, "active")
    second = await created(gateway, path, {"algorithm": "p256"})
    await gateway.operate("PUT", f"{path}/{second['id']}/certificate", json={"certificate": PEM.format("p256-2")})
    states = {item["id"]: item["state"] for item in (await gateway.operate("GET", path)).json()["items"]}
    assert states == {first["id"]: "retired", second["id"]: "active"}
    again = await gateway.operate(
        "PUT", f"{path}/{first['id']}/certificate", json={"certificate": PEM.format("rsa-3072-1")}
    )
    assert (again.status_code, again.json()["code"]) == (409, "state-changed")


async def test_no_answer_and_no_journal_holds_a_private_key(gateway: Gateway) -> None:
    path = f"tenants/{gateway.city.id}/keys"
    made = await created(gateway, path, {})
    assert "private" not in json.dumps(made).lower()
    assert b"rsa-3072-1" in gateway.world.material.values()


@pytest.mark.parametrize("body", [{"algorithm": "rsa-1024"}, {"address": "x\n"}, {"x": 1}])
async def test_malformed_key_requests_are_refused(gateway: Gateway, body: dict[str, Any]) -> None:
    assert (await gateway.operate("POST", f"tenants/{gateway.city.id}/keys", json=body)).status_code == 422


async def test_a_key_is_for_an_address_of_the_tenant(gateway: Gateway) -> None:
    path = f"tenants/{gateway.city.id}/keys"
    assert (await gateway.operate("POST", path, json={"address": gateway.firm.address})).status_code == 404
    bare = await created(gateway, "tenants", TENANT)
    assert (await gateway.operate("POST", f"tenants/{bare['id']}/keys", json={})).status_code == 422
    unknown = f"{path}/key_01990000-0000-7000-8000-000000000000/certificate"
    assert (await gateway.operate("PUT", unknown, json={"certificate": PEM.format("x")})).status_code == 404


@pytest.mark.parametrize(
    "certificate", ["", "x", "-----BEGIN PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----" + "A" * 70_000]
)
async def test_what_is_no_certificate_is_refused(gateway: Gateway, certificate: str) -> None:
    key = await created(gateway, f"tenants/{gateway.city.id}/keys", {})
    path = f"tenants/{gateway.city.id}/keys/{key['id']}/certificate"
    assert (await gateway.operate("PUT", path, json={"certificate": certificate})).status_code == 422


# --- connections


async def test_a_changed_level_is_effective_at_once(gateway: Gateway) -> None:
    assert (await gateway.send("a", options={"private": True})).status_code == 202
    path = f"connections/con_{gateway.connection.id}"
    assert (await gateway.operate("PATCH", path, json={"auth_level": "normal"})).json()["auth_level"] == "normal"
    assert (await gateway.send("b", options={"private": True})).json()["code"] == "auth-level-too-low"


async def test_a_profile_is_merged_and_judged_as_a_whole(gateway: Gateway) -> None:
    path = f"connections/con_{gateway.connection.id}"
    merged = await gateway.operate("PATCH", path, json={"profile": {"idle_s": 5}})
    assert merged.json()["profile"] == {"smtp": {}, "domains": ["de-mail.de"], "idle_s": 5}
    refused = await gateway.operate("PATCH", path, json={"profile": {"smtp": None}})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/profile/smtp")
    twice = await gateway.operate("POST", "connections", json={**CONNECTION, "name": "sandbox"})
    assert twice.json()["code"] == "connection-name-taken"
    assert (await gateway.operate("PATCH", "connections/con_x", json={"active": False})).status_code == 404
    assert len((await gateway.operate("GET", "connections")).json()["items"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"a","auth_level":"high","profile":{"smtp":{},"x":"a\\u0000b"}}',
        b'{"name":"a","auth_level":"high","profile":{"smtp":{},"x":NaN}}',
        b'{"name":"a","auth_level":"high","profile":{"smtp":{},"x":1e999}}',
        b'{"name":"a","auth_level":"high","profile":[]}',
        b'{"name":"a","auth_level":"low","profile":{"smtp":{}}}',
        b'{"name":"a","auth_level":"high","profile":{"smtp":{},"x":' + b"[" * 5000 + b"]" * 5000 + b"}}",
    ],
    ids=range(6),
)
async def test_a_profile_that_cannot_be_stored_is_refused(gateway: Gateway, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await gateway.operate("POST", "connections", content=body, headers=headers)
    assert answer.status_code == 422
    assert len(gateway.world.connections) == 1


# --- journal


@pytest.mark.clause("GWT-50")
async def test_the_journal_is_exported_as_a_chain_that_holds(gateway: Gateway) -> None:
    tenant = await created(gateway, "tenants", TENANT)
    for number in range(205):
        await gateway.operate("PATCH", f"tenants/{tenant['id']}", json={"name": f"n{number}"})
    export = await gateway.operate("GET", f"journal/export?tenant={tenant['id']}")
    assert export.headers["content-type"].startswith("application/x-ndjson")
    entries = [json.loads(line) for line in export.text.splitlines()]
    assert len(entries) == 206
    assert chain_faults(entries) == ()
    page = (await gateway.operate("GET", f"journal?tenant={tenant['id']}&limit=2")).json()
    assert [item["seq"] for item in page["items"]] == [1, 2]
    assert page["items"][0].keys() >= {"seq", "at", "tenant", "actor", "action", "object", "prev_hash", "hash"}
    assert (await gateway.operate("GET", "journal")).status_code == 200
    for path in ("journal?tenant=x", "journal/export?tenant=ten_01990000-0000-7000-8000-000000000000"):
        assert (await gateway.operate("GET", path)).status_code == 404


async def test_the_operator_reads_no_content(gateway: Gateway) -> None:
    sent = (await gateway.send()).json()["id"]
    token = await gateway.token(None)
    for path in ("", "/raw", "/attachments/1", "/evidence", "/events"):
        answer = await gateway.http.get(
            f"/v1/tenants/stadt-elbtal/messages/{sent}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 404


async def test_every_location_leads_to_what_was_created(gateway: Gateway) -> None:
    base = f"tenants/{gateway.city.id}"
    bodies: dict[str, dict[str, Any]] = {
        "tenants": TENANT,
        "connections": CONNECTION,
        f"{base}/addresses": {"address": "neu@stadt-elbtal.de-mail.de"},
        f"{base}/clients": {"name": "x", "scopes": ["messages:read"]},
        f"{base}/keys": {},
        f"{base}/accounts": {"connection_id": f"con_{gateway.connection.id}", "holder": "x"},
    }
    for path, body in bodies.items():
        made = await gateway.operate("POST", path, json=body)
        found = await gateway.operate("GET", made.headers["location"].removeprefix("/v1/operator/"))
        assert (found.status_code, found.json()["id"]) == (200, made.json()["id"])
        unknown = made.headers["location"].removeprefix("/v1/operator/")[:-1] + "x"
        assert (await gateway.operate("GET", unknown)).status_code == 404
        other = made.json()["id"].partition("_")[0] + "_01990000-0000-7000-8000-000000000000"
        assert (await gateway.operate("GET", f"{path}/{other}")).status_code == 404
