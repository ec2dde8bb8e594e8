"""Measures with the programs at hand what others understand of our CMS, and we of theirs.

python scripts/interoperability.py            prints the table
python scripts/interoperability.py --write    puts it into docs/interoperability.md

All partners must be installed (`.ci/run` says how). The test in tests/interop compares the page with what it measures.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "interoperability.md"

sys.path.insert(0, str(ROOT))

from tests.interop.matrix import BEGIN, END, PARTNERS, measured, table  # noqa: E402  needs the path above


def main() -> int:
    columns = {}
    for name in PARTNERS:
        with tempfile.TemporaryDirectory() as directory:
            columns[name] = measured(name, Path(directory))
    found = table(columns)
    print(found)
    if "--write" in sys.argv[1:]:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{found}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
