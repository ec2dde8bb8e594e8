"""A client's public keys as a JWK set (RFC 7517): judged when they are registered, chosen when an assertion comes."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jwt
from jwt import PyJWK

from demail_gateway.core.errors import RuleViolation, Violation

ALGORITHMS = ("PS256", "ES256", "RS256")
"""Signatures taken from clients. No HMAC: its key would be a shared secret again."""
SHORTEST_RSA_BITS = 2048
LONGEST_RSA_BITS = 8192
"""Longer ones only cost time; 3000 and more are recommended (TR-02102-1 §2.3)."""
MOST_KEYS = 10
MOST_OCTETS = 32_768

_FITTING = {"RSA": ("PS256", "RS256"), "EC": ("ES256",)}
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
_SECRET = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_KEPT = ("kty", "kid", "alg", "use")


def read_key_set(raw: Mapping[str, Any], pointer: str = "/jwks") -> dict[str, Any]:
    """The set with the members that matter, of public signature keys alone.

    Certificates and addresses of certificates in a key (`x5c`, `x5u`, …) are left out: the key itself is the pin.

    Raises:
        RuleViolation: empty or too large, a private or symmetric key, a key that no permitted algorithm can use, one
            shorter than 2048 bits, or a `kid` that stands twice; with a pointer to the key.
    """
    keys = raw.get("keys")
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_KEYS:
        raise _violation(pointer + "/keys", *_NUMBER)
    if len(json.dumps(raw, default=str)) > MOST_OCTETS:
        raise _violation(pointer, *_TOO_LARGE)
    read = [_read_key(key, f"{pointer}/keys/{number}") for number, key in enumerate(keys)]
    names = [key["kid"] for key in read if "kid" in key]
    if len(names) != len(set(names)) or (len(read) > 1 and len(names) != len(read)):
        raise _violation(pointer + "/keys", *_NAMES)
    return {"keys": read}


def keys_for(key_set: Mapping[str, Any], algorithm: str, kid: str | None) -> Iterator[PyJWK]:
    """Keys of a registered set that may have made a signature by `algorithm`, named `kid` if the signature says so."""
    if algorithm not in ALGORITHMS:
        return
    for key in key_set["keys"]:
        named = kid is None or key.get("kid", kid) == kid
        if named and algorithm in _FITTING[key["kty"]] and key.get("alg", algorithm) == algorithm:
            # bound to the algorithm here, so that the header of an assertion cannot choose another for this key
            yield PyJWK(dict(key), algorithm)


def _read_key(key: Any, pointer: str) -> dict[str, Any]:
    if not isinstance(key, Mapping) or key.get("kty") not in _FITTING:
        raise _violation(pointer, *_KIND)
    if any(name in key for name in _SECRET):
        raise _violation(pointer, *_PRIVATE)
    kind = str(key["kty"])
    read = {name: key[name] for name in (*_KEPT, *_PUBLIC[kind]) if name in key}
    if not all(isinstance(value, str) and value.isprintable() and value for value in read.values()):
        raise _violation(pointer, *_UNREADABLE)
    if read.get("alg", _FITTING[kind][0]) not in _FITTING[kind] or not _for_signatures(key):
        raise _violation(pointer, *_KIND)
    if kind == "RSA" and not _right_size(read.get("n", "")):
        raise _violation(pointer, *_SIZE)
    if kind == "EC" and read.get("crv") != "P-256":
        raise _violation(pointer, *_KIND)
    try:
        PyJWK(read, _FITTING[kind][0])
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise _violation(pointer, *_UNREADABLE) from error
    return read


def _for_signatures(key: Mapping[str, Any]) -> bool:
    operations = key.get("key_ops")
    named = operations is None or (isinstance(operations, Sequence) and "verify" in operations)
    return key.get("use", "sig") == "sig" and named


def _right_size(modulus: str) -> bool:
    try:
        octets = base64.b64decode(modulus + "=" * (-len(modulus) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    return SHORTEST_RSA_BITS <= int.from_bytes(octets).bit_length() <= LONGEST_RSA_BITS


def _violation(pointer: str, german: str, english: str) -> RuleViolation:
    return RuleViolation([Violation("invalid-request", "GWT-20", pointer, german, english)])


_NUMBER = (
    f"Erwartet wird ein JWK-Set (RFC 7517) mit 1 bis {MOST_KEYS} Schlüsseln in keys.",
    f"A JWK set (RFC 7517) with 1 to {MOST_KEYS} keys in keys is expected.",
)
_TOO_LARGE = ("Das JWK-Set ist zu groß.", "The JWK set is too large.")
_NAMES = (
    "Bei mehreren Schlüsseln braucht jeder eine eigene kid.",
    "With several keys, each needs a kid of its own.",
)
_KIND = (
    "Möglich sind öffentliche Signaturschlüssel: RSA (PS256, RS256) oder EC P-256 (ES256).",
    "Public signature keys are possible: RSA (PS256, RS256) or EC P-256 (ES256).",
)
_PRIVATE = (
    "Das ist ein geheimer Schlüssel. Erzeugen Sie einen neuen; hierher gehört nur der öffentliche Teil.",
    "This is a secret key. Make a new one; only its public part belongs here.",
)
_SIZE = (
    f"RSA-Schlüssel haben {SHORTEST_RSA_BITS} bis {LONGEST_RSA_BITS} Bit, empfohlen sind mindestens 3000.",
    f"RSA keys have {SHORTEST_RSA_BITS} to {LONGEST_RSA_BITS} bits; at least 3000 are recommended.",
)
_UNREADABLE = ("Dieser Schlüssel ist nicht lesbar.", "This key cannot be read.")
