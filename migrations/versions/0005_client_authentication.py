"""Clients prove themselves by keys of their own, too (GWT-20, GWT-21).

A client may have a secret, public keys, certificates, or several of them. The functions keep their names and take what
they took before, so that the previous release goes on to work beside this one; it cannot see clients without a secret.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FIND = "find_client(uuid, text)"
CREATE_BEFORE = "create_operator_client(uuid, text, bytea, timestamp with time zone)"
CREATE = "create_operator_client(uuid, text, bytea, timestamp with time zone, jsonb, jsonb)"
USE = "use_client_assertion(uuid, bytea, timestamp with time zone, timestamp with time zone)"

_HEAD = """
CREATE FUNCTION {signature} RETURNS {returns}
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('demail.definer', 'on', true);
{body}
END
$$
"""

_FIND = """  RETURN QUERY
  SELECT c.id, c.tenant_id, t.slug, c.scopes, c.secret_sha256, c.active, a.locked_until{of_client}
    FROM client c JOIN tenant t USING (tenant_id)
    LEFT JOIN client_attempt a ON a.client_id = c.id AND a.source = left(p_source, 100)
   WHERE c.id = p_client
  UNION ALL
  SELECT o.id, NULL, NULL, ARRAY['operator'], o.secret_sha256, o.active, a.locked_until{of_operator}
    FROM operator_client o
    LEFT JOIN client_attempt a ON a.client_id = o.id AND a.source = left(p_source, 100)
   WHERE o.id = p_client;"""
_FOUND = (
    "TABLE (id uuid, tenant_id uuid, tenant_slug text, scopes text[], secret_sha256 bytea, active boolean,"
    " locked_until timestamptz{more})"
)

_CREATE = """  IF current_setting('demail.operator', true) IS DISTINCT FROM 'on' THEN
    RAISE insufficient_privilege USING MESSAGE = 'only the operator makes operator clients';
  END IF;
  INSERT INTO operator_client (id, name, secret_sha256, created_at, jwks, certificates)
  VALUES (p_id, p_name, p_secret_sha256, p_now, p_jwks, p_certificates);"""
_CREATE_BEFORE = """  IF current_setting('demail.operator', true) IS DISTINCT FROM 'on' THEN
    RAISE insufficient_privilege USING MESSAGE = 'only the operator makes operator clients';
  END IF;
  INSERT INTO operator_client (id, name, secret_sha256, created_at) VALUES (p_id, p_name, p_secret_sha256, p_now);"""

_NO_SECRETS = (
    "UPDATE client SET secret_sha256 = decode(repeat('00', 32), 'hex') WHERE secret_sha256 IS NULL",
    "UPDATE operator_client SET secret_sha256 = decode(repeat('00', 32), 'hex') WHERE secret_sha256 IS NULL",
)
"""The release before knows secrets alone; octets that are the digest of nothing let nobody in."""

_USE = """  -- five minutes longer than they hold: clocks of two processes may differ
  DELETE FROM client_assertion WHERE client_id = p_client AND expires_at < p_now - interval '5 minutes';
  INSERT INTO client_assertion (client_id, jti_sha256, expires_at) VALUES (p_client, p_jti_sha256, p_expires_at)
  ON CONFLICT DO NOTHING;
  RETURN FOUND;"""


def upgrade() -> None:
    op.create_table(
        "client_assertion",
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("jti_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "jti_sha256", name=op.f("pk_client_assertion")),
    )
    for table in ("client", "operator_client"):
        op.add_column(table, sa.Column("jwks", postgresql.JSONB(), nullable=True))
        op.add_column(
            table, sa.Column("certificates", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False)
        )
        op.alter_column(table, "secret_sha256", existing_type=sa.LargeBinary(), nullable=True)
    _drop(FIND, CREATE_BEFORE)
    _make(
        "find_client(p_client uuid, p_source text)",
        _FOUND.format(more=", jwks jsonb, certificates jsonb, methods jsonb"),
        _FIND.format(
            of_client=",\n         c.jwks, c.certificates, t.policy -> 'client_authentication'",
            of_operator=",\n         o.jwks, o.certificates, NULL::jsonb",
        ),
        FIND,
    )
    _make(
        "create_operator_client(p_id uuid, p_name text, p_secret_sha256 bytea, p_now timestamptz,"
        " p_jwks jsonb DEFAULT NULL, p_certificates jsonb DEFAULT '[]')",
        "void",
        _CREATE,
        CREATE,
    )
    _make(
        "use_client_assertion(p_client uuid, p_jti_sha256 bytea, p_expires_at timestamptz, p_now timestamptz)",
        "boolean",
        _USE,
        USE,
    )


def downgrade() -> None:
    _drop(FIND, CREATE, USE)
    _make(
        "find_client(p_client uuid, p_source text)",
        _FOUND.format(more=""),
        _FIND.format(of_client="", of_operator=""),
        FIND,
    )
    _make(
        "create_operator_client(p_id uuid, p_name text, p_secret_sha256 bytea, p_now timestamptz)",
        "void",
        _CREATE_BEFORE,
        CREATE_BEFORE,
    )
    # row-level security is forced: without this the owner sees no client
    op.execute("SELECT set_config('demail.definer', 'on', true)")
    for statement in _NO_SECRETS:
        op.execute(statement)
    for table in ("client", "operator_client"):
        op.alter_column(table, "secret_sha256", existing_type=sa.LargeBinary(), nullable=False)
        op.drop_column(table, "certificates")
        op.drop_column(table, "jwks")
    op.drop_table("client_assertion")


def _make(signature: str, returns: str, body: str, name: str) -> None:
    role = _app_role()
    op.execute(_HEAD.format(signature=signature, returns=returns, body=body))
    op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {role}")


def _drop(*functions: str) -> None:
    for function in functions:
        op.execute(f"DROP FUNCTION {function}")


def _app_role() -> str:
    name = context.config.attributes.get("app_role", "demail_app")
    return str(op.get_context().dialect.identifier_preparer.quote(name))
