"""Child processes that end when their supervisor ends, even when it is killed, and that stop in good order."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demail_gateway.embedded import leash
from demail_gateway.embedded.errors import EmbeddedError

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged account of this machine, for servers that refuse to run as root."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """`postgres` or `nobody` when this process is root; None when it is an ordinary user already."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError("root cannot run a private PostgreSQL, and there is no account 'postgres' or 'nobody'")


def spawn(
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> Process:
    """Start `argv` in a session of its own, output appended to `log`, no standard input.

    Ctrl-C at the terminal reaches the supervisor alone, which stops its children in order (`stop`). `death_signal` is
    sent by the kernel when the supervising *thread* ends: call this from the main thread.

    Raises:
        EmbeddedError: there is no such program.
    """
    program = shutil.which(str(argv[0]))
    if program is None:
        raise EmbeddedError(f"no such program: {argv[0]}")
    leashed = [
        *(sys.executable, "-I", "-S", leash.__file__),
        *(str(os.getpid()), str(int(death_signal))),
        *((str(account.uid), str(account.gid)) if account else ("-1", "-1")),
        *(program, *(str(word) for word in argv[1:])),
    ]
    with log.open("ab") as output:
        return subprocess.Popen(
            leashed, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=cwd, start_new_session=True
        )


def run_as(account: Account | None, argv: Sequence[str | Path], *, env: Mapping[str, str]) -> None:
    """Run a short program to its end as `account`.

    Raises:
        EmbeddedError: it did not end with 0; the message holds its own words.
        PermissionError: the account may not even reach the program.
    """
    words = [str(word) for word in argv]
    if account is None:
        run = subprocess.run(words, env=env, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    else:
        run = subprocess.run(
            words,
            env=env,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
        )
    if run.returncode != 0:
        raise EmbeddedError(f"{Path(words[0]).name} failed:\n{run.stderr[-2000:]}")


def stop(process: Process, *, by: signal.Signals = signal.SIGTERM, timeout_s: float = 20.0) -> int:
    """Ask a child to end and wait; after `timeout_s` its whole session is killed. Returns its exit code."""
    if process.poll() is None:
        process.send_signal(by)
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def end_session(process: Process) -> None:
    """Kill what a child that ended has left running in its session (a worker's pool, a server's back ends)."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def tail(log: Path, *, size_bytes: int = 2000) -> str:
    """The end of a log file, for the message about a child that failed."""
    return log.read_bytes()[-size_bytes:].decode("utf-8", "replace") if log.exists() else ""
