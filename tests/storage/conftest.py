"""Two tenants on a real database of this test process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from demail_gateway.storage.engine import create_engine
from tests.harness.database import Database
from tests.storage.stage import Stage, Tenant


@pytest.fixture
async def stage(database: Database) -> AsyncIterator[Stage]:
    engine = create_engine(database.app_url, pool_size=4)
    made = Stage(database, engine)
    yield made
    await made.close()


@pytest.fixture
async def elbtal(stage: Stage) -> Tenant:
    """The tenant under test."""
    return await stage.tenant("elbtal")


@pytest.fixture
async def other(stage: Stage) -> Tenant:
    """Another tenant, which must never see or touch the first one's data."""
    return await stage.tenant("other")
