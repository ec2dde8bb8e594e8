"""The walls between tenants, each tried alone: row-level security, keys of relations, functions, ciphertexts."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from demail_gateway.application.ports.answers import IdempotencyKey
from demail_gateway.application.ports.arrivals import Arrivals
from demail_gateway.application.ports.dispatches import AttemptBegin, AttemptEnd, Dispatches
from demail_gateway.application.ports.submissions import NewAttachment, Submissions
from demail_gateway.application.ports.work import Lease, WorkKind
from demail_gateway.core.delivery import Effect
from demail_gateway.core.errors import KeyUnavailable, NotFound
from demail_gateway.storage.engine import operator_transaction, statement_driver, tenant_driver, tenant_transaction
from demail_gateway.storage.schema import metadata
from tests.storage.stage import ANSWER, NOW, Stage, Tenant, new_arrival, new_evidence, new_message, outcome
from tests.storage.test_arrivals import new_inbound
from tests.storage.test_submissions import stream

TENANT_TABLES = [table.name for table in metadata.sorted_tables if "tenant_id" in table.c]
ADMINISTRATIVE = {
    "tenant",
    "tenant_content_key",
    "account",
    "address",
    "client",
    "sender_permission",
    "tenant_key",
    "journal",
    "journal_intake",
}
QUEUES = {"journal_intake"}
"""Empty again as soon as their rows have been chained."""
FILLED = [table for table in TENANT_TABLES if table not in QUEUES]


async def fill(stage: Stage, tenant: Tenant) -> None:
    """At least one row of the tenant in every table that has a tenant."""
    upload = await stage.submissions.upload(
        tenant.scope, uuid4(), "n", "a/b", stream(b"x" * 300_000), 1 << 20, None, NOW
    )
    attachment = NewAttachment(1, "n", "a/b", upload.size_bytes, None, upload.id)
    message = await stage.accept(tenant, new_message(tenant, attachments=(attachment,)))
    await stage.taken(tenant)
    await stage.prove(tenant, new_evidence(message, Effect.DISPATCHED))
    await stage.sweeping.seal_journal()
    await stage.accept(tenant)
    async with stage.superuser() as connection:
        await connection.execute(
            "INSERT INTO tenant_key (tenant_id, id, purpose, state, sealed_pkcs8, dek, created_at)"
            " VALUES ($1, $2, 'smime', 'active', 'x', 'x', $3)",
            tenant.id,
            uuid4(),
            NOW,
        )


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_every_tenant_table_is_behind_forced_row_level_security(stage: Stage, table: str) -> None:
    (row,) = await stage.fetch(
        "SELECT c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner) = $2,"
        " (SELECT array_agg(p.polname::text ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = c.oid)"
        " FROM pg_class c WHERE c.oid = $1::text::regclass",
        table,
        stage.database.app_role,
    )
    expected = ["definer_access", "operator_access", "tenant_isolation"]
    if table not in ADMINISTRATIVE:
        expected.remove("operator_access")
    assert tuple(row) == (True, True, False, expected)


async def test_tables_of_the_database_are_those_of_the_schema(stage: Stage) -> None:
    rows = await stage.fetch(
        "SELECT c.relname, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')"
        " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    )
    found = {row[0] for row in rows} - {"alembic_version"}
    assert found == {table.name for table in metadata.sorted_tables}
    assert {row[0] for row in rows if row[1]} == set(TENANT_TABLES)


async def test_application_role_owns_and_bypasses_nothing(stage: Stage) -> None:
    role = stage.database.app_role
    (rights,) = await stage.fetch(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = $1", role
    )
    assert tuple(rights) == (False, False, False, False)
    assert await stage.value("SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = $1", role) == 0
    rows = await stage.fetch(
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = $1", role
    )
    granted: dict[str, set[str]] = {}
    for table, right in rows:
        granted.setdefault(table, set()).add(right)
    assert not {right for rights in granted.values() for right in rights} & {"TRUNCATE", "REFERENCES", "TRIGGER"}
    assert granted["journal"] == {"SELECT"}
    assert granted["journal_intake"] == {"SELECT", "INSERT"}
    assert granted["event"] == {"SELECT", "INSERT", "DELETE"}
    assert granted["alembic_version"] == {"SELECT"}
    assert not {"operator_client", "client_attempt", "client_assertion"} & granted.keys()


async def test_functions_with_owners_rights_are_few_fixed_and_for_the_application_alone(stage: Stage) -> None:
    rows = await stage.fetch(
        "SELECT p.proname, p.proconfig, p.proacl::text, has_function_privilege($1, p.oid, 'EXECUTE')"
        " FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef",
        stage.database.app_role,
    )
    assert {row[0] for row in rows} == {
        "find_client",
        "record_client_attempt",
        "create_operator_client",
        "use_client_assertion",
        "mailbox_of",
        "due_tenants",
        "queue_age_s",
        "sweep_outbox",
        "seal_journal",
        "queue_totals",
        "copies_for_a_person",
        "tenant_of_copy",
        "operator_clients",
        "change_operator_client",
        "retrying_copies",
        "retrying_total",
        "bump_config_version",
        "bump_config_version_of_users",
    }
    for name, config, acl, may_call in rows:
        assert config == ["search_path=pg_catalog, public, pg_temp"], name
        assert not {entry[:1] for entry in acl.strip("{}").split(",")} & {"="}, f"{name} is open to everybody"
        assert may_call == (not name.startswith("bump_")), name


async def test_without_a_tenant_no_row_is_seen(stage: Stage, elbtal: Tenant) -> None:
    await fill(stage, elbtal)
    assert 0 not in (await _counts(stage.superuser(), FILLED)).values(), "the test shows nothing"
    assert set((await _counts(stage.app(), TENANT_TABLES)).values()) == {0}
    async with stage.app() as connection:
        async with connection.transaction():
            await connection.execute("SELECT set_config('demail.tenant_id', $1, true)", str(elbtal.id))
            assert await connection.fetchval("SELECT count(*) FROM message") > 0
        # now the setting is the empty text, not null (trap E4)
        assert await connection.fetchval("SELECT count(*) FROM message") == 0


async def test_a_second_tenant_sees_nothing(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await fill(stage, elbtal)
    assert 0 not in (await _counts(tenant_driver(stage.engine, elbtal.id), FILLED)).values()
    own = dict.fromkeys(FILLED, 0) | dict.fromkeys(
        ("tenant", "tenant_content_key", "account", "address", "client", "sender_permission"), 1
    )
    assert await _counts(tenant_driver(stage.engine, other.id), FILLED) == own


async def test_a_second_tenant_changes_nothing(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await fill(stage, elbtal)
    for table in FILLED:
        before = await stage.fetch(f"SELECT * FROM {table} WHERE tenant_id = $1", elbtal.id)
        for statement in (f"UPDATE {table} SET tenant_id = tenant_id", f"DELETE FROM {table}"):
            with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
                async with tenant_driver(stage.engine, other.id) as connection:
                    done = await connection.execute(f"{statement} WHERE tenant_id = '{elbtal.id}'")
                    assert done.endswith(" 0"), (table, statement)
        assert await stage.fetch(f"SELECT * FROM {table} WHERE tenant_id = $1", elbtal.id) == before


async def test_a_row_for_another_tenant_or_none_is_refused(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await fill(stage, elbtal)
    for table in TENANT_TABLES:
        names = ", ".join(f'"{c.name}"' for c in metadata.tables[table].c if c.identity is None)
        insert = f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_record(NULL::{table}, $1)"
        row = await _a_row(stage, table, elbtal)
        for connected in (tenant_driver(stage.engine, other.id), statement_driver(stage.engine)):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connected as connection:
                    await connection.execute(insert, row)


async def test_operator_sees_administration_and_no_content(stage: Stage, elbtal: Tenant) -> None:
    await fill(stage, elbtal)
    async with operator_transaction(stage.engine) as connection:
        seen = {
            table
            for table in FILLED
            if (await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")).scalar_one()
        }
    assert seen == ADMINISTRATIVE - QUEUES


async def _counts(connected: contextlib.AbstractAsyncContextManager[Any], tables: list[str]) -> dict[str, int]:
    async with connected as connection:
        return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


async def _a_row(stage: Stage, table: str, tenant: Tenant) -> str:
    found = await stage.fetch(f"SELECT to_jsonb(t)::text FROM {table} t WHERE tenant_id = $1 LIMIT 1", tenant.id)
    if table == "journal_intake":
        entry = {"tenant_id": str(tenant.id), "at": "2026-11-24T00:00:00Z", "actor": "a", "action": "b", "object": "c"}
        return json.dumps({**entry, "detail": {}})
    return str(found[0][0])


async def test_owner_itself_sees_nothing_without_saying_so(stage: Stage, elbtal: Tenant) -> None:
    owner = await asyncpg.connect(stage.database.owner_url)
    try:
        assert await owner.fetchval("SELECT count(*) FROM tenant") == 0
        await owner.execute("SELECT set_config('demail.definer', 'on', false)")
        assert await owner.fetchval("SELECT count(*) FROM tenant") == 1
    finally:
        await owner.close()
    async with stage.app() as connection:
        await connection.execute("SELECT set_config('demail.definer', 'on', false)")
        assert await connection.fetchval("SELECT count(*) FROM tenant") == 0


async def test_no_relation_leads_to_another_tenant(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    """Foreign keys are checked without row-level security, so each carries the tenant (trap E5)."""
    await fill(stage, elbtal)
    await fill(stage, other)
    tried = 0
    for table, key in [(t, key) for t in metadata.sorted_tables for key in t.foreign_key_constraints]:
        target = key.referred_table
        if "tenant_id" not in target.c:
            continue  # to the installation's own tables
        assert (key.column_keys[0], key.elements[0].column.name) == ("tenant_id", "tenant_id"), key.name
        if len(key.column_keys) == 1:
            continue  # to the tenant itself
        column, foreign = key.column_keys[1], key.elements[1].column.name
        theirs = await stage.value(f'SELECT "{foreign}" FROM {target.name} WHERE tenant_id = $1 LIMIT 1', other.id)
        async with stage.superuser() as connection:
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                # one row: in some tables the column is unique as well
                await connection.execute(
                    f'UPDATE {table.name} SET "{column}" = $1'
                    f" WHERE ctid = (SELECT ctid FROM {table.name} WHERE tenant_id = $2 LIMIT 1)",
                    theirs,
                    elbtal.id,
                )
        tried += 1
    assert tried > 20


# --- every call of every port -----------------------------------------------------------------------------------------

Call = Callable[[Stage, Tenant, Tenant], Awaitable[Any]]


async def _begun_by_the_first(stage: Stage, elbtal: Tenant) -> AttemptBegin:
    await stage.accept(elbtal)
    return await stage.begun(elbtal)


async def _context(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    context = await stage.submissions.context(other.scope, elbtal.address, NOW)
    assert context.account_id is None
    assert elbtal.address not in {*context.may_use, *context.tenant_addresses}


async def _accept(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await stage.accept(other, new_message(elbtal))


async def _replay(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await stage.accept(elbtal, key="k")
    assert await stage.submissions.replay(other.scope, IdempotencyKey("k", b"\1" * 32)) is None


async def _upload(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    facts = await stage.submissions.upload(other.scope, uuid4(), "n", "a/b", stream(b"x"), 9, None, NOW)
    assert await stage.submissions.uploads(elbtal.scope, [facts.id]) == {}


async def _discard_upload(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    facts = await stage.submissions.upload(elbtal.scope, uuid4(), "n", "a/b", stream(b"x"), 9, None, NOW)
    await stage.submissions.discard_upload(other.scope, facts.id)
    assert set(await stage.submissions.uploads(elbtal.scope, [facts.id])) == {facts.id}


async def _note_refusal(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await stage.submissions.note_refusal(other.scope, ["SND-11"], None, NOW)
    assert await stage.fetch("SELECT tenant_id FROM journal_intake") == [(other.id,)]


async def _cancel(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    message = await stage.accept(elbtal)
    with pytest.raises(NotFound):
        await stage.submissions.cancel(other.scope, message.id, NOW)
    assert await stage.state(message) == "queued"


async def _claim(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await stage.accept(elbtal)
    assert await stage.claim(other, *WorkKind) == []


async def _load(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await stage.accept(elbtal)
    assert await stage.dispatches.load(other.id, await stage.claim(elbtal)) == []


async def _begin(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await stage.accept(elbtal)
    copy = await stage.claim_copy(elbtal)
    attempt = AttemptBegin(copy.lease, uuid4(), copy.content.copy_id, b"o", NOW)
    assert await stage.dispatches.begin(other.id, [attempt]) == frozenset()
    assert await stage.value("SELECT hand_over FROM message_copy") == "waiting"


async def _finish(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    attempt = await _begun_by_the_first(stage, elbtal)
    await stage.dispatches.finish(other.id, [outcome(attempt, AttemptEnd.TAKEN)])
    assert await stage.value("SELECT hand_over FROM message_copy") == "uncertain"


async def _release(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await stage.accept(elbtal)
    await stage.dispatches.release(other.id, await stage.claim(elbtal), NOW)
    assert await stage.claim(elbtal) == []


async def _done(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await stage.accept(elbtal)
    (lease,) = await stage.claim(elbtal)
    await stage.dispatches.done(other.id, lease)
    assert len(await stage.work(elbtal)) == 1


async def _review(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    message = await stage.accept(elbtal)
    lease = Lease(uuid4(), WorkKind.REVIEW, message.id, uuid4(), 0, None)
    await stage.dispatches.review(other.id, lease, NOW)
    assert await stage.events(message) == ["message.queued"]


async def _store(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    octets = b"the same octets"
    assert len(await stage.arrivals.store([new_arrival(elbtal, octets)])) == 1
    assert len(await stage.arrivals.store([new_arrival(other, octets)])) == 1


async def _load_arrival(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    assert await stage.arrivals.load(other.id, await stage.received(elbtal, b"x")) is None


async def _find_sent(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    copy = (await stage.accept(elbtal)).copies[0]
    found = await stage.arrivals.find_sent(
        other.id,
        private_id=copy.private_id,
        demail_message_id=None,
        integrity_value=None,
        internet_message_id=copy.internet_message_id,
    )
    assert found == {}


async def _record_evidence(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    """Not even a proof in the other's own hands moves a message of the first."""
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await stage.prove(other, new_evidence(message, Effect.DELIVERED))
    assert await stage.state(message) == "submitted"


async def _record_inbound(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    lease = await stage.received(elbtal, b"x")
    await stage.arrivals.record_inbound(other.id, lease, new_inbound(elbtal, received_id=lease.subject_id))
    assert await stage.value("SELECT count(*) FROM message") == 0


async def _postpone(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    lease = await stage.received(elbtal, b"x")
    await stage.arrivals.postpone(other.id, lease, NOW)
    assert await stage.claim(elbtal, WorkKind.RECEIVED) == []


async def _mailbox(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    found = await stage.arrivals.mailbox(elbtal.address)
    assert found is not None
    assert found.tenant_id == elbtal.id


CALLS: dict[type, dict[str, Call]] = {
    Submissions: {
        "context": _context,
        "accept": _accept,
        "replay": _replay,
        "upload": _upload,
        "uploads": _upload,
        "discard_upload": _discard_upload,
        "cancel": _cancel,
        "note_refusal": _note_refusal,
    },
    Dispatches: {
        "claim": _claim,
        "load": _load,
        "begin": _begin,
        "finish": _finish,
        "release": _release,
        "done": _done,
        "review": _review,
    },
    Arrivals: {
        "mailbox": _mailbox,
        "store": _store,
        "load": _load_arrival,
        "find_sent": _find_sent,
        "record_evidence": _record_evidence,
        "record_inbound": _record_inbound,
        "postpone": _postpone,
    },
}


@pytest.mark.parametrize("port", list(CALLS))
def test_every_call_of_a_port_is_tried_from_a_second_tenant(port: type) -> None:
    calls = {name for name, _ in inspect.getmembers(port, inspect.isfunction) if not name.startswith("_")}
    assert calls == set(CALLS[port])


@pytest.mark.parametrize(("port", "name"), [(port, name) for port, calls in CALLS.items() for name in calls])
async def test_a_call_from_a_second_tenant_reaches_nothing(
    stage: Stage, elbtal: Tenant, other: Tenant, port: type, name: str
) -> None:
    await CALLS[port][name](stage, elbtal, other)


# --- sealed values ----------------------------------------------------------------------------------------------------


async def test_swapped_ciphertexts_do_not_open(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    """Also with their data keys, also between tenants: each is bound to its row (trap E22)."""
    first, second = await stage.accept(elbtal), await stage.accept(elbtal)
    for donor in (second, await stage.accept(other)):
        for columns in ("sealed_head", "sealed_head, dek"):
            async with stage.superuser() as connection, connection.transaction():
                await connection.execute(
                    f"UPDATE message m SET ({columns}) = (SELECT {columns} FROM message WHERE id = $2) WHERE m.id = $1"
                    if "," in columns
                    else f"UPDATE message SET {columns} = (SELECT {columns} FROM message WHERE id = $2) WHERE id = $1",
                    first.id,
                    donor.id,
                )
            with pytest.raises(KeyUnavailable):
                await stage.reading.message(elbtal.scope, first.id)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE content_chunk c SET sealed_data = (SELECT sealed_data FROM content_chunk WHERE seq = (c.seq + 1) % 3)",
        "DELETE FROM content_chunk WHERE seq = 2",
        "DELETE FROM content_chunk WHERE seq = 0",
        "UPDATE content_chunk SET sealed_data = overlay(sealed_data PLACING '\\x00' FROM 5) WHERE seq = 1",
        "DELETE FROM content_chunk",
        "UPDATE content SET size_bytes = size_bytes - 1",
    ],
)
async def test_swapped_missing_or_changed_chunks_do_not_open(stage: Stage, elbtal: Tenant, harm: str) -> None:
    message = await stage.accept(elbtal)
    await stage.begun(elbtal, b"x" * 700_000)
    assert await stage.reading.raw(elbtal.scope, message.id, None) == b"x" * 700_000
    async with stage.superuser() as connection:
        await connection.execute(harm)
    with pytest.raises(KeyUnavailable):
        await stage.reading.raw(elbtal.scope, message.id, None)


async def test_no_content_lies_in_clear(stage: Stage, elbtal: Tenant) -> None:
    attachment = NewAttachment(1, "geheim.pdf", "a/b", 9, b"XXSECRETX", None)
    await stage.accept(elbtal, new_message(elbtal, subject="XXSECRETX", text="XXSECRETX", attachments=(attachment,)))
    await stage.begun(elbtal, b"XXSECRETX" * 50_000)
    await stage.received(elbtal, b"XXSECRETX")
    for table in metadata.sorted_tables:
        rows = await stage.fetch(f"SELECT t::text FROM {table.name} t")
        text = "".join(row[0] for row in rows)
        assert "SECRET" not in text, table.name
        assert b"SECRET".hex() not in text, table.name
        assert "geheim.pdf" not in text, table.name


async def test_tenant_is_set_for_one_transaction_only(stage: Stage, elbtal: Tenant) -> None:
    async with tenant_transaction(stage.engine, elbtal.id):
        pass
    async with tenant_driver(stage.engine, elbtal.id):
        pass
    await stage.accept(elbtal)
    for _ in range(8):  # every connection of the pool
        async with statement_driver(stage.engine) as connection:
            assert await connection.fetchval("SELECT current_setting('demail.tenant_id', true)") in (None, "")
            assert await connection.fetchval("SELECT count(*) FROM message") == 0


@pytest.mark.clause("GWT-23")
async def test_operator_clients_are_made_by_the_operator_alone(stage: Stage) -> None:
    make = "SELECT create_operator_client($1, 'ops', $2, $3)"
    values = (uuid4(), b"\0" * 32, NOW)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with statement_driver(stage.engine) as connection:
            await connection.execute(make, *values)
    async with stage.app() as connection, connection.transaction():
        await connection.execute("SELECT set_config('demail.operator', 'on', true)")
        await connection.execute(make, *values)
        found = await connection.fetchrow("SELECT * FROM find_client($1, 'here')", values[0])
    assert (found["id"], found["tenant_id"], found["scopes"]) == (values[0], None, ["operator"])


@pytest.mark.clause("GWT-37")
async def test_what_the_operator_alone_may_ask_is_refused_to_everybody_else(stage: Stage, elbtal: Tenant) -> None:
    calls = (
        ("SELECT * FROM queue_totals($1, $2)", [elbtal.id], NOW),
        ("SELECT * FROM copies_for_a_person(NULL, NULL, NULL, $1, NULL, NULL, NULL, 9)", uuid4()),
        ("SELECT tenant_of_copy($1)", uuid4()),
        ("SELECT * FROM operator_clients()",),
        ("SELECT change_operator_client($1, '{}')", uuid4()),
    )
    for statement, *values in calls:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tenant_driver(stage.engine, elbtal.id) as connection:
                await connection.fetch(statement, *values)


async def test_accepting_for_a_foreign_answer_space_is_impossible(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    """The version of another tenant's configuration opens nothing."""
    version = await stage.config_version(other)
    key = IdempotencyKey("k", b"\1" * 32)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await stage.submissions.accept(other.scope, new_message(elbtal), key, ANSWER, version)
    assert await stage.value("SELECT count(*) FROM idempotency_key") == 0
