"""Proof that access was checked: repositories take a `TenantScope` and nothing else says whose data is meant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Scope(StrEnum):
    """What a token permits (OAuth 2.0 scopes; names are stable)."""

    MESSAGES_SEND = "messages:send"
    MESSAGES_READ = "messages:read"
    INBOX_READ = "inbox:read"
    INBOX_ACK = "inbox:ack"
    INBOX_PRIVATE = "inbox:private"
    EVIDENCE_READ = "evidence:read"
    DIRECTORY_READ = "directory:read"
    WEBHOOKS_MANAGE = "webhooks:manage"
    TENANT_ADMIN = "tenant:admin"
    OPERATOR = "operator"


TENANT_SCOPES: frozenset[Scope] = frozenset(Scope) - {Scope.OPERATOR}


@dataclass(frozen=True, slots=True)
class TenantScope:
    """Access to one tenant's data, for one client or for a background job of that tenant (GWT-35).

    Made by `application.authenticate` for requests and by `system_scope` for workers, nowhere else.
    """

    tenant_id: UUID
    client_id: UUID | None
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class OperatorScope:
    """Administration over all tenants without access to content (GWT-37)."""

    client_id: UUID


def system_scope(tenant_id: UUID) -> TenantScope:
    """Scope of a background job that works for exactly one tenant (GWT-35)."""
    return TenantScope(tenant_id, None, frozenset())
