"""What every test may ask for: a database of its own process, a fresh one, an unmigrated one, a Redis number.

Servers start once per run and only if a test asks (with xdist: always), private ones unless DEMAIL_DATABASE_URL and
DEMAIL_REDIS_URL are given. Everything made on them is dropped at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from demail_gateway.embedded import databases
from tests.harness.database import ClonedDatabase, Database, cloned, provisioned
from tests.harness.redis import ClaimedNumber
from tests.harness.servers import RunningServers, Servers, as_words, in_own_loop

# Time is measured by benchmarks: on a busy machine any example may take long.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

_RUNNING = pytest.StashKey[RunningServers]()


def _running(config: pytest.Config) -> Servers:
    running = config.stash.setdefault(_RUNNING, RunningServers())
    return running.servers or running.start()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """The controller of a parallel run starts the servers once and tells each worker where they are."""
    node.workerinput["demail_servers"] = dict(as_words(_running(node.config)))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing stays behind, however the run ended."""
    if running := config.stash.get(_RUNNING, None):
        running.stop()


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Servers:
    """Superuser's URL, Redis URL and template of this run; tests rarely want more than `database`."""
    worker_input = getattr(request.config, "workerinput", None)
    return Servers(**worker_input["demail_servers"]) if worker_input else _running(request.config)


@pytest.fixture(scope="session")
def _cloned_database(servers: Servers) -> Iterator[ClonedDatabase]:
    clone = ClonedDatabase(servers)
    yield clone
    clone.drop()


@pytest.fixture
def database(_cloned_database: ClonedDatabase) -> Iterator[Database]:
    """The migrated database of this test process; all rows are gone after the test, committed or not."""
    yield _cloned_database.database
    _cloned_database.empty()


@pytest.fixture
def fresh_database(servers: Servers) -> Iterator[Database]:
    """A migrated database for this test alone, for tests that change tables; costs 20 to 50 ms."""
    made = cloned(servers)
    yield made
    in_own_loop(databases.drop_database(servers.superuser_url, made.name))


@pytest.fixture
def empty_database(servers: Servers) -> Iterator[Database]:
    """A database without tables, with owner and application role of its own, for tests of the migrations."""
    made = provisioned(servers)
    yield made
    in_own_loop(databases.drop(servers.superuser_url, made.name))


@pytest.fixture(scope="session")
def _claimed_redis(servers: Servers) -> Iterator[ClaimedNumber]:
    claimed = ClaimedNumber(servers.redis_url)
    yield claimed
    claimed.release()


@pytest.fixture
def redis_url(_claimed_redis: ClaimedNumber) -> Iterator[str]:
    """A Redis database of this test process; FLUSHDB is ours, FLUSHALL is not."""
    yield _claimed_redis.url
    _claimed_redis.empty()
