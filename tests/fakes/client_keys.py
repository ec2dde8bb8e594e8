"""Keys, assertions and certificates as a client has them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@cache
def rsa_key(bits: int = 2048, which: str = "") -> rsa.RSAPrivateKey:
    """Always the same one of each size and name."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(which: str = "") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def jwk(key: PrivateKey, **members: Any) -> dict[str, Any]:
    """The public part."""
    if isinstance(key, rsa.RSAPrivateKey):
        return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), **members}
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), **members}


def private_jwk(key: PrivateKey) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return dict(RSAAlgorithm.to_jwk(key, as_dict=True))
    return dict(ECAlgorithm.to_jwk(key, as_dict=True))


def claims(client_id: str, audience: object, now: datetime, **changes: Any) -> dict[str, Any]:
    """Those of a right assertion, with `changes`; a change to None takes the claim away."""
    right = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 60,
        "jti": f"jti-{now.timestamp()}",
        **changes,
    }
    return {name: value for name, value in right.items() if value is not None}


def signed(payload: dict[str, Any], key: Any, algorithm: str = "ES256", **header: Any) -> str:
    return jwt.encode(payload, key, algorithm=algorithm, headers=header or None)


def raw_jws(header: bytes, payload: bytes, signature: bytes = b"x") -> str:
    """A JWS of octets that no library would write."""
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (header, payload, signature))


def hmac_with_public_key(payload: dict[str, Any], key: PrivateKey) -> str:
    """An assertion "signed" by HMAC under the public key, which everybody knows (RFC 8725 §2.1)."""
    text = json.dumps(jwk(key)).encode()
    signing = raw_jws(b'{"alg":"HS256","typ":"JWT"}', json.dumps(payload).encode()).rpartition(".")[0]
    mac = hmac.new(text, signing.encode(), hashlib.sha256).digest()
    return f"{signing}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def certificate(
    name: str = "fachverfahren", begin: datetime = datetime(2026, 1, 1, tzinfo=UTC), days: int = 700
) -> x509.Certificate:
    """Self-signed."""
    key = ec_key(name)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(0xC0FFEE)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .sign(key, SHA256())
    )


def pem(found: x509.Certificate) -> str:
    return found.public_bytes(Encoding.PEM).decode("ascii")


def der(found: x509.Certificate) -> bytes:
    return found.public_bytes(Encoding.DER)
