"""Sending in one round trip: what is known of a sender, and accepting a message.

Round trips are the cost of accepting a message, so the statements stand in a function each. They run with the
caller's rights, under row-level security: the first act sets the tenant for the transaction, and a function's
statements run one after the other, each with a snapshot of its own. One statement with common table expressions
could not promise that the tenant is set before the first row is looked at, nor see the row of a competing key.
"""

from __future__ import annotations

from alembic import context, op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SENDER_CONTEXT = """
CREATE FUNCTION sender_context(p_tenant uuid, p_client uuid, p_sender text, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
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

ACCEPT_MESSAGE = """
CREATE FUNCTION accept_message(
  p_tenant uuid, p_client uuid, p_config_version bigint,
  p_key text, p_request_sha256 bytea, p_status integer, p_location text, p_key_dek bytea, p_sealed_answer bytea,
  p_message uuid, p_account uuid, p_connection uuid, p_sender text, p_reference text, p_options jsonb, p_profile text,
  p_signed boolean, p_encrypted boolean, p_split boolean, p_size_bytes bigint,
  p_dek bytea, p_sealed_head bytea, p_sealed_body bytea, p_created_at timestamptz, p_trace_id text,
  p_copies uuid[], p_private_ids text[], p_internet_message_ids text[], p_works uuid[],
  p_recipients uuid[], p_recipient_copies uuid[], p_kinds text[], p_positions integer[], p_addresses text[],
  p_contents uuid[], p_content_sizes bigint[], p_content_sha256s bytea[], p_content_deks bytea[],
  p_sealed_datas bytea[],
  p_attachments integer[], p_attachment_sizes bigint[], p_attachment_contents uuid[], p_uploads uuid[],
  p_sealed_names bytea[],
  p_event uuid, p_actor text,
  OUT result text, OUT status integer, OUT location text, OUT dek bytea, OUT sealed_body bytea
)
LANGUAGE plpgsql AS $$
DECLARE
  v_request bytea;
BEGIN
  PERFORM set_config('demail.tenant_id', p_tenant::text, true);

  INSERT INTO idempotency_key
    (tenant_id, client_id, key, request_sha256, status, location, dek, sealed_body, created_at)
  SELECT p_tenant, p_client, p_key, p_request_sha256, p_status, p_location, p_key_dek, p_sealed_answer, p_created_at
   WHERE EXISTS (SELECT FROM tenant t WHERE t.tenant_id = p_tenant AND t.config_version = p_config_version)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    SELECT k.request_sha256, k.status, k.location, k.dek, k.sealed_body
      INTO v_request, status, location, dek, sealed_body
      FROM idempotency_key k WHERE k.tenant_id = p_tenant AND k.client_id = p_client AND k.key = p_key;
    result := CASE WHEN NOT FOUND THEN 'stale' WHEN v_request <> p_request_sha256 THEN 'reused'
                   WHEN status IS NULL THEN 'running' ELSE 'replayed' END;
    RETURN;
  END IF;

  IF cardinality(p_contents) > 0 THEN
    INSERT INTO content (tenant_id, id, role, size_bytes, sha256, dek, sealed_data, created_at)
    SELECT p_tenant, c.id, 'attachment', c.size, c.sha256, c.dek, c.sealed, p_created_at
      FROM unnest(p_contents, p_content_sizes, p_content_sha256s, p_content_deks, p_sealed_datas)
        AS c (id, size, sha256, dek, sealed);
  END IF;

  INSERT INTO message
    (tenant_id, id, direction, state, client_id, account_id, connection_id, sender, reference, options, profile, signed,
     encrypted, split, size_bytes, dek, sealed_head, sealed_body, created_at, trace_id)
  VALUES
    (p_tenant, p_message, 'outbound', 'queued', p_client, p_account, p_connection, p_sender, p_reference, p_options,
     p_profile, p_signed, p_encrypted, p_split, p_size_bytes, p_dek, p_sealed_head, p_sealed_body, p_created_at,
     p_trace_id);

  INSERT INTO message_copy (tenant_id, id, message_id, position, private_id, internet_message_id, hand_over)
  SELECT p_tenant, c.id, p_message, c.position - 1, c.private_id, c.internet_message_id, 'waiting'
    FROM unnest(p_copies, p_private_ids, p_internet_message_ids)
      WITH ORDINALITY AS c (id, private_id, internet_message_id, position);

  INSERT INTO recipient (tenant_id, id, message_id, copy_id, kind, position, address, state)
  SELECT p_tenant, r.id, p_message, r.copy_id, r.kind, r.position, r.address, 'pending'
    FROM unnest(p_recipients, p_recipient_copies, p_kinds, p_positions, p_addresses)
      AS r (id, copy_id, kind, position, address);

  IF cardinality(p_attachments) > 0 THEN
    INSERT INTO message_attachment (tenant_id, message_id, position, size_bytes, content_id, sealed_name)
    SELECT p_tenant, p_message, a.position, a.size, coalesce(a.content_id, u.content_id), a.sealed_name
      FROM unnest(p_attachments, p_attachment_sizes, p_attachment_contents, p_uploads, p_sealed_names)
        AS a (position, size, content_id, upload_id, sealed_name)
      LEFT JOIN upload u ON u.tenant_id = p_tenant AND u.id = a.upload_id
     WHERE a.upload_id IS NULL OR u.id IS NOT NULL;
    IF (SELECT count(*) FROM message_attachment WHERE tenant_id = p_tenant AND message_id = p_message)
       <> cardinality(p_attachments) THEN
      RAISE no_data_found USING MESSAGE = 'an upload is gone';
    END IF;
  END IF;

  INSERT INTO outbox (tenant_id, id, kind, subject_id, due_at, size_bytes, trace_id, created_at)
  SELECT p_tenant, w.id, 'dispatch', w.copy_id, p_created_at, p_size_bytes, p_trace_id, p_created_at
    FROM unnest(p_works, p_copies) AS w (id, copy_id);

  INSERT INTO event (tenant_id, id, type, at, message_id, reference, state)
  VALUES (p_tenant, p_event, 'message.queued', p_created_at, p_message, p_reference, 'queued');

  INSERT INTO journal_intake (tenant_id, at, actor, action, object)
  VALUES (p_tenant, p_created_at, p_actor, 'message.accepted', 'msg_' || p_message);

  result := 'accepted';
END
$$
"""

FUNCTIONS = {"sender_context": SENDER_CONTEXT, "accept_message": ACCEPT_MESSAGE}


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
