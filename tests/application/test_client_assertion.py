"""What a signed assertion must say to be taken (RFC 7523 §3)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jwt import api_jws

from demail_gateway.application.client_assertion import check_assertion, claimed_client
from demail_gateway.application.client_keys import read_key_set
from demail_gateway.core.errors import AuthenticationRefused, Unauthenticated
from tests.fakes.client_keys import claims, ec_key, hmac_with_public_key, jwk, raw_jws, rsa_key, signed

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
CLIENT = "cli_01990000-0000-7000-8000-000000000000"
ISSUER, ENDPOINT = "https://gateway.test", "https://gateway.test/oauth2/token"
KEYS = read_key_set({"keys": [jwk(ec_key(), kid="ec"), jwk(rsa_key(), kid="rsa")]})


def right(**changes: Any) -> dict[str, Any]:
    return claims(CLIENT, ENDPOINT, NOW, **changes)


def check(assertion: str) -> Any:
    return check_assertion(assertion, KEYS, CLIENT, (ISSUER, ENDPOINT), NOW)


@pytest.mark.parametrize(
    "assertion",
    [
        signed(right(), ec_key()),
        signed(right(), ec_key(), "ES256", kid="ec"),
        signed(right(), rsa_key(), "PS256", kid="rsa"),
        signed(right(), rsa_key(), "RS256"),
        signed(right(aud=ISSUER), ec_key()),
        signed(right(aud=[ENDPOINT]), ec_key()),
        signed(right(iat=None), ec_key()),
        signed(right(exp=NOW.timestamp() + 300), ec_key()),
        signed(right(nbf=NOW.timestamp() + 30, iat=NOW.timestamp() + 30), ec_key()),
    ],
)
def test_right_assertions_are_taken(assertion: str) -> None:
    use = check(assertion)
    assert NOW < use.expires_at <= NOW + timedelta(minutes=5)
    assert len(use.jti_sha256) == 32


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "cli_other"}, "assertion-claims"),
        ({"iss": None}, "assertion-claims"),
        ({"sub": "cli_other"}, "assertion-claims"),
        ({"sub": None}, "assertion-claims"),
        ({"jti": None}, "assertion-claims"),
        ({"jti": ""}, "assertion-claims"),
        ({"jti": 7}, "assertion-claims"),
        ({"jti": "x" * 257}, "assertion-claims"),
        ({"exp": None}, "assertion-claims"),
        ({"exp": "soon"}, "assertion-claims"),
        ({"exp": True}, "assertion-claims"),
        ({"exp": 10**30}, "assertion-claims"),
        ({"iat": "now"}, "assertion-claims"),
        ({"aud": None}, "assertion-audience"),
        ({"aud": "https://elsewhere.test"}, "assertion-audience"),
        ({"aud": ENDPOINT + "/"}, "assertion-audience"),
        ({"aud": [ENDPOINT, "https://elsewhere.test"]}, "assertion-audience"),
        ({"aud": []}, "assertion-audience"),
        ({"aud": {"url": ENDPOINT}}, "assertion-audience"),
        ({"aud": [[ENDPOINT]]}, "assertion-audience"),
        ({"exp": NOW.timestamp()}, "assertion-expired"),
        ({"exp": NOW.timestamp() - 1}, "assertion-expired"),
        ({"iat": NOW.timestamp() + 31}, "assertion-expired"),
        ({"nbf": NOW.timestamp() + 31}, "assertion-expired"),
        ({"exp": NOW.timestamp() + 301}, "assertion-too-long"),
    ],
)
def test_wrong_claims_are_named_to_who_could_sign_them(changes: dict[str, Any], reason: str) -> None:
    # by the layer below, which does not look at claims
    assertion = api_jws.encode(json.dumps(right(**changes)).encode(), ec_key(), "ES256")
    with pytest.raises(AuthenticationRefused) as caught:
        check(assertion)
    assert caught.value.reason == reason


GOOD = signed(right(), ec_key())
HEAD, BODY, SIGNATURE = GOOD.split(".")
DEEP = b"[" * 20_000
FORGED = {
    "nothing": "",
    "no JWT": "a.b.c",
    "two parts": f"{HEAD}.{BODY}",
    "unsigned": raw_jws(b'{"alg":"none"}', b"{}", b""),
    "signature of nothing": f"{HEAD}.{BODY}.",
    "signature changed": f"{HEAD}.{BODY}.{SIGNATURE[:-4]}AAAA",
    "claims changed": f"{HEAD}.{signed(right(sub='cli_x'), ec_key()).split('.')[1]}.{SIGNATURE}",
    "key of somebody else": signed(right(), ec_key("other")),
    "RSA key of somebody else": signed(right(), rsa_key(2048, "other"), "PS256"),
    "another key's name": signed(right(), ec_key(), "ES256", kid="rsa"),
    "a name that is not there": signed(right(), ec_key(), "ES256", kid="gone"),
    "HMAC with the public key": hmac_with_public_key(right(), ec_key()),
    "longer hash": signed(right(), rsa_key(), "PS512"),
    "key in the header": signed(right(), ec_key("other"), "ES256", jwk=jwk(ec_key("other"))),
    "kid that is no text": raw_jws(b'{"alg":"ES256","kid":1}', b"{}"),
    "alg that is no text": raw_jws(b'{"alg":["ES256"]}', b"{}"),
    "header too deep": raw_jws(DEEP, b"{}"),
    "claims too deep": raw_jws(b'{"alg":"ES256"}', DEEP),
    "claims that are a list": raw_jws(b'{"alg":"ES256"}', b"[]"),
    "not ASCII": "ä.ö.ü",
}


@pytest.mark.parametrize("assertion", FORGED.values(), ids=FORGED)
def test_what_no_key_of_the_client_has_signed_proves_nothing(assertion: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        check(assertion)
    assert type(caught.value) is Unauthenticated  # without a reason


@pytest.mark.parametrize(
    ("assertion", "client"),
    [(GOOD, CLIENT), ("", None), (FORGED["claims too deep"], None), (FORGED["claims that are a list"], None)],
)
def test_the_claimed_client_is_read_without_trust(assertion: str, client: str | None) -> None:
    assert claimed_client(assertion) == client
