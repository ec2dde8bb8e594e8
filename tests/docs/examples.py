"""The shell examples of the documentation, run as a reader would run them.

Every fenced block marked ``sh`` is run, the blocks of one page in one shell and in their order, beside a started `dev`
stack. Blocks that show commands for another machine are marked ``console`` and are not. A line ``# → 422`` in a block
says that one request of it is answered so; all other requests of a page must be answered with 2xx.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.harness.programs import program

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXPECTED = re.compile(r"^\s*# → (\d{3})\b", re.MULTILINE)

# curl, but for a line in the log that says which block asked and how it was answered
_CURL = """#!/bin/bash
set -o pipefail
{ "$REAL_CURL" "$@" -w '%{stderr}\\nanswered %{http_code}\\n' 2>&1 1>&3 |
  tee >(sed -n "s/^answered /$BLOCK /p" >>"$ANSWERS") | grep -v '^answered ' >&2
  exit "${PIPESTATUS[0]}"; } 3>&1
"""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    number: int
    script: str

    @property
    def expected(self) -> list[int]:
        """Answers other than 2xx, in their order."""
        return [int(status) for status in _EXPECTED.findall(self.script)]


@dataclass(frozen=True, slots=True)
class Ran:
    """How the blocks of a page went."""

    exit_code: int
    output: str
    errors: str
    answers: Mapping[int, list[int]]
    """HTTP status of each request, by block."""


def _real_curl() -> str:
    """An absolute path: by its bare name the program in our place would start itself again and again."""
    return os.path.abspath(program("curl"))


def blocks_of(page: Path) -> list[Block]:
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(number, script) for number, script in enumerate(found, 1)]


def run_blocks(blocks: list[Block], directory: Path, environment: Mapping[str, str], timeout_s: float = 60.0) -> Ran:
    """Runs them in `directory`, where `.venv/bin/demail-gateway` is this test's own."""
    tools = _tools(directory)
    answers = directory / "answers"
    answers.write_text("", encoding="ascii")
    script = "set -eu -o pipefail\n" + "".join(f"export BLOCK={each.number}\n{each.script}\n" for each in blocks)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        env={
            **environment,
            "PATH": f"{tools}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "REAL_CURL": _real_curl(),
            "ANSWERS": str(answers),
        },
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr, _by_block(answers.read_text(encoding="ascii")))


def _tools(directory: Path) -> Path:
    tools = directory / "tools"
    tools.mkdir(exist_ok=True)
    curl = tools / "curl"
    curl.write_text(_CURL, encoding="ascii")
    curl.chmod(0o700)
    environment = directory / ".venv"
    if not environment.exists():
        environment.symlink_to(sys.prefix)
    return tools


def _by_block(log: str) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for line in log.splitlines():
        number, status = line.split()
        found.setdefault(int(number), []).append(int(status))
    return found
