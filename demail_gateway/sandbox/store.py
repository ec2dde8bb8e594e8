"""The provider's own durable store: SQLite, one thread, group commit.

Whatever `run` returned is on disk: the program may answer 250 and be killed. All statements that wait while a commit
is under way go into the next one together, so that the time of one fsync is shared by many submissions.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from demail_gateway.sandbox.tables import SCHEMA

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]
"""Statements of one step; all of them or none take effect."""

_LARGEST_GROUP = 256


class Store:
    """Usable from one event loop. `close` finishes what was begun."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="sandbox-store", daemon=True)
        self._opened: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Opens or makes the file. Raises sqlite3.Error when that cannot be done."""
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread.start()
        await self._opened

    async def run(self, work: Work[T], *, then: Callable[[T], object] | None = None) -> T:
        """The result of `work`, once everything it wrote is durable. Raises what `work` raised, undone then.

        `then` gets the result even when the caller was cancelled meanwhile, as it is when its client hangs up: what is
        written is written, and what follows from it must follow.
        """
        assert self._loop is not None
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, done, then))
        return await done

    async def close(self) -> None:
        if self._thread.is_alive():
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        assert self._loop is not None
        assert self._opened is not None
        try:
            connection = _connect(self._path)
        except sqlite3.Error as error:
            self._tell([(_Job(_nothing, self._opened), None, error)])
            return
        self._tell([(_Job(_nothing, self._opened), None, None)])
        with contextlib.closing(connection):
            while group := self._next_group():
                answers = _commit(connection, group)
                self._tell(answers)

    def _tell(self, answers: list[_Answer]) -> None:
        assert self._loop is not None
        # The loop is gone when the program ends without `close`; then nobody waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_settle, answers)

    def _next_group(self) -> list[_Job]:
        """What waits now, at least one job; empty at the end."""
        group: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) == _LARGEST_GROUP:
                return group
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._jobs.put(None)
        return group


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work[Any]
    done: asyncio.Future[Any]
    then: Callable[[Any], object] | None = None


_Answer = tuple[_Job, Any, BaseException | None]


def _nothing(_connection: sqlite3.Connection) -> None:
    """The work of opening."""


def _commit(connection: sqlite3.Connection, group: list[_Job]) -> list[_Answer]:
    """Runs the jobs in one transaction; a job that fails is undone alone, a commit that fails fails them all."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        answers = [_attempt(connection, job) for job in group]
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return [(job, None, error) for job in group]
    return answers


def _attempt(connection: sqlite3.Connection, job: _Job) -> _Answer:
    connection.execute("SAVEPOINT job")
    try:
        result = job.work(connection)
    except Exception as error:  # whatever it is belongs to the caller who awaits it, not to this thread
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return job, None, error
    connection.execute("RELEASE job")
    return job, result, None


def _settle(answers: list[_Answer]) -> None:
    for job, result, error in answers:
        if error is None and job.then is not None:
            job.then(result)
        if job.done.cancelled():
            continue
        if error is None:
            job.done.set_result(result)
        else:
            job.done.set_exception(error)


def _connect(path: Path) -> sqlite3.Connection:
    # isolation_level None: transactions are begun and ended here and nowhere behind our back.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=True)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executescript(SCHEMA)
    return connection
