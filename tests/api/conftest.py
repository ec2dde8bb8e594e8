"""The API in this process."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import pytest

from demail_gateway.observability.logs import configure_logging
from demail_gateway.storage.engine import create_engine
from tests.api.stored import StoredGateway
from tests.fakes.gateway import Gateway
from tests.harness.database import Database


@pytest.fixture(autouse=True)
def _log() -> None:
    """As in production, but unread: without this, structlog draws every traceback in colours."""
    configure_logging("api", stream=io.StringIO())


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway()
    yield made
    await made.http.aclose()
    await made.services.settle()


@pytest.fixture
async def stored(database: Database) -> AsyncIterator[StoredGateway]:
    """The same API over PostgreSQL."""
    engine = create_engine(database.app_url, pool_size=4)
    made = StoredGateway(engine)
    await made.set_up()
    yield made
    await made.http.aclose()
    await made.services.settle()
    await engine.dispose()
