"""Children start in order, are kept running, stop in reverse order, and leave nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from demail_gateway.cli.supervise import ChildFailed, StopRequested, Supervisor, answers, listens

# a child that says when it starts and when it stops, each in a line of its own in the common file
_CHILD = """
import signal, sys, threading
name, path = sys.argv[1:3]
def say(word):
    with open(path, "a") as file: file.write(f"{name} {word}\\n")
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())
say("started")
while not told.wait(0.05): pass
say("stopped")
"""


def _quiet(_told: str) -> None:
    """For what is not read here."""


def _words(diary: Path) -> list[str]:
    return diary.read_text().splitlines() if diary.exists() else []


def _add(supervisor: Supervisor, name: str, diary: Path) -> None:
    starts = 0

    async def ready() -> bool:  # once per start
        nonlocal starts
        before, starts = starts, _words(diary).count(f"{name} started")
        return starts > before

    supervisor.add(name, [sys.executable, "-c", _CHILD, name, str(diary)], {"PATH": os.environ["PATH"]}, ready)


async def test_children_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    async with Supervisor(tmp_path, _quiet) as supervisor:
        for name in ("first", "second", "third"):
            _add(supervisor, name, diary)
        await supervisor.start()
        assert list(supervisor.pids()) == ["first", "second", "third"]
        pids = supervisor.pids().values()
    assert _words(diary) == [
        *("first started", "second started", "third started"),
        *("third stopped", "second stopped", "first stopped"),
    ]
    assert supervisor.pids() == {}
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)  # not even a zombie


async def test_a_child_that_ends_is_started_anew_and_told_of(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    restarted, told = asyncio.Queue[str](), list[str]()
    async with Supervisor(tmp_path, told.append) as supervisor:
        for name in ("kept", "killed"):
            _add(supervisor, name, diary)
        await supervisor.start()
        before = supervisor.pids()
        watching = asyncio.create_task(supervisor.watch(restarted.put))
        os.kill(before["killed"], signal.SIGKILL)
        async with asyncio.timeout(10):
            assert await restarted.get() == "killed"
            os.kill(supervisor.pids()["killed"], signal.SIGKILL)
            assert await restarted.get() == "killed"
        after = supervisor.pids()
        assert after["kept"] == before["kept"]
        assert after["killed"] != before["killed"]
        os.kill(os.getpid(), signal.SIGTERM)
        await watching
    assert _words(diary).count("killed started") == 3
    assert _words(diary).count("killed stopped") == 1
    assert told == ["killed wurde beendet (Signal 9) und wird neu gestartet", "killed läuft wieder"] * 2


async def test_what_a_killed_child_had_started_goes_before_it_comes_back(tmp_path: Path) -> None:
    restarted = asyncio.Queue[str]()

    async def ready() -> bool:
        return (tmp_path / "grandchild").exists()

    async with Supervisor(tmp_path, _quiet) as supervisor:
        script = "sleep 300 & echo $! >part; mv part grandchild; wait"
        supervisor.add("pool", ["sh", "-c", script], {"PATH": os.environ["PATH"]}, ready)
        await supervisor.start()
        grandchild = os.pidfd_open(int((tmp_path / "grandchild").read_text()))
        (tmp_path / "grandchild").unlink()
        watching = asyncio.create_task(supervisor.watch(restarted.put))
        os.kill(supervisor.pids()["pool"], signal.SIGKILL)
        async with asyncio.timeout(10):
            await restarted.get()
            await _readable(grandchild)
        os.close(grandchild)
        os.kill(os.getpid(), signal.SIGINT)
        await watching


async def test_a_child_that_ends_at_its_start_is_reported_with_its_own_words(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(tmp_path, _quiet) as supervisor:
        _add(supervisor, "first", tmp_path / "diary")
        supervisor.add("broken", ["sh", "-c", "echo no such table; exit 3"], {"PATH": os.environ["PATH"]}, never)
        with pytest.raises(ChildFailed, match=r"broken endete mit 3:\nno such table"):
            await supervisor.start()
    assert _words(tmp_path / "diary") == ["first started", "first stopped"]


async def test_a_signal_during_the_start_ends_it_in_order(tmp_path: Path) -> None:
    async def ready() -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return False

    async with Supervisor(tmp_path, _quiet) as supervisor:
        _add(supervisor, "first", tmp_path / "diary")
        supervisor.add("slow", ["sleep", "300"], {"PATH": os.environ["PATH"]}, ready)
        with pytest.raises(StopRequested):
            await supervisor.start()
    assert _words(tmp_path / "diary") == ["first started", "first stopped"]


async def test_a_second_signal_kills_what_does_not_listen(tmp_path: Path) -> None:
    async def ready() -> bool:
        return (tmp_path / "deaf.log").read_text() == "deaf\n"

    async with Supervisor(tmp_path, _quiet) as supervisor:
        script = "trap '' TERM; echo deaf; while :; do sleep 300; done"
        supervisor.add("deaf", ["sh", "-c", script], {"PATH": os.environ["PATH"]}, ready, stop_timeout_s=60)
        await supervisor.start()
        asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
        await supervisor.watch()
        asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            await supervisor.stop()


class _Server:
    def __init__(self) -> None:
        self.running, self.revived = True, 0

    def is_running(self) -> bool:
        return self.running

    def revive(self) -> None:
        self.running, self.revived = True, self.revived + 1


async def test_a_private_server_that_ends_is_revived(tmp_path: Path) -> None:
    restarted, server, told = asyncio.Queue[str](), _Server(), list[str]()
    async with Supervisor(tmp_path, told.append) as supervisor:
        supervisor.keep("postgres", server)
        watching = asyncio.create_task(supervisor.watch(restarted.put))
        server.running = False
        async with asyncio.timeout(10):
            assert await restarted.get() == "postgres"
        os.kill(os.getpid(), signal.SIGTERM)
        await watching
    assert server.revived == 1
    assert told == ["postgres endete und wird neu gestartet", "postgres läuft wieder"]


async def test_readiness_over_http_is_a_200_and_nothing_else() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read(1000)  # nothing at all when it was only asked whether somebody listens
        status = "200 OK" if asked.startswith(b"GET /livez ") else "503 Service Unavailable"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await answers(f"http://127.0.0.1:{port}/livez")
    assert not await answers(f"http://127.0.0.1:{port}/readyz")
    assert await listens(port)
    server.close()
    await server.wait_closed()
    assert not await answers(f"http://127.0.0.1:{port}/livez")
    assert not await listens(port)


async def _readable(descriptor: int) -> None:
    readable = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
