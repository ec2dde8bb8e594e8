"""What goes on by itself after a failure: during an outage the operator sees how much waits, and since when.

Functions of their own, not further columns of `queue_totals`: the release before calls that one while this one comes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_HEAD = """
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
"""
_COPIES = "o.tries > 0 AND o.person_since IS NULL AND o.kind IN ('dispatch', 'reconcile')"
"""Work at copies that failed, or whose end is unknown, and that no person has to decide about."""

RETRYING_COPIES = f"""
CREATE FUNCTION retrying_copies(p_tenants uuid[])
RETURNS TABLE (tenant_id uuid, retrying bigint, retrying_since timestamptz, reply_code text) {_HEAD}
  IF current_setting('demail.operator', true) IS DISTINCT FROM 'on' THEN
    RAISE insufficient_privilege USING MESSAGE = 'for the operator alone';
  END IF;
  PERFORM set_config('demail.definer', 'on', true);
  RETURN QUERY
  SELECT t.id, n.number, n.since, r.code FROM unnest(p_tenants) AS t (id)
   CROSS JOIN LATERAL (
     SELECT count(*) AS number, min(o.created_at) AS since FROM outbox o WHERE o.tenant_id = t.id AND {_COPIES}) n
    -- a reply's text may name people: its code alone (GWT-37)
    LEFT JOIN LATERAL (
     SELECT substring(c.last_reply FROM '^[2-5][0-9][0-9](?![0-9])') AS code
       FROM outbox o JOIN message_copy c ON c.tenant_id = o.tenant_id AND c.id = o.subject_id
      WHERE o.tenant_id = t.id AND {_COPIES} ORDER BY o.created_at, o.id LIMIT 1) r ON true;
END
$$
"""  # noqa: S608  constants alone

RETRYING_TOTAL = f"""
CREATE FUNCTION retrying_total(p_now timestamptz) RETURNS TABLE (copies bigint, age_s double precision) {_HEAD}
  PERFORM set_config('demail.definer', 'on', true);
  RETURN QUERY
  SELECT count(*), coalesce(greatest(extract(epoch FROM p_now - min(o.created_at)), 0), 0)::double precision
    FROM outbox o WHERE {_COPIES};
END
$$
"""  # noqa: S608  as above


def upgrade() -> None:
    # few rows of many: looked at every second, while the queue may be long
    op.create_index("ix_outbox_retrying", "outbox", ["tenant_id", "created_at"], postgresql_where=sa.text("tries > 0"))
    name = context.config.attributes.get("app_role", "demail_app")
    role = op.get_context().dialect.identifier_preparer.quote(name)
    for function, ddl in (("retrying_copies", RETRYING_COPIES), ("retrying_total", RETRYING_TOTAL)):
        op.execute(ddl)
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")


def downgrade() -> None:
    op.execute("DROP FUNCTION retrying_total")
    op.execute("DROP FUNCTION retrying_copies")
    op.drop_index("ix_outbox_retrying", "outbox")
