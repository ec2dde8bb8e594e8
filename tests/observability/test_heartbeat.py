"""The sign of life comes from the loop that does the work."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from demail_gateway.observability.heartbeat import beat


async def test_the_file_is_touched_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat"
    beating = asyncio.create_task(beat(path, every_s=0.01))
    async with asyncio.timeout(10):
        for _ in range(2):
            await _touched(path)
            os.utime(path, (0, 0))
        await _touched(path)
    beating.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await beating


async def test_a_place_that_cannot_be_written_ends_the_beat_quietly(tmp_path: Path) -> None:
    async with asyncio.timeout(10):
        await beat(tmp_path / "missing" / "heartbeat")


async def _touched(path: Path) -> None:
    while not path.exists() or path.stat().st_mtime == 0:
        await asyncio.sleep(0.005)
