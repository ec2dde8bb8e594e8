"""Are at least 95 % of the branches of `core` and `trust` run by the tests? Reads the data of `pytest --cov`.

python scripts/check_coverage.py         exit 1 where a part is below, with the files that lack most
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

LEAST = 0.95
PARTS = ("core", "trust")


def main() -> int:
    words = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-", "--include=demail_gateway/*"]
    report: dict[str, Any] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    return max(_judge(part, report["files"]) for part in PARTS)


def _judge(part: str, files: dict[str, Any]) -> int:
    mine = {name: each["summary"] for name, each in files.items() if name.startswith(f"demail_gateway/{part}/")}
    covered, branches = (sum(each[key] for each in mine.values()) for key in ("covered_branches", "num_branches"))
    share = covered / branches if branches else 0.0
    print(f"{part}: {covered} of {branches} branches, {share:.1%}")
    if share >= LEAST:
        return 0
    for name, each in sorted(mine.items(), key=lambda item: item[1]["covered_branches"] - item[1]["num_branches"])[:10]:
        print(f"  {name}: {each['covered_branches']} of {each['num_branches']}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
