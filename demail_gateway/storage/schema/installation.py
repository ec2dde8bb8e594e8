"""The installation's own; no tenant."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from demail_gateway.storage.schema.base import EMPTY_LIST, Moment, metadata

connection = Table(
    "connection",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("auth_level", Text, nullable=False),
    Column("profile", JSONB, nullable=False),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("auth_level in ('normal', 'high')", name="auth_level"),
)
"""Technical access to one provider (GWT-10)."""

revocation_list = Table(
    "revocation_list",
    metadata,
    Column("source", Text, primary_key=True),
    Column("issuer_sha256", Text, nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("this_update", Moment, nullable=False),
    Column("next_update", Moment),
    Column("fetched_at", Moment, nullable=False),
)
"""The newest list of each URL, and the newest OCSP answer of each responder's URL about each certificate."""

operator_client = Table(
    "operator_client",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_sha256", LargeBinary),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", Moment, nullable=False),
    Column("jwks", JSONB),
    Column("certificates", JSONB, nullable=False, server_default=EMPTY_LIST),
)
"""Clients with the scope `operator`; the application role reaches them through functions alone."""

client_attempt = Table(
    "client_attempt",
    metadata,
    Column("client_id", Uuid, nullable=False),
    Column("source", Text, nullable=False),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("locked_until", Moment),
    Column("last_at", Moment, nullable=False),
    PrimaryKeyConstraint("client_id", "source"),
)
"""Wrong secrets in a row, per client and network address (GWT-23); reached through functions alone."""

client_assertion = Table(
    "client_assertion",
    metadata,
    Column("client_id", Uuid, nullable=False),
    Column("jti_sha256", LargeBinary, nullable=False),
    Column("expires_at", Moment, nullable=False),
    PrimaryKeyConstraint("client_id", "jti_sha256"),
)
"""Assertions that were used and would still hold (RFC 7523 §3); reached through functions alone."""
