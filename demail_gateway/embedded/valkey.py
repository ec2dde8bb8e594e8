"""A private Valkey (the Redis protocol): loopback TCP, a random free port, a random password."""

from __future__ import annotations

import os
import secrets
import socket
import time
from pathlib import Path

from demail_gateway.embedded import find, place, process
from demail_gateway.embedded.errors import EmbeddedError
from demail_gateway.embedded.ports import free_port

_START_TIMEOUT_S = 15.0
_ATTEMPTS = 3
_CONFIGURATION = "valkey.conf"
_DATABASES = 64  # a worker of a parallel test run takes one


class Valkey:
    """One private server: `start`, use the URL, `stop`.

    Without `base` it lives in a temporary directory that `stop` removes. `durable` keeps an append-only file (synced
    every second); PostgreSQL holds the truth either way, Valkey only wakes.
    """

    def __init__(self, base: Path | None = None, *, durable: bool) -> None:
        self._base = base
        self._durable = durable
        self._place: place.Place | None = None
        self._process: process.Process | None = None
        self._port = 0
        self._password = ""

    def start(self) -> str:
        """URL (`redis://…`) of the running server. Call from the main thread: the server ends with it.

        Raises:
            EmbeddedError: no program, the directory is in use, or the server does not start.
        """
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and remove what was temporary. Twice is as good as once."""
        if self._process:
            process.stop(self._process)
            self._process = None
        if self._place:
            self._place.release()
            self._place = None

    @property
    def pid(self) -> int | None:
        """Process id, from `start` to `stop`."""
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        """False before `start`, after `stop`, and when the server ended by itself."""
        return self._process is not None and self._process.poll() is None

    def revive(self) -> None:
        """Start a server that ended by itself anew: same port and password, so that the URL stays right.

        Raises:
            EmbeddedError: it does not start.
        """
        assert self._place is not None
        assert self._process is not None
        process.stop(self._process)
        self._process = self._spawn(self._place.path)
        if not _is_ready(self._process, self._port, self._password):
            raise EmbeddedError(f"valkey did not start again:\n{process.tail(self._place.path / 'valkey.log')}")

    def _start(self) -> str:
        if self._base is None:
            self._place = place.temporary("demail-valkey-", account=None, in_memory=not self._durable)
        else:
            self._place = place.kept(self._base, account=None)
        base = self._place.path
        for _ in range(_ATTEMPTS):  # another process may take the port between the choice and the start
            self._port, self._password = free_port(), secrets.token_urlsafe(24)
            self._configure(base)
            self._process = self._spawn(base)
            if _is_ready(self._process, self._port, self._password):
                return f"redis://:{self._password}@127.0.0.1:{self._port}/0"
            process.stop(self._process)
        raise EmbeddedError(f"valkey did not start:\n{process.tail(base / 'valkey.log')}")

    def _spawn(self, base: Path) -> process.Process:
        return process.spawn([find.valkey_server(), base / _CONFIGURATION], log=base / "valkey.log", cwd=base)

    def _configure(self, base: Path) -> None:
        lines = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "requirepass": self._password,
            "dir": f'"{base}"',
            "databases": str(_DATABASES),
            "save": '""',
            "appendonly": "yes" if self._durable else "no",
            "maxmemory-policy": "noeviction",
        }
        path = base / _CONFIGURATION
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.writelines(f"{name} {value}\n" for name, value in lines.items())


def _is_ready(server: process.Process, port: int, password: str) -> bool:
    """True when the server answers, False when it ended or stays silent."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < deadline:
        if _answers(port, password):
            return True
        time.sleep(0.01)
    return False


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as line:
            line.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (received := line.recv(256)):
                answer += received
    except OSError:
        return False
    # another server on that port would not know the password; one that is still loading answers -LOADING
    return answer == b"+OK\r\n+PONG\r\n"
