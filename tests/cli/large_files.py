"""A process of its own: checks the files that are named, a small one first; prints the MiB needed above that one."""

from __future__ import annotations

import sys
from pathlib import Path

from demail_gateway.cli.verify import run_verify


def main() -> None:
    at, anchor, small, *large = sys.argv[1:]
    assert run_verify([Path(small)], [Path(anchor)], [], at, as_json=False) == 0
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
    idle_mib = _peak_mib()
    assert run_verify([Path(each) for each in large], [Path(anchor)], [], at, as_json=False) == 0
    print(f"{_peak_mib() - idle_mib:.1f}", file=sys.stderr)


def _peak_mib() -> float:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
