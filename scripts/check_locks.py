"""Are the lock files what `pyproject.toml` asks for, and do they name packages and hashes alone?

    python scripts/check_locks.py            exit 1 where they are stale or carry a URL, a host or a path
    python scripts/check_locks.py --write    make them anew (present versions are kept where they still fit)

Both files are resolved anew with the present versions as the starting point; names, versions and markers must not
change. Hashes are not compared: a package gains one whenever its authors add a wheel for another machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME, DEVELOPMENT = "requirements.lock", "requirements-dev.lock"
EXTRAS = {
    RUNTIME: ["--extra", "build"],
    DEVELOPMENT: ["--extra", "embedded", "--extra", "build", "--group", "dev", "-c", RUNTIME],
}
_LINE = re.compile(
    r"[a-z0-9][a-z0-9._-]*==[^\s;]+( ; [^\\]+)?( \\)?"  # name==version ; marker \
    r"|    --hash=sha256:[0-9a-f]{64}( \\)?"
)


def main() -> int:
    """0 when both files are right, 1 when one is not."""
    if "--write" in sys.argv[1:]:
        for name in (RUNTIME, DEVELOPMENT):
            resolve(ROOT, name)
        return 0
    faults = [*foreign_lines(), *stale()]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def foreign_lines() -> list[str]:
    """Every line that is neither `name==version`, nor a hash: an index, a URL, a path would be such a line."""
    return [
        f"{name}:{number}: not a package and not a hash"
        for name in (RUNTIME, DEVELOPMENT)
        for number, line in enumerate((ROOT / name).read_text().splitlines(), start=1)
        if not _LINE.fullmatch(line)
    ]


def stale() -> list[str]:
    """What a new resolution would change."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for name in ("pyproject.toml", RUNTIME, DEVELOPMENT):
            shutil.copy(ROOT / name, copy / name)
        faults = []
        for name in (RUNTIME, DEVELOPMENT):
            resolve(copy, name)
            before, after = packages(ROOT / name), packages(copy / name)
            faults += [f"{name}: would lose {line}" for line in sorted(before - after)]
            faults += [f"{name}: would gain {line}" for line in sorted(after - before)]
        if faults:
            faults.append("the lock files are stale: python scripts/check_locks.py --write")
        return faults


def packages(lock: Path) -> set[str]:
    """Names, versions and markers of a lock file."""
    lines = (line.removesuffix(" \\") for line in lock.read_text().splitlines())
    return {line for line in lines if not line.startswith(" ")}


def resolve(directory: Path, name: str) -> None:
    """Write the lock file `name` in `directory` by the `pyproject.toml` there."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        sys.exit("uv is needed to resolve the lock files; ./run brings it")
    settings = ["--universal", "--no-config", "--generate-hashes", "--no-header", "--no-annotate"]
    words = [
        uv,
        "-q",
        "pip",
        "compile",
        *settings,
        "--python-version",
        "3.11",
        *EXTRAS[name],
        "pyproject.toml",
        "-o",
        name,
    ]
    if subprocess.run(words, cwd=directory, check=False).returncode != 0:
        sys.exit(f"{name} could not be resolved; without a package registry its freshness cannot be checked")


if __name__ == "__main__":
    sys.exit(main())
