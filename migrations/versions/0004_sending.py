"""Sending in one round trip: what is known of a sender, and accepting messages.

Round trips are the cost of accepting a message, so the statements stand in a function each. They run with the
caller's rights, under row-level security: the first act sets the tenant for the transaction, and a function's
statements run one after the other, each with a snapshot of its own. One statement with common table expressions
could not promise that the tenant is set before the first row is looked at, nor see the row of a competing key.

Their plans are generic: PostgreSQL would else plan each execution for the arrays at hand, which costs more than to
execute it.
"""

from __future__ import annotations

from alembic import context, op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SENDER_CONTEXT = """
CREATE FUNCTION sender_context(p_tenant uuid, p_client uuid, p_sender text, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_tenant tenant%ROWTYPE;
  v_account account%ROWTYPE;
  v_connection connection%ROWTYPE;
  v_may_use jsonb;
  v_addresses jsonb;
  v_quota jsonb := '{}';
  v_day timestamptz := date_trunc('day', p_now AT TIME ZONE 'Europe/Berlin') AT TIME ZONE 'Europe/Berlin';
BEGIN
  PERFORM set_config('demail.tenant_id', p_tenant::text, true);
  SELECT * INTO v_tenant FROM tenant WHERE tenant_id = p_tenant;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF p_sender IS NOT NULL THEN
    SELECT c.* INTO v_account FROM address a
      JOIN account c ON c.tenant_id = a.tenant_id AND c.id = a.account_id
     WHERE a.tenant_id = p_tenant AND a.address = lower(p_sender);
  ELSIF (SELECT count(*) FROM account WHERE tenant_id = p_tenant) = 1 THEN
    SELECT * INTO v_account FROM account WHERE tenant_id = p_tenant;
  END IF;
  SELECT * INTO v_connection FROM connection WHERE id = v_account.connection_id;
  SELECT jsonb_object_agg(s.address, to_jsonb(s.options)) INTO v_may_use
    FROM sender_permission s JOIN address a ON a.tenant_id = s.tenant_id AND a.address = s.address
   WHERE s.tenant_id = p_tenant AND s.client_id = p_client AND a.account_id = v_account.id;
  SELECT jsonb_agg(address) INTO v_addresses FROM address WHERE tenant_id = p_tenant;
  -- counting costs; only where a count is limited (SND-17, SND-60, SND-62)
  IF v_connection.auth_level = 'normal'
     OR v_connection.profile -> 'limits' ?| ARRAY['messages_per_day', 'recipients_per_day']
     OR v_tenant.policy ?| ARRAY['messages_per_day', 'recipients_per_day'] THEN
    -- "per day" is both the calendar day of legal time and the last 24 hours (SND-61)
    SELECT jsonb_build_object(
        'messages_day', count(*) FILTER (WHERE m.created_at >= v_day),
        'messages_24h', count(*) FILTER (WHERE m.created_at > p_now - interval '24 hours'),
        'recipients_day', coalesce(sum(r.number) FILTER (WHERE m.created_at >= v_day), 0),
        'recipients_24h', coalesce(sum(r.number) FILTER (WHERE m.created_at > p_now - interval '24 hours'), 0))
      INTO v_quota
      FROM message m CROSS JOIN LATERAL (
        SELECT count(*) AS number FROM recipient WHERE tenant_id = m.tenant_id AND message_id = m.id) r
     WHERE m.tenant_id = p_tenant AND m.account_id = v_account.id
       AND m.created_at > least(v_day - interval '1 second', p_now - interval '24 hours')
       AND m.direction = 'outbound' AND m.state NOT IN ('cancelled', 'failed');
  END IF;
  RETURN jsonb_build_object(
    'config_version', v_tenant.config_version, 'state', v_tenant.state, 'effects', v_tenant.effects,
    'permissions', to_jsonb(v_tenant.permissions), 'policy', v_tenant.policy,
    'account_id', v_account.id, 'holder', v_account.holder, 'account_state', v_account.state,
    'retrieval_entitlement', v_account.retrieval_entitlement, 'natural_person', v_account.natural_person,
    'connection_id', v_connection.id, 'connection_active', v_connection.active, 'auth_level', v_connection.auth_level,
    'domains', v_connection.profile -> 'domains', 'system_local_parts', v_connection.profile -> 'system_local_parts',
    'limits', v_connection.profile -> 'limits', 'may_use', coalesce(v_may_use, '{}'),
    'addresses', coalesce(v_addresses, '[]'), 'quota', v_quota);
END
$$
"""

ACCEPT_MESSAGES = """
CREATE FUNCTION accept_messages(
  p_tenant uuid,
  p_messages uuid[], p_clients uuid[], p_config_versions bigint[], p_keys text[], p_request_sha256s bytea[],
  p_statuses integer[], p_locations text[], p_key_deks bytea[], p_sealed_answers bytea[],
  p_accounts uuid[], p_connections uuid[], p_senders text[], p_references text[], p_options text[], p_profiles text[],
  p_signed boolean[], p_encrypted boolean[], p_split boolean[], p_sizes bigint[], p_deks bytea[],
  p_sealed_heads bytea[], p_sealed_bodies bytea[], p_created_ats timestamptz[], p_trace_ids text[],
  p_events uuid[], p_actors text[],
  p_copies uuid[], p_copy_messages uuid[], p_copy_positions integer[], p_private_ids text[],
  p_internet_message_ids text[], p_works uuid[], p_work_sizes bigint[], p_work_trace_ids text[],
  p_work_created_ats timestamptz[],
  p_recipients uuid[], p_recipient_messages uuid[], p_recipient_copies uuid[], p_kinds text[], p_positions integer[],
  p_addresses text[],
  p_contents uuid[], p_content_messages uuid[], p_content_sizes bigint[], p_content_sha256s bytea[],
  p_content_deks bytea[], p_sealed_datas bytea[], p_content_created_ats timestamptz[],
  p_attachment_messages uuid[], p_attachments integer[], p_attachment_sizes bigint[], p_attachment_contents uuid[],
  p_uploads uuid[], p_sealed_names bytea[]
)
RETURNS TABLE (message_id uuid, result text, status integer, location text, dek bytea, sealed_body bytea)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_version bigint;
  v_new uuid[];
  v_all boolean;
BEGIN
  PERFORM set_config('demail.tenant_id', p_tenant::text, true);
  SELECT config_version INTO v_version FROM tenant WHERE tenant_id = p_tenant;

  WITH new AS (
    INSERT INTO idempotency_key AS k
      (tenant_id, client_id, key, request_sha256, status, location, dek, sealed_body, created_at)
    SELECT p_tenant, m.client_id, m.key, m.request, m.status, m.location, m.dek, m.answer, m.at
      FROM unnest(p_clients, p_keys, p_config_versions, p_request_sha256s, p_statuses, p_locations, p_key_deks,
                  p_sealed_answers, p_created_ats)
        AS m (client_id, key, version, request, status, location, dek, answer, at)
     WHERE m.version = v_version
     ORDER BY m.client_id, m.key  -- two batches with the same keys wait for each other in one order
    ON CONFLICT DO NOTHING
    RETURNING k.client_id, k.key
  )
  SELECT coalesce(array_agg(m.id), '{}') INTO v_new
    FROM new JOIN unnest(p_messages, p_clients, p_keys) AS m (id, client_id, key)
      ON m.client_id = new.client_id AND m.key = new.key;
  v_all := cardinality(v_new) = cardinality(p_messages);

  IF NOT v_all THEN
    RETURN QUERY
    SELECT m.id, CASE WHEN k.key IS NULL THEN 'stale' WHEN k.request_sha256 <> m.request THEN 'reused'
                      WHEN k.status IS NULL THEN 'running' ELSE 'replayed' END,
           k.status, k.location, k.dek, k.sealed_body
      FROM unnest(p_messages, p_clients, p_keys, p_request_sha256s) AS m (id, client_id, key, request)
      LEFT JOIN idempotency_key k ON k.tenant_id = p_tenant AND k.client_id = m.client_id AND k.key = m.key
     WHERE m.id <> ALL (v_new);
    IF cardinality(v_new) = 0 THEN
      RETURN;
    END IF;
  END IF;

  IF cardinality(p_contents) > 0 THEN
    INSERT INTO content (tenant_id, id, role, size_bytes, sha256, dek, sealed_data, created_at)
    SELECT p_tenant, c.id, 'attachment', c.size, c.sha256, c.dek, c.sealed, c.at
      FROM unnest(p_contents, p_content_messages, p_content_sizes, p_content_sha256s, p_content_deks, p_sealed_datas,
                  p_content_created_ats)
        AS c (id, message_id, size, sha256, dek, sealed, at)
     WHERE v_all OR c.message_id = ANY (v_new);
  END IF;

  INSERT INTO message
    (tenant_id, id, direction, state, client_id, account_id, connection_id, sender, reference, options, profile, signed,
     encrypted, split, size_bytes, dek, sealed_head, sealed_body, created_at, trace_id)
  SELECT p_tenant, m.id, 'outbound', 'queued', m.client_id, m.account_id, m.connection_id, m.sender, m.reference,
         m.options::jsonb, m.profile, m.signed, m.encrypted, m.split, m.size, m.dek, m.head, m.body, m.at, m.trace_id
    FROM unnest(p_messages, p_clients, p_accounts, p_connections, p_senders, p_references, p_options, p_profiles,
                p_signed, p_encrypted, p_split, p_sizes, p_deks, p_sealed_heads, p_sealed_bodies, p_created_ats,
                p_trace_ids)
      AS m (id, client_id, account_id, connection_id, sender, reference, options, profile, signed, encrypted, split,
            size, dek, head, body, at, trace_id)
   WHERE v_all OR m.id = ANY (v_new);

  INSERT INTO message_copy (tenant_id, id, message_id, position, private_id, internet_message_id, hand_over)
  SELECT p_tenant, c.id, c.message_id, c.position, c.private_id, c.internet_message_id, 'waiting'
    FROM unnest(p_copies, p_copy_messages, p_copy_positions, p_private_ids, p_internet_message_ids)
      AS c (id, message_id, position, private_id, internet_message_id)
   WHERE v_all OR c.message_id = ANY (v_new);

  INSERT INTO recipient (tenant_id, id, message_id, copy_id, kind, position, address, state)
  SELECT p_tenant, r.id, r.message_id, r.copy_id, r.kind, r.position, r.address, 'pending'
    FROM unnest(p_recipients, p_recipient_messages, p_recipient_copies, p_kinds, p_positions, p_addresses)
      AS r (id, message_id, copy_id, kind, position, address)
   WHERE v_all OR r.message_id = ANY (v_new);

  IF cardinality(p_attachments) > 0 THEN
    IF EXISTS (SELECT FROM unnest(p_attachment_messages, p_uploads) AS a (message_id, upload_id)
                WHERE a.upload_id IS NOT NULL AND (v_all OR a.message_id = ANY (v_new))
                  AND NOT EXISTS (SELECT FROM upload u WHERE u.tenant_id = p_tenant AND u.id = a.upload_id)) THEN
      RAISE no_data_found USING MESSAGE = 'an upload is gone';
    END IF;
    INSERT INTO message_attachment (tenant_id, message_id, position, size_bytes, content_id, sealed_name)
    SELECT p_tenant, a.message_id, a.position, a.size, coalesce(a.content_id, u.content_id), a.sealed_name
      FROM unnest(p_attachment_messages, p_attachments, p_attachment_sizes, p_attachment_contents, p_uploads,
                  p_sealed_names)
        AS a (message_id, position, size, content_id, upload_id, sealed_name)
      LEFT JOIN upload u ON u.tenant_id = p_tenant AND u.id = a.upload_id
     WHERE v_all OR a.message_id = ANY (v_new);
  END IF;

  INSERT INTO outbox (tenant_id, id, kind, subject_id, due_at, size_bytes, trace_id, created_at)
  SELECT p_tenant, w.id, 'dispatch', w.copy_id, w.at, w.size, w.trace_id, w.at
    FROM unnest(p_works, p_copies, p_copy_messages, p_work_sizes, p_work_trace_ids, p_work_created_ats)
      AS w (id, copy_id, message_id, size, trace_id, at)
   WHERE v_all OR w.message_id = ANY (v_new);

  INSERT INTO event (tenant_id, id, type, at, message_id, reference, state)
  SELECT p_tenant, m.event_id, 'message.queued', m.at, m.id, m.reference, 'queued'
    FROM unnest(p_messages, p_events, p_created_ats, p_references) AS m (id, event_id, at, reference)
   WHERE v_all OR m.id = ANY (v_new);

  INSERT INTO journal_intake (tenant_id, at, actor, action, object)
  SELECT p_tenant, m.at, m.actor, 'message.accepted', 'msg_' || m.id
    FROM unnest(p_messages, p_created_ats, p_actors) AS m (id, at, actor)
   WHERE v_all OR m.id = ANY (v_new);
END
$$
"""

FUNCTIONS = {"sender_context": SENDER_CONTEXT, "accept_messages": ACCEPT_MESSAGES}


def upgrade() -> None:
    name = context.config.attributes.get("app_role", "demail_app")
    role = op.get_context().dialect.identifier_preparer.quote(name)
    for function, statement in FUNCTIONS.items():
        op.execute(statement)
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")


def downgrade() -> None:
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
