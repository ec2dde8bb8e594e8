"""What a person sees while something takes its time: a progress line on a terminal, else plain lines, on stderr."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from demail_gateway.core.dates import legal_time


class Screen:
    """Steps of a longer work. As a context it owns the progress bar; `quiet` says nothing at all."""

    def __init__(self, steps: int, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._begin = time.monotonic()
        self._progress: Progress | None = None
        self._task = None
        if self._console.is_terminal and not quiet:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._progress.add_task("…", total=steps)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def step(self, text: str) -> None:
        """The next step begins."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=text, advance=1)
        else:
            self._console.print(f"[{time.monotonic() - self._begin:5.1f} s] {text}", markup=False)

    def done(self, text: str) -> None:
        """All steps are over."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        self._console.print(text, markup=False)

    def note(self, text: str) -> None:
        self._console.print(text, markup=False)

    def report(self, text: str) -> None:
        """Something happened meanwhile; with the legal time (SND-103)."""
        self._console.print(f"{legal_time(datetime.now(UTC)).isoformat(timespec='seconds')} {text}", markup=False)
