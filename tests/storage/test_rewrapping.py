"""A new master key: tenants' keys are wrapped by it, one batch after the other."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from demail_gateway.core.errors import KeyUnavailable
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.envelope import MasterKey, MasterKeys
from demail_gateway.storage.reading import PostgresReading
from demail_gateway.storage.rewrapping import KeyRotation, Rewrapped
from demail_gateway.tenancy.scope import OperatorScope
from tests.storage.stage import Stage, Tenant

OPERATOR = OperatorScope(UUID(int=1))
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def rotation(stage: Stage, master: MasterKeys) -> KeyRotation:
    return KeyRotation(stage.engine, ContentKeys(stage.engine, master))


def reading(stage: Stage, master: MasterKeys) -> PostgresReading:
    return PostgresReading(stage.engine, ContentKeys(stage.engine, master))


async def protectors(stage: Stage) -> list[str]:
    rows: list[Any] = await stage.fetch("SELECT master_key_id FROM tenant_content_key ORDER BY master_key_id")
    return [row[0] for row in rows]


@pytest.mark.clause("GWT-36")
@pytest.mark.parametrize("batch", [1, 2, 100])
async def test_after_rewrapping_the_former_master_key_is_not_needed(
    stage: Stage, elbtal: Tenant, other: Tenant, batch: int
) -> None:
    third = await stage.tenant("third")
    sent = [(tenant, await stage.accept(tenant)) for tenant in (elbtal, other, third)]
    new = MasterKey("2", os.urandom(32))
    both = MasterKeys(new, former=[stage.master._current])
    assert await rotation(stage, both).rewrap(OPERATOR, NOW, batch) == Rewrapped("2", 3, 0)
    assert await protectors(stage) == ["2"] * 3
    for tenant, message in sent:
        found = await reading(stage, MasterKeys(new)).message(tenant.scope, message.id)
        assert found.subject == message.subject
        with pytest.raises(KeyUnavailable):
            await reading(stage, stage.master).message(tenant.scope, message.id)


async def test_rewrapping_again_changes_nothing(stage: Stage, elbtal: Tenant) -> None:
    both = MasterKeys(MasterKey("2", os.urandom(32)), former=[stage.master._current])
    await rotation(stage, both).rewrap(OPERATOR, NOW)
    before = await stage.fetch("SELECT wrapped FROM tenant_content_key")
    assert await rotation(stage, both).rewrap(OPERATOR, NOW) == Rewrapped("2", 0, 0)
    assert await stage.fetch("SELECT wrapped FROM tenant_content_key") == before


async def test_a_key_whose_master_key_is_missing_is_left_and_counted(
    stage: Stage, elbtal: Tenant, other: Tenant
) -> None:
    async with stage.superuser() as connection:
        await connection.execute(
            "UPDATE tenant_content_key SET master_key_id = 'lost' WHERE tenant_id = $1", min(elbtal.id, other.id)
        )
    both = MasterKeys(MasterKey("2", os.urandom(32)), former=[stage.master._current])
    assert await rotation(stage, both).rewrap(OPERATOR, NOW, 1) == Rewrapped("2", 1, 1)
    assert await protectors(stage) == ["2", "lost"]


@pytest.mark.clause("SND-100")
async def test_each_rewrapped_key_is_in_its_tenants_journal(stage: Stage, elbtal: Tenant) -> None:
    former = stage.master._current
    both = MasterKeys(MasterKey("2", os.urandom(32)), former=[former])
    await rotation(stage, both).rewrap(OPERATOR, NOW)
    (entry,) = await stage.fetch(
        "SELECT tenant_id, action, detail FROM journal_intake WHERE action = 'content-key.rewrapped'"
    )
    assert entry["tenant_id"] == elbtal.id
    assert f'"from": "{former.id}"' in entry["detail"]
    assert '"to": "2"' in entry["detail"]
