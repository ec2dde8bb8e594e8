"""`docs/conformance.md`: which tests show which step or clause of TR 01201, made from the tests' markers.

    python scripts/conformance.py            exit 1 where a clause has neither test nor reason, or the page is stale
    python scripts/conformance.py --write    make the page anew

The clauses stand in `tests/conformance/clauses_*.toml`. A test shows one by
`@pytest.mark.clause("TR 01201-3.4 §3.1.5")`, several by `clause("TR 01201-3.1 steps 12–14, 17", "SND-11")`.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "conformance.md"
DATA = ROOT / "tests" / "conformance"
PLAYERS = ("gateway", "core", "sandbox")
_STEPS = re.compile(r"(TR 01201-3\.1) steps? (\d+(?:[–-]\d+)?(?:, \d+(?:[–-]\d+)?)*)( FC-\d\d)?")
_RULE = re.compile(r"(?:SND|ADR|DIR|GWT|LAW|MF|IN|CO|ID)-[1-9]\d{0,2}")
_OTHER_PARTS = re.compile(r"TR 01201-(?!3\.4)\d\.\d §\d+(?:\.\d+)*")

Shown = Mapping[str, tuple[str, ...]]
"""Full number of a clause → tests that show it, as ``core/test_x.py::test_y``."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One step or clause: played by us and shown by tests, not ours for a reason, or open."""

    number: str
    title: str
    by: tuple[str, ...] = ()
    not_ours: str | None = None
    open: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the guideline."""

    name: str
    title: str
    clauses: tuple[Clause, ...]


def main() -> int:
    """0 when every clause is settled and the page is what the markers say."""
    parts, shown = read_parts(), read_markers(ROOT / "tests")
    found = faults(parts, shown)
    text = page(parts, shown)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        found.append("docs/conformance.md is stale: python scripts/conformance.py --write")
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


def read_parts(directory: Path = DATA) -> tuple[Part, ...]:
    """What the guideline asks for, in its order."""
    return tuple(_part(tomllib.loads(path.read_text(encoding="utf-8"))) for path in sorted(directory.glob("*.toml")))


def read_markers(tests: Path) -> Shown:
    """Which tests say that they show what; ranges of steps are spelt out."""
    shown: dict[str, list[str]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        for test, marker in _marked(ast.parse(path.read_text(encoding="utf-8"))):
            for number in numbers(marker):
                shown.setdefault(number, []).append(f"{path.relative_to(tests)}::{test}")
    return {number: tuple(dict.fromkeys(found)) for number, found in shown.items()}


def numbers(marker: str) -> list[str]:
    """The single clauses that a marker's text names."""
    match = _STEPS.fullmatch(marker)
    if match is None:
        return [marker]
    return [f"{match[1]} step {step}{match[3] or ''}" for each in match[2].split(", ") for step in _range(each)]


def faults(parts: Iterable[Part], shown: Shown) -> list[str]:
    """What is wrong, a line each: nothing settled, or settled twice, or a marker that names no clause."""
    found, known = [], set()
    for part in parts:
        for clause in part.clauses:
            number = f"{part.name} {clause.number}"
            known.add(number)
            found += [f"{number}: {fault}" for fault in _faults(clause, number in shown)]
    strangers = (n for n in shown if n not in known and not _RULE.fullmatch(n) and not _OTHER_PARTS.fullmatch(n))
    return found + [f"{number}: no clause or rule of this name ({shown[number][0]})" for number in strangers]


def page(parts: Iterable[Part], shown: Shown) -> str:
    """The page in Markdown."""
    return "\n".join([_HEAD, *(line for part in parts for line in _section(part, shown))]) + "\n"


_HEAD = """# Conformance: what shows that the guideline is kept

Made by `scripts/conformance.py` from the markers of the tests; do not edit. The numbers are the guideline's; titles,
and words behind a section that makes several demands, are ours. *By* says which part of this repository plays a step
or bears a clause: the **gateway**, the **sandbox** as a provider, or **core**, the formats that both use. **not ours**
and **open** give the reason; what is open also stands in [deviations.md](deviations.md), rules by number in
[rules.md](rules.md)."""


def _part(document: Mapping[str, Any]) -> Part:
    clauses = (_clause(number, each, document["reasons"]) for number, each in document["clauses"].items())
    return Part(document["part"], document["title"], tuple(clauses))


def _clause(number: str, each: Mapping[str, str], reasons: Mapping[str, str]) -> Clause:
    not_ours = each.get("not_ours")
    by = tuple(each["by"].split(", ")) if "by" in each else ()
    reason = None if not_ours is None else reasons.get(not_ours, not_ours)
    return Clause(number, each["title"], by, reason, each.get("open"), each.get("note"))


def _faults(clause: Clause, is_shown: bool) -> Iterator[str]:
    if sum(map(bool, (clause.by, clause.not_ours, clause.open))) != 1:
        yield "must have exactly one of by, not_ours, open"
    if set(clause.by) - set(PLAYERS):
        yield f"by: only {', '.join(PLAYERS)}"
    if clause.by and not is_shown:
        yield "no test shows it"
    if not clause.by and is_shown:
        yield "a test shows it, and yet it is said to be not ours or open"


def _marked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Name of each test with each marker's text, also of those that its class or module carries."""
    own = [text for node in tree.body if _is_pytestmark(node) for text in _texts(node)]
    for node in tree.body:
        of_class = [text for d in node.decorator_list for text in _texts(d)] if isinstance(node, ast.ClassDef) else []
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        for each in inside:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_"):
                yield from ((each.name, text) for d in each.decorator_list for text in _texts(d))
                yield from ((each.name, text) for text in (*of_class, *own))


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets)


def _texts(node: ast.AST) -> Iterator[str]:
    """Arguments of every `….clause(…)` below."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "clause":
            yield from (a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def _range(text: str) -> range:
    first, _, last = text.replace("–", "-").partition("-")
    return range(int(first), int(last or first) + 1)


def _section(part: Part, shown: Shown) -> Iterator[str]:
    yield from ("", f"## {part.name}, {part.title}", "", _count(part), "")
    yield from ("| Clause | What | By | Shown by |", "|---|---|---|---|")
    for clause in part.clauses:
        by, why = _settled(clause, shown.get(f"{part.name} {clause.number}", ()))
        yield f"| {clause.number} | {clause.title} | {by} | {why} |"


def _count(part: Part) -> str:
    ours, foreign = (sum(map(bool, kind)) for kind in zip(*((c.by, c.not_ours) for c in part.clauses), strict=True))
    return f"{len(part.clauses)} clauses: {ours} shown, {foreign} not ours, {len(part.clauses) - ours - foreign} open."


def _settled(clause: Clause, tests: tuple[str, ...]) -> tuple[str, str]:
    if clause.by:
        lines = [f"`{test}`" for test in tests] + ([clause.note] if clause.note else [])
        return ", ".join(clause.by), "<br>".join(lines)
    return ("**not ours**", clause.not_ours) if clause.not_ours else ("**open**", clause.open or "")


if __name__ == "__main__":
    sys.exit(main())
