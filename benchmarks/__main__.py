"""`./run bench [NAME] [--json FILE] [--quick]`: prints each ratio with its spread, and whether the goal is reached.

A harness, not a test: figures of a busy machine say nothing, and nothing fails here. Exit code 0 when every case ran.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks import crypto
from benchmarks.cases import CASES, GOALS, UNITS, Round
from benchmarks.postfix import SinkMissing, require
from benchmarks.stack import product


def measure_cpu(*, quick: bool) -> dict[str, Any]:
    """What needs no stack: CPU time of protecting messages and checking confirmations."""
    found: dict[str, Any] = {"machine": _machine(), "cases": {}}
    for each in crypto.measurements():
        done = [Round(one.product, one.reference) for one in crypto.measure(each, 3 if quick else 7)]
        goal = each.goal if each.raw is not None else 1.0
        found["cases"][each.name] = _summarised(done, "µs", ("≤", goal, goal))
        _show(each.name, found["cases"][each.name])
    return found


async def measure(names: list[str], *, quick: bool) -> dict[str, Any]:
    """Rounds of each case, with the machine they ran on."""
    sizes = {"accept": 4000, "relay": 1500, "latency": 100, "upload": 1}
    rounds = 2 if quick else 5
    found: dict[str, Any] = {"machine": _machine(), "cases": {}}
    async with product() as running:
        for name in names:
            count = max(1, sizes[name] // (5 if quick else 1))
            done = [each async for each in CASES[name](running, rounds, count)]
            found["cases"][name] = _summary(name, done)
            _show(name, found["cases"][name])
    return found


def _summary(name: str, rounds: list[Round]) -> dict[str, Any]:
    return _summarised(rounds, UNITS[name], GOALS[name])


def _summarised(rounds: list[Round], unit: str, goal: tuple[str, float, float]) -> dict[str, Any]:
    ratios = [each.product / each.reference for each in rounds]
    sense, here, later = goal
    middle = statistics.median(ratios)
    reached = middle >= here if sense == "≥" else middle <= here
    return {
        "unit": unit,
        "product": [round(each.product, 2) for each in rounds],
        "reference": [round(each.reference, 2) for each in rounds],
        "ratio": {"median": round(middle, 3), "least": round(min(ratios), 3), "most": round(max(ratios), 3)},
        "goal": {"sense": sense, "here": here, "later": later, "reached": reached},
    }


def _show(name: str, summary: dict[str, Any]) -> None:
    ratio, goal = summary["ratio"], summary["goal"]
    print(
        f"{name:8} product {summary['product']} reference {summary['reference']} {summary['unit']}\n"
        f"         ratio {ratio['median']} ({ratio['least']}–{ratio['most']}), goal {goal['sense']} {goal['here']}"
        f" (later {goal['later']}): {'reached' if goal['reached'] else 'NOT reached'}",
        flush=True,
    )


def _machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=[*CASES, "crypto"], help="one case; all without it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    words = parser.parse_args()
    if words.name == "crypto":
        _write(measure_cpu(quick=words.quick), words.json)
        return 0
    try:
        require()
    except SinkMissing as missing:
        print(f"bench: {missing} is missing: install the Debian package postfix", file=sys.stderr)
        return 3
    found = asyncio.run(measure([words.name] if words.name else [*CASES], quick=words.quick))
    if words.name is None:
        found["cases"] |= measure_cpu(quick=words.quick)["cases"]
    _write(found, words.json)
    return 0


def _write(found: dict[str, Any], path: Path | None) -> None:
    if path is not None:
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
