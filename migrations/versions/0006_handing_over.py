"""Handing over in few round trips: claiming, loading, beginning, and what an end is derived from.

As in 0004 the functions run with the caller's rights under row-level security and set the tenant first. They look rows
up one by one, by their keys, in loops and lateral sub-selects with `OFFSET 0`: a join against an array would be planned
from what is known of the tables' sizes. A queue is empty one moment and long the next, and before the first ANALYZE
nothing is known; then the plan, which a connection keeps, reads every row of the tenant for each small batch. Plans are
generic as in 0004.
"""

from __future__ import annotations

from alembic import context, op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CLAIM_WORK = """
CREATE FUNCTION claim_work(
  p_tenant uuid, p_kinds text[], p_now timestamptz, p_limit integer, p_until timestamptz, p_worker text, p_bytes bigint
)
RETURNS TABLE (id uuid, kind text, subject_id uuid, lease_token uuid, tries integer, trace_id text)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_picked record;
BEGIN
  PERFORM set_config('demail.tenant_id', p_tenant::text, true);
  -- a claim need not survive a crash of the server: without its lease nothing is begun, and the row is open again
  PERFORM set_config('synchronous_commit', 'off', true);
  FOR v_picked IN
    WITH picked AS (
      SELECT o.*, k.rank
        FROM unnest(p_kinds) WITH ORDINALITY AS k (kind, rank)
       CROSS JOIN LATERAL (
         SELECT id, due_at, size_bytes FROM outbox
          WHERE tenant_id = p_tenant AND kind = k.kind AND lease_token IS NULL AND due_at <= p_now
          ORDER BY due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) o
    ), ranked AS (
      SELECT id, sum(size_bytes) OVER w AS total, row_number() OVER w AS number
        FROM picked WINDOW w AS (ORDER BY rank, due_at, id)
    )
    SELECT id FROM ranked WHERE number <= p_limit AND (number = 1 OR total <= p_bytes) ORDER BY number
  LOOP
    RETURN QUERY
    UPDATE outbox SET lease_token = gen_random_uuid(), leased_until = p_until, leased_by = p_worker
     WHERE tenant_id = p_tenant AND id = v_picked.id
    RETURNING id, kind, subject_id, lease_token, tries, trace_id;
  END LOOP;
END
$$
"""

COPIES_TO_COMPOSE = """
CREATE FUNCTION copies_to_compose(p_tenant uuid, p_copies uuid[])
RETURNS TABLE (
  id uuid, message_id uuid, private_id text, internet_message_id text, content_id uuid, tenant_id uuid,
  connection_id uuid, account_id uuid, holder text, sender text, options jsonb, signed boolean, encrypted boolean,
  split boolean, created_at timestamptz, dek bytea, sealed_head bytea, sealed_body bytea,
  recipients uuid[], recipient_copies uuid[], kinds text[], positions integer[], addresses text[], refused boolean[],
  attachments integer[], attachment_contents uuid[], sealed_names bytea[]
)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('demail.tenant_id', p_tenant::text, true);
  RETURN QUERY
  SELECT c.id, c.message_id, c.private_id, c.internet_message_id, c.content_id, m.tenant_id, m.connection_id,
         m.account_id, a.holder, m.sender, m.options, m.signed, m.encrypted, m.split, m.created_at, m.dek,
         m.sealed_head, m.sealed_body,
         r.ids, r.copies, r.kinds, r.positions, r.addresses, r.refused, t.positions, t.contents, t.names
    FROM unnest(p_copies) AS wanted (id)
   CROSS JOIN LATERAL (
     SELECT * FROM message_copy WHERE tenant_id = p_tenant AND id = wanted.id OFFSET 0) c
   CROSS JOIN LATERAL (
     SELECT * FROM message WHERE tenant_id = p_tenant AND id = c.message_id OFFSET 0) m
   CROSS JOIN LATERAL (
     SELECT holder FROM account WHERE tenant_id = p_tenant AND id = m.account_id OFFSET 0) a
   CROSS JOIN LATERAL (
     SELECT array_agg(id) AS ids, array_agg(copy_id) AS copies, array_agg(kind) AS kinds,
            array_agg(position) AS positions, array_agg(address) AS addresses, array_agg(refused) AS refused
       FROM (SELECT id, copy_id, kind, position, address, refused_at IS NOT NULL AS refused FROM recipient
              WHERE message_id = c.message_id AND tenant_id = p_tenant
              ORDER BY array_position(ARRAY['to', 'cc', 'bcc'], kind), position) ordered) r
   CROSS JOIN LATERAL (
     SELECT array_agg(position) AS positions, array_agg(content_id) AS contents, array_agg(sealed_name) AS names
       FROM (SELECT position, content_id, sealed_name FROM message_attachment
              WHERE tenant_id = p_tenant AND message_id = c.message_id ORDER BY position) ordered) t;
END
$$
"""

BEGIN_ATTEMPTS = """
CREATE FUNCTION begin_attempts(
  p_tenant uuid, p_works uuid[], p_tokens uuid[], p_attempts uuid[], p_copies uuid[], p_ats timestamptz[],
  p_untils timestamptz[], p_role text, p_contents uuid[], p_sizes bigint[], p_sha256s bytea[], p_deks bytea[],
  p_sealed_datas bytea[]
)
RETURNS TABLE (copy_id uuid, content_id uuid)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  n integer;
  v_held integer[] := '{}';
BEGIN
  PERFORM set_config('demail.tenant_id', p_tenant::text, true);
  -- rows of the outbox first, then copies, each kind by id: the order in which everybody takes these locks
  FOR n IN SELECT number FROM unnest(p_works) WITH ORDINALITY AS w (id, number) ORDER BY w.id LOOP
    UPDATE outbox SET leased_until = greatest(leased_until, p_untils[n])
     WHERE tenant_id = p_tenant AND id = p_works[n] AND lease_token = p_tokens[n];
    IF FOUND THEN
      v_held := v_held || n;
    END IF;
  END LOOP;
  FOR n IN SELECT h FROM unnest(v_held) AS h ORDER BY p_copies[h] LOOP
    SELECT c.id, c.content_id INTO copy_id, content_id FROM message_copy c
     WHERE c.tenant_id = p_tenant AND c.id = p_copies[n] AND c.hand_over = 'waiting' FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    IF content_id IS NULL THEN
      content_id := p_contents[n];
      INSERT INTO content (tenant_id, id, role, size_bytes, sha256, dek, sealed_data, created_at)
      VALUES (p_tenant, p_contents[n], p_role, p_sizes[n], p_sha256s[n], p_deks[n], p_sealed_datas[n], p_ats[n]);
    END IF;
    INSERT INTO attempt (tenant_id, id, copy_id, begun_at) VALUES (p_tenant, p_attempts[n], p_copies[n], p_ats[n]);
    UPDATE message_copy SET hand_over = 'uncertain', hand_over_at = p_ats[n], content_id = begin_attempts.content_id
     WHERE tenant_id = p_tenant AND id = p_copies[n];
    RETURN NEXT;
  END LOOP;
END
$$
"""

COLUMNS = """
  id uuid, reference text, options jsonb, state text, held boolean, dispatched boolean, submitted_at timestamptz,
  completed_at timestamptz, overdue_since timestamptz, size_bytes bigint, trace_id text, copies uuid[],
  hand_overs text[], hand_over_ats timestamptz[], recipients uuid[], recipient_copies uuid[],
  refused_ats timestamptz[], states text[], reasons text[], milestones integer[], dispatched_ats timestamptz[],
  delivered_ats timestamptz[], retrieved_ats timestamptz[], facts jsonb[], open_attempts uuid[]"""

STANDINGS = """
CREATE FUNCTION standings(p_tenant uuid, p_messages uuid[])
RETURNS TABLE (COLUMNS)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT m.id, m.reference, m.options, m.state, m.held, m.dispatched, m.submitted_at, m.completed_at, m.overdue_since,
         m.size_bytes, m.trace_id, c.copies, c.hand_overs, c.hand_over_ats, r.recipients, r.copies, r.refused_ats,
         r.states, r.reasons, r.milestones, r.dispatched_ats, r.delivered_ats, r.retrieved_ats, e.facts, o.attempts
    FROM unnest(p_messages) AS wanted (id)
   CROSS JOIN LATERAL (
     SELECT * FROM message WHERE tenant_id = p_tenant AND id = wanted.id OFFSET 0) m
   CROSS JOIN LATERAL (
     SELECT array_agg(id ORDER BY position) AS copies, array_agg(hand_over ORDER BY position) AS hand_overs,
            array_agg(hand_over_at ORDER BY position) AS hand_over_ats
       FROM message_copy WHERE message_id = m.id AND tenant_id = p_tenant) c
   CROSS JOIN LATERAL (
     SELECT array_agg(id) AS recipients, array_agg(copy_id) AS copies, array_agg(refused_at) AS refused_ats,
            array_agg(state) AS states, array_agg(reason) AS reasons, array_agg(milestone) AS milestones,
            array_agg(dispatched_at) AS dispatched_ats, array_agg(delivered_at) AS delivered_ats,
            array_agg(retrieved_at) AS retrieved_ats
       FROM (SELECT * FROM recipient WHERE message_id = m.id AND tenant_id = p_tenant ORDER BY id) ordered) r
   CROSS JOIN LATERAL (
     SELECT array_agg(fact) AS facts
       FROM evidence WHERE message_id = m.id AND tenant_id = p_tenant AND fact IS NOT NULL) e
   CROSS JOIN LATERAL (
     SELECT array_agg(a.id) AS attempts
       FROM unnest(c.copies) AS copy (id)
      CROSS JOIN LATERAL (
        SELECT id FROM attempt WHERE copy_id = copy.id AND tenant_id = p_tenant AND outcome IS NULL OFFSET 0) a) o;
END
$$
"""

LOCKED_STANDINGS = """
CREATE FUNCTION locked_standings(p_tenant uuid, p_copies uuid[], p_works uuid[], p_tokens uuid[])
RETURNS TABLE (COLUMNS, held_works uuid[])
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_messages uuid[];
  v_message uuid;
  v_lease record;
  v_held uuid[] := '{}';
BEGIN
  PERFORM set_config('demail.tenant_id', p_tenant::text, true);
  SELECT coalesce(array_agg(DISTINCT c.message_id), '{}') INTO v_messages
    FROM unnest(p_copies) AS wanted (id)
   CROSS JOIN LATERAL (
     SELECT message_id FROM message_copy WHERE tenant_id = p_tenant AND id = wanted.id OFFSET 0) c;
  -- messages, then rows of the outbox, each kind by id; read by a statement of its own after that, which so sees what
  -- was waited for
  FOR v_message IN SELECT id FROM unnest(v_messages) AS m (id) ORDER BY id LOOP
    PERFORM FROM message WHERE tenant_id = p_tenant AND id = v_message FOR NO KEY UPDATE;
  END LOOP;
  FOR v_lease IN SELECT id, token FROM unnest(p_works, p_tokens) AS l (id, token) ORDER BY id LOOP
    PERFORM FROM outbox WHERE tenant_id = p_tenant AND id = v_lease.id AND lease_token = v_lease.token FOR UPDATE;
    IF FOUND THEN
      v_held := v_held || v_lease.id;
    END IF;
  END LOOP;
  RETURN QUERY SELECT s.*, v_held FROM standings(p_tenant, v_messages) s;
END
$$
"""

WRITE_CHANGES = """
CREATE FUNCTION write_changes(
  p_tenant uuid, p_at timestamptz,
  p_messages uuid[], p_states text[], p_dispatched boolean[], p_submitted_ats timestamptz[],
  p_completed_ats timestamptz[], p_overdue_sinces timestamptz[], p_held boolean[],
  p_copies uuid[], p_hand_overs text[], p_hand_over_ats timestamptz[],
  p_recipients uuid[], p_recipient_states text[], p_reasons text[], p_milestones integer[],
  p_dispatched_ats timestamptz[], p_delivered_ats timestamptz[], p_retrieved_ats timestamptz[],
  p_refused_ats timestamptz[],
  p_ended uuid[], p_outcomes text[], p_replies text[], p_ended_ats timestamptz[],
  p_events uuid[], p_types text[], p_event_messages uuid[], p_event_recipients uuid[], p_references text[],
  p_event_states text[],
  p_removed_kinds text[], p_removed uuid[],
  p_planned_kinds text[], p_planned uuid[], p_due_ats timestamptz[], p_tries integer[], p_sizes bigint[],
  p_trace_ids text[],
  p_reviews uuid[], p_review_ats timestamptz[],
  p_actors text[], p_actions text[], p_objects text[], p_details text[]
)
RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  FOR n IN 1..cardinality(p_messages) LOOP
    UPDATE message SET state = p_states[n], dispatched = p_dispatched[n], submitted_at = p_submitted_ats[n],
           completed_at = p_completed_ats[n], overdue_since = p_overdue_sinces[n], held = p_held[n]
     WHERE tenant_id = p_tenant AND id = p_messages[n];
  END LOOP;
  FOR n IN 1..cardinality(p_ended) LOOP
    UPDATE attempt SET ended_at = p_ended_ats[n], outcome = p_outcomes[n], reply = p_replies[n]
     WHERE copy_id = p_ended[n] AND tenant_id = p_tenant AND outcome IS NULL;
    IF p_ended[n] <> ALL (p_copies) THEN
      UPDATE message_copy SET last_reply = p_replies[n] WHERE tenant_id = p_tenant AND id = p_ended[n];
    END IF;
  END LOOP;
  FOR n IN 1..cardinality(p_copies) LOOP
    UPDATE message_copy SET hand_over = p_hand_overs[n], hand_over_at = p_hand_over_ats[n],
           last_reply = coalesce(p_replies[array_position(p_ended, p_copies[n])], last_reply)
     WHERE tenant_id = p_tenant AND id = p_copies[n];
  END LOOP;
  FOR n IN 1..cardinality(p_recipients) LOOP
    UPDATE recipient SET state = p_recipient_states[n], reason = p_reasons[n], milestone = p_milestones[n],
           dispatched_at = p_dispatched_ats[n], delivered_at = p_delivered_ats[n], retrieved_at = p_retrieved_ats[n],
           refused_at = p_refused_ats[n]
     WHERE tenant_id = p_tenant AND id = p_recipients[n];
  END LOOP;
  IF cardinality(p_events) > 0 THEN
    INSERT INTO event (tenant_id, id, type, at, message_id, recipient_id, reference, state)
    SELECT p_tenant, e.id, e.type, p_at, e.message_id, e.recipient_id, e.reference, e.state
      FROM unnest(p_events, p_types, p_event_messages, p_event_recipients, p_references, p_event_states)
        WITH ORDINALITY AS e (id, type, message_id, recipient_id, reference, state, number)
     ORDER BY e.number;
  END IF;
  FOR n IN 1..cardinality(p_removed) LOOP
    DELETE FROM outbox WHERE subject_id = p_removed[n] AND kind = p_removed_kinds[n] AND tenant_id = p_tenant;
  END LOOP;
  IF cardinality(p_planned) > 0 THEN
    INSERT INTO outbox AS o (tenant_id, id, kind, subject_id, due_at, tries, size_bytes, trace_id, created_at)
    SELECT p_tenant, gen_random_uuid(), p.kind, p.subject_id, p.due_at, p.tries, p.size_bytes, p.trace_id, p_at
      FROM unnest(p_planned_kinds, p_planned, p_due_ats, p_tries, p_sizes, p_trace_ids)
        AS p (kind, subject_id, due_at, tries, size_bytes, trace_id)
    ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET
      due_at = excluded.due_at, tries = excluded.tries, lease_token = NULL, leased_until = NULL, leased_by = NULL;
  END IF;
  IF cardinality(p_reviews) > 0 THEN
    INSERT INTO outbox AS o (tenant_id, id, kind, subject_id, due_at, created_at)
    SELECT p_tenant, gen_random_uuid(), 'review', r.message_id, r.due_at, p_at
      FROM unnest(p_reviews, p_review_ats) AS r (message_id, due_at)
    -- a review that comes too early derives the same and is planned anew: only earlier ones need a write
    ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET due_at = excluded.due_at WHERE o.due_at > excluded.due_at;
  END IF;
  IF cardinality(p_actions) > 0 THEN
    INSERT INTO journal_intake (tenant_id, at, actor, action, object, detail)
    SELECT p_tenant, p_at, j.actor, j.action, j.object, j.detail::jsonb
      FROM unnest(p_actors, p_actions, p_objects, p_details) AS j (actor, action, object, detail);
  END IF;
END
$$
"""

FUNCTIONS = {
    "claim_work": CLAIM_WORK,
    "copies_to_compose": COPIES_TO_COMPOSE,
    "begin_attempts": BEGIN_ATTEMPTS,
    "standings": STANDINGS.replace("COLUMNS", COLUMNS),
    "locked_standings": LOCKED_STANDINGS.replace("COLUMNS", COLUMNS),
    "write_changes": WRITE_CHANGES,
}


UPDATED = ("message", "message_copy", "recipient", "attempt")
"""Each row is changed soon after it was written. With room for that on its page no index has to be touched."""


def upgrade() -> None:
    for table in UPDATED:
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 50)")
    name = context.config.attributes.get("app_role", "demail_app")
    role = op.get_context().dialect.identifier_preparer.quote(name)
    for function, statement in FUNCTIONS.items():
        op.execute(statement)
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")


def downgrade() -> None:
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {function}")
    for table in UPDATED:
        op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
