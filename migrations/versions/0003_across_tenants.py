"""What must be found before a tenant is known, or over all tenants: functions with the owner's rights.

Each gives the least result, has a fixed search path, and may be called by the application role alone (trap E6). Its
first act is `demail.definer`, which the owner's policies ask for (0002); a `SET` clause of the function would need a
superuser.
"""

from __future__ import annotations

from typing import NamedTuple

from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


class Definer(NamedTuple):
    """A function with the owner's rights."""

    name: str
    parameters: str
    returns: str
    body: str
    declares: str = ""

    @property
    def signature(self) -> str:
        types = (each.split(maxsplit=1)[1] for each in self.parameters.split(", ") if each)
        return f"{self.name}({', '.join(types)})"

    def ddl(self) -> str:
        return f"""
CREATE FUNCTION {self.name}({self.parameters}) RETURNS {self.returns}
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
{"DECLARE" + self.declares if self.declares else ""}
BEGIN
  PERFORM set_config('demail.definer', 'on', true);
{self.body}
END
$$
"""


FUNCTIONS = (
    Definer(
        "find_client",
        "p_client uuid, p_source text",
        "TABLE (id uuid, tenant_id uuid, tenant_slug text, scopes text[], secret_sha256 bytea, active boolean,"
        " locked_until timestamptz)",
        """  RETURN QUERY
  SELECT c.id, c.tenant_id, t.slug, c.scopes, c.secret_sha256, c.active, a.locked_until
    FROM client c JOIN tenant t USING (tenant_id)
    LEFT JOIN client_attempt a ON a.client_id = c.id AND a.source = left(p_source, 100)
   WHERE c.id = p_client
  UNION ALL
  SELECT o.id, NULL, NULL, ARRAY['operator'], o.secret_sha256, o.active, a.locked_until
    FROM operator_client o
    LEFT JOIN client_attempt a ON a.client_id = o.id AND a.source = left(p_source, 100)
   WHERE o.id = p_client;""",
    ),
    Definer(
        "record_client_attempt",
        "p_client uuid, p_source text, p_ok boolean, p_now timestamptz",
        "timestamptz",
        """  IF p_ok THEN
    DELETE FROM client_attempt WHERE client_id = p_client AND source = left(p_source, 100);
    RETURN NULL;
  END IF;
  -- unknown ids leave no row: nobody fills the table by guessing
  INSERT INTO client_attempt AS a (client_id, source, failures, last_at)
  SELECT p_client, left(p_source, 100), 1, p_now
   WHERE EXISTS (SELECT FROM client WHERE id = p_client) OR EXISTS (SELECT FROM operator_client WHERE id = p_client)
  ON CONFLICT (client_id, source) DO UPDATE SET
    failures = a.failures + 1,
    last_at = p_now,
    -- GWT-23 as tenancy.credentials.lock_after: from the third in a row 30 s, doubled each time, a day at most
    locked_until = CASE WHEN a.failures + 1 >= 3
      THEN p_now + least(interval '24 hours', interval '30 seconds' * 2 ^ least(a.failures - 2, 16)) END
  RETURNING a.locked_until INTO v_locked;
  RETURN v_locked;""",
        """
  v_locked timestamptz;""",
    ),
    Definer(
        "create_operator_client",
        "p_id uuid, p_name text, p_secret_sha256 bytea, p_now timestamptz",
        "void",
        """  IF current_setting('demail.operator', true) IS DISTINCT FROM 'on' THEN
    RAISE insufficient_privilege USING MESSAGE = 'only the operator makes operator clients';
  END IF;
  INSERT INTO operator_client (id, name, secret_sha256, created_at) VALUES (p_id, p_name, p_secret_sha256, p_now);""",
    ),
    Definer(
        "mailbox_of",
        "p_address text",
        "TABLE (tenant_id uuid, account_id uuid, address text, connection_id uuid)",
        """  RETURN QUERY
  SELECT a.tenant_id, a.account_id, a.address, o.connection_id
    FROM address a JOIN account o ON o.tenant_id = a.tenant_id AND o.id = a.account_id
   WHERE a.address = lower(p_address);""",
    ),
    Definer(
        "due_tenants",
        "p_now timestamptz",
        "SETOF uuid",
        """  RETURN QUERY
  SELECT t.tenant_id FROM tenant t
   WHERE EXISTS (SELECT FROM outbox o
                  WHERE o.tenant_id = t.tenant_id AND o.lease_token IS NULL AND o.due_at <= p_now);""",
    ),
    Definer(
        "queue_age_s",
        "p_now timestamptz",
        "double precision",
        """  RETURN (
  SELECT coalesce(greatest(extract(epoch FROM p_now - min(due_at)), 0), 0)::double precision
    FROM outbox WHERE lease_token IS NULL AND due_at <= p_now
  );""",
    ),
    Definer(
        "sweep_outbox",
        "p_now timestamptz",
        "TABLE (reopened bigint, uncertain bigint)",
        """  RETURN QUERY
  -- SKIP LOCKED: a row that its worker is writing to right now is not abandoned
  WITH expired AS (
    SELECT tenant_id, id, kind, subject_id, trace_id FROM outbox
     WHERE lease_token IS NOT NULL AND leased_until <= p_now
     ORDER BY leased_until LIMIT 10000 FOR UPDATE SKIP LOCKED
  ), begun AS (
    SELECT e.tenant_id, e.id, e.subject_id, e.trace_id, c.message_id
      FROM expired e JOIN message_copy c ON c.tenant_id = e.tenant_id AND c.id = e.subject_id
     WHERE e.kind = 'dispatch' AND c.hand_over = 'uncertain'
  ), opened AS (
    UPDATE outbox o SET lease_token = NULL, leased_until = NULL, leased_by = NULL, tries = o.tries + 1, due_at = p_now
      FROM expired e
     WHERE o.tenant_id = e.tenant_id AND o.id = e.id
       AND NOT EXISTS (SELECT FROM begun b WHERE b.tenant_id = e.tenant_id AND b.id = e.id)
    RETURNING 1
  ), ended AS (
    DELETE FROM outbox o USING begun b WHERE o.tenant_id = b.tenant_id AND o.id = b.id
  ), settled_later AS (
    INSERT INTO outbox (tenant_id, id, kind, subject_id, due_at, trace_id, created_at)
    SELECT tenant_id, gen_random_uuid(), 'reconcile', subject_id, p_now, trace_id, p_now FROM begun
    ON CONFLICT (tenant_id, kind, subject_id) DO NOTHING
  ), told AS (
    INSERT INTO outbox AS o (tenant_id, id, kind, subject_id, due_at, created_at)
    SELECT DISTINCT ON (tenant_id, message_id) tenant_id, gen_random_uuid(), 'review', message_id, p_now, p_now
      FROM begun
    ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET due_at = least(o.due_at, excluded.due_at)
  )
  SELECT (SELECT count(*) FROM opened), (SELECT count(*) FROM begun);""",
    ),
    Definer(
        "seal_journal",
        "p_limit integer",
        "bigint",
        """  -- one sealer at a time: two would fork the chains
  PERFORM pg_advisory_xact_lock(hashtextextended('demail.journal', 0));
  FOR v_entry IN
    SELECT * FROM (SELECT * FROM journal_intake ORDER BY id LIMIT p_limit) i ORDER BY i.tenant_id NULLS FIRST, i.id
  LOOP
    IF NOT v_started OR v_entry.tenant_id IS DISTINCT FROM v_tenant THEN
      v_started := true;
      v_tenant := v_entry.tenant_id;
      v_seq := 0;
      v_prev := decode(repeat('00', 32), 'hex');
      -- two queries: IS NOT DISTINCT FROM uses no index
      IF v_tenant IS NULL THEN
        SELECT j.seq, j.hash INTO v_seq, v_prev FROM journal j WHERE j.tenant_id IS NULL ORDER BY j.seq DESC LIMIT 1;
      ELSE
        SELECT j.seq, j.hash INTO v_seq, v_prev FROM journal j WHERE j.tenant_id = v_tenant ORDER BY j.seq DESC LIMIT 1;
      END IF;
      v_seq := coalesce(v_seq, 0);
      v_prev := coalesce(v_prev, decode(repeat('00', 32), 'hex'));
    END IF;
    v_seq := v_seq + 1;
    SELECT string_agg(to_json(d.key)::text || ':' || to_json(d.value)::text, ',' ORDER BY d.key COLLATE "C")
      INTO v_detail FROM jsonb_each_text(v_entry.detail) d;
    -- core/journal.py makes the same octets from an exported entry; docs/journal.md describes them
    v_hash := sha256(v_prev || convert_to(
      '{"action":' || to_json(v_entry.action)::text
      || ',"actor":' || to_json(v_entry.actor)::text
      || ',"at":"' || to_char(v_entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"'
      || coalesce(',"detail":{' || v_detail || '}', '')
      || ',"object":' || to_json(v_entry.object)::text
      || ',"seq":' || v_seq::text
      || ',"tenant":' || coalesce('"ten_' || v_tenant::text || '"', 'null') || '}', 'UTF8'));
    INSERT INTO journal (tenant_id, seq, at, actor, action, object, detail, prev_hash, hash)
    VALUES (v_tenant, v_seq, v_entry.at, v_entry.actor, v_entry.action, v_entry.object, v_entry.detail, v_prev, v_hash);
    DELETE FROM journal_intake WHERE id = v_entry.id;
    v_prev := v_hash;
    v_count := v_count + 1;
  END LOOP;
  RETURN v_count;""",
        """
  v_entry record;
  v_tenant uuid;
  v_started boolean := false;
  v_seq bigint;
  v_prev bytea;
  v_hash bytea;
  v_detail text;
  v_count bigint := 0;""",
    ),
)

TRIGGERED = (
    Definer(
        "bump_config_version",
        "",
        "trigger",
        """  UPDATE tenant SET config_version = config_version + 1
   WHERE tenant_id = CASE WHEN TG_OP = 'DELETE' THEN OLD.tenant_id ELSE NEW.tenant_id END;
  RETURN NULL;""",
    ),
    Definer(
        "bump_config_version_of_users",
        "",
        "trigger",
        """  UPDATE tenant SET config_version = config_version + 1
   WHERE tenant_id IN (SELECT a.tenant_id FROM account a WHERE a.connection_id = NEW.id);
  RETURN NULL;""",
    ),
)
BUMP_OWN = """
CREATE FUNCTION bump_own_config_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.config_version := greatest(NEW.config_version, OLD.config_version + 1);
  RETURN NEW;
END
$$
"""

OF_TENANT = ("account", "address", "client", "sender_permission")
"""Changes here change what a sender may do: `Submissions.accept` compares the version it was examined with."""


def upgrade() -> None:
    role = _app_role()
    for function in (*FUNCTIONS, *TRIGGERED):
        op.execute(function.ddl())
        op.execute(f"REVOKE ALL ON FUNCTION {function.signature} FROM PUBLIC")
    for function in FUNCTIONS:
        op.execute(f"GRANT EXECUTE ON FUNCTION {function.signature} TO {role}")
    op.execute(BUMP_OWN)
    _on("tenant", "BEFORE UPDATE", "bump_own_config_version()")
    for table in OF_TENANT:
        _on(table, "AFTER INSERT OR UPDATE OR DELETE", "bump_config_version()")
    _on("connection", "AFTER UPDATE", "bump_config_version_of_users()")


def downgrade() -> None:
    for table in ("tenant", *OF_TENANT, "connection"):
        op.execute(f"DROP TRIGGER config_version ON {table}")
    op.execute("DROP FUNCTION bump_own_config_version()")
    for function in (*FUNCTIONS, *TRIGGERED):
        op.execute(f"DROP FUNCTION {function.signature}")


def _on(table: str, when: str, function: str) -> None:
    op.execute(f"CREATE TRIGGER config_version {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}")


def _app_role() -> str:
    name = context.config.attributes.get("app_role", "demail_app")
    return str(op.get_context().dialect.identifier_preparer.quote(name))
