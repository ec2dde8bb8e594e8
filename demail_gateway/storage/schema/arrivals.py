"""What came in, and the proofs among it."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from demail_gateway.storage.schema.base import Moment, metadata, tenant_column

received = Table(
    "received",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("mailbox", Text, nullable=False),
    Column("connection_id", Uuid, ForeignKey("connection.id"), nullable=False),
    Column("content_id", Uuid, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("envelope_sender", Text, nullable=False),
    Column("peer_fingerprint", Text, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("processed_at", Moment),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("sha256", "mailbox", "tenant_id"),
    ForeignKeyConstraint(["tenant_id", "content_id"], ["content.tenant_id", "content.id"]),
)
"""Octets as a provider handed them over, for one mailbox; stored before they are looked at."""

evidence = Table(
    "evidence",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("received_id", Uuid, nullable=False),
    Column("message_id", Uuid),
    Column("copy_id", Uuid),
    Column("recipient_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("notification_type", Text),
    Column("issuer", Text, nullable=False),
    Column("issued_at", Moment),
    Column("delivery_time", Moment),
    Column("demail_message_id", Text),
    Column("recipient_address", Text),
    Column("outcome", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("checks", JSONB, nullable=False),
    Column("findings", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("fact", JSONB),
    Column("certificates", ARRAY(LargeBinary), nullable=False, server_default=text("'{}'::bytea[]")),
    Column("crls", ARRAY(LargeBinary), nullable=False, server_default=text("'{}'::bytea[]")),
    Column("recorded_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("received_id", "tenant_id"),
    ForeignKeyConstraint(["tenant_id", "received_id"], ["received.tenant_id", "received.id"]),
    ForeignKeyConstraint(["tenant_id", "message_id"], ["message.tenant_id", "message.id"]),
    ForeignKeyConstraint(["tenant_id", "copy_id"], ["message_copy.tenant_id", "message_copy.id"]),
    ForeignKeyConstraint(["tenant_id", "recipient_id"], ["recipient.tenant_id", "recipient.id"]),
)
"""A proof with its verdict. `fact` is what it means for the state (core.delivery.EvidenceFact); null moves nothing."""
Index("ix_evidence_message", evidence.c.message_id, evidence.c.tenant_id)
