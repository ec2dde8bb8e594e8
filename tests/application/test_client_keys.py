"""Which key sets a client may register (GWT-20)."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from demail_gateway.application.client_keys import MOST_KEYS, keys_for, read_key_set
from demail_gateway.core.errors import RuleViolation
from tests.fakes.client_keys import ec_key, jwk, private_jwk, rsa_key

EC, RSA = jwk(ec_key(), kid="ec"), jwk(rsa_key(), kid="rsa")


def test_members_that_do_not_matter_are_left_out() -> None:
    key_set = read_key_set({"keys": [{**EC, "x5u": "https://elsewhere", "x5c": ["x"], "note": 1}], "more": {}})
    assert key_set == {"keys": [{name: EC[name] for name in ("kty", "kid", "crv", "x", "y")}]}


def test_a_key_of_each_kind_is_taken() -> None:
    assert [key["kid"] for key in read_key_set({"keys": [EC, {**RSA, "alg": "PS256", "use": "sig"}]})["keys"]] == [
        "ec",
        "rsa",
    ]


P384 = jwk(ec.generate_private_key(ec.SECP384R1()))
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("none", {}, "/jwks/keys"),
    ("no list", {"keys": {"0": EC}}, "/jwks/keys"),
    ("empty", {"keys": []}, "/jwks/keys"),
    ("too many", {"keys": [{**EC, "kid": str(n)} for n in range(MOST_KEYS + 1)]}, "/jwks/keys"),
    ("too large", {"keys": [{**EC, "note": "x" * 40_000}]}, "/jwks"),
    ("one kid twice", {"keys": [EC, {**RSA, "kid": "ec"}]}, "/jwks/keys"),
    ("two without kid", {"keys": [jwk(ec_key()), RSA]}, "/jwks/keys"),
    ("no object", {"keys": ["key"]}, "/jwks/keys/0"),
    ("private EC", {"keys": [private_jwk(ec_key())]}, "/jwks/keys/0"),
    ("private RSA", {"keys": [private_jwk(rsa_key())]}, "/jwks/keys/0"),
    ("symmetric", {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "/jwks/keys/0"),
    ("Edwards", {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": EC["x"]}]}, "/jwks/keys/0"),
    ("other curve", {"keys": [P384]}, "/jwks/keys/0"),
    ("curve without name", {"keys": [{name: EC[name] for name in ("kty", "x", "y")}]}, "/jwks/keys/0"),
    ("point off the curve", {"keys": [{**EC, "y": EC["x"]}]}, "/jwks/keys/0"),
    ("point cut short", {"keys": [{**EC, "y": "AA"}]}, "/jwks/keys/0"),
    ("not base64", {"keys": [{**EC, "x": "ä"}]}, "/jwks/keys/0"),
    ("number for text", {"keys": [{**EC, "x": 1}]}, "/jwks/keys/0"),
    ("kid with NUL", {"keys": [{**EC, "kid": "a\0"}]}, "/jwks/keys/0"),
    ("short RSA", {"keys": [jwk(rsa_key(1024))]}, "/jwks/keys/0"),
    ("long RSA", {"keys": [{"kty": "RSA", "e": "AQAB", "n": "_" * 2000}]}, "/jwks/keys/0"),
    ("RSA not base64", {"keys": [{"kty": "RSA", "e": "AQAB", "n": "ä"}]}, "/jwks/keys/0"),
    ("RSA without modulus", {"keys": [{"kty": "RSA", "e": "AQAB"}]}, "/jwks/keys/0"),
    ("RSA with exponent 1", {"keys": [{**RSA, "e": "AQ"}]}, "/jwks/keys/0"),
    ("RSA with even exponent", {"keys": [{**RSA, "e": "BA"}]}, "/jwks/keys/0"),
    ("for encryption", {"keys": [{**RSA, "use": "enc"}]}, "/jwks/keys/0"),
    ("not for verifying", {"keys": [{**RSA, "key_ops": ["encrypt"]}]}, "/jwks/keys/0"),
    ("algorithm of another kind", {"keys": [{**RSA, "alg": "ES256"}]}, "/jwks/keys/0"),
    ("longer hash", {"keys": [{**RSA, "alg": "PS512"}]}, "/jwks/keys/0"),
    ("second of two", {"keys": [RSA, {**EC, "crv": "P-521"}]}, "/jwks/keys/1"),
]


@pytest.mark.parametrize(("key_set", "pointer"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
@pytest.mark.clause("GWT-20")
def test_other_key_sets_are_refused_where_they_are_wrong(key_set: dict[str, Any], pointer: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        read_key_set(key_set)
    (violation,) = caught.value.violations
    assert (violation.pointer, violation.rule) == (pointer, "GWT-20")
    assert violation.detail_de != violation.detail_en


def test_only_keys_that_may_have_signed_are_tried() -> None:
    key_set = read_key_set({"keys": [EC, {**RSA, "alg": "PS256"}, jwk(rsa_key(2048, "b"), kid="b")]})

    def tried(algorithm: str, kid: str | None) -> list[str | None]:
        return [key.key_id for key in keys_for(key_set, algorithm, kid)]

    assert tried("ES256", None) == ["ec"]
    assert tried("PS256", None) == ["rsa", "b"]
    assert tried("RS256", None) == ["b"]
    assert tried("RS256", "rsa") == []
    assert tried("ES256", "rsa") == []
    assert tried("HS256", None) == []
    assert tried("none", None) == []
