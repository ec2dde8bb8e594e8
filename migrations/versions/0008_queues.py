"""What waits for a person, and the operator's clients.

- `outbox.person_since`: since when a copy's next step waits for a person. Of a look-up whose question nobody answers
  (SND-43) it is a mark: it is asked again all the same. A hand-over whose back-off is used up (SND-52) stays in the
  queue, due never (`infinity`), until somebody releases it.
- Functions for the operator, who sees no table with content (GWT-37): counts, ids and times.
- Operators' clients can be listed and changed.
- Evidence packages read the journal by its object. The index is made within the migration: only the sealing of the
  journal waits for it, and nobody waits for that (accepting writes `journal_intake`).
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from alembic import context, op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


class Definer(NamedTuple):
    """A function with the owner's rights, for transactions of the operator alone."""

    signature: str
    returns: str
    body: str

    @property
    def name(self) -> str:
        return self.signature.partition("(")[0]

    def ddl(self) -> str:
        return f"""
CREATE FUNCTION {self.signature} RETURNS {self.returns}
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF current_setting('demail.operator', true) IS DISTINCT FROM 'on' THEN
    RAISE insufficient_privilege USING MESSAGE = 'for the operator alone';
  END IF;
  PERFORM set_config('demail.definer', 'on', true);
{self.body}
END
$$
"""


FUNCTIONS = (
    Definer(
        "queue_totals(p_tenants uuid[], p_now timestamptz)",
        "TABLE (tenant_id uuid, due bigint, leased bigint, held bigint, unsettled bigint, oldest_due_at timestamptz,"
        " waiting_since timestamptz)",
        """  RETURN QUERY
  SELECT t.id, o.* FROM unnest(p_tenants) AS t (id)
   CROSS JOIN LATERAL (
     SELECT count(*) FILTER (WHERE lease_token IS NULL AND due_at <= p_now),
            count(*) FILTER (WHERE lease_token IS NOT NULL),
            count(*) FILTER (WHERE person_since IS NOT NULL AND kind = 'dispatch'),
            count(*) FILTER (WHERE person_since IS NOT NULL AND kind = 'reconcile'),
            min(due_at) FILTER (WHERE lease_token IS NULL AND due_at <= p_now),
            min(person_since)
       FROM outbox WHERE tenant_id = t.id) o;""",
    ),
    Definer(
        "copies_for_a_person(p_tenant uuid, p_connection uuid, p_message uuid, p_copy uuid, p_kind text,"
        " p_after timestamptz, p_after_id uuid, p_limit integer)",
        "TABLE (id uuid, message_id uuid, tenant_id uuid, slug text, connection_id uuid, kind text, since timestamptz,"
        " private_id text, attempts bigint, last_attempt_at timestamptz, reply_code text, due_at timestamptz)",
        """  RETURN QUERY
  SELECT c.id, c.message_id, o.tenant_id, t.slug, m.connection_id, o.kind, o.person_since, c.private_id, a.begun,
         a.last_at, substring(c.last_reply FROM '^[2-5][0-9][0-9](?![0-9])'), o.due_at
    FROM outbox o
    JOIN tenant t ON t.tenant_id = o.tenant_id
    JOIN message_copy c ON c.tenant_id = o.tenant_id AND c.id = o.subject_id
    JOIN message m ON m.tenant_id = o.tenant_id AND m.id = c.message_id
   CROSS JOIN LATERAL (
     SELECT count(*) AS begun, max(begun_at) AS last_at FROM attempt WHERE copy_id = c.id AND tenant_id = o.tenant_id) a
   WHERE o.person_since IS NOT NULL
     AND (p_tenant IS NULL OR o.tenant_id = p_tenant) AND (p_connection IS NULL OR m.connection_id = p_connection)
     AND (p_message IS NULL OR c.message_id = p_message) AND (p_copy IS NULL OR c.id = p_copy)
     AND (p_kind IS NULL OR o.kind = p_kind)
     AND (p_after IS NULL OR (o.person_since, c.id) > (p_after, p_after_id))
   ORDER BY o.person_since, c.id LIMIT p_limit;""",
    ),
    Definer(
        "tenant_of_copy(p_copy uuid)",
        "SETOF uuid",
        # a key begins with its tenant: one look at each tenant's, instead of one at all rows
        """  RETURN QUERY
  SELECT t.tenant_id FROM tenant t
   WHERE EXISTS (SELECT FROM message_copy c WHERE c.tenant_id = t.tenant_id AND c.id = p_copy OFFSET 0);""",
    ),
    Definer(
        "operator_clients()",
        "TABLE (id uuid, name text, active boolean, created_at timestamptz, has_secret boolean, jwks jsonb,"
        " certificates jsonb)",
        """  RETURN QUERY
  SELECT id, name, active, created_at, secret_sha256 IS NOT NULL, jwks, certificates
    FROM operator_client ORDER BY created_at, id;""",
    ),
    Definer(
        "change_operator_client(p_id uuid, p_changes jsonb)",
        "boolean",
        """  UPDATE operator_client SET
    name = coalesce(p_changes ->> 'name', name),
    active = coalesce((p_changes ->> 'active')::boolean, active),
    -- the JSON value null removes the keys
    jwks = CASE WHEN p_changes ? 'jwks' THEN nullif(p_changes -> 'jwks', 'null'::jsonb) ELSE jwks END,
    certificates = coalesce(p_changes -> 'certificates', certificates)
   WHERE id = p_id;
  RETURN FOUND;""",
    ),
)

HELD_BEFORE = """
INSERT INTO outbox (tenant_id, id, kind, subject_id, due_at, size_bytes, trace_id, created_at, person_since)
SELECT c.tenant_id, gen_random_uuid(), 'dispatch', c.id, 'infinity', m.size_bytes, m.trace_id, now(), now()
  FROM message m JOIN message_copy c ON c.tenant_id = m.tenant_id AND c.message_id = m.id
 WHERE m.held AND c.hand_over = 'waiting'
ON CONFLICT (tenant_id, kind, subject_id) DO NOTHING
"""
"""Held by the release before, which left no row behind."""


def upgrade() -> None:
    op.add_column("outbox", sa.Column("person_since", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_outbox_person",
        "outbox",
        ["person_since", "subject_id"],
        postgresql_where=sa.text("person_since IS NOT NULL"),
    )
    op.create_index("ix_journal_object", "journal", ["object", "tenant_id"])
    # row-level security is forced: without this the owner sees no row
    op.execute("SELECT set_config('demail.definer', 'on', true)")
    op.execute(HELD_BEFORE)
    role = _app_role()
    for function in FUNCTIONS:
        op.execute(function.ddl())
        op.execute(f"REVOKE ALL ON FUNCTION {function.name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function.name} TO {role}")


def downgrade() -> None:
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {function.name}")
    op.execute("SELECT set_config('demail.definer', 'on', true)")
    # the release before keeps no row for what is held
    op.execute("DELETE FROM outbox WHERE kind = 'dispatch' AND due_at = 'infinity'")
    op.drop_index("ix_journal_object", "journal")
    op.drop_index("ix_outbox_person", "outbox")
    op.drop_column("outbox", "person_since")


def _app_role() -> str:
    name = context.config.attributes.get("app_role", "demail_app")
    return str(op.get_context().dialect.identifier_preparer.quote(name))
