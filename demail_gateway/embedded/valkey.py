"""A private Valkey (the Redis protocol): loopback TCP, a random free port, a random password."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from demail_gateway.embedded import find, process
from demail_gateway.embedded.server import Server, write_secret

_DATABASES = 64  # a worker of a parallel test run takes one


class Valkey(Server):
    """A `Server`. `durable` keeps an append-only file (synced every second); PostgreSQL holds the truth either way,
    Valkey only wakes."""

    _NAME = "valkey"
    _START_TIMEOUT_S = 15.0

    def __init__(self, base: Path | None = None, *, durable: bool) -> None:
        super().__init__(base, durable=durable, account=None)
        self._password = ""

    def _prepare(self) -> None:
        self._password = secrets.token_urlsafe(24)

    def _spawn(self) -> process.Process:
        configuration = self._path() / "valkey.conf"
        write_secret(configuration, self._configuration())
        return process.spawn([find.valkey_server(), configuration], log=self._log(), cwd=self._path())

    def _configuration(self) -> str:
        lines = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "requirepass": self._password,
            "dir": f'"{self._path()}"',
            "databases": str(_DATABASES),
            "save": '""',
            "appendonly": "yes" if self._durable else "no",
            "maxmemory-policy": "noeviction",
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())

    def _answers(self, server: process.Process) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as line:
                line.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (received := line.recv(256)):
                    answer += received
        except OSError:
            return False
        # another server on that port would not know the password; one that is still loading answers -LOADING
        return answer == b"+OK\r\n+PONG\r\n"

    def _url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"
