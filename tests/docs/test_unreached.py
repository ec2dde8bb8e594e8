"""`docs/deviations.md` names what is built and not reached; whatever else stands in the product is used by it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "demail_gateway"
PAGE = (ROOT / "docs" / "deviations.md").read_text(encoding="utf-8")
_TABLE = PAGE[PAGE.index("**Built and tested, not reached") : PAGE.index("## 4. Announced for later")]
_ROW = re.compile(r"^\| `([a-z_/]+\.py)` \| ([^|]+?) \|", re.MULTILINE)
_NAME = re.compile(r"`([A-Za-z_0-9]+)`")
ROWS = dict(_ROW.findall(_TABLE))
NAMES = [(path, name) for path, what in ROWS.items() for name in _NAME.findall(what.partition(";")[0])]


def imported() -> set[str]:
    """Modules that another one of the package names in an import."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
            elif isinstance(node, ast.Import):
                found |= {each.name for each in node.names}
    return found


def modules() -> set[str]:
    """All but packages, and those that are started by name."""
    files = {path for path in PACKAGE.rglob("*.py") if not path.name.startswith("__")}
    return {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}


def test_a_module_that_nobody_imports_is_named() -> None:
    everything = {f"demail_gateway/{path}" for path, what in ROWS.items() if what.startswith("everything")}
    # by `python -m`
    started = {"demail_gateway.workers.periodic"}
    unused = {f"{name.replace('.', '/')}.py" for name in modules() - imported() - started}
    assert unused == everything


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_a_name_that_is_told_to_wait_is_there_and_used_by_nobody(path: str, name: str) -> None:
    word = re.compile(rf"\b{name}\b")
    assert len(word.findall((PACKAGE / path).read_text(encoding="utf-8"))) == 1
    # what a package exports is not yet used
    others = [each for each in PACKAGE.rglob("*.py") if each != PACKAGE / path and each.name != "__init__.py"]
    assert [str(each) for each in others if word.search(each.read_text(encoding="utf-8"))] == []


def test_the_table_is_read() -> None:
    assert len(ROWS) >= 5
    assert len(NAMES) >= 5
