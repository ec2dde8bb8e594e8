"""POST /oauth2/token and the check of every request's token."""

from __future__ import annotations

import base64
from dataclasses import replace

import jwt
import pytest
from httpx import Response

from demail_gateway.application.access_tokens import TokenIssuer
from demail_gateway.application.issue_token import BySecret
from demail_gateway.tenancy.scope import TENANT_SCOPES, Scope
from tests.fakes.gateway import TOKEN_SECRET, Gateway, TenantKit
from tests.fakes.sending import MemoryClients

FORM = {"grant_type": "client_credentials"}


async def ask(gateway: Gateway, kit: TenantKit, secret: str | None = None, **form: str) -> Response:
    return await gateway.http.post("/oauth2/token", data={**FORM, **form}, auth=(kit.client_id, secret or kit.secret))


async def test_a_token_lives_15_minutes_and_is_not_cached(gateway: Gateway) -> None:
    answer = await ask(gateway, gateway.city)
    body = answer.json()
    assert (answer.status_code, body["token_type"], body["expires_in"]) == (200, "Bearer", 900)
    assert set(body["scope"].split()) == {str(scope) for scope in TENANT_SCOPES}
    assert answer.headers["cache-control"] == "no-store"
    claims = jwt.decode(
        body["access_token"],
        TOKEN_SECRET,
        ["HS256"],
        options={"verify_signature": True, "verify_aud": False, "verify_exp": False, "verify_iat": False},
    )
    assert claims.keys() == {"iss", "aud", "sub", "ten", "scope", "jti", "iat", "exp"}
    assert (claims["sub"], claims["ten"]) == (gateway.city.client_id, gateway.city.id)


async def test_a_request_may_name_a_subset_of_the_scopes(gateway: Gateway) -> None:
    answer = await ask(gateway, gateway.city, scope="messages:read")
    assert answer.json()["scope"] == "messages:read"


@pytest.mark.parametrize("scope", ["operator", "messages:read unheard-of", "", "  "])
async def test_a_scope_that_the_client_has_not_is_refused(gateway: Gateway, scope: str) -> None:
    answer = await ask(gateway, gateway.city, scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "invalid_request"),
        (b"scope=messages%3Aread", "invalid_request"),
        (b"grant_type=password", "unsupported_grant_type"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        (b"grant_type=client_credentials&scope=\xff", "invalid_request"),
        (b"grant_type=client_credentials&x" * 400, "invalid_request"),
        (b"a=b&" * 30 + b"grant_type=client_credentials", "invalid_request"),
    ],
)
async def test_malformed_requests_get_the_errors_of_rfc_6749(gateway: Gateway, body: bytes, error: str) -> None:
    answer = await gateway.http.post(
        "/oauth2/token",
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=(gateway.city.client_id, gateway.city.secret),
    )
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json()["error_description"]


async def test_json_is_no_token_request(gateway: Gateway) -> None:
    answer = await gateway.http.post("/oauth2/token", json=FORM, auth=(gateway.city.client_id, gateway.city.secret))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.clause("TR 01201-3.1 step 76 FC-01")
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic",
        "Basic !!!",
        "Bearer abc",
        "Basic " + base64.b64encode(b"\xff:x").decode(),
        "Basic " + base64.b64encode(b"cli_01990000-0000-7000-8000-000000000000:x").decode(),
        "Basic " + base64.b64encode(b"no-id:x").decode(),
        "Basic " + base64.b64encode(b"nothing").decode(),
    ],
)
async def test_without_right_credentials_the_answer_is_invalid_client(
    gateway: Gateway, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = await gateway.http.post("/oauth2/token", data=FORM, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_a_secret_in_the_body_is_not_looked_at(gateway: Gateway) -> None:
    form = {**FORM, "client_id": gateway.city.client_id, "client_secret": gateway.city.secret}
    assert (await gateway.http.post("/oauth2/token", data=form)).json()["error"] == "invalid_client"


async def test_a_client_that_is_switched_off_gets_no_token(gateway: Gateway) -> None:
    clients, uuid = gateway.world.clients, gateway.city.client_uuid
    clients[uuid] = replace(clients[uuid], active=False)
    assert (await ask(gateway, gateway.city)).json()["error"] == "invalid_client"


@pytest.mark.clause("GWT-23")
async def test_the_third_wrong_secret_locks_also_the_right_one_and_longer_each_time(gateway: Gateway) -> None:
    for _ in range(3):
        assert (await ask(gateway, gateway.city, "falsch")).status_code == 401
    locked = await ask(gateway, gateway.city)
    assert (locked.status_code, locked.json()["error"], locked.headers["retry-after"]) == (429, "invalid_client", "30")
    gateway.world.time.advance(seconds=31)
    assert (await ask(gateway, gateway.city, "falsch")).status_code == 401
    assert (await ask(gateway, gateway.city)).headers["retry-after"] == "60"
    gateway.world.time.advance(seconds=61)
    assert (await ask(gateway, gateway.city)).status_code == 200
    assert (await ask(gateway, gateway.city, "falsch")).status_code == 401
    assert (await ask(gateway, gateway.city)).status_code == 200


@pytest.mark.clause("GWT-23")
async def test_wrong_secrets_lock_neither_other_clients_nor_other_sources(gateway: Gateway) -> None:
    for _ in range(3):
        await ask(gateway, gateway.city, "falsch")
    assert (await ask(gateway, gateway.firm)).status_code == 200
    issued = await gateway.services.issue_token(
        BySecret(gateway.city.client_id, gateway.city.secret), None, "192.0.2.9"
    )
    assert issued.scopes


# --- the check of tokens


async def status(gateway: Gateway, token: str | None, tenant: str = "stadt-elbtal", path: str = "messages") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return (await gateway.http.get(f"/v1/tenants/{tenant}/{path}", headers=headers)).status_code


async def test_a_tenant_is_named_by_id_or_by_slug(gateway: Gateway) -> None:
    token = await gateway.token(gateway.city)
    assert await status(gateway, token) == 200
    assert await status(gateway, token, gateway.city.id) == 200


@pytest.mark.clause("GWT-39")
async def test_a_foreign_tenant_answers_exactly_like_one_that_does_not_exist(gateway: Gateway) -> None:
    token = await gateway.token(gateway.city)
    answers = []
    for tenant in ("werke-elbtal", gateway.firm.id, "gibt-es-nicht", "%00", "ten_x"):
        answer = await gateway.http.post(
            f"/v1/tenants/{tenant}/messages", content=b"whatever", headers={"Authorization": f"Bearer {token}"}
        )
        answers.append((answer.status_code, {**answer.json(), "trace_id": ""}))
    assert answers[0][0] == 404
    assert all(answer == answers[0] for answer in answers)


async def test_the_order_of_checks_is_token_tenant_scope(gateway: Gateway) -> None:
    reader = await gateway.token(gateway.city, Scope.EVIDENCE_READ)
    assert await status(gateway, None, "gibt-es-nicht") == 401
    assert await status(gateway, reader, "werke-elbtal") == 404
    assert await status(gateway, reader) == 403


async def test_the_scope_is_asked_for_before_key_and_body(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "messages", Scope.MESSAGES_READ, content=b"{")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert "„messages:send“" in answer.json()["detail"]
    english = {"Accept-Language": "en"}
    answer = await gateway.call("POST", "messages", Scope.MESSAGES_READ, content=b"{", headers=english)
    assert "the scope messages:send" in answer.json()["detail"]


async def test_parameters_are_judged_after_token_and_scope(gateway: Gateway) -> None:
    assert await status(gateway, None, path="messages?limit=0") == 401
    assert await status(gateway, await gateway.token(gateway.city, Scope.EVIDENCE_READ), path="messages?limit=0") == 403
    assert await status(gateway, await gateway.token(gateway.city), path="messages?limit=0") == 422


@pytest.mark.clause("TR 01201-3.1 step 76 FC-01")
@pytest.mark.parametrize("token", ["", "abc", "a.b.c", "ü", "x" * 10_000])
async def test_what_is_no_token_is_401_with_a_challenge(gateway: Gateway, token: str) -> None:
    answer = await gateway.http.get(
        "/v1/tenants/stadt-elbtal/messages", headers={b"Authorization": f"Bearer {token}".encode()}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_tokens_of_others_and_changed_ones_are_refused(gateway: Gateway) -> None:
    good = await gateway.token(gateway.city)
    client = await MemoryClients(gateway.world).find(gateway.city.client_uuid, "", gateway.world.time.now)
    assert client is not None
    now = gateway.world.time.now

    def issued(
        secret: bytes = TOKEN_SECRET, issuer: str = "http://gateway.test", audience: str = "demail-gateway"
    ) -> str:
        return TokenIssuer(secret, issuer, audience).issue(client, TENANT_SCOPES, now, "1")

    assert await status(gateway, issued()) == 200
    head, payload, signature = good.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    for token in (
        issued(secret=bytes(32)),
        issued(issuer="http://elsewhere"),
        issued(audience="somebody"),
        f"{unsigned}.{payload}.",
        f"{head}.{payload}.{signature[:-4]}AAAA",
    ):
        assert await status(gateway, token) == 401


async def test_a_token_ends_after_15_minutes(gateway: Gateway) -> None:
    token = await gateway.token(gateway.city)
    gateway.world.time.advance(minutes=14, seconds=59)
    assert await status(gateway, token) == 200
    gateway.world.time.advance(seconds=1)
    assert await status(gateway, token) == 401


@pytest.mark.clause("GWT-40", "TR 01201-3.1 step 76 FC-02", "TR 01201-3.1 step 77")
async def test_a_stopped_client_and_a_withdrawn_scope_take_effect_within_30_seconds(gateway: Gateway) -> None:
    token = await gateway.token(gateway.city)
    assert await status(gateway, token) == 200
    clients, uuid = gateway.world.clients, gateway.city.client_uuid
    clients[uuid] = replace(clients[uuid], scopes=frozenset({Scope.EVIDENCE_READ}))
    gateway.world.time.advance(seconds=30)
    assert await status(gateway, token) == 403
    clients[uuid] = replace(clients[uuid], active=False)
    gateway.world.time.advance(seconds=30)
    assert await status(gateway, token) == 401


async def test_the_client_is_not_looked_up_for_every_request(gateway: Gateway) -> None:
    token = await gateway.token(gateway.city)
    await status(gateway, token)
    gateway.world.calls.clear()
    await status(gateway, token)
    assert "find" not in gateway.world.calls


async def test_operator_and_tenant_do_not_enter_each_others_half(gateway: Gateway) -> None:
    operator = await gateway.token(None)
    assert await status(gateway, operator) == 404
    headers = {"Authorization": f"Bearer {await gateway.token(gateway.city)}"}
    answer = await gateway.http.get("/v1/operator/tenants", headers=headers)
    assert answer.status_code == 403
    assert (await gateway.http.get("/v1/operator/tenants")).status_code == 401


@pytest.mark.parametrize(("secret", "lifetime_s"), [(bytes(31), 900), (bytes(32), 901), (bytes(32), 0)])
def test_a_short_secret_or_a_long_lifetime_is_no_issuer(secret: bytes, lifetime_s: int) -> None:
    with pytest.raises(ValueError, match=r"secret|seconds"):
        TokenIssuer(secret, "i", "a", lifetime_s)
