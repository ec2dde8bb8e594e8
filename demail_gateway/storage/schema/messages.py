"""Messages with their content, copies, recipients and attempts."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
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
from sqlalchemy.dialects.postgresql import JSONB

from demail_gateway.storage.schema.base import Moment, metadata, of_tenant, tenant_column

content = Table(
    "content",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("role", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("dek", LargeBinary, nullable=False),
    Column("sealed_data", LargeBinary),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    of_tenant(),
)
"""Exact octets, encrypted under their own key `dek` (wrapped by the tenant's).

Up to 256 KiB they lie in `sealed_data`, larger ones in chunks.
"""

content_chunk = Table(
    "content_chunk",
    metadata,
    tenant_column(),
    Column("content_id", Uuid, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("sealed_data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "content_id", "seq"),
    ForeignKeyConstraint(["tenant_id", "content_id"], ["content.tenant_id", "content.id"], ondelete="CASCADE"),
)

message = Table(
    "message",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("direction", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("client_id", Uuid),
    Column("account_id", Uuid),
    Column("connection_id", Uuid),
    Column("sender", Text, nullable=False),
    Column("reference", Text),
    Column("options", JSONB, nullable=False),
    Column("profile", Text),
    Column("signed", Boolean, nullable=False, server_default=text("false")),
    Column("encrypted", Boolean, nullable=False, server_default=text("false")),
    Column("split", Boolean, nullable=False, server_default=text("false")),
    Column("size_bytes", BigInteger, nullable=False),
    Column("dek", LargeBinary, nullable=False),
    Column("sealed_head", LargeBinary, nullable=False),
    Column("sealed_body", LargeBinary),
    Column("created_at", Moment, nullable=False),
    Column("submitted_at", Moment),
    Column("completed_at", Moment),
    Column("overdue_since", Moment),
    Column("held", Boolean, nullable=False, server_default=text("false")),
    Column("dispatched", Boolean, nullable=False, server_default=text("false")),
    Column("trace_id", Text),
    # inbound alone
    Column("received_id", Uuid),
    Column("mailbox", Text),
    Column("message_type", Text),
    Column("demail_message_id", Text),
    Column("private", Boolean, nullable=False, server_default=text("false")),
    Column("quarantine", Text),
    Column("verification", JSONB),
    Column("sent_at", Moment),
    PrimaryKeyConstraint("tenant_id", "id"),
    of_tenant(),
    ForeignKeyConstraint(["tenant_id", "account_id"], ["account.tenant_id", "account.id"]),
    ForeignKeyConstraint(["tenant_id", "client_id"], ["client.tenant_id", "client.id"]),
    ForeignKeyConstraint(["tenant_id", "received_id"], ["received.tenant_id", "received.id"]),
    CheckConstraint("direction in ('outbound', 'inbound')", name="direction"),
)
"""`sealed_head`: subject, reply-to, formal service; inbound also its to and cc lists. `sealed_body`: text, html,
certificates given. Both are JSON before they are sealed. `held`: waits for a person (SND-52). `state`, `dispatched`,
`submitted_at`, `completed_at`, `overdue_since` are the last derivation (core.delivery)."""
for _direction in ("outbound", "inbound"):
    Index(
        f"ix_message_{_direction}",
        message.c.tenant_id,
        message.c.created_at.desc(),
        message.c.id.desc(),
        postgresql_where=text(f"direction = '{_direction}'"),
    )
# by hash: 1,024 characters (SND-22) may be more octets than an index row takes; compare hash and value
Index(
    "ix_message_reference",
    text("hashtextextended(reference, 0)"),
    message.c.tenant_id,
    postgresql_where=text("reference is not null"),
)

message_attachment = Table(
    "message_attachment",
    metadata,
    tenant_column(),
    Column("message_id", Uuid, nullable=False),
    Column("position", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("content_id", Uuid),
    Column("sealed_name", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "message_id", "position"),
    ForeignKeyConstraint(["tenant_id", "message_id"], ["message.tenant_id", "message.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["tenant_id", "content_id"], ["content.tenant_id", "content.id"]),
)
"""`sealed_name`: filename and content type, under the message's key.

`content_id` is null on inbound messages: their parts are read from the octets.
"""

upload = Table(
    "upload",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("content_id", Uuid, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sealed_name", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id", "content_id"], ["content.tenant_id", "content.id"]),
)

message_copy = Table(
    "message_copy",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("position", Integer, nullable=False),
    Column("private_id", Text, nullable=False),
    Column("internet_message_id", Text, nullable=False),
    Column("hand_over", Text, nullable=False),
    Column("content_id", Uuid),
    Column("sealed_copy_id", Uuid),
    Column("demail_message_id", Text),
    Column("integrity_value", Text),
    Column("hand_over_at", Moment),
    Column("last_reply", Text),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("private_id", "tenant_id"),
    ForeignKeyConstraint(["tenant_id", "message_id"], ["message.tenant_id", "message.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["tenant_id", "content_id"], ["content.tenant_id", "content.id"]),
    ForeignKeyConstraint(
        ["tenant_id", "sealed_copy_id"], ["content.tenant_id", "content.id"], name="fk_message_copy_sealed_copy"
    ),
    CheckConstraint(
        "hand_over in ('waiting', 'uncertain', 'taken', 'refused', 'failed', 'cancelled')", name="hand_over"
    ),
)
"""One SMTP transaction (MF-19). `content_id`: the octets handed over; `sealed_copy_id`: as sealed by the provider;
`hand_over`: what the gateway itself knows of it (core.vocabulary.HandOver), since `hand_over_at`.
`demail_message_id` and `integrity_value` are learnt from the first confirmation (CO-16)."""
Index("ix_message_copy_message", message_copy.c.message_id, message_copy.c.tenant_id)
Index("ix_message_copy_internet", message_copy.c.internet_message_id, message_copy.c.tenant_id)
Index(
    "ix_message_copy_demail",
    message_copy.c.demail_message_id,
    message_copy.c.tenant_id,
    postgresql_where=text("demail_message_id is not null"),
)
Index(
    "ix_message_copy_integrity",
    text("hashtextextended(integrity_value, 0)"),
    message_copy.c.tenant_id,
    postgresql_where=text("integrity_value is not null"),
)

recipient = Table(
    "recipient",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("copy_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("address", Text, nullable=False),
    Column("refused_at", Moment),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("milestone", Integer, nullable=False, server_default=text("0")),
    Column("dispatched_at", Moment),
    Column("delivered_at", Moment),
    Column("retrieved_at", Moment),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id", "message_id"], ["message.tenant_id", "message.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["tenant_id", "copy_id"], ["message_copy.tenant_id", "message_copy.id"], ondelete="CASCADE"),
)
"""One row per recipient and copy. `refused_at`: the provider refused this recipient alone."""
Index("ix_recipient_message", recipient.c.message_id, recipient.c.tenant_id)

attempt = Table(
    "attempt",
    metadata,
    tenant_column(),
    Column("id", Uuid, nullable=False),
    Column("copy_id", Uuid, nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("outcome", Text),
    Column("reply", Text),
    Column("absent_at", Moment),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id", "copy_id"], ["message_copy.tenant_id", "message_copy.id"], ondelete="CASCADE"),
)
"""A hand-over, recorded before its first SMTP octet; without `outcome` it is uncertain (decision 2).

`absent_at`: when the provider first said, asked about an unknown end, that it has not taken it (SND-43).
"""
Index("ix_attempt_copy", attempt.c.copy_id, attempt.c.tenant_id)
