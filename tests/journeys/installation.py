"""A running `demail-gateway dev` as a program: start, stop, its ready file and logs; and the command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

Found = TypeVar("Found")
Json = dict[str, Any]

START_S = 100.0
"""How long a start may take on a machine that does other things, too; it needs about four seconds."""
PATIENCE_S = 40.0
"""How long anything else may take; most needs a second or two."""
RESTART_S = 60.0
"""How long a restart may take here; ours is ten seconds on a machine of its own."""

_PROGRAM = (sys.executable, "-m", "demail_gateway")


class TookTooLong(AssertionError):
    """What was waited for did not come; the message holds the last thing seen."""


def until(look: Callable[[], Found], good: Callable[[Found], object] = bool, *, within_s: float = PATIENCE_S) -> Found:
    """The first thing seen that is `good`. Raises TookTooLong with the last one."""
    deadline = time.monotonic() + within_s
    while True:
        seen = look()
        if good(seen):
            return seen
        if time.monotonic() > deadline:
            raise TookTooLong(f"not within {within_s:.0f} s, last seen: {seen}")
        time.sleep(0.1)


class Installation:
    """`python -m demail_gateway dev` as a program of its own, its temporary files below `directory`.

    `environment` comes on top of ours without its ``DEMAIL_`` variables; with a ``DEMAIL_DATABASE_URL`` that server
    is used, else a private one.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.ready_file = directory / "ready.json"
        self.port = _free_port()
        self.database = ""
        """Name of its database, once it is ready."""
        self._temporary = directory / "tmp"
        self._temporary.mkdir(parents=True)
        self._environment = plain_environment() | {"TMPDIR": str(self._temporary), **environment}
        with (directory / "dev.log").open("wb") as output:
            self.process = subprocess.Popen(
                [*_PROGRAM, "dev", "--port", str(self.port), "--ready-file", str(self.ready_file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
            )

    def wait(self) -> Json:
        """The ready file, once it is there."""
        until(lambda: self.ready_file.exists() or self.process.poll() is not None, within_s=START_S)
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output()[-3000:]}"
        self.database = urlsplit(self.ready()["database_url"]).path.removeprefix("/")
        return self.ready()

    def ready(self) -> Json:
        document: Json = json.loads(self.ready_file.read_text(encoding="utf-8"))
        return document

    def processes(self) -> dict[str, int]:
        """Process ids by name, as the ready file names them now."""
        return {each["name"]: each["pid"] for each in self.ready()["processes"]}

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Ends it; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def output(self) -> str:
        return (self.directory / "dev.log").read_text(encoding="utf-8")

    def logs(self) -> dict[str, str]:
        """What every process has written so far, by name."""
        found = {path.stem: path.read_text(encoding="utf-8") for path in self._temporary.glob("demail-run-*/*.log")}
        return {"dev": self.output(), **found}

    def leftovers(self) -> list[str]:
        """Processes that still run with our environment, and files below our temporary directory."""
        files = [str(path.relative_to(self._temporary)) for path in self._temporary.rglob("*")]
        return [*files, *(f"process {pid}: {words}" for pid, words in processes_with(self._environment["TMPDIR"]))]


def command(*words: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs `demail-gateway words` to its end, output as text."""
    return subprocess.run(
        [*_PROGRAM, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        env=plain_environment() | dict(environment or {}),
    )


def plain_environment() -> dict[str, str]:
    """Ours without any setting of a gateway."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DEMAIL_")}


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    """Process ids of the direct children, the oldest first."""
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def processes_with(mark: str) -> list[tuple[int, str]]:
    """Ids and command lines of the processes whose environment holds `mark`."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (each / "environ").read_bytes():
                found.append((int(each.name), (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:100]))
    return found


def _free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        port: int = candidate.getsockname()[1]
        return port
