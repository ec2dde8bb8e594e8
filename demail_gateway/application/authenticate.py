"""Who calls, and what they may do: the check of each request's token.

Order of checks (`contract.md` §5): token (401), tenant (404), scope (403). A foreign tenant answers like none at all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from demail_gateway.application.access_tokens import TokenIssuer
from demail_gateway.application.ports.clients import Clients
from demail_gateway.application.ports.surroundings import Clock
from demail_gateway.core.errors import Forbidden, NotFound, Unauthenticated
from demail_gateway.tenancy.client_authentication import pinned
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import OperatorScope, Scope, TenantScope

RECHECK = timedelta(seconds=30)
"""A token's client is looked up anew after this time at the latest, so that a stopped client, a withdrawn scope or a
withdrawn certificate takes effect within the minute of GWT-40, and the hot path pays no round trip for it. The
operator's clients, who may do more and seldom ask, are looked up with every request."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid token permits at this moment."""

    client_id: UUID
    tenant_id: UUID | None
    tenant_slug: str | None
    scopes: frozenset[Scope]
    good_until: datetime
    """The token's end, or when its client has to be looked up again."""
    certificate_sha256: bytes | None
    """The certificate that must be shown with it (RFC 8705 §3)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request shows of who sends it."""

    token: str | None
    certificate_sha256: bytes | None = None
    """Of the client's end of the TLS connection, where that is known."""


class Access:
    """Checks a request's token, tenant and scope; the only maker of scopes for requests."""

    def __init__(self, clients: Clients, issuer: TokenIssuer, clock: Clock, remembered: int = 10_000) -> None:
        self._clients = clients
        self._issuer = issuer
        self._clock = clock
        self._remembered = remembered
        self._grants: dict[bytes, Grant] = {}

    async def grant(self, caller: Caller) -> Grant:
        """What the bearer token permits now.

        Raises:
            Unauthenticated: none, invalid, past its end, without the certificate that it is bound to, or its client
                is switched off.
        """
        token = caller.token
        if not token:
            raise Unauthenticated
        now = self._clock()
        # tokens themselves are not kept, so that a memory image gives none away
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        grant = self._grants.get(key)
        if grant is None or grant.good_until <= now:
            grant = await self._looked_up(token, now)
            if grant.tenant_id is not None:
                self._remember(key, grant)
        if grant.certificate_sha256 not in (None, caller.certificate_sha256):
            raise Unauthenticated
        return grant

    async def tenant(self, caller: Caller, named: str, *needed: Scope) -> TenantScope:
        """The scope for the tenant `named` by id or slug; the token needs one of the scopes `needed`.

        Raises:
            Unauthenticated, NotFound, Forbidden: in this order.
        """
        grant = await self.grant(caller)
        if grant.tenant_id is None or named not in (grant.tenant_slug, format_id(Prefix.TENANT, grant.tenant_id)):
            raise NotFound
        if grant.scopes.isdisjoint(needed):
            raise Forbidden(needed[0])
        return TenantScope(grant.tenant_id, grant.client_id, grant.scopes)

    async def operator(self, caller: Caller) -> OperatorScope:
        """Raises Unauthenticated, Forbidden."""
        grant = await self.grant(caller)
        if grant.tenant_id is not None or Scope.OPERATOR not in grant.scopes:
            raise Forbidden(Scope.OPERATOR)
        return OperatorScope(grant.client_id)

    async def _looked_up(self, token: str, now: datetime) -> Grant:
        read = self._issuer.read(token, now)
        client = await self._clients.find(read.client_id, "", now)
        if client is None or not client.active:
            raise Unauthenticated
        good_until = min(read.end, now + RECHECK)
        if (bound := read.certificate_sha256) is not None:
            certificate = pinned(client.certificates, bound, now)
            if certificate is None:
                raise Unauthenticated
            good_until = min(good_until, certificate.not_after)
        # a scope taken from the client is taken from its living tokens too
        scopes = read.scopes & client.scopes
        return Grant(client.id, client.tenant_id, client.tenant_slug, scopes, good_until, bound)

    def _remember(self, key: bytes, grant: Grant) -> None:
        if len(self._grants) >= self._remembered:
            self._grants.clear()
        self._grants[key] = grant
