"""How all children of a worker hear at once that the worker ends: a pipe that closes.

The main process keeps the writing end. When it lets go, or dies in whatever way, each child reads the end of the pipe.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable


class Lifeline:
    """Make it before the children are forked."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def let_go(self) -> None:
        """In the main process: tells every child. Twice is as good as once."""
        if self._write >= 0:
            os.close(self._write)
            self._write = -1

    def gone_within(self, seconds: float) -> bool:
        """In a child, before it holds on: waits that long; true at once when the main process lets go or is gone."""
        self.let_go()  # as in `hold_on`
        readable, _, _ = select.select([self._read], [], [], seconds)
        return bool(readable)

    def hold_on(self, when_gone: Callable[[], None]) -> None:
        """In a child, on its event loop: `when_gone` is called when the main process lets go or is gone."""
        self.let_go()  # the child's own copy of the writing end would keep the pipe open
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(self._read)
            when_gone()

        loop.add_reader(self._read, gone)
