"""Bearer tokens of this installation: made at the token endpoint, read with every request."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import jwt

from demail_gateway.application.ports.clients import ClientRecord
from demail_gateway.core.errors import Unauthenticated
from demail_gateway.tenancy.identifiers import Prefix, format_id, parse_id
from demail_gateway.tenancy.scope import Scope

LONGEST_LIFETIME_S = 900
"""Bearer tokens live 15 minutes at most (`contract.md` §3)."""

_ALGORITHM = "HS256"
_THUMBPRINT = "x5t#S256"


@dataclass(frozen=True, slots=True)
class ReadToken:
    """What a token of ours says."""

    client_id: UUID
    scopes: frozenset[Scope]
    end: datetime
    certificate_sha256: bytes | None
    """It is good only beside this certificate (RFC 8705 §3); None: for whoever bears it."""


class TokenIssuer:
    """Makes and reads bearer tokens: JWT, HS256 under the installation's secret."""

    def __init__(self, secret: bytes, issuer: str, audience: str, lifetime_s: int = LONGEST_LIFETIME_S) -> None:
        if len(secret) < 32:
            raise ValueError("the token secret needs 32 octets")
        if not 1 <= lifetime_s <= LONGEST_LIFETIME_S:
            raise ValueError("a token lives 1 to 900 seconds")
        self._secret = secret
        self._audience = audience
        self.issuer = issuer
        self.lifetime_s = lifetime_s

    @property
    def endpoint(self) -> str:
        """Where tokens are asked for."""
        return f"{self.issuer.rstrip('/')}/oauth2/token"

    def issue(
        self,
        client: ClientRecord,
        scopes: frozenset[Scope],
        now: datetime,
        token_id: str,
        certificate_sha256: bytes | None = None,
    ) -> str:
        """A token for `client` with `scopes`, good from `now` on, and bound to the certificate if there is one."""
        issued_at = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self._audience,
            "sub": format_id(Prefix.CLIENT, client.id),
            "scope": " ".join(sorted(scopes)),
            "jti": token_id,
            "iat": issued_at,
            "exp": issued_at + self.lifetime_s,
        }
        if client.tenant_id is not None:
            claims["ten"] = format_id(Prefix.TENANT, client.tenant_id)
        if certificate_sha256 is not None:
            claims["cnf"] = {_THUMBPRINT: base64.urlsafe_b64encode(certificate_sha256).rstrip(b"=").decode("ascii")}
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM, headers={"typ": "at+jwt"})

    def read(self, token: str, now: datetime) -> ReadToken:
        """What a token of ours says.

        Raises:
            Unauthenticated: not our token, changed, for somebody else, or past its end.
        """
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=self._audience,
                issuer=self.issuer,
                # the time is an argument here, so the library's own clock is left out
                options={"require": ["exp", "iat", "sub", "aud", "iss"], "verify_exp": False, "verify_iat": False},
            )
        # a header of brackets alone is deeper than the JSON reader goes
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Unauthenticated from error
        client_id = parse_id(Prefix.CLIENT, str(claims["sub"]))
        end = _moment(claims["exp"], now)
        if client_id is None or end <= now:
            raise Unauthenticated
        return ReadToken(client_id, known_scopes(str(claims.get("scope", "")).split()), end, _bound_to(claims))


def known_scopes(names: list[str]) -> frozenset[Scope]:
    """The scopes among `names`."""
    known = {str(scope): scope for scope in Scope}
    return frozenset(known[name] for name in names if name in known)


def _bound_to(claims: dict[str, Any]) -> bytes | None:
    """A confirmation that cannot be read binds to nothing that could be shown, so the token is refused."""
    if "cnf" not in claims:
        return None
    try:
        text = claims["cnf"][_THUMBPRINT]
        return base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        raise Unauthenticated from error


def _moment(value: object, now: datetime) -> datetime:
    if not isinstance(value, int):
        raise Unauthenticated
    try:
        return datetime.fromtimestamp(value, now.tzinfo)
    except (OverflowError, OSError, ValueError) as error:
        raise Unauthenticated from error
