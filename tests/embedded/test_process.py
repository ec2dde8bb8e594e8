"""Children end with their supervisor, and stop in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demail_gateway.embedded import process
from demail_gateway.embedded.errors import EmbeddedError

_SUPERVISOR = """
import sys
from pathlib import Path
from demail_gateway.embedded import process
child = process.spawn(["sleep", "300"], log=Path(sys.argv[1]))
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_child_ends_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _SUPERVISOR, str(tmp_path / "log")]
    supervisor = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    child = os.pidfd_open(int(supervisor.stdout.readline()))
    supervisor.kill()
    supervisor.wait()
    supervisor.stdin.close()
    supervisor.stdout.close()
    try:
        assert _ended(child, timeout_s=10)
    finally:
        os.close(child)


def test_a_child_has_a_session_of_its_own_and_its_output_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = process.spawn([sys.executable, "-c", "import os; print(os.getpid() == os.getsid(0))"], log=log)
    assert child.wait(20) == 0
    assert process.tail(log).strip() == "True"


def test_a_child_gets_exactly_the_given_environment_and_directory(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = process.spawn(["sh", "-c", 'echo "$COLOUR $(pwd)"'], log=log, env={"COLOUR": "red"}, cwd=tmp_path)
    assert child.wait(20) == 0
    assert process.tail(log).strip() == f"red {tmp_path}"


def test_stopping_waits_for_the_exit_code(tmp_path: Path) -> None:
    child = process.spawn(["sleep", "300"], log=tmp_path / "log")
    assert process.stop(child) == -signal.SIGTERM
    assert process.stop(child) == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_killed_with_its_session(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = process.spawn(["sh", "-c", "trap '' TERM; echo deaf; sleep 300 & wait; sleep 300"], log=log)
    while b"deaf" not in (log.read_bytes() if log.exists() else b""):
        assert child.poll() is None
        time.sleep(0.01)
    assert process.stop(child, timeout_s=0.2) == -signal.SIGKILL


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="no-such-program"):
        process.spawn(["no-such-program"], log=tmp_path / "log")


def _ended(pidfd: int, *, timeout_s: float) -> bool:
    import select

    return bool(select.select([pidfd], [], [], timeout_s)[0])
