"""private_key_jwt: a client proves itself by a signed assertion instead of a secret (RFC 7521, RFC 7523 §3; GWT-20)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from demail_gateway.application.client_keys import ALGORITHMS, keys_for
from demail_gateway.core.errors import AuthenticationRefused, Unauthenticated

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST = timedelta(minutes=5)
"""An assertion ends at most so long after it comes, so that its `jti` need not be kept longer."""
SKEW = timedelta(seconds=30)
"""A client's clock may be ahead by so much where it says since when an assertion holds."""
LONGEST_JTI = 256


@dataclass(frozen=True, slots=True)
class AssertionUse:
    """What must not be seen again before `expires_at`."""

    jti_sha256: bytes
    expires_at: datetime


def claimed_client(assertion: str) -> str | None:
    """Whom the assertion says it speaks for. Nothing is checked yet."""
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    subject = claims.get("sub")
    return subject if isinstance(subject, str) else None


def check_assertion(
    assertion: str, key_set: Mapping[str, Any], client_id: str, audiences: Collection[str], now: datetime
) -> AssertionUse:
    """Checks signature and claims; that it is used once is left to the caller, who can remember.

    What is wrong with the claims is told only to who could sign them.

    Raises:
        Unauthenticated: not a JWT, or not signed by a key of the set.
        AuthenticationRefused: `assertion-claims`, `assertion-audience`, `assertion-expired`, `assertion-too-long`.
    """
    claims = _signed_claims(assertion, key_set)
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise AuthenticationRefused("assertion-claims")
    if not _is_for(claims.get("aud"), audiences):
        raise AuthenticationRefused("assertion-audience")
    expires_at = _expiry(claims, now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= LONGEST_JTI:
        raise AuthenticationRefused("assertion-claims")
    return AssertionUse(hashlib.sha256(jti.encode("utf-8", "surrogatepass")).digest(), expires_at)


def _signed_claims(assertion: str, key_set: Mapping[str, Any]) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(assertion)
        algorithm, kid = str(header.get("alg")), header.get("kid")
        for key in keys_for(key_set, algorithm, kid):
            claims = _verified(assertion, key)
            if claims is not None:
                return claims
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise Unauthenticated from error
    raise Unauthenticated


def _verified(assertion: str, key: jwt.PyJWK) -> dict[str, Any] | None:
    # claims are judged by hand: the time is an argument, and one audience alone is right
    unjudged = ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti")
    options: Any = dict.fromkeys(unjudged, False)
    try:
        claims: dict[str, Any] = jwt.decode(assertion, key, algorithms=list(ALGORITHMS), options=options)
    except jwt.InvalidSignatureError:
        return None
    return claims


def _is_for(audience: object, audiences: Collection[str]) -> bool:
    """An assertion for others beside us is refused: they could use it here."""
    if isinstance(audience, list) and len(audience) == 1:
        (audience,) = audience
    return isinstance(audience, str) and audience in audiences


def _expiry(claims: Mapping[str, Any], now: datetime) -> datetime:
    expires_at = _moment(claims.get("exp"))
    begins = [_moment(claims[name]) for name in ("iat", "nbf") if name in claims]
    if expires_at is None or None in begins:
        raise AuthenticationRefused("assertion-claims")
    if expires_at <= now or any(begin > now + SKEW for begin in begins if begin is not None):
        raise AuthenticationRefused("assertion-expired")
    if expires_at > now + LONGEST:
        raise AuthenticationRefused("assertion-too-long")
    return expires_at


def _moment(value: object) -> datetime | None:
    """NumericDate (RFC 7519 §2); None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return None
