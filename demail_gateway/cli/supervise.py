"""Starts the processes of a whole installation in order, keeps them running, stops them in reverse order.

    async with Supervisor(directory, print) as supervisor:
        supervisor.add("api", ["…", "api"], environment, ready=lambda: answers("http://127.0.0.1:8080/livez"))
        await supervisor.start()
        await supervisor.watch(on_restart)      # until SIGINT, SIGTERM or SIGHUP

For `dev` and `demo` on one machine. In production the service manager or the container engine does this.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from demail_gateway.embedded import process

Ready = Callable[[], Awaitable[bool]]
OnRestart = Callable[[str], Awaitable[None]]
Say = Callable[[str], None]
"""Told, in German, what happened to a child or a server."""
Result = TypeVar("Result")

READY_TIMEOUT_S = 90.0
"""A start takes seconds; on a machine that does much else at once it may take a minute."""
STOP_TIMEOUT_S = 20.0
_LOOK_EVERY_S = 0.1
# a child that ends at once again and again is started at growing distances; well within ten seconds with its readiness
_FIRST_DELAY_S, _LONGEST_DELAY_S, _STABLE_AFTER_S = 0.1, 4.0, 10.0


class ChildFailed(RuntimeError):
    """A child ended or stayed silent while it was started; the message holds the end of its log."""


class StopRequested(Exception):
    """A signal to stop came while the children were being started."""


class Server(Protocol):
    """A private server that is watched with the children (`embedded.Postgres`, `embedded.Valkey`)."""

    def is_running(self) -> bool: ...
    def revive(self) -> None: ...


@dataclass(slots=True)
class Child:
    """One program of the installation; `process` is None before its start and after its stop."""

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str]
    ready: Ready
    sign: Path | None
    stop_timeout_s: float
    process: process.Process | None = None


class Supervisor:
    """Children with a log file each in `directory`. To be used from the main thread: children end with it.

    As a context it takes SIGINT, SIGTERM and SIGHUP (a terminal that is closed): the first ends `start` (StopRequested)
    or `watch` (which returns), a second one during the stop kills what has not ended yet. Leaving the context stops
    everything, whatever the reason.
    """

    def __init__(self, directory: Path, say: Say) -> None:
        self._directory = directory
        self._say = say
        self._children: list[Child] = []
        self._servers: dict[str, Server] = {}
        self._told_to_stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._signals: tuple[signal.Signals, ...] = ()

    def add(
        self,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str],
        ready: Ready,
        *,
        sign: Path | None = None,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        """A child for the next `start`; `env` is all that it gets, `ready` is asked until true.

        `sign` is a file that the child writes and `ready` looks at: it is removed before each start, so that the one
        of a former life says nothing.
        """
        self._children.append(Child(name, argv, env, ready, sign, stop_timeout_s))

    def keep(self, name: str, server: Server) -> None:
        """A private server, started and stopped by the caller, that `watch` revives when it ends by itself."""
        self._servers[name] = server

    async def start(self, *, together: bool = False) -> None:
        """The children added since the last call up and ready: one after the other, or `together`.

        Raises:
            ChildFailed: one ended or was not ready within 90 s.
            StopRequested: a signal to stop came meanwhile.
        """
        await self.unless_told(self._start_all(together=together))

    async def unless_told(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What `work` returns. Raises StopRequested, after cancelling it, when a signal to stop comes before."""
        doing = asyncio.ensure_future(work)
        await self._until_told(doing)
        if doing.cancelled():
            raise StopRequested
        return doing.result()

    async def watch(self, on_restart: OnRestart | None = None) -> None:
        """Start anew what ends by itself, then call `on_restart` with its name; returns on a signal to stop."""
        await self._until_told(asyncio.ensure_future(self._watch_all(on_restart)))

    async def stop(self) -> None:
        """End all children in reverse order; those that do not listen are killed. Twice is as good as once."""
        for child in reversed(self._children):
            await self._stop(child)

    def pids(self) -> dict[str, int]:
        """Process ids of the children that were started, by name, in the order of their start."""
        return {child.name: child.process.pid for child in self._children if child.process}

    def log_of(self, name: str) -> Path:
        """Where the output of a child goes."""
        return self._directory / f"{name}.log"

    async def __aenter__(self) -> Self:
        self._signals = stop_signals()
        for each in self._signals:
            asyncio.get_running_loop().add_signal_handler(each, self._hear)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        finally:
            for each in self._signals:
                asyncio.get_running_loop().remove_signal_handler(each)

    def _hear(self) -> None:
        (self._hurry if self._told_to_stop.is_set() else self._told_to_stop).set()

    async def _until_told(self, doing: asyncio.Future[Any]) -> None:
        """Until `doing` is done; when told to stop it is cancelled. Raises what it raised."""
        told = asyncio.ensure_future(self._told_to_stop.wait())
        try:
            await asyncio.wait({doing, told}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
        finally:
            for each in (doing, told):
                each.cancel()
            await asyncio.gather(doing, told, return_exceptions=True)

    async def _start_all(self, *, together: bool) -> None:
        new = [child for child in self._children if child.process is None]
        if together:
            for child in new:
                self._spawn(child)
        for child in new:
            if not together:
                self._spawn(child)
            await self._until_ready(child)

    async def _start(self, child: Child) -> None:
        self._spawn(child)
        await self._until_ready(child)

    def _spawn(self, child: Child) -> None:
        if child.sign is not None:
            child.sign.unlink(missing_ok=True)
        child.process = process.spawn(child.argv, log=self.log_of(child.name), env=child.env, cwd=self._directory)

    async def _until_ready(self, child: Child) -> None:
        assert child.process is not None
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while child.process.poll() is None:
                    if await child.ready():
                        return
                    await asyncio.sleep(_LOOK_EVERY_S / 2)
            reason = _ending(child.process.returncode)
        except TimeoutError:
            reason = f"war nach {READY_TIMEOUT_S:.0f} s nicht bereit"
        raise ChildFailed(f"{child.name} {reason}:\n{process.tail(self.log_of(child.name))}")

    async def _watch_all(self, on_restart: OnRestart | None) -> None:
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(self._watch(child, on_restart))
            for name, server in self._servers.items():
                group.create_task(self._watch_server(name, server, on_restart))

    async def _watch(self, child: Child, on_restart: OnRestart | None) -> None:
        loop, delay_s = asyncio.get_running_loop(), _FIRST_DELAY_S
        while True:
            started_at = loop.time()
            code = await _ended(child)
            delay_s = _FIRST_DELAY_S if loop.time() - started_at > _STABLE_AFTER_S else delay_s
            self._say(f"{child.name} {_ending(code)} und wird neu gestartet")
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
            if await self._restart(child) and on_restart:
                await on_restart(child.name)

    async def _restart(self, child: Child) -> bool:
        if child.process:
            process.end_session(child.process)
        try:
            await self._start(child)
        except ChildFailed as error:
            self._say(str(error).partition("\n")[0].rstrip(":"))
            await self._stop(child)
            return False
        self._say(f"{child.name} läuft wieder")
        return True

    async def _watch_server(self, name: str, server: Server, on_restart: OnRestart | None) -> None:
        while True:
            while server.is_running():
                await asyncio.sleep(_LOOK_EVERY_S)
            self._say(f"{name} endete und wird neu gestartet")
            # in this thread, which the server's life is tied to; the children are not looked at meanwhile
            server.revive()
            self._say(f"{name} läuft wieder")
            if on_restart:
                await on_restart(name)

    async def _stop(self, child: Child) -> None:
        if child.process is None:
            return
        if child.process.poll() is None:
            child.process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(child.stop_timeout_s):
                    while child.process.poll() is None and not self._hurry.is_set():
                        await asyncio.sleep(_LOOK_EVERY_S / 5)
        process.end_session(child.process)
        child.process.wait()
        child.process = None


def stop_signals() -> tuple[signal.Signals, ...]:
    """Signals that ask for an orderly end; SIGHUP not where it is ignored (`nohup`)."""
    asked = (signal.SIGINT, signal.SIGTERM)
    return asked if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*asked, signal.SIGHUP)


async def answers(url: str) -> bool:
    """Whether `GET url` (plain http) answers 200 within two seconds."""
    scheme, _, rest = url.partition("://")
    address, _, path = rest.partition("/")
    host, _, port = address.partition(":")
    if scheme != "http":
        raise ValueError("readiness is asked over plain http on loopback")
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, int(port or 80))
            try:
                writer.write(f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def listens(port: int) -> bool:
    """Whether something takes connections on this port of the loopback interface."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _ending(code: int | None) -> str:
    return f"wurde beendet (Signal {-code})" if code is not None and code < 0 else f"endete mit {code}"


async def _ended(child: Child) -> int | None:
    while child.process is not None and child.process.poll() is None:
        await asyncio.sleep(_LOOK_EVERY_S)
    return child.process.returncode if child.process else None
