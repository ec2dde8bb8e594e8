"""Credentials in, token out: client credentials (RFC 6749 §4.4) by secret, signed assertion or certificate (GWT-20).

Proof comes before policy: only who has shown a secret or key learns that this way is not permitted, or what is wrong
with an assertion. What proves nothing counts as a wrong attempt (GWT-23); what is proven but not taken does not, since
nobody has guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from demail_gateway.application.access_tokens import TokenIssuer, known_scopes
from demail_gateway.application.client_assertion import AssertionUse, check_assertion, claimed_client
from demail_gateway.application.ports.clients import ClientRecord, Clients
from demail_gateway.application.ports.surroundings import Clock, Randomness
from demail_gateway.core.errors import AuthenticationRefused, Forbidden, TooManyRequests, Unauthenticated
from demail_gateway.tenancy.client_authentication import ClientAuthentication, pinned
from demail_gateway.tenancy.credentials import secret_digest, secret_matches
from demail_gateway.tenancy.identifiers import Prefix, format_id, parse_id
from demail_gateway.tenancy.scope import Scope

_NOBODY = secret_digest("")


@dataclass(frozen=True, slots=True)
class BySecret:
    """client_secret_basic."""

    client_id: str
    secret: str
    method = ClientAuthentication.SECRET


@dataclass(frozen=True, slots=True)
class ByAssertion:
    """private_key_jwt; `client_id` as the request names it beside the assertion, if it does (RFC 7521 §4.2)."""

    assertion: str
    client_id: str | None = None
    method = ClientAuthentication.ASSERTION


@dataclass(frozen=True, slots=True)
class ByCertificate:
    """tls_client_auth: the certificate of the connection is all there is to show (RFC 8705 §2)."""

    client_id: str
    method = ClientAuthentication.CERTIFICATE


Credentials = BySecret | ByAssertion | ByCertificate


@dataclass(frozen=True, slots=True)
class IssuedToken:
    access_token: str
    expires_in_s: int
    scopes: frozenset[Scope]
    client_id: str


class IssueToken:
    """The token endpoint; `methods` hold for clients whose tenant says nothing, and for the operator's."""

    def __init__(
        self,
        clients: Clients,
        issuer: TokenIssuer,
        clock: Clock,
        randomness: Randomness,
        methods: frozenset[ClientAuthentication],
    ) -> None:
        self._clients = clients
        self._issuer = issuer
        self._clock = clock
        self._randomness = randomness
        self._methods = methods

    async def __call__(
        self, credentials: Credentials, wanted: str | None, source: str, certificate_sha256: bytes | None = None
    ) -> IssuedToken:
        """A token for the scopes `wanted` (all of the client's when None), asked for from network address `source`.

        `certificate_sha256` is that of the client's end of the TLS connection. A token asked for beside a registered
        certificate is bound to it, whatever else the client has shown (RFC 8705 §3).

        Raises:
            Unauthenticated: unknown, not proven or switched off; which of these is not told.
            AuthenticationRefused: proven, but not in a way that is taken.
            TooManyRequests: locked for this source.
            Forbidden: a scope the client does not have.
        """
        now = self._clock()
        client = await self._authenticated(credentials, source, certificate_sha256, now)
        scopes = client.scopes if wanted is None else _wanted(wanted, client.scopes)
        bound = certificate_sha256 if pinned(client.certificates, certificate_sha256, now) else None
        token = self._issuer.issue(client, scopes, now, self._randomness(16).hex(), bound)
        return IssuedToken(token, self._issuer.lifetime_s, scopes, format_id(Prefix.CLIENT, client.id))

    async def _authenticated(
        self, credentials: Credentials, source: str, certificate_sha256: bytes | None, now: datetime
    ) -> ClientRecord:
        uuid = parse_id(Prefix.CLIENT, _named(credentials))
        client = await self._clients.find(uuid, source, now) if uuid is not None else None
        if client is None:
            secret_matches("", _NOBODY)  # the same work as for a known client with a secret
            raise Unauthenticated
        if client.locked_until is not None and client.locked_until > now:
            raise TooManyRequests(client.locked_until - now)
        try:
            use = self._proven(client, credentials, certificate_sha256, now)
            self._permit(client, credentials)
            if use is not None and not await self._clients.use_assertion(
                client.id, use.jti_sha256, use.expires_at, now
            ):
                raise AuthenticationRefused("assertion-replayed")
        except AuthenticationRefused:
            raise
        except Unauthenticated:
            await self._clients.record_attempt(client.id, source, False, now)
            raise
        await self._clients.record_attempt(client.id, source, True, now)
        return client

    def _proven(
        self, client: ClientRecord, credentials: Credentials, certificate_sha256: bytes | None, now: datetime
    ) -> AssertionUse | None:
        """Raises Unauthenticated, AuthenticationRefused."""
        use = None
        match credentials:
            case BySecret():
                proven = secret_matches(credentials.secret, client.secret_sha256 or _NOBODY)
                proven = proven and client.secret_sha256 is not None
            case ByAssertion():
                proven = client.jwks is not None
                if client.jwks is not None and client.active:
                    audiences = (self._issuer.issuer, self._issuer.endpoint)
                    public_id = format_id(Prefix.CLIENT, client.id)
                    use = check_assertion(credentials.assertion, client.jwks, public_id, audiences, now)
            case ByCertificate():
                proven = pinned(client.certificates, certificate_sha256, now) is not None
        if not proven or not client.active:
            raise Unauthenticated
        return use

    def _permit(self, client: ClientRecord, credentials: Credentials) -> None:
        permitted = self._methods if client.methods is None else client.methods
        if credentials.method not in permitted:
            raise AuthenticationRefused("method-not-permitted", sorted(permitted))


def _named(credentials: Credentials) -> str:
    if not isinstance(credentials, ByAssertion):
        return credentials.client_id
    claimed = claimed_client(credentials.assertion) or ""
    return claimed if credentials.client_id in (None, claimed) else ""


def _wanted(text: str, permitted: frozenset[Scope]) -> frozenset[Scope]:
    names = text.split()
    scopes = known_scopes(names)
    if not names or len(scopes) != len(set(names)) or not scopes <= permitted:
        raise Forbidden("scope")
    return scopes
