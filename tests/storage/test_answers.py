"""First answers on PostgreSQL, beyond the contract: at once, sealed, and only where they belong."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from demail_gateway.application.ports.answers import IdempotencyKey, StoredAnswer
from demail_gateway.core.errors import Conflict, KeyUnavailable
from demail_gateway.storage.answers import PostgresAnswers
from demail_gateway.storage.engine import create_engine
from demail_gateway.tenancy.scope import OperatorScope, TenantScope
from tests.harness.database import Database
from tests.storage.stage import NOW, Stage, Tenant, later

KEY = IdempotencyKey("key-1", b"\1" * 32)
SECOND = IdempotencyKey("key-2", b"\1" * 32)
ANSWER = StoredAnswer(201, b'{"client_secret": "geheim"}', None)
TABLES = {TenantScope: "idempotency_key", OperatorScope: "operator_idempotency_key"}


@pytest.fixture
def answers(stage: Stage) -> PostgresAnswers:
    return PostgresAnswers(stage.engine, stage.keys)


@pytest.fixture(params=[TenantScope, OperatorScope])
def scope(request: pytest.FixtureRequest, elbtal: Tenant) -> TenantScope | OperatorScope:
    return elbtal.scope if request.param is TenantScope else OperatorScope(UUID(int=1))


async def test_of_many_equal_requests_at_once_one_runs(
    answers: PostgresAnswers, scope: TenantScope | OperatorScope
) -> None:
    found = await asyncio.gather(*(answers.reserve(scope, KEY, NOW) for _ in range(20)), return_exceptions=True)
    assert found.count(None) == 1
    assert sum(isinstance(each, Conflict) for each in found) == 19


_FREE_AFTER_ASKING = """
CREATE FUNCTION free_reservation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM operator_idempotency_key WHERE created_at = '2026-11-24T10:00:00Z';
  RETURN NULL;
END $$;
CREATE TRIGGER free_reservation AFTER INSERT ON operator_idempotency_key
  FOR EACH STATEMENT EXECUTE FUNCTION free_reservation();
"""
"""Frees the first reservation in the moment between asking for it and looking what it holds."""


async def test_key_freed_while_it_is_asked_for_is_reserved_and_not_only_said_to_be(fresh_database: Database) -> None:
    stage = Stage(fresh_database, create_engine(fresh_database.app_url, pool_size=1))
    answers, scope = PostgresAnswers(stage.engine, stage.keys), OperatorScope(UUID(int=1))
    await answers.reserve(scope, KEY, NOW)
    async with stage.superuser() as connection:
        await connection.execute(_FREE_AFTER_ASKING)
    assert await answers.reserve(scope, KEY, later(seconds=1)) is None
    with pytest.raises(Conflict):
        await answers.reserve(scope, KEY, later(seconds=2))
    await stage.close()


async def test_answer_lies_sealed(stage: Stage, answers: PostgresAnswers, scope: TenantScope | OperatorScope) -> None:
    await answers.reserve(scope, KEY, NOW)
    await answers.keep(scope, KEY, ANSWER)
    text = str(await stage.value(f"SELECT k::text FROM {TABLES[type(scope)]} k"))
    assert "geheim" not in text
    assert b"geheim".hex() not in text


async def test_answer_opens_under_its_own_key_alone(
    stage: Stage, answers: PostgresAnswers, scope: TenantScope | OperatorScope
) -> None:
    for key in (KEY, SECOND):
        await answers.reserve(scope, key, NOW)
        await answers.keep(scope, key, ANSWER)
    table = TABLES[type(scope)]
    async with stage.superuser() as connection:
        await connection.execute(
            f"UPDATE {table} k SET sealed_body = s.sealed_body, dek = s.dek FROM {table} s"
            " WHERE k.key = $1 AND s.key = $2",
            KEY.key,
            SECOND.key,
        )
    assert await answers.reserve(scope, SECOND, NOW)
    with pytest.raises(KeyUnavailable):
        await answers.reserve(scope, KEY, NOW)
