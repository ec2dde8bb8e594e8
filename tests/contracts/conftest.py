"""Each contract is tried on both gateways.

The one on PostgreSQL has a single connection and keeps no key in memory: whoever asks for a tenant's keys while holding
a connection waits for itself, and the test fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from demail_gateway.storage.engine import create_engine
from tests.contracts.gateways import Gateway, MemoryGateway, PostgresGateway, onboard
from tests.harness.database import Database
from tests.storage.stage import Stage, Tenant


@pytest.fixture(params=["postgres", "memory"])
def _database(request: pytest.FixtureRequest) -> Database | None:
    found: Database | None = request.getfixturevalue("database") if request.param == "postgres" else None
    return found


@pytest.fixture
async def gateway(_database: Database | None) -> AsyncIterator[Gateway]:
    if _database is None:
        yield MemoryGateway()
        return
    stage = Stage(_database, create_engine(_database.app_url, pool_size=1))
    yield PostgresGateway(stage)
    await stage.close()


@pytest.fixture
async def elbtal(gateway: Gateway) -> Tenant:
    """The tenant under test."""
    return await onboard(gateway, "elbtal")


@pytest.fixture
async def other(gateway: Gateway) -> Tenant:
    """Another tenant, which must never see or touch the first one's data."""
    return await onboard(gateway, "other")
