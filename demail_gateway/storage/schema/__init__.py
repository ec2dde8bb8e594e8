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

from demail_gateway.storage.schema.arrivals import evidence, received
from demail_gateway.storage.schema.base import Moment, metadata
from demail_gateway.storage.schema.installation import (
    client_assertion,
    client_attempt,
    connection,
    operator_client,
    revocation_list,
)
from demail_gateway.storage.schema.messages import (
    attempt,
    content,
    content_chunk,
    message,
    message_attachment,
    message_copy,
    recipient,
    upload,
)
from demail_gateway.storage.schema.tenants import (
    account,
    address,
    client,
    sender_permission,
    tenant,
    tenant_content_key,
    tenant_key,
)
from demail_gateway.storage.schema.work import (
    event,
    idempotency_key,
    journal,
    journal_intake,
    operator_idempotency_key,
    outbox,
)

__all__ = [
    "Moment",
    "account",
    "address",
    "attempt",
    "client",
    "client_assertion",
    "client_attempt",
    "connection",
    "content",
    "content_chunk",
    "event",
    "evidence",
    "idempotency_key",
    "journal",
    "journal_intake",
    "message",
    "message_attachment",
    "message_copy",
    "metadata",
    "operator_client",
    "operator_idempotency_key",
    "outbox",
    "received",
    "recipient",
    "revocation_list",
    "sender_permission",
    "tenant",
    "tenant_content_key",
    "tenant_key",
    "upload",
]
