"""`python -m demail_gateway.sandbox`: the sandbox provider as a program of its own. Ends with 0 on SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence

from demail_gateway.observability.logs import configure_logging
from demail_gateway.sandbox.configuration import Configuration, from_process
from demail_gateway.sandbox.service import Sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT. Exit code 0 after a clean stop, 1 when it cannot start, 2 for bad arguments."""
    configuration = from_process(sys.argv[1:] if arguments is None else arguments)
    configure_logging("sandbox")
    try:
        asyncio.run(_run(configuration))
    except OSError as error:
        print(f"Sandbox kann nicht starten / cannot start: {error}", file=sys.stderr)  # noqa: T201  before any log
        return 1
    return 0


async def _run(configuration: Configuration) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    sandbox = Sandbox(configuration)
    await sandbox.start()
    await ended.wait()
    await sandbox.stop()


if __name__ == "__main__":
    sys.exit(main())
