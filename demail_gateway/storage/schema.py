"""The tables. One picture of the database for queries and for the drift test; `migrations/` makes it so.

Rules that hold everywhere:

- Every table with `tenant_id` is under forced row-level security. Its primary and foreign keys begin with the tenant
  and its unique constraints hold it, so that no row can refer across tenants (traps E1, E5).
- Indexes for listing a tenant's rows begin with the tenant and are partial; indexes for finding one row begin with what
  names it. An index that begins with the tenant and could serve a look-up by key ties with the primary key until the
  first ANALYZE, and the plan that a foreign key then keeps reads every row of the tenant (measured: each recipient of
  each new message read all copies).
- Columns named `sealed_…` hold ciphertext (AES-256-GCM, `storage.envelope`), `STORAGE EXTERNAL`.
- Later work is a row of `outbox`, written in the transaction of its cause (decision 1).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

Moment = DateTime(timezone=True)
EMPTY_OBJECT = text("'{}'::jsonb")
EMPTY_LIST = text("'[]'::jsonb")


def _tenant() -> Column[object]:
    return Column("tenant_id", Uuid, nullable=False)


def _of_tenant() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id"], ["tenant.tenant_id"])


# --- the installation's own; no tenant --------------------------------------------------------------------------------

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

# --- tenant, account, addresses, clients, keys ------------------------------------------------------------------------

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
    _tenant(),
    Column("version", Integer, nullable=False),
    Column("master_key_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "version"),
    _of_tenant(),
)
"""The tenant's content key, wrapped by the master key that lies outside database and backup (GWT-36, decision 6)."""

account = Table(
    "account",
    metadata,
    _tenant(),
    Column("id", Uuid, nullable=False),
    Column("connection_id", Uuid, ForeignKey("connection.id"), nullable=False),
    Column("holder", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("retrieval_entitlement", Boolean, nullable=False, server_default=text("false")),
    Column("natural_person", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_tenant(),
)
"""A De-Mail account; belongs to exactly one tenant (GWT-12)."""

address = Table(
    "address",
    metadata,
    _tenant(),
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
    _tenant(),
    Column("id", Uuid, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("secret_sha256", LargeBinary),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", Moment, nullable=False),
    Column("jwks", JSONB),
    Column("certificates", JSONB, nullable=False, server_default=EMPTY_LIST),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_tenant(),
)
"""It proves itself by secret, keys (`jwks`, RFC 7517) or certificates (storage.client_rows), by what it has of them."""

sender_permission = Table(
    "sender_permission",
    metadata,
    _tenant(),
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
    _tenant(),
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
    _of_tenant(),
    CheckConstraint("state in ('requested', 'active', 'retired')", name="state"),
)
Index(
    "ux_tenant_key_active",
    tenant_key.c.tenant_id,
    tenant_key.c.purpose,
    unique=True,
    postgresql_where=text("state = 'active'"),
)

# --- messages ---------------------------------------------------------------------------------------------------------

content = Table(
    "content",
    metadata,
    _tenant(),
    Column("id", Uuid, nullable=False),
    Column("role", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("dek", LargeBinary, nullable=False),
    Column("sealed_data", LargeBinary),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_tenant(),
)
"""Exact octets, encrypted under their own key `dek` (wrapped by the tenant's).

Up to 256 KiB they lie in `sealed_data`, larger ones in chunks.
"""

content_chunk = Table(
    "content_chunk",
    metadata,
    _tenant(),
    Column("content_id", Uuid, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("sealed_data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "content_id", "seq"),
    ForeignKeyConstraint(["tenant_id", "content_id"], ["content.tenant_id", "content.id"], ondelete="CASCADE"),
)

message = Table(
    "message",
    metadata,
    _tenant(),
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
    _of_tenant(),
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
    _tenant(),
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
    _tenant(),
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
    _tenant(),
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
    _tenant(),
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
    _tenant(),
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

# --- what came in -----------------------------------------------------------------------------------------------------

received = Table(
    "received",
    metadata,
    _tenant(),
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
    _tenant(),
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

# --- work, events, answers, journal -----------------------------------------------------------------------------------

outbox = Table(
    "outbox",
    metadata,
    _tenant(),
    Column("id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("size_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("lease_token", Uuid),
    Column("leased_until", Moment),
    Column("leased_by", Text),
    Column("trace_id", Text),
    Column("created_at", Moment, nullable=False),
    Column("person_since", Moment),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("subject_id", "kind", "tenant_id"),
    _of_tenant(),
)
"""The durable queue. A row is removed when its work is done; Redis only wakes (decision 1).

`size_bytes`: octets that loading the work brings into memory, so that a claim can be bounded. `person_since`: the copy
waits for a person since then (storage.queues): with its look-up going on (SND-43), or due at `infinity` (SND-52).
"""
Index("ix_outbox_due", outbox.c.tenant_id, outbox.c.kind, outbox.c.due_at, postgresql_where=text("lease_token is null"))
Index("ix_outbox_leased", outbox.c.leased_until, postgresql_where=text("lease_token is not null"))
Index(
    "ix_outbox_person",
    outbox.c.person_since,
    outbox.c.subject_id,
    postgresql_where=text("person_since is not null"),
)

event = Table(
    "event",
    metadata,
    _tenant(),
    Column("id", Uuid, nullable=False),
    Column("position", BigInteger, Identity(always=True), nullable=False),
    Column("xact", BigInteger, nullable=False, server_default=text("(pg_current_xact_id()::text)::bigint")),
    Column("type", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("message_id", Uuid),
    Column("recipient_id", Uuid),
    Column("reference", Text),
    Column("state", Text),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_tenant(),
)
"""History and feed. Order of the feed: (`xact`, `position`), read only below `pg_snapshot_xmin` (trap E8)."""
Index("ix_event_feed", event.c.tenant_id, event.c.xact, event.c.position)
Index("ix_event_message", event.c.message_id, event.c.tenant_id)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    _tenant(),
    Column("client_id", Uuid, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("location", Text),
    Column("dek", LargeBinary),
    Column("sealed_body", LargeBinary),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "client_id", "key"),
    _of_tenant(),
    CheckConstraint("length(key) <= 255", name="key_length"),
)
"""First answers, kept at least 72 h. Without `status` the key is reserved: its request still runs."""

operator_idempotency_key = Table(
    "operator_idempotency_key",
    metadata,
    Column("client_id", Uuid, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("location", Text),
    Column("dek", LargeBinary),
    Column("sealed_body", LargeBinary),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("client_id", "key"),
    CheckConstraint("length(key) <= 255", name="key_length"),
)
"""The same for the operator's requests; `dek` is wrapped by the master key, there is no tenant."""

journal_intake = Table(
    "journal_intake",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant_id", Uuid),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default=EMPTY_OBJECT),
    CheckConstraint("""NOT jsonb_path_exists(detail, '$.* ? (@.type() != "string")')""", name="flat_detail"),
)
"""Entries committed with their cause and not yet chained: chaining at once would serialise a tenant's accepts."""

journal = Table(
    "journal",
    metadata,
    Column("tenant_id", Uuid),
    Column("seq", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("tenant_id", "seq", postgresql_nulls_not_distinct=True),
)
"""Append-only and hash-chained, per tenant and one for the operator (`tenant_id` null) (SND-100, GWT-50)."""
Index("ix_journal_object", journal.c.object, journal.c.tenant_id)
