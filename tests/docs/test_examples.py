"""What README and docs tell a reader to type works, on one started test installation."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demail_gateway.embedded.ports import free_port
from tests.docs.examples import blocks_of, run_blocks
from tests.harness.servers import Servers

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/integration.md", "docs/operation.md")
_START_S, _STOP_S = 90.0, 30.0

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]


def plain_environment() -> dict[str, str]:
    """A reader's: none of our variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DEMAIL_")}


@pytest.fixture(scope="module")
def ready(servers: Servers) -> Iterator[Path]:
    """The ready file of a running `dev`; ended in order afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="demail-docs-"))
    ready_file, log = directory / "ready.json", directory / "dev.log"
    environment = {
        **plain_environment(),
        "DEMAIL_DATABASE_URL": servers.superuser_url,
        "DEMAIL_REDIS_URL": servers.redis_url,
    }
    command = [sys.executable, "-m", "demail_gateway", "dev", "--port", str(free_port())]
    with log.open("wb") as output:
        stack = subprocess.Popen(
            [*command, "--ready-file", str(ready_file)], env=environment, stdout=output, stderr=output
        )
    try:
        asyncio.run(_until_ready(stack, ready_file, log))
        yield ready_file
    finally:
        stack.send_signal(signal.SIGTERM)
        code = stack.wait(_STOP_S)
        shutil.rmtree(directory)
    assert code == 0


async def _until_ready(stack: subprocess.Popen[bytes], ready_file: Path, log: Path) -> None:
    end = time.monotonic() + _START_S
    while not ready_file.exists():
        assert stack.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        await asyncio.sleep(0.1)  # a file of another process sets no event here


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_work_as_they_stand(page: str, ready: Path, tmp_path: Path) -> None:
    shutil.copy(ready, tmp_path / "ready.json")
    blocks = blocks_of(ROOT / page)
    ran = run_blocks(blocks, tmp_path, plain_environment(), timeout_s=150.0)
    assert ran.exit_code == 0, f"{ran.output[-2000:]}\n{ran.errors[-2000:]}"
    others = {block.number: [s for s in ran.answers.get(block.number, []) if s >= 300] for block in blocks}
    assert others == {block.number: block.expected for block in blocks}, ran.output[-4000:]
    assert sum(map(len, ran.answers.values())) >= 5
