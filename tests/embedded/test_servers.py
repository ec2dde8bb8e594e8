"""The private servers themselves."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis

from demail_gateway.embedded import EmbeddedError, Postgres, Valkey, find
from tests.harness.servers import in_own_loop


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory that the account of a server started by root can reach; pytest's own is closed to it."""
    parent = Path(tempfile.mkdtemp(prefix="demail-test-", dir="/var/tmp"))
    parent.chmod(0o755)
    yield parent / "base"
    shutil.rmtree(parent)


async def _value(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_a_durable_server_keeps_data_and_password_over_a_restart(base: Path) -> None:
    server = Postgres(base, durable=True)
    url = server.start()
    in_own_loop(_execute(url, "CREATE TABLE kept AS SELECT 7 AS number"))
    server.stop()
    again = server.start()
    assert in_own_loop(_value(again, "SELECT number FROM kept")) == 7
    assert in_own_loop(_value(again, "SHOW fsync")) == "on"
    assert in_own_loop(_value(again, "SHOW synchronous_commit")) == "on"
    assert urlsplit(again).password == urlsplit(url).password
    server.stop()


def test_a_server_for_tests_does_without_durability_and_leaves_nothing() -> None:
    server = Postgres(durable=False, settings={"work_mem": "5MB"})
    url = server.start()
    assert in_own_loop(_value(url, "SHOW fsync")) == "off"
    assert in_own_loop(_value(url, "SHOW work_mem")) == "5MB"
    data = Path(str(in_own_loop(_value(url, "SHOW data_directory"))))
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    server.stop()
    server.stop()
    assert not data.parent.exists()


def test_only_loopback_and_only_with_the_password() -> None:
    server = Postgres(durable=False)
    url = server.start()
    try:
        assert in_own_loop(_value(url, "SHOW listen_addresses")) == "127.0.0.1"
        assert in_own_loop(_value(url, "SHOW unix_socket_directories")) == ""
        wrong = url.replace(str(urlsplit(url).password), "guess")
        with pytest.raises(asyncpg.InvalidPasswordError):
            in_own_loop(_value(wrong, "SELECT 1"))
    finally:
        server.stop()


def test_data_of_another_major_version_is_refused_by_name(base: Path) -> None:
    server = Postgres(base, durable=True)
    server.start()
    server.stop()
    (base / "data" / "PG_VERSION").write_text("13\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 13"):
        server.start()


def test_a_base_in_use_is_refused(base: Path) -> None:
    server = Postgres(base, durable=False)
    server.start()
    with pytest.raises(EmbeddedError, match="in use"):
        Postgres(base, durable=False).start()
    server.stop()


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        Postgres(durable=False, settings={"no_such_setting": "1"}).start()


def test_named_binaries_that_are_none_are_not_replaced_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMAIL_PG_BIN", str(tmp_path))
    monkeypatch.setenv("DEMAIL_VALKEY_BIN", str(tmp_path / "valkey-server"))
    with pytest.raises(EmbeddedError, match="DEMAIL_PG_BIN"):
        find.postgres_bin()
    with pytest.raises(EmbeddedError, match="DEMAIL_VALKEY_BIN"):
        find.valkey_server()


def test_valkey_needs_its_password_and_never_evicts() -> None:
    server = Valkey(durable=False)
    client = redis.Redis.from_url(server.start())
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    parts = urlsplit(f"{client.connection_pool.connection_kwargs['port']}")
    stranger = redis.Redis(host="127.0.0.1", port=int(parts.path))
    with pytest.raises(redis.AuthenticationError):
        stranger.ping()
    for each in (client, stranger):
        each.close()
    server.stop()


def test_a_durable_valkey_keeps_its_keys_over_a_restart(base: Path) -> None:
    server = Valkey(base, durable=True)
    client = redis.Redis.from_url(server.start())
    client.set("kept", "yes")
    client.close()
    server.stop()
    again = redis.Redis.from_url(server.start())
    assert again.get("kept") == b"yes"
    again.close()
    server.stop()


def test_a_killed_server_comes_back_under_the_same_url() -> None:
    server = Postgres(durable=False)
    url = server.start()
    in_own_loop(_execute(url, "CREATE TABLE kept AS SELECT 7 AS number"))
    in_own_loop(_execute(url, "CHECKPOINT"))
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
    assert not server.is_running()
    server.revive()
    assert server.is_running()
    assert in_own_loop(_value(url, "SELECT number FROM kept")) == 7
    server.stop()
    assert not server.is_running()


def test_a_killed_valkey_comes_back_under_the_same_url() -> None:
    server = Valkey(durable=False)
    url = server.start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
    server.revive()
    client = redis.Redis.from_url(url)
    assert client.ping()
    client.close()
    server.stop()
