from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from demail_gateway.sandbox import tables
from demail_gateway.sandbox.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path / "mail.sqlite3")
    await made.open()
    yield made
    await made.close()


async def test_what_run_returned_is_in_the_file(store: Store, tmp_path: Path) -> None:
    await store.run(lambda c: tables.set_setting(c, "clock-offset", 7))
    other = sqlite3.connect(tmp_path / "mail.sqlite3")
    assert tables.setting(other, "clock-offset") == 7
    other.close()


async def test_a_step_that_fails_is_undone_alone(store: Store) -> None:
    def failing(connection: sqlite3.Connection) -> None:
        tables.set_setting(connection, "bad", 1)
        raise LookupError("no")

    good = [store.run(lambda c, n=n: tables.set_setting(c, f"good-{n}", n)) for n in range(20)]  # type: ignore[misc]
    results = await asyncio.gather(*good[:10], store.run(failing), *good[10:], return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [LookupError]
    assert await store.run(lambda c: tables.setting(c, "bad")) is None
    assert await store.run(lambda c: [tables.setting(c, f"good-{n}") for n in range(20)]) == list(range(20))


async def test_close_finishes_what_waits(tmp_path: Path) -> None:
    store = Store(tmp_path / "mail.sqlite3")
    await store.open()
    waiting = [asyncio.ensure_future(store.run(lambda c, n=n: tables.set_setting(c, str(n), n))) for n in range(600)]  # type: ignore[misc]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*waiting)
    other = sqlite3.connect(tmp_path / "mail.sqlite3")
    assert other.execute("SELECT count(*) FROM setting").fetchone() == (600,)
    other.close()


async def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        await Store(tmp_path / "missing" / "mail.sqlite3").open()


async def test_a_message_is_refused_so_often_and_then_taken(store: Store) -> None:
    answers = [await store.run(lambda c: tables.refuse_once_more(c, "urn:uuid:1", 2)) for _ in range(4)]
    assert answers == [True, True, False, False]
    assert await store.run(lambda c: tables.refuse_once_more(c, "urn:uuid:2", 2))


async def test_what_follows_from_a_write_follows_also_when_its_caller_is_gone(store: Store) -> None:
    """A client that hangs up cancels its session; the submission is in the file all the same, and goes on its way."""

    def keeping(connection: sqlite3.Connection) -> int:
        tables.set_setting(connection, "kept", 1)
        return 7

    followed: list[int] = []
    caller = asyncio.ensure_future(store.run(keeping, then=followed.append))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await store.run(lambda c: tables.setting(c, "kept")) == 1
    assert followed == [7]


async def test_nothing_follows_from_a_write_that_failed(store: Store) -> None:
    def failing(_: sqlite3.Connection) -> int:
        raise LookupError("no")

    followed: list[int] = []
    with pytest.raises(LookupError):
        await store.run(failing, then=followed.append)
    assert followed == []
