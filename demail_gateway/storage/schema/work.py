"""Work, events, answers, journal."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
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

from demail_gateway.storage.schema.base import EMPTY_OBJECT, Moment, metadata, of_tenant, tenant_column

outbox = Table(
    "outbox",
    metadata,
    tenant_column(),
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
    of_tenant(),
)
"""The durable queue. A row is removed when its work is done; Redis only wakes (decision 1).

`size_bytes`: octets that loading the work brings into memory, so that a claim can be bounded. `person_since`: the copy
waits for a person since then (storage.queues): with its look-up going on (SND-43), or due at `infinity` (SND-52).
"""
Index("ix_outbox_due", outbox.c.tenant_id, outbox.c.kind, outbox.c.due_at, postgresql_where=text("lease_token is null"))
Index("ix_outbox_retrying", outbox.c.tenant_id, outbox.c.created_at, postgresql_where=text("tries > 0"))
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
    tenant_column(),
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
    of_tenant(),
)
"""History and feed. Order of the feed: (`xact`, `position`), read only below `pg_snapshot_xmin` (trap E8)."""
Index("ix_event_feed", event.c.tenant_id, event.c.xact, event.c.position)
Index("ix_event_message", event.c.message_id, event.c.tenant_id)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    tenant_column(),
    Column("client_id", Uuid, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("location", Text),
    Column("dek", LargeBinary),
    Column("sealed_body", LargeBinary),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("tenant_id", "client_id", "key"),
    of_tenant(),
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
