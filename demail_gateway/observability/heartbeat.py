"""A sign of life for processes that have no port: a file whose time of change a container's health check looks at."""

from __future__ import annotations

import asyncio
from pathlib import Path

EVERY_S = 10.0
"""The check in docker-compose.yml allows a minute."""


async def beat(path: Path, *, every_s: float = EVERY_S) -> None:
    """Touch `path` now and then, until cancelled. Run it on the loop that does the work, so that a stuck loop shows.

    A file that cannot be written ends the beat, not the process: the check fails and says so.
    """
    while True:
        try:
            path.touch()  # noqa: ASYNC240 - on the container's memory file system, microseconds
        except OSError:
            return
        await asyncio.sleep(every_s)
