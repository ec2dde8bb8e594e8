"""One `dev` stack for each test process, driven through public surfaces alone; the servers are those of the run.

Redis is the stack's own: a journey may flush it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demail_gateway.embedded.databases import connected
from tests.harness.servers import Servers, in_own_loop
from tests.journeys.installation import Installation
from tests.journeys.people import Application, Sandbox


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this directory is a journey; the first one waits for the start of the stack."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.journey)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Iterator[Installation]:
    started = Installation(tmp_path_factory.mktemp("dev"), {"DEMAIL_DATABASE_URL": servers.superuser_url})
    try:
        started.wait()
        yield started
    finally:
        code = started.stop()
    assert code == 0, started.output()[-3000:]
    assert started.leftovers() == []
    assert not started.ready_file.exists()
    assert in_own_loop(_databases_like(started, servers)) == []


async def _databases_like(ended: Installation, servers: Servers) -> list[str]:
    """Whether the database of an installation that has ended is still there."""
    async with connected(servers.superuser_url) as connection:
        rows = await connection.fetch("SELECT datname FROM pg_database WHERE datname = $1", ended.database)
    return [row["datname"] for row in rows]


@pytest.fixture(scope="session")
def town(installation: Installation) -> Iterator[Application]:
    """A public body with all rights."""
    ready = installation.ready()
    with Application(ready["base_url"], ready["tenants"][0]) as application:
        yield application


@pytest.fixture(scope="session")
def works(installation: Installation) -> Iterator[Application]:
    """The other tenant, no public body."""
    ready = installation.ready()
    with Application(ready["base_url"], ready["tenants"][1]) as application:
        yield application


@pytest.fixture(scope="session")
def sandbox(installation: Installation) -> Iterator[Sandbox]:
    provider = Sandbox(installation.ready()["sandbox"]["url"])
    yield provider
    provider.close()
