"""The tables of the first release.

Ciphertext is stored as it is: compressing it would be in vain (`STORAGE EXTERNAL`).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "client_attempt",
    "connection",
    "journal",
    "journal_intake",
    "operator_client",
    "operator_idempotency_key",
    "revocation_list",
    "tenant",
    "account",
    "client",
    "content",
    "event",
    "idempotency_key",
    "outbox",
    "tenant_content_key",
    "tenant_key",
    "address",
    "content_chunk",
    "received",
    "upload",
    "message",
    "sender_permission",
    "message_attachment",
    "message_copy",
    "attempt",
    "recipient",
    "evidence",
)
SEALED = (
    ("operator_idempotency_key", "sealed_body"),
    ("content", "sealed_data"),
    ("idempotency_key", "sealed_body"),
    ("tenant_key", "sealed_pkcs8"),
    ("content_chunk", "sealed_data"),
    ("upload", "sealed_name"),
    ("message", "sealed_head"),
    ("message", "sealed_body"),
    ("message_attachment", "sealed_name"),
)
UPDATED = ("message", "message_copy", "recipient", "attempt", "outbox")
"""Their rows change their state: room on the page lets that happen without touching an index."""


def upgrade() -> None:
    _create_tables()
    for table, column in SEALED:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
    for table in UPDATED:
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 80)")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_tables() -> None:
    op.create_table(
        "client_attempt",
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "source", name=op.f("pk_client_attempt")),
    )
    op.create_table(
        "connection",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("auth_level", sa.Text(), nullable=False),
        sa.Column("profile", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("auth_level in ('normal', 'high')", name=op.f("ck_connection_auth_level")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
        sa.UniqueConstraint("name", name=op.f("uq_connection_name")),
    )
    op.create_table(
        "journal",
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint(
            "tenant_id", "seq", name=op.f("uq_journal_tenant_id_seq"), postgresql_nulls_not_distinct=True
        ),
    )
    op.create_table(
        "journal_intake",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column(
            "detail", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint(
            "NOT jsonb_path_exists(detail, '$.* ? (@.type() != \"string\")')",
            name=op.f("ck_journal_intake_flat_detail"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_intake")),
    )
    op.create_table(
        "operator_client",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_client")),
    )
    op.create_table(
        "operator_idempotency_key",
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("dek", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(key) <= 255", name=op.f("ck_operator_idempotency_key_key_length")),
        sa.PrimaryKeyConstraint("client_id", "key", name=op.f("pk_operator_idempotency_key")),
    )
    op.create_table(
        "revocation_list",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("issuer_sha256", sa.Text(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("this_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_update", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_revocation_list")),
    )
    op.create_table(
        "tenant",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("public_body", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "effects", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("permissions", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column(
            "policy", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("config_version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('authority', 'municipality', 'other')", name=op.f("ck_tenant_kind")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant")),
        sa.UniqueConstraint("slug", name=op.f("uq_tenant_slug")),
    )
    op.create_table(
        "account",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("retrieval_entitlement", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("natural_person", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_account_connection")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_account_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_account")),
    )
    op.create_table(
        "client",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_client_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_client")),
        sa.UniqueConstraint("id", name=op.f("uq_client_id")),
    )
    op.create_table(
        "content",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("dek", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_data", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_content_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_content")),
    )
    op.create_table(
        "event",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "xact", sa.BigInteger(), server_default=sa.text("(pg_current_xact_id()::text)::bigint"), nullable=False
        ),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("recipient_id", sa.Uuid(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_event_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_event")),
    )
    op.create_index("ix_event_feed", "event", ["tenant_id", "xact", "position"], unique=False)
    op.create_index("ix_event_message", "event", ["message_id", "tenant_id"], unique=False)
    op.create_table(
        "idempotency_key",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("dek", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(key) <= 255", name=op.f("ck_idempotency_key_key_length")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_idempotency_key_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "client_id", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_table(
        "outbox",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_outbox_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("subject_id", "kind", "tenant_id", name=op.f("uq_outbox_subject_id_kind_tenant_id")),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["tenant_id", "kind", "due_at"],
        unique=False,
        postgresql_where=sa.text("lease_token is null"),
    )
    op.create_index(
        "ix_outbox_leased",
        "outbox",
        ["leased_until"],
        unique=False,
        postgresql_where=sa.text("lease_token is not null"),
    )
    op.create_table(
        "tenant_content_key",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("master_key_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_tenant_content_key_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "version", name=op.f("pk_tenant_content_key")),
    )
    op.create_table(
        "tenant_key",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sealed_pkcs8", sa.LargeBinary(), nullable=False),
        sa.Column("dek", sa.LargeBinary(), nullable=False),
        sa.Column("csr_pem", sa.Text(), nullable=True),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=True),
        sa.Column("chain", postgresql.ARRAY(sa.LargeBinary()), server_default=sa.text("'{}'::bytea[]"), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state in ('requested', 'active', 'retired')", name=op.f("ck_tenant_key_state")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_tenant_key_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_tenant_key")),
    )
    op.create_index(
        "ux_tenant_key_active",
        "tenant_key",
        ["tenant_id", "purpose"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "address",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("address = lower(address)", name=op.f("ck_address_lower_case")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "account_id"], ["account.tenant_id", "account.id"], name=op.f("fk_address_account")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_address")),
        sa.UniqueConstraint("address", name=op.f("uq_address_address")),
        sa.UniqueConstraint("tenant_id", "address", name=op.f("uq_address_tenant_id_address")),
    )
    op.create_table(
        "content_chunk",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("sealed_data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "content_id"],
            ["content.tenant_id", "content.id"],
            name=op.f("fk_content_chunk_content"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "content_id", "seq", name=op.f("pk_content_chunk")),
    )
    op.create_table(
        "received",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("envelope_sender", sa.Text(), nullable=False),
        sa.Column("peer_fingerprint", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_received_connection")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "content_id"], ["content.tenant_id", "content.id"], name=op.f("fk_received_content")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_received")),
        sa.UniqueConstraint("sha256", "mailbox", "tenant_id", name=op.f("uq_received_sha256_mailbox_tenant_id")),
    )
    op.create_table(
        "upload",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "content_id"], ["content.tenant_id", "content.id"], name=op.f("fk_upload_content")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_upload")),
    )
    op.create_table(
        "message",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("connection_id", sa.Uuid(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.Column("signed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("encrypted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("split", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("dek", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_head", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("overdue_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("dispatched", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("received_id", sa.Uuid(), nullable=True),
        sa.Column("mailbox", sa.Text(), nullable=True),
        sa.Column("message_type", sa.Text(), nullable=True),
        sa.Column("demail_message_id", sa.Text(), nullable=True),
        sa.Column("private", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("quarantine", sa.Text(), nullable=True),
        sa.Column("verification", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("direction in ('outbound', 'inbound')", name=op.f("ck_message_direction")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "account_id"], ["account.tenant_id", "account.id"], name=op.f("fk_message_account")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"], ["client.tenant_id", "client.id"], name=op.f("fk_message_client")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "received_id"], ["received.tenant_id", "received.id"], name=op.f("fk_message_received")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"], name=op.f("fk_message_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_message")),
    )
    op.create_index(
        "ix_message_inbound",
        "message",
        ["tenant_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("direction = 'inbound'"),
    )
    op.create_index(
        "ix_message_outbound",
        "message",
        ["tenant_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("direction = 'outbound'"),
    )
    op.create_index(
        "ix_message_reference",
        "message",
        [sa.literal_column("hashtextextended(reference, 0)"), "tenant_id"],
        unique=False,
        postgresql_where=sa.text("reference is not null"),
    )
    op.create_table(
        "sender_permission",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("options", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("quota_per_day", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "address"],
            ["address.tenant_id", "address.address"],
            name=op.f("fk_sender_permission_address"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"], ["client.tenant_id", "client.id"], name=op.f("fk_sender_permission_client")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "client_id", "address", name=op.f("pk_sender_permission")),
    )
    op.create_table(
        "message_attachment",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=True),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "content_id"], ["content.tenant_id", "content.id"], name=op.f("fk_message_attachment_content")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"],
            ["message.tenant_id", "message.id"],
            name=op.f("fk_message_attachment_message"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "message_id", "position", name=op.f("pk_message_attachment")),
    )
    op.create_table(
        "message_copy",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("private_id", sa.Text(), nullable=False),
        sa.Column("internet_message_id", sa.Text(), nullable=False),
        sa.Column("hand_over", sa.Text(), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=True),
        sa.Column("sealed_copy_id", sa.Uuid(), nullable=True),
        sa.Column("demail_message_id", sa.Text(), nullable=True),
        sa.Column("integrity_value", sa.Text(), nullable=True),
        sa.Column("hand_over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_reply", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "hand_over in ('waiting', 'uncertain', 'taken', 'refused', 'failed', 'cancelled')",
            name=op.f("ck_message_copy_hand_over"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "content_id"], ["content.tenant_id", "content.id"], name=op.f("fk_message_copy_content")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"],
            ["message.tenant_id", "message.id"],
            name=op.f("fk_message_copy_message"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "sealed_copy_id"], ["content.tenant_id", "content.id"], name="fk_message_copy_sealed_copy"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_message_copy")),
        sa.UniqueConstraint("private_id", "tenant_id", name=op.f("uq_message_copy_private_id_tenant_id")),
    )
    op.create_index(
        "ix_message_copy_demail",
        "message_copy",
        ["demail_message_id", "tenant_id"],
        unique=False,
        postgresql_where=sa.text("demail_message_id is not null"),
    )
    op.create_index(
        "ix_message_copy_integrity",
        "message_copy",
        [sa.literal_column("hashtextextended(integrity_value, 0)"), "tenant_id"],
        unique=False,
        postgresql_where=sa.text("integrity_value is not null"),
    )
    op.create_index("ix_message_copy_internet", "message_copy", ["internet_message_id", "tenant_id"], unique=False)
    op.create_index("ix_message_copy_message", "message_copy", ["message_id", "tenant_id"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("copy_id", sa.Uuid(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "copy_id"],
            ["message_copy.tenant_id", "message_copy.id"],
            name=op.f("fk_attempt_message_copy"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_attempt")),
    )
    op.create_index("ix_attempt_copy", "attempt", ["copy_id", "tenant_id"], unique=False)
    op.create_table(
        "recipient",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("copy_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("milestone", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retrieved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "copy_id"],
            ["message_copy.tenant_id", "message_copy.id"],
            name=op.f("fk_recipient_message_copy"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"],
            ["message.tenant_id", "message.id"],
            name=op.f("fk_recipient_message"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_recipient")),
    )
    op.create_index("ix_recipient_message", "recipient", ["message_id", "tenant_id"], unique=False)
    op.create_table(
        "evidence",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("received_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("copy_id", sa.Uuid(), nullable=True),
        sa.Column("recipient_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("notification_type", sa.Text(), nullable=True),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivery_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("demail_message_id", sa.Text(), nullable=True),
        sa.Column("recipient_address", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("checks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("findings", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("fact", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "certificates", postgresql.ARRAY(sa.LargeBinary()), server_default=sa.text("'{}'::bytea[]"), nullable=False
        ),
        sa.Column("crls", postgresql.ARRAY(sa.LargeBinary()), server_default=sa.text("'{}'::bytea[]"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "copy_id"],
            ["message_copy.tenant_id", "message_copy.id"],
            name=op.f("fk_evidence_message_copy"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"], ["message.tenant_id", "message.id"], name=op.f("fk_evidence_message")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "received_id"], ["received.tenant_id", "received.id"], name=op.f("fk_evidence_received")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "recipient_id"], ["recipient.tenant_id", "recipient.id"], name=op.f("fk_evidence_recipient")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_evidence")),
        sa.UniqueConstraint("received_id", "tenant_id", name=op.f("uq_evidence_received_id_tenant_id")),
    )
    op.create_index("ix_evidence_message", "evidence", ["message_id", "tenant_id"], unique=False)
