"""The operator's work on tenants, accounts, addresses, senders and connections (GWT-30, GWT-60 to GWT-62).

Clients are registered in `register`, keys certified in `certify`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from demail_gateway.application.ports.administration import AccountRecord, AddressRecord, Administration, TenantRecord
from demail_gateway.application.ports.connections import CheckProfile, Connection
from demail_gateway.application.ports.page import Page
from demail_gateway.application.ports.surroundings import Clock, Randomness
from demail_gateway.core.address import is_system_local_part, parse_address
from demail_gateway.core.errors import AddressInvalid, Conflict, NotFound, RuleViolation, Violation
from demail_gateway.core.options import OPTION_NAMES
from demail_gateway.core.vocabulary import AccountState, AuthLevel
from demail_gateway.tenancy.identifiers import uuid7
from demail_gateway.tenancy.lifecycle import TenantState, TransitionReason, check_transition, effects_after
from demail_gateway.tenancy.naming import check_name, check_slug
from demail_gateway.tenancy.scope import OperatorScope


class Administer:
    def __init__(
        self, administration: Administration, check_profile: CheckProfile, clock: Clock, randomness: Randomness
    ) -> None:
        self._administration = administration
        self._check_profile = check_profile
        self._clock = clock
        self._randomness = randomness

    # --- tenants

    async def create_tenant(
        self, scope: OperatorScope, slug: str, name: str, kind: str, *, public_body: bool
    ) -> TenantRecord:
        """A tenant at the first step, with every function off (GWT-13).

        Raises Conflict('slug-taken'), RuleViolation (slug, name).
        """
        check_slug(slug)
        check_name(name)
        now = self._clock()
        record = TenantRecord(
            id=self._id(),
            slug=slug,
            name=name,
            kind=kind,
            public_body=public_body,
            state=TenantState.INTERESTED,
            effects={},
            permissions=frozenset(),
            policy={},
            created_at=now,
        )
        return await self._administration.create_tenant(scope, record)

    async def tenants(self, scope: OperatorScope, limit: int, cursor: str | None) -> Page[TenantRecord]:
        return await self._administration.tenants(scope, limit, cursor)

    async def tenant(self, scope: OperatorScope, tenant_id: UUID) -> TenantRecord:
        """Raises NotFound."""
        return await self._administration.tenant(scope, tenant_id)

    async def change_tenant(self, scope: OperatorScope, tenant_id: UUID, changes: Mapping[str, Any]) -> TenantRecord:
        """Changes name, public_body, permissions or policy; the state changes by transitions alone. Raises NotFound.

        `policy` is merged (RFC 7396): a value of None removes the entry.
        """

        if "name" in changes:
            check_name(changes["name"])

        def merged(current: TenantRecord) -> Mapping[str, Any]:
            return {**changes, "policy": _merged(current.policy, changes["policy"])}

        chosen = merged if "policy" in changes else changes
        return await self._administration.change_tenant(scope, tenant_id, chosen, self._clock())

    async def transition(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        to: TenantState,
        reason: TransitionReason,
        effects: Mapping[str, bool] | None,
        evidence: Collection[str],
    ) -> TenantRecord:
        """Takes a step of the life cycle. Raises NotFound, GateNotMet, Conflict('transition-not-allowed', …)."""
        current = await self._administration.tenant(scope, tenant_id)
        check_transition(TenantState(current.state), to, reason, evidence)
        return await self._administration.change_tenant(
            scope,
            tenant_id,
            {"state": str(to), "effects": effects_after(to, effects)},
            self._clock(),
            expected_state=current.state,
            detail={"from": current.state, "reason": str(reason), "evidence": sorted(evidence)},
        )

    # --- accounts and addresses

    async def create_account(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        connection_id: UUID,
        holder: str,
        state: AccountState,
        *,
        retrieval_entitlement: bool,
        natural_person: bool,
    ) -> AccountRecord:
        """Raises NotFound (tenant or connection), Conflict('entitlement-needs-public-body') (SND-16)."""
        await self._administration.tenant(scope, tenant_id)
        await self._connection(scope, connection_id)
        account = AccountRecord(
            self._id(), tenant_id, connection_id, holder, state, retrieval_entitlement, natural_person
        )
        return await self._administration.create_account(scope, account, self._clock())

    async def change_account(
        self, scope: OperatorScope, tenant_id: UUID, account_id: UUID, changes: Mapping[str, Any]
    ) -> AccountRecord:
        """Raises NotFound, Conflict('entitlement-needs-public-body') (SND-16)."""
        return await self._administration.change_account(scope, tenant_id, account_id, changes, self._clock())

    async def accounts(self, scope: OperatorScope, tenant_id: UUID) -> tuple[AccountRecord, ...]:
        """Raises NotFound."""
        await self._administration.tenant(scope, tenant_id)
        return await self._administration.accounts(scope, tenant_id)

    async def create_address(
        self, scope: OperatorScope, tenant_id: UUID, address: str, account_id: UUID | None
    ) -> AddressRecord:
        """Assigns a De-Mail address to an account; which one may be left open when there is one.

        Raises:
            RuleViolation: no De-Mail address (ADR-1, ADR-2).
            NotFound: tenant or account.
            Conflict: ``account-ambiguous``, ``address-taken``, ``address-reserved`` (ADR-18, ADR-33).
        """
        try:
            parsed = parse_address(address)
        except AddressInvalid as error:
            raise RuleViolation([_address_invalid()]) from error
        if is_system_local_part(parsed.local) or parsed.local.startswith("pn_"):
            raise Conflict("address-reserved")
        accounts = await self.accounts(scope, tenant_id)
        record = AddressRecord(self._id(), tenant_id, _one_account(accounts, account_id), str(parsed))
        return await self._administration.create_address(scope, record, self._clock())

    async def addresses(self, scope: OperatorScope, tenant_id: UUID) -> tuple[AddressRecord, ...]:
        """Raises NotFound."""
        await self._administration.tenant(scope, tenant_id)
        return await self._administration.addresses(scope, tenant_id)

    # --- the matrix of senders

    async def permit_sender(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        client_id: UUID,
        address: str,
        options: Collection[str] | None,
        quota_per_day: int | None,
    ) -> str:
        """Lets a client use an address of the tenant with these options, None for all. Returns the address as stored.

        Raises:
            NotFound: tenant, client or address.
        """
        found = await self._address(scope, tenant_id, address)
        if client_id not in {client.id for client in await self._administration.clients(scope, tenant_id)}:
            raise NotFound
        permitted = None if options is None else frozenset(options) & frozenset(OPTION_NAMES)
        await self._administration.permit_sender(
            scope, tenant_id, client_id, found, permitted, quota_per_day, self._clock()
        )
        return found

    async def senders(self, scope: OperatorScope, tenant_id: UUID) -> tuple[Mapping[str, Any], ...]:
        """Raises NotFound."""
        await self._administration.tenant(scope, tenant_id)
        return await self._administration.senders(scope, tenant_id)

    async def revoke_sender(self, scope: OperatorScope, tenant_id: UUID, client_id: UUID, address: str) -> None:
        """Raises NotFound."""
        found = await self._address(scope, tenant_id, address)
        await self._administration.revoke_sender(scope, tenant_id, client_id, found, self._clock())

    # --- connections and journal

    async def create_connection(
        self, scope: OperatorScope, name: str, auth_level: AuthLevel, profile: Mapping[str, Any]
    ) -> Connection:
        """Adds a connection.

        Raises:
            RuleViolation: the name or the profile cannot be used.
            Conflict: ``connection-name-taken``; ``connection-not-for-tests`` in a test installation (GWT-25).
        """
        check_name(name)
        self._check_profile(profile)
        connection = Connection(self._id(), name, auth_level, profile, True, self._clock())
        return await self._administration.create_connection(scope, connection)

    async def connections(self, scope: OperatorScope) -> tuple[Connection, ...]:
        return await self._administration.connections(scope)

    async def change_connection(
        self, scope: OperatorScope, connection_id: UUID, changes: Mapping[str, Any]
    ) -> Connection:
        """Changes name, auth_level, profile (merged, RFC 7396) or active, at once for new submissions.

        Raises NotFound, RuleViolation (name, profile), Conflict as `create_connection`.
        """
        if "name" in changes:
            check_name(changes["name"])

        def merged(current: Connection) -> Mapping[str, Any]:
            profile = _merged(current.profile, changes["profile"])
            self._check_profile(profile)
            return {**changes, "profile": profile}

        chosen = merged if "profile" in changes else changes
        return await self._administration.change_connection(scope, connection_id, chosen, self._clock())

    async def journal(
        self, scope: OperatorScope, tenant_id: UUID | None, limit: int, cursor: str | None
    ) -> Page[Mapping[str, Any]]:
        """Entries in their order; of the operator's own journal without a tenant. Raises NotFound, CursorInvalid."""
        if tenant_id is not None:
            await self._administration.tenant(scope, tenant_id)
        return await self._administration.journal(scope, tenant_id, limit, cursor)

    async def _connection(self, scope: OperatorScope, connection_id: UUID) -> Connection:
        for connection in await self._administration.connections(scope):
            if connection.id == connection_id:
                return connection
        raise NotFound

    async def _address(self, scope: OperatorScope, tenant_id: UUID, address: str) -> str:
        wanted = address.lower()
        if wanted not in {record.address for record in await self.addresses(scope, tenant_id)}:
            raise NotFound
        return wanted

    def _id(self) -> UUID:
        return uuid7(self._clock(), self._randomness(10))


def _one_account(accounts: tuple[AccountRecord, ...], account_id: UUID | None) -> UUID:
    if account_id is None:
        if len(accounts) != 1:
            raise Conflict("account-ambiguous")
        return accounts[0].id
    if account_id not in {account.id for account in accounts}:
        raise NotFound
    return account_id


def _merged(current: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Merge Patch (RFC 7396) of two objects."""
    result = dict(current)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            inner = result.get(name)
            result[name] = _merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def _address_invalid() -> Violation:
    return Violation(
        "recipient-invalid",
        "ADR-1",
        "/address",
        "Das ist keine gültige De-Mail-Adresse.",
        "This is no valid De-Mail address.",
    )
