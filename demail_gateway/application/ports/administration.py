"""The operator's work on tenants, accounts, addresses, clients, keys and connections; the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.page import Page
from demail_gateway.core.vocabulary import AccountState
from demail_gateway.tenancy.client_authentication import PinnedCertificate
from demail_gateway.tenancy.scope import OperatorScope, Scope, TenantScope


@dataclass(frozen=True, slots=True)
class TenantRecord:
    id: UUID
    slug: str
    name: str
    kind: str
    public_body: bool
    state: str
    effects: Mapping[str, bool]
    permissions: frozenset[str]
    policy: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AccountRecord:
    id: UUID
    tenant_id: UUID
    connection_id: UUID
    holder: str
    state: AccountState
    retrieval_entitlement: bool
    natural_person: bool


@dataclass(frozen=True, slots=True)
class AddressRecord:
    id: UUID
    tenant_id: UUID
    account_id: UUID
    address: str


@dataclass(frozen=True, slots=True)
class ClientSummary:
    id: UUID
    tenant_id: UUID | None
    name: str
    scopes: frozenset[Scope]
    active: bool
    created_at: datetime
    has_secret: bool = True
    jwks: Mapping[str, Any] | None = None
    certificates: tuple[PinnedCertificate, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A tenant's S/MIME key (purpose ``smime``). The private key never leaves storage except to the signer."""

    id: UUID
    tenant_id: UUID
    purpose: str
    state: str
    """``requested`` (CSR made), ``active``, ``retired``."""
    csr_pem: str | None
    certificate_der: bytes | None
    chain: tuple[bytes, ...]
    not_after: datetime | None
    created_at: datetime


class Administration(Protocol):
    """Operator's work (GWT-30, GWT-60). Every change writes the journal in the same transaction.

    What a new or changed row refers to must exist and be the tenant's, else NotFound. Changes of nothing are none: they
    return the row as it is and write no journal.
    """

    async def create_tenant(self, scope: OperatorScope, tenant: TenantRecord) -> TenantRecord:
        """Raises Conflict('slug-taken')."""
        ...

    async def tenants(self, scope: OperatorScope, limit: int, cursor: str | None) -> Page[TenantRecord]: ...

    async def tenant(self, scope: OperatorScope, tenant_id: UUID) -> TenantRecord: ...

    async def change_tenant(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        changes: Mapping[str, Any] | Callable[[TenantRecord], Mapping[str, Any]],
        now: datetime,
        *,
        expected_state: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> TenantRecord:
        """Sets the fields named in `changes` (as in `TenantRecord`); `detail` goes to the journal entry alone.

        What rests on the present values is given as a function of them: it is called with the row locked, so that of
        two changes at once none is lost. A tenant that is no public body any more loses its accounts' entitlements
        to Abholbestätigungen with the same change (SND-16).

        Raises NotFound, Conflict('state-changed') when the tenant is no longer in `expected_state`.
        """
        ...

    async def create_account(self, scope: OperatorScope, account: AccountRecord, now: datetime) -> AccountRecord:
        """Raises Conflict('entitlement-needs-public-body'), as `change_account` (SND-16, ADR-71)."""
        ...

    async def change_account(
        self, scope: OperatorScope, tenant_id: UUID, account_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> AccountRecord: ...

    async def accounts(self, scope: TenantScope | OperatorScope, tenant_id: UUID) -> tuple[AccountRecord, ...]: ...

    async def create_address(self, scope: OperatorScope, address: AddressRecord, now: datetime) -> AddressRecord:
        """Raises Conflict('address-taken')."""
        ...

    async def addresses(self, scope: OperatorScope, tenant_id: UUID) -> tuple[AddressRecord, ...]: ...

    async def create_client(
        self, scope: OperatorScope, client: ClientSummary, secret_sha256: bytes | None
    ) -> ClientSummary: ...

    async def clients(self, scope: OperatorScope, tenant_id: UUID | None) -> tuple[ClientSummary, ...]:
        """Of a tenant; None: the operator's own."""
        ...

    async def change_client(
        self, scope: OperatorScope, tenant_id: UUID | None, client_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> ClientSummary: ...

    async def permit_sender(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        client_id: UUID,
        address: str,
        options: frozenset[str] | None,
        quota_per_day: int | None,
        now: datetime,
    ) -> None: ...

    async def senders(self, scope: OperatorScope, tenant_id: UUID) -> tuple[Mapping[str, Any], ...]: ...

    async def revoke_sender(
        self, scope: OperatorScope, tenant_id: UUID, client_id: UUID, address: str, now: datetime
    ) -> None: ...

    async def create_key(self, scope: OperatorScope, key: KeyRecord, pkcs8: bytes) -> KeyRecord: ...

    async def install_certificate(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        key_id: UUID,
        certificate_der: bytes,
        chain: Sequence[bytes],
        not_after: datetime,
        now: datetime,
    ) -> KeyRecord:
        """Makes the key the active one of its purpose; the former one is retired.

        Raises NotFound, Conflict('state-changed') for a key that is retired itself.
        """
        ...

    async def keys(self, scope: OperatorScope, tenant_id: UUID) -> tuple[KeyRecord, ...]: ...

    async def key_material(self, scope: OperatorScope, tenant_id: UUID, key_id: UUID) -> bytes:
        """PKCS#8 of a requested key, for making its CSR or checking a certificate against it."""
        ...

    async def create_connection(self, scope: OperatorScope, connection: Connection) -> Connection:
        """Raises Conflict('connection-name-taken'), as `change_connection`."""
        ...

    async def connections(self, scope: OperatorScope) -> tuple[Connection, ...]: ...

    async def change_connection(
        self,
        scope: OperatorScope,
        connection_id: UUID,
        changes: Mapping[str, Any] | Callable[[Connection], Mapping[str, Any]],
        now: datetime,
    ) -> Connection:
        """Changes as with `change_tenant`; what a function of them raises leaves everything as it was."""
        ...

    async def journal(
        self, scope: OperatorScope, tenant_id: UUID | None, limit: int, cursor: str | None
    ) -> Page[Mapping[str, Any]]:
        """Chained entries in the form of `core.journal`, as exported; the operator's own chain without a tenant."""
        ...
