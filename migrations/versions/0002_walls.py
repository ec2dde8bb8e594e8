"""Walls between tenants: row-level security on every tenant table, and the rights of the application role.

- `tenant_isolation`: the application sees the tenant that its transaction has set, and no row where none is set (E4).
- `operator_access`: with `demail.operator` it sees administrative tables of all tenants; content never (GWT-37).
- `definer_access`: row-level security is forced, so it binds the owner too; functions with the owner's rights
  (SECURITY DEFINER) carry `SET demail.definer = 'on'`. The policy is the owner's, so the setting opens nothing for
  the application role.

The sub-selects make the settings parameters of the plan, evaluated once and not for each row (E7).
"""

from __future__ import annotations

from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ADMINISTRATIVE = (
    "tenant",
    "tenant_content_key",
    "account",
    "address",
    "client",
    "sender_permission",
    "tenant_key",
    "journal",
    "journal_intake",
)
CONTENT = (
    "content",
    "content_chunk",
    "message",
    "message_attachment",
    "upload",
    "message_copy",
    "recipient",
    "attempt",
    "received",
    "evidence",
    "outbox",
    "event",
    "idempotency_key",
)

READ_WRITE = (*CONTENT, *ADMINISTRATIVE[:-2], "operator_idempotency_key")
RIGHTS = {
    **dict.fromkeys(READ_WRITE, "SELECT, INSERT, UPDATE, DELETE"),
    "connection": "SELECT, INSERT, UPDATE",
    "revocation_list": "SELECT, INSERT, UPDATE, DELETE",
    # what has happened is not changed, and told only once
    "event": "SELECT, INSERT, DELETE",
    "journal_intake": "SELECT, INSERT",
    "journal": "SELECT",
}
"""Of the application role. Nothing on `operator_client` and `client_attempt`: functions alone reach them."""

OWN = "tenant_id = (SELECT NULLIF(current_setting('demail.tenant_id', true), '')::uuid)"
OPERATOR = "(SELECT current_setting('demail.operator', true)) = 'on'"
DEFINER = "(SELECT current_setting('demail.definer', true)) = 'on'"


def upgrade() -> None:
    role = _app_role()
    for table in (*ADMINISTRATIVE, *CONTENT):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        _policy("tenant_isolation", table, role, OWN)
        _policy("definer_access", table, "CURRENT_USER", DEFINER)
    for table in ADMINISTRATIVE:
        _policy("operator_access", table, role, OPERATOR)
    op.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    op.execute(f"GRANT SELECT ON alembic_version TO {role}")
    for table, rights in RIGHTS.items():
        op.execute(f"GRANT {rights} ON {table} TO {role}")


def downgrade() -> None:
    role = _app_role()
    for table in RIGHTS:
        op.execute(f"REVOKE ALL ON {table} FROM {role}")
    op.execute(f"REVOKE ALL ON alembic_version FROM {role}")
    for table in ADMINISTRATIVE:
        op.execute(f"DROP POLICY operator_access ON {table}")
    for table in (*ADMINISTRATIVE, *CONTENT):
        op.execute(f"DROP POLICY tenant_isolation ON {table}")
        op.execute(f"DROP POLICY definer_access ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


def _policy(name: str, table: str, role: str, condition: str) -> None:
    op.execute(f"CREATE POLICY {name} ON {table} TO {role} USING ({condition}) WITH CHECK ({condition})")


def _app_role() -> str:
    name = context.config.attributes.get("app_role", "demail_app")
    return str(op.get_context().dialect.identifier_preparer.quote(name))
