"""Clients that prove themselves by signed assertions and certificates, and tokens bound to certificates (GWT-20)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote
from uuid import UUID

import jwt
import pytest
from httpx import ASGITransport, AsyncClient, Response

from demail_gateway.api.proxies import Proxies
from demail_gateway.tenancy.client_authentication import BY_KEY_ALONE
from demail_gateway.tenancy.credentials import secret_digest
from tests.fakes.api_client import Kit
from tests.fakes.client_keys import (
    ASSERTION_TYPE,
    certificate,
    claims,
    ec_key,
    jwk,
    pem,
    private_jwk,
    rsa_key,
    signed,
)
from tests.fakes.gateway import TOKEN_SECRET, Gateway

ENDPOINT = "http://gateway.test/oauth2/token"
FORM = {"grant_type": "client_credentials"}
HEADER = "X-Client-Certificate"
MINE, RENEWED, FOREIGN = certificate("fach"), certificate("neu"), certificate("fremd")


@pytest.fixture
async def strict() -> AsyncIterator[Gateway]:
    """As in production: secrets are not permitted, and a proxy in front hands on certificates."""
    made = Gateway(BY_KEY_ALONE, Proxies((ip_network("127.0.0.1/32"),), HEADER))
    await _let_the_operator_in(made)
    yield made
    await made.http.aclose()
    await made.services.settle()


async def _let_the_operator_in(gateway: Gateway) -> None:
    """By a key, as the command line registers it; later calls find the token kept."""
    key_set = {"keys": [jwk(ec_key("operator"))]}
    client_id = gateway.add_operator(key_set)
    answer = await by_assertion(gateway, signed_for(gateway, client_id, "operator"))
    gateway.keep_token(client_id, answer.json()["access_token"])


def signed_for(gateway: Gateway, client_id: str, key: str = "fach", **changes: Any) -> str:
    return signed(claims(client_id, ENDPOINT, gateway.world.time.now, **changes), ec_key(key))


async def by_assertion(gateway: Gateway, assertion: str, **form: str) -> Response:
    body = {**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **form}
    return await gateway.http.post("/oauth2/token", data=body)


async def by_certificate(gateway: Gateway, client_id: str, shown: Mapping[str, str], **form: str) -> Response:
    return await gateway.http.post("/oauth2/token", data={**FORM, "client_id": client_id, **form}, headers=shown)


def showing(found: Any) -> dict[str, str]:
    """The header as nginx makes it."""
    return {HEADER: quote(pem(found))}


async def register(gateway: Gateway, **keys: Any) -> dict[str, Any]:
    body = {"name": "Fach", "scopes": ["messages:read", "evidence:read"], **keys}
    answer = await gateway.operate("POST", f"tenants/{gateway.city.id}/clients", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def with_key(gateway: Gateway, key: str = "fach") -> str:
    return str((await register(gateway, jwks={"keys": [jwk(ec_key(key))]}))["client_id"])


async def with_certificate(gateway: Gateway, *certificates: Any) -> str:
    return str((await register(gateway, certificates=[pem(each) for each in certificates or (MINE,)]))["client_id"])


async def listed(gateway: Gateway, token: str, shown: Mapping[str, str] | None = None) -> int:
    headers = {"Authorization": f"Bearer {token}", **(shown or {})}
    return (await gateway.http.get("/v1/tenants/stadt-elbtal/messages", headers=headers)).status_code


def refused(answer: Response, description: str = "") -> None:
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), answer.text
    assert description in answer.json()["error_description"]
    assert answer.json()["error_description"].isascii()


# --- registration


async def test_a_client_with_keys_gets_no_secret(gateway: Gateway) -> None:
    made = await register(gateway, jwks={"keys": [jwk(ec_key("fach"), kid="2026")]}, certificates=[pem(MINE)])
    assert (made["client_secret"], made["has_secret"]) == (None, False)
    assert [key["kid"] for key in made["jwks"]["keys"]] == ["2026"]
    (pin,) = made["certificates"]
    assert (pin["serial"], pin["not_after"][:4], len(pin["sha256"])) == ("c0ffee", "2027", 64)
    read = (await gateway.operate("GET", f"tenants/{gateway.city.id}/clients/{made['id']}")).json()
    assert {name: made[name] for name in read} == read


async def test_without_keys_a_client_gets_a_secret_where_secrets_are_permitted(gateway: Gateway) -> None:
    assert (await register(gateway))["has_secret"]


@pytest.mark.clause("GWT-25")
async def test_where_secrets_are_not_permitted_a_client_needs_keys(strict: Gateway) -> None:
    body = {"name": "Fach", "scopes": ["messages:read"]}
    answer = await strict.operate("POST", f"tenants/{strict.city.id}/clients", json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["rule"]) == ("/jwks", "GWT-20")
    policy = {"policy": {"client_authentication": ["client_secret_basic"]}}
    await strict.operate("PATCH", f"tenants/{strict.city.id}", json=policy)
    assert (await register(strict))["client_secret"]


@pytest.mark.parametrize(
    ("keys", "code", "pointer"),
    [
        ({"jwks": {"keys": []}}, "invalid-request", "/jwks/keys"),
        ({"jwks": {"keys": "all"}}, "invalid-request", "/jwks/keys"),
        ({"jwks": {"keys": [{}], "more": 1}}, "invalid-request", "/jwks/more"),
        ({"jwks": {"keys": [private_jwk(ec_key())]}}, "invalid-request", "/jwks/keys/0"),
        ({"jwks": {"keys": [jwk(rsa_key(1024))]}}, "invalid-request", "/jwks/keys/0"),
        ({"jwks": "https://elsewhere/jwks"}, "invalid-request", "/jwks"),
        ({"jwks_uri": "https://elsewhere/jwks"}, "invalid-request", "/jwks_uri"),
        ({"certificates": ["x"]}, "invalid-request", "/certificates/0"),
        (
            {"certificates": ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]},
            "certificate-malformed",
            "",
        ),
        ({"certificates": [pem(MINE) + pem(FOREIGN)]}, "certificate-malformed", ""),
        ({"certificates": [pem(MINE), pem(certificate("alt", days=30))]}, "invalid-request", "/certificates/1"),
        ({"certificates": [pem(MINE)] * 6}, "invalid-request", "/certificates"),
    ],
)
async def test_unusable_keys_are_refused_and_nothing_is_stored(
    gateway: Gateway, keys: dict[str, Any], code: str, pointer: str
) -> None:
    before = dict(gateway.world.clients)
    for method, path in (("POST", "clients"), ("PATCH", f"clients/{gateway.city.client_id}")):
        body = {**({"name": "Fach", "scopes": ["messages:read"]} if method == "POST" else {}), **keys}
        answer = await gateway.operate(method, f"tenants/{gateway.city.id}/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
        assert pointer in [error["pointer"] for error in answer.json()["errors"]] or not pointer
    assert gateway.world.clients == before


async def test_keys_are_replaced_and_removed_as_a_whole(gateway: Gateway) -> None:
    client_id = await with_key(gateway, "old")
    path = f"tenants/{gateway.city.id}/clients/{client_id}"
    changed = await gateway.operate("PATCH", path, json={"jwks": {"keys": [jwk(ec_key("new"))]}})
    assert len(changed.json()["jwks"]["keys"]) == 1
    refused(await by_assertion(gateway, signed_for(gateway, client_id, "old")))
    assert (await by_assertion(gateway, signed_for(gateway, client_id, "new"))).status_code == 200
    assert (await gateway.operate("PATCH", path, json={"jwks": None})).json()["jwks"] is None
    refused(await by_assertion(gateway, signed_for(gateway, client_id, "new", jti="2")))


@pytest.mark.parametrize("methods", [[], ["client_secret_post"], "private_key_jwt", ["none"]])
async def test_a_policy_names_methods_that_exist(gateway: Gateway, methods: Any) -> None:
    body = {"policy": {"client_authentication": methods}}
    answer = await gateway.operate("PATCH", f"tenants/{gateway.city.id}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


# --- private_key_jwt


@pytest.mark.clause("GWT-20")
async def test_a_signed_assertion_gets_a_token(strict: Gateway) -> None:
    client_id = await with_key(strict)
    answer = await by_assertion(strict, signed_for(strict, client_id), scope="messages:read")
    assert (answer.status_code, answer.json()["scope"]) == (200, "messages:read")
    assert await listed(strict, answer.json()["access_token"]) == 200
    named = signed_for(strict, client_id, jti="2")
    assert (await by_assertion(strict, named, client_id=client_id)).status_code == 200


async def test_an_assertion_is_used_once(strict: Gateway) -> None:
    client_id = await with_key(strict)
    assertion = signed_for(strict, client_id)
    assert (await by_assertion(strict, assertion)).status_code == 200
    refused(await by_assertion(strict, assertion), "jti")
    again = signed_for(strict, client_id, exp=int(strict.world.time.now.timestamp()) + 200)
    refused(await by_assertion(strict, again), "jti")
    other = await with_key(strict, "other")
    same_jti = signed_for(strict, other, "other")
    assert (await by_assertion(strict, same_jti)).status_code == 200, "a jti is the client's own"


async def test_what_is_wrong_with_a_signed_assertion_is_told_in_the_language_wanted(strict: Gateway) -> None:
    client_id = await with_key(strict)
    late = signed_for(strict, client_id, exp=int(strict.world.time.now.timestamp()) - 1)
    body = {**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": late}
    for language, word in (("de", "abgelaufen"), ("en", "expired")):
        answer = await strict.http.post("/oauth2/token", data=body, headers={"Accept-Language": language})
        refused(answer, word)
        assert answer.headers["content-language"] == language
    for changes, word in (
        ({"aud": "https://elsewhere.test"}, "aud"),
        ({"exp": int(strict.world.time.now.timestamp()) + 3600}, "Minuten"),
        ({"jti": None}, "jti"),
    ):
        refused(await by_assertion(strict, signed_for(strict, client_id, **changes)), word)


async def test_an_assertion_proves_its_own_client_alone(strict: Gateway) -> None:
    client_id, other = await with_key(strict), await with_key(strict, "other")
    refused(await by_assertion(strict, signed_for(strict, other, "fach")))
    refused(await by_assertion(strict, signed_for(strict, client_id), client_id=other))
    refused(await by_assertion(strict, signed_for(strict, strict.city.client_id)), "unbekannt")
    refused(await by_assertion(strict, signed_for(strict, "cli_01990000-0000-7000-8000-000000000000")))
    refused(await by_assertion(strict, "a.b.c"))
    refused(await by_assertion(strict, ""))


async def test_a_stopped_client_gets_no_token_by_its_key(strict: Gateway) -> None:
    client_id = await with_key(strict)
    await strict.operate("PATCH", f"tenants/{strict.city.id}/clients/{client_id}", json={"active": False})
    refused(await by_assertion(strict, signed_for(strict, client_id)))


@pytest.mark.clause("GWT-23")
async def test_wrong_signatures_lock_and_right_ones_that_are_not_taken_do_not(strict: Gateway) -> None:
    client_id = await with_key(strict)
    for number in range(4):
        late = signed_for(strict, client_id, exp=1, jti=str(number))
        refused(await by_assertion(strict, late), "abgelaufen")
    for number in range(3):
        forged = signed_for(strict, client_id, "fremd", jti=f"f{number}")
        refused(await by_assertion(strict, forged))
    locked = await by_assertion(strict, signed_for(strict, client_id))
    assert (locked.status_code, locked.headers["retry-after"]) == (429, "30")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_assertion": "a.b.c"}, "invalid_request"),
        ({"client_assertion_type": ASSERTION_TYPE}, "invalid_request"),
        ({"client_assertion": "a.b.c", "client_assertion_type": "urn:x:saml2-bearer"}, "invalid_request"),
        ({"client_assertion": "x" * 9000, "client_assertion_type": ASSERTION_TYPE}, "invalid_request"),
    ],
)
async def test_malformed_assertion_requests_get_the_errors_of_rfc_6749(
    strict: Gateway, form: dict[str, str], error: str
) -> None:
    answer = await strict.http.post("/oauth2/token", data={**FORM, **form})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_two_methods_in_one_request_are_refused(gateway: Gateway) -> None:
    client_id = await with_key(gateway)
    body = {**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": signed_for(gateway, client_id)}
    answer = await gateway.http.post("/oauth2/token", data=body, auth=(gateway.city.client_id, gateway.city.secret))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


# --- policy


@pytest.mark.clause("GWT-25")
async def test_a_secret_that_is_not_permitted_gets_no_token_and_learns_why(strict: Gateway) -> None:
    kit: Kit = strict.city
    answer = await strict.http.post("/oauth2/token", data=FORM, auth=(kit.client_id, kit.secret))
    refused(answer, "Zugelassen: private_key_jwt, tls_client_auth")
    wrong = await strict.http.post("/oauth2/token", data=FORM, auth=(kit.client_id, "falsch"))
    refused(wrong, "unbekannt")
    strict.world.secrets[UUID(strict.operator_id[4:])] = secret_digest("geheim")
    operator = await strict.http.post("/oauth2/token", data=FORM, auth=(strict.operator_id, "geheim"))
    refused(operator, "Zugelassen: private_key_jwt, tls_client_auth")


async def test_a_tenants_policy_goes_before_the_installations_default(strict: Gateway) -> None:
    client_id, base = await with_key(strict), f"tenants/{strict.city.id}"

    async def permit(*methods: str) -> None:
        body = {"policy": {"client_authentication": list(methods) or None}}
        assert (await strict.operate("PATCH", base, json=body)).status_code == 200

    async def by_secret(kit: Kit) -> Response:
        return await strict.http.post("/oauth2/token", data=FORM, auth=(kit.client_id, kit.secret))

    await permit("client_secret_basic")
    assert (await by_secret(strict.city)).status_code == 200
    refused(await by_secret(strict.firm), "Zugelassen")  # another tenant
    refused(await by_assertion(strict, signed_for(strict, client_id)), "Zugelassen: client_secret_basic")
    await permit("tls_client_auth")
    refused(await by_secret(strict.city), "Zugelassen: tls_client_auth")
    await permit()
    assert (await by_assertion(strict, signed_for(strict, client_id, jti="2"))).status_code == 200
    refused(await by_secret(strict.city))


# --- tls_client_auth and bound tokens


@pytest.mark.clause("GWT-20", "GWT-21")
async def test_a_registered_certificate_gets_a_token_that_is_good_beside_it_alone(strict: Gateway) -> None:
    client_id = await with_certificate(strict)
    answer = await by_certificate(strict, client_id, showing(MINE))
    token = answer.json()["access_token"]
    options: Any = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
    said = jwt.decode(token, TOKEN_SECRET, ["HS256"], options=options)
    assert said["cnf"].keys() == {"x5t#S256"}
    assert len(said["cnf"]["x5t#S256"]) == 43
    assert await listed(strict, token, showing(MINE)) == 200
    assert await listed(strict, token) == 401
    assert await listed(strict, token, showing(FOREIGN)) == 401
    assert await listed(strict, token, {HEADER: "nonsense"}) == 401
    assert await listed(strict, token, showing(MINE)) == 200


async def test_other_certificates_get_no_token(strict: Gateway) -> None:
    client_id, keyed = await with_certificate(strict), await with_key(strict)
    for shown in (showing(FOREIGN), {}, {HEADER: ""}, {HEADER: "(null)"}, {HEADER: "%"}, {HEADER: "::"}):
        strict.world.attempts.clear()
        refused(await by_certificate(strict, client_id, shown))
    refused(await by_certificate(strict, keyed, showing(MINE)))
    refused(await by_certificate(strict, keyed, {}))
    refused(await by_certificate(strict, "cli_01990000-0000-7000-8000-000000000000", showing(MINE)))
    refused(await by_certificate(strict, client_id, showing(MINE), client_secret="x"))


async def test_a_client_with_two_certificate_headers_shows_none(strict: Gateway) -> None:
    client_id = await with_certificate(strict)
    body = {**FORM, "client_id": client_id}
    twice = [(HEADER, showing(FOREIGN)[HEADER]), (HEADER, showing(MINE)[HEADER])]
    refused(await strict.http.post("/oauth2/token", data=body, headers=twice))


@pytest.mark.parametrize(
    "proxies",
    [
        Proxies(),
        Proxies((ip_network("192.0.2.0/24"),), HEADER),
        Proxies((ip_network("127.0.0.1/32"),), "X-Another"),
        Proxies((ip_network("127.0.0.1/32"),)),
    ],
)
async def test_a_certificate_header_is_believed_of_a_known_proxy_alone(proxies: Proxies) -> None:
    gateway = Gateway(proxies=proxies)
    client_id = await with_certificate(gateway)
    spoofed = {**showing(MINE), "X-Forwarded-For": "192.0.2.1"}
    refused(await by_certificate(gateway, client_id, spoofed))
    await gateway.http.aclose()


async def test_a_bound_token_is_worth_nothing_past_the_proxy(strict: Gateway) -> None:
    client_id = await with_certificate(strict)
    token = (await by_certificate(strict, client_id, showing(MINE))).json()["access_token"]
    assert await listed(strict, token, showing(MINE)) == 200
    direct = AsyncClient(
        transport=ASGITransport(strict.app, client=("192.0.2.66", 4711)), base_url="http://gateway.test"
    )
    headers = {"Authorization": f"Bearer {token}", **showing(MINE)}
    assert (await direct.get("/v1/tenants/stadt-elbtal/messages", headers=headers)).status_code == 401
    await direct.aclose()


async def test_a_token_asked_for_by_key_beside_a_registered_certificate_is_bound_too(strict: Gateway) -> None:
    made = await register(strict, jwks={"keys": [jwk(ec_key("fach"))]}, certificates=[pem(MINE)])
    client_id = made["client_id"]

    async def token(jti: str, shown: Mapping[str, str]) -> str:
        body = {**FORM, "client_assertion_type": ASSERTION_TYPE}
        body["client_assertion"] = signed_for(strict, client_id, jti=jti)
        return str((await strict.http.post("/oauth2/token", data=body, headers=shown)).json()["access_token"])

    bound, free, foreign = await token("1", showing(MINE)), await token("2", {}), await token("3", showing(FOREIGN))
    assert (await listed(strict, bound, showing(MINE)), await listed(strict, bound)) == (200, 401)
    assert (await listed(strict, free), await listed(strict, foreign)) == (200, 200)


@pytest.mark.clause("GWT-40")
async def test_tokens_of_a_withdrawn_certificate_end_within_30_seconds(strict: Gateway) -> None:
    client_id = await with_certificate(strict)
    token = (await by_certificate(strict, client_id, showing(MINE))).json()["access_token"]
    assert await listed(strict, token, showing(MINE)) == 200
    path = f"tenants/{strict.city.id}/clients/{client_id}"
    await strict.operate("PATCH", path, json={"certificates": [pem(RENEWED)]})
    strict.world.time.advance(seconds=30)
    assert await listed(strict, token, showing(MINE)) == 401
    refused(await by_certificate(strict, client_id, showing(MINE)))
    assert (await by_certificate(strict, client_id, showing(RENEWED))).status_code == 200


@pytest.mark.clause("GWT-21")
async def test_two_certificates_let_a_client_renew_without_a_gap(strict: Gateway) -> None:
    client_id = await with_certificate(strict, MINE, RENEWED, MINE)
    for shown in (showing(MINE), showing(RENEWED)):
        assert (await by_certificate(strict, client_id, shown)).status_code == 200


@pytest.mark.clause("GWT-20")
async def test_a_certificate_out_of_its_time_is_none(strict: Gateway) -> None:
    now = strict.world.time.now
    soon, young = certificate("bald", now - timedelta(days=1), 2), certificate("jung", now + timedelta(hours=1))
    client_id = await with_certificate(strict, soon, young)
    refused(await by_certificate(strict, client_id, showing(young)))
    strict.world.time.advance(hours=23, minutes=59, seconds=50)
    assert (await by_certificate(strict, client_id, showing(young))).status_code == 200
    token = (await by_certificate(strict, client_id, showing(soon))).json()["access_token"]
    assert await listed(strict, token, showing(soon)) == 200
    strict.world.time.advance(seconds=10)
    assert await listed(strict, token, showing(soon)) == 401, "also within the time for which a grant is kept"
    refused(await by_certificate(strict, client_id, showing(soon)))


@pytest.mark.parametrize("cnf", [{}, "x", {"x5t#S256": 1}, {"x5t#S256": "%%"}, {"jkt": "A" * 43}, None])
async def test_a_binding_that_cannot_be_read_binds_to_nothing(strict: Gateway, cnf: Any) -> None:
    client_id = await with_certificate(strict)
    token = (await by_certificate(strict, client_id, showing(MINE))).json()["access_token"]
    options: Any = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
    said = jwt.decode(token, TOKEN_SECRET, ["HS256"], options=options)
    forged = jwt.encode({**said, "cnf": cnf}, TOKEN_SECRET, "HS256")
    assert await listed(strict, forged, showing(MINE)) == 401


@pytest.mark.clause("GWT-23")
async def test_wrong_attempts_are_counted_for_the_address_that_the_proxy_names(strict: Gateway) -> None:
    client_id = await with_certificate(strict)
    for _ in range(3):
        refused(await by_certificate(strict, client_id, {"X-Forwarded-For": "203.0.113.9"}))
    locked = await by_certificate(strict, client_id, {**showing(MINE), "X-Forwarded-For": "10.0.0.1, 203.0.113.9"})
    assert locked.status_code == 429
    elsewhere = await by_certificate(
        strict, client_id, {**showing(MINE), "X-Forwarded-For": "203.0.113.9, 203.0.113.8"}
    )
    assert elsewhere.status_code == 200


async def test_the_operator_acts_under_a_bound_token_too(strict: Gateway) -> None:
    client_id = strict.add_operator(None, certificates=[pem(MINE)])
    token = (await by_certificate(strict, client_id, showing(MINE))).json()["access_token"]
    for shown, status in ((showing(MINE), 200), ({}, 401)):
        headers = {"Authorization": f"Bearer {token}", **shown}
        assert (await strict.http.get("/v1/operator/tenants", headers=headers)).status_code == status
