"""What private servers have in common: a place, a free port, starting, ending, coming back."""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from demail_gateway.embedded import place, process
from demail_gateway.embedded.errors import EmbeddedError
from demail_gateway.embedded.ports import free_port

_ATTEMPTS = 3


class Server(ABC):
    """One private server: `start`, use the URL, `stop`.

    Without `base` it lives in a temporary directory that `stop` removes (for servers that are not durable on /dev/shm
    where that is large enough); with `base` its data is kept and found again.
    """

    _NAME: ClassVar[str]
    _START_TIMEOUT_S: ClassVar[float]
    _STOP_SIGNAL: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, base: Path | None, *, durable: bool, account: process.Account | None) -> None:
        self._base = base
        self._durable = durable
        self._account = account
        self._place: place.Place | None = None
        self._process: process.Process | None = None
        self._port = 0

    def start(self) -> str:
        """Privileged URL of the running server. Call from the main thread: the server ends with it.

        Raises:
            EmbeddedError: no program, the directory is in use or of another version, or no start.
        """
        try:
            self._place = self._take_place()
            self._prepare()
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self._url()

    def stop(self) -> None:
        """End the server and remove what was temporary. Twice is as good as once."""
        if self._process:
            process.stop(self._process, by=self._STOP_SIGNAL)
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
        """Start a server that ended by itself anew: same data, port and password, so that every URL stays right.

        Raises:
            EmbeddedError: it does not start.
        """
        assert self._process is not None
        deadline = time.monotonic() + self._START_TIMEOUT_S
        while time.monotonic() < deadline:
            process.stop(self._process, by=self._STOP_SIGNAL)
            self._process = self._spawn()
            if self._comes_up(self._process):
                return
            # back ends of a killed PostgreSQL hold its shared memory until they notice; meanwhile the new one refuses
            time.sleep(0.1)
        raise EmbeddedError(f"{self._NAME} did not start again:\n{process.tail(self._log())}")

    @abstractmethod
    def _prepare(self) -> None:
        """Makes what the program needs in `_path()`, once for each start."""

    @abstractmethod
    def _spawn(self) -> process.Process:
        """The program on `_port`."""

    @abstractmethod
    def _answers(self, server: process.Process) -> bool:
        """Whether it is ready, asked again and again."""

    @abstractmethod
    def _url(self) -> str: ...

    def _path(self) -> Path:
        assert self._place is not None
        return self._place.path

    def _log(self) -> Path:
        return self._path() / f"{self._NAME}.log"

    def _take_place(self) -> place.Place:
        if self._base is None:
            return place.temporary(f"demail-{self._NAME}-", account=self._account, in_memory=not self._durable)
        return place.kept(self._base, account=self._account)

    def _launch(self) -> None:
        for _ in range(_ATTEMPTS):  # another process may take the port between the choice and the start
            self._port = free_port()
            self._process = self._spawn()
            if self._comes_up(self._process):
                return
            process.stop(self._process, by=self._STOP_SIGNAL)
        raise EmbeddedError(f"{self._NAME} did not start:\n{process.tail(self._log())}")

    def _comes_up(self, server: process.Process) -> bool:
        """True when the server answers, False when it ended or stays silent."""
        deadline = time.monotonic() + self._START_TIMEOUT_S
        while server.poll() is None and time.monotonic() < deadline:
            if self._answers(server):
                return True
            time.sleep(0.01)
        return False


def write_secret(path: Path, text: str) -> None:
    """A new file that its owner alone can read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
