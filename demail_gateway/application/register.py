"""Registers clients of tenants and of the operator, with what they prove themselves by (GWT-20, GWT-21)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from demail_gateway.application.client_keys import read_key_set
from demail_gateway.application.ports.administration import Administration, ClientSummary
from demail_gateway.application.ports.surroundings import Clock, Randomness
from demail_gateway.application.ports.trust import ReadPinnedCertificate
from demail_gateway.core.errors import RuleViolation, Violation
from demail_gateway.tenancy.client_authentication import (
    POLICY_ENTRY,
    ClientAuthentication,
    PinnedCertificate,
    read_methods,
)
from demail_gateway.tenancy.credentials import SECRET_OCTETS, secret_digest, secret_text
from demail_gateway.tenancy.identifiers import uuid7
from demail_gateway.tenancy.naming import check_name
from demail_gateway.tenancy.scope import TENANT_SCOPES, OperatorScope, Scope


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What a client may prove itself by instead of a secret: public keys (RFC 7517), certificates in PEM."""

    jwks: Mapping[str, Any] | None = None
    certificates: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client with its secret, which is shown this once; None for one that has keys of its own."""

    summary: ClientSummary
    secret: str | None


NO_KEYS = ClientKeys()


class Register:
    """`methods` is what clients may prove themselves by where their tenant's policy says nothing."""

    def __init__(
        self,
        administration: Administration,
        read_certificate: ReadPinnedCertificate,
        methods: frozenset[ClientAuthentication],
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._administration = administration
        self._read_certificate = read_certificate
        self._methods = methods
        self._clock = clock
        self._randomness = randomness

    async def create_client(
        self, scope: OperatorScope, tenant_id: UUID, name: str, scopes: frozenset[Scope], keys: ClientKeys = NO_KEYS
    ) -> NewClient:
        """A client that may do nothing yet: no sender address is permitted (GWT-30).

        Without keys it gets a secret, where secrets are permitted at all.

        Raises:
            NotFound: the tenant.
            RuleViolation, CertificateMalformed: unusable name or keys, or none although secrets are not permitted.
        """
        policy = (await self._administration.tenant(scope, tenant_id)).policy
        methods = read_methods(policy[POLICY_ENTRY]) if POLICY_ENTRY in policy else self._methods
        return await self._create(scope, tenant_id, name, scopes & TENANT_SCOPES, keys, methods)

    async def create_operator_client(self, scope: OperatorScope, name: str, keys: ClientKeys = NO_KEYS) -> NewClient:
        """A client of the operator, with the scope `operator` and no tenant. Raises as `create_client`."""
        return await self._create(scope, None, name, frozenset({Scope.OPERATOR}), keys, self._methods)

    async def clients(self, scope: OperatorScope, tenant_id: UUID | None) -> tuple[ClientSummary, ...]:
        """A tenant's; None: the operator's own. Raises NotFound."""
        if tenant_id is not None:
            await self._administration.tenant(scope, tenant_id)
        return await self._administration.clients(scope, tenant_id)

    async def change_client(
        self, scope: OperatorScope, tenant_id: UUID | None, client_id: UUID, changes: Mapping[str, Any]
    ) -> ClientSummary:
        """Changes name, scopes, active, jwks (None: no keys) or certificates (all of them, in PEM).

        Without a tenant it is one of the operator's clients. Tokens of a stopped client, and those bound to a
        certificate that is gone, end within 30 s (GWT-40), an operator's at once. Two certificates at a time let a
        client renew without a gap (GWT-21).

        Raises:
            NotFound
            RuleViolation, CertificateMalformed: unusable name or keys.
        """
        read = dict(changes)
        if "name" in read:
            check_name(read["name"])
        if read.get("jwks") is not None:
            read["jwks"] = read_key_set(read["jwks"])
        if "certificates" in read:
            read["certificates"] = self._certificates(read["certificates"])
        return await self._administration.change_client(scope, tenant_id, client_id, read, self._clock())

    async def _create(
        self,
        scope: OperatorScope,
        tenant_id: UUID | None,
        name: str,
        scopes: frozenset[Scope],
        keys: ClientKeys,
        methods: frozenset[ClientAuthentication],
    ) -> NewClient:
        check_name(name)
        jwks = None if keys.jwks is None else read_key_set(keys.jwks)
        certificates = self._certificates(keys.certificates)
        secret = None
        if jwks is None and not certificates:
            if ClientAuthentication.SECRET not in methods:
                raise RuleViolation([_keys_missing()])
            secret = secret_text(self._randomness(SECRET_OCTETS))
        now = self._clock()
        client_id = uuid7(now, self._randomness(10))
        summary = ClientSummary(client_id, tenant_id, name, scopes, True, now, secret is not None, jwks, certificates)
        digest = None if secret is None else secret_digest(secret)
        return NewClient(await self._administration.create_client(scope, summary, digest), secret)

    def _certificates(self, pems: Sequence[str]) -> tuple[PinnedCertificate, ...]:
        read = tuple(map(self._read_certificate, pems))
        now = self._clock()
        ended = [number for number, each in enumerate(read) if each.not_after <= now]
        if ended:
            raise RuleViolation([_certificate_ended(number) for number in ended])
        return tuple({each.sha256: each for each in read}.values())


def _keys_missing() -> Violation:
    return Violation(
        "invalid-request",
        "GWT-20",
        "/jwks",
        "Client-Geheimnisse sind hier nicht zugelassen: Bitte jwks oder certificates angeben.",
        "Client secrets are not permitted here: give jwks or certificates.",
    )


def _certificate_ended(number: int) -> Violation:
    return Violation(
        "invalid-request",
        "GWT-20",
        f"/certificates/{number}",
        "Dieses Zertifikat ist abgelaufen.",
        "This certificate has expired.",
    )
