"""Who calls, and what they may do: tokens by client credentials, and the check of each request's token.

Order of checks (`contract.md` §5): token (401), tenant (404), scope (403). A foreign tenant answers like none at all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from demail_gateway.application.ports import ClientRecord, Clients, Clock, Randomness
from demail_gateway.core.errors import Forbidden, NotFound, TooManyRequests, Unauthenticated
from demail_gateway.tenancy.credentials import secret_digest, secret_matches
from demail_gateway.tenancy.identifiers import Prefix, format_id, parse_id
from demail_gateway.tenancy.scope import OperatorScope, Scope, TenantScope

LONGEST_LIFETIME_S = 900
"""Bearer tokens live 15 minutes at most (`contract.md` §3)."""
RECHECK = timedelta(seconds=30)
"""A token's client is looked up anew after this time at the latest, so that a stopped client or a withdrawn scope
takes effect within the minute of GWT-40, and the hot path pays no round trip for it."""

_ALGORITHM = "HS256"
_NOBODY = secret_digest("")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid token permits at this moment."""

    client_id: UUID
    tenant_id: UUID | None
    tenant_slug: str | None
    scopes: frozenset[Scope]
    good_until: datetime
    """The token's end, or when its client has to be looked up again."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    access_token: str
    expires_in_s: int
    scopes: frozenset[Scope]


class TokenIssuer:
    """Makes and reads bearer tokens: JWT, HS256 under the installation's secret."""

    def __init__(self, secret: bytes, issuer: str, audience: str, lifetime_s: int = LONGEST_LIFETIME_S) -> None:
        if len(secret) < 32:
            raise ValueError("the token secret needs 32 octets")
        if not 1 <= lifetime_s <= LONGEST_LIFETIME_S:
            raise ValueError("a token lives 1 to 900 seconds")
        self._secret = secret
        self._issuer = issuer
        self._audience = audience
        self.lifetime_s = lifetime_s

    def issue(self, client: ClientRecord, scopes: frozenset[Scope], now: datetime, token_id: str) -> str:
        """A token for `client` with `scopes`, good from `now` on."""
        issued_at = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": format_id(Prefix.CLIENT, client.id),
            "scope": " ".join(sorted(scopes)),
            "jti": token_id,
            "iat": issued_at,
            "exp": issued_at + self.lifetime_s,
        }
        if client.tenant_id is not None:
            claims["ten"] = format_id(Prefix.TENANT, client.tenant_id)
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM, headers={"typ": "at+jwt"})

    def read(self, token: str, now: datetime) -> tuple[UUID, frozenset[Scope], datetime]:
        """Client, scopes and end of a token of ours.

        Raises:
            Unauthenticated: not our token, changed, for somebody else, or past its end.
        """
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                # the time is an argument here, so the library's own clock is left out
                options={"require": ["exp", "iat", "sub", "aud", "iss"], "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated from error
        client_id = parse_id(Prefix.CLIENT, str(claims["sub"]))
        end = _moment(claims["exp"], now)
        if client_id is None or end <= now:
            raise Unauthenticated
        return client_id, _known_scopes(str(claims.get("scope", "")).split()), end


class IssueToken:
    """Client credentials in, token out (RFC 6749 §4.4), with the lock of GWT-23."""

    def __init__(self, clients: Clients, issuer: TokenIssuer, clock: Clock, randomness: Randomness) -> None:
        self._clients = clients
        self._issuer = issuer
        self._clock = clock
        self._randomness = randomness

    async def __call__(self, client_id: str, secret: str, wanted: str | None, source: str) -> IssuedToken:
        """A token for the scopes `wanted` (all of the client's when None), asked for from network address `source`.

        Raises:
            Unauthenticated: unknown, wrong secret or switched off; which of these is not told.
            TooManyRequests: locked for this source.
            Forbidden: a scope the client does not have.
        """
        now = self._clock()
        client = await self._authenticated(client_id, secret, source, now)
        scopes = client.scopes if wanted is None else _wanted(wanted, client.scopes)
        token = self._issuer.issue(client, scopes, now, self._randomness(16).hex())
        return IssuedToken(token, self._issuer.lifetime_s, scopes)

    async def _authenticated(self, client_id: str, secret: str, source: str, now: datetime) -> ClientRecord:
        uuid = parse_id(Prefix.CLIENT, client_id)
        client = await self._clients.find(uuid, source, now) if uuid is not None else None
        if client is None:
            secret_matches(secret, _NOBODY)  # the same work as for a known client
            raise Unauthenticated
        if client.locked_until is not None and client.locked_until > now:
            raise TooManyRequests(client.locked_until - now)
        right = secret_matches(secret, client.secret_sha256) and client.active
        await self._clients.record_attempt(client.id, source, right, now)
        if not right:
            raise Unauthenticated
        return client


class Access:
    """Checks a request's token, tenant and scope; the only maker of scopes for requests."""

    def __init__(self, clients: Clients, issuer: TokenIssuer, clock: Clock, remembered: int = 10_000) -> None:
        self._clients = clients
        self._issuer = issuer
        self._clock = clock
        self._remembered = remembered
        self._grants: dict[bytes, Grant] = {}

    async def grant(self, token: str | None) -> Grant:
        """What the bearer token permits now.

        Raises:
            Unauthenticated: none, invalid, past its end, or its client is switched off.
        """
        if not token:
            raise Unauthenticated
        now = self._clock()
        # tokens themselves are not kept, so that a memory image gives none away
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        grant = self._grants.get(key)
        if grant is None or grant.good_until <= now:
            grant = await self._looked_up(token, now)
            self._remember(key, grant)
        return grant

    async def tenant(self, token: str | None, named: str, *needed: Scope) -> TenantScope:
        """The scope for the tenant `named` by id or slug; the token needs one of the scopes `needed`.

        Raises:
            Unauthenticated, NotFound, Forbidden: in this order.
        """
        grant = await self.grant(token)
        if grant.tenant_id is None or named not in (grant.tenant_slug, format_id(Prefix.TENANT, grant.tenant_id)):
            raise NotFound
        if grant.scopes.isdisjoint(needed):
            raise Forbidden(needed[0])
        return TenantScope(grant.tenant_id, grant.client_id, grant.scopes)

    async def operator(self, token: str | None) -> OperatorScope:
        """Raises Unauthenticated, Forbidden."""
        grant = await self.grant(token)
        if grant.tenant_id is not None or Scope.OPERATOR not in grant.scopes:
            raise Forbidden(Scope.OPERATOR)
        return OperatorScope(grant.client_id)

    async def _looked_up(self, token: str, now: datetime) -> Grant:
        client_id, scopes, end = self._issuer.read(token, now)
        client = await self._clients.find(client_id, "", now)
        if client is None or not client.active:
            raise Unauthenticated
        # a scope taken from the client is taken from its living tokens too
        return Grant(client.id, client.tenant_id, client.tenant_slug, scopes & client.scopes, min(end, now + RECHECK))

    def _remember(self, key: bytes, grant: Grant) -> None:
        if len(self._grants) >= self._remembered:
            self._grants.clear()
        self._grants[key] = grant


def _wanted(text: str, permitted: frozenset[Scope]) -> frozenset[Scope]:
    names = text.split()
    scopes = _known_scopes(names)
    if not names or len(scopes) != len(set(names)) or not scopes <= permitted:
        raise Forbidden("scope")
    return scopes


def _known_scopes(names: list[str]) -> frozenset[Scope]:
    known = {str(scope): scope for scope in Scope}
    return frozenset(known[name] for name in names if name in known)


def _moment(value: object, now: datetime) -> datetime:
    if not isinstance(value, int):
        raise Unauthenticated
    try:
        return datetime.fromtimestamp(value, now.tzinfo)
    except (OverflowError, OSError, ValueError) as error:
        raise Unauthenticated from error
