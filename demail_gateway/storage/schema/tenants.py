"""Tenants, their accounts, addresses, clients and keys."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from demail_gateway.storage.schema.base import EMPTY_LIST, EMPTY_OBJECT, Moment, metadata, of_tenant, tenant_column

tenant = Table(
    "tenant",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("public_body", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("effects", JSONB, nullable=False, server_default=EMPTY_OBJECT),
    Column("permissions", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("policy", JSONB, nullable=False, server_default=EMPTY_OBJECT),
    Column("config_version", BigInteger, nullable=False, server_default=text("1")),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("kind in ('authority', 'municipality', 'other')", name="kind"),
)
"""Mandant. `config_version` rises with every change to what a sender may do (triggers), see `Submissions.accept`."""

tenant_content_key = Table(
    "tenant_content_key",
    metadata,
    tenant_column(),
    Column("version", Integer, nullable=False),
    Column("master_key_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "version"),
    of_tenant(),
)
"""The tenant's content key, wrapped by the master key that lies outside database and backup (GWT-36, decision 6)."""

account = Table(
    "account",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("connection_id", Uuid, ForeignKey("connection.id"), nullable=False),
    Column("holder", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("retrieval_entitlement", Boolean, nullable=False, server_default=text("false")),
    Column("natural_person", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    of_tenant(),
)
"""A De-Mail account; belongs to exactly one tenant (GWT-12)."""

address = Table(
    "address",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("address", Text, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "address"),
    ForeignKeyConstraint(["tenant_id", "account_id"], ["account.tenant_id", "account.id"]),
    CheckConstraint("address = lower(address)", name="lower_case"),
)
"""Unique over all tenants: a De-Mail address has one owner; only the operator creates addresses."""

client = Table(
    "client",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("secret_sha256", LargeBinary),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", Moment, nullable=False),
    Column("jwks", JSONB),
    Column("certificates", JSONB, nullable=False, server_default=EMPTY_LIST),
    PrimaryKeyConstraint("tenant_id", "id"),
    of_tenant(),
)
"""It proves itself by secret, keys (`jwks`, RFC 7517) or certificates (storage.client_rows), by what it has of them."""

sender_permission = Table(
    "sender_permission",
    metadata,
    tenant_column(),
    Column("client_id", Uuid, nullable=False),
    Column("address", Text, nullable=False),
    Column("options", ARRAY(Text)),
    Column("quota_per_day", Integer),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "client_id", "address"),
    ForeignKeyConstraint(["tenant_id", "client_id"], ["client.tenant_id", "client.id"]),
    ForeignKeyConstraint(["tenant_id", "address"], ["address.tenant_id", "address.address"]),
)
"""Matrix client × sender address × options × quota (GWT-30); `options` null permits all."""

tenant_key = Table(
    "tenant_key",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("sealed_pkcs8", LargeBinary, nullable=False),
    Column("dek", LargeBinary, nullable=False),
    Column("csr_pem", Text),
    Column("certificate_der", LargeBinary),
    Column("chain", ARRAY(LargeBinary), nullable=False, server_default=text("'{}'::bytea[]")),
    Column("not_after", Moment),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    of_tenant(),
    CheckConstraint("state in ('requested', 'active', 'retired')", name="state"),
)
Index(
    "ux_tenant_key_active",
    tenant_key.c.tenant_id,
    tenant_key.c.purpose,
    unique=True,
    postgresql_where=text("state = 'active'"),
)
