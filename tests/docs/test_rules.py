"""A rule that is quoted by number anywhere has its text in `docs/rules.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NUMBER = re.compile(r"\b(?:SND|ADR|DIR|GWT|LAW|MF|IN|CO|ID)-[1-9]\d{0,2}\b")
_ENTRY = re.compile(r"^\*\*([A-Z]+-\d+)\*\* \S", re.MULTILINE)


def quoting() -> Iterator[Path]:
    for directory in ("demail_gateway", "tests", "benchmarks", "migrations"):
        yield from (ROOT / directory).rglob("*.py")
    yield from (ROOT / "docs").rglob("*.md")
    yield from ROOT.glob("*.md")


def test_every_quoted_rule_has_its_text() -> None:
    explained = _ENTRY.findall((ROOT / "docs" / "rules.md").read_text(encoding="utf-8"))
    assert len(explained) == len(set(explained))
    unexplained = {
        f"{number} in {path.relative_to(ROOT)}"
        for path in quoting()
        for number in _NUMBER.findall(path.read_text(encoding="utf-8"))
        if number not in explained
    }
    assert unexplained == set()


def test_links_between_documents_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    broken = {
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in link.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    }
    assert broken == set()


def test_every_decision_record_is_in_the_index() -> None:
    directory = ROOT / "docs" / "decisions"
    index = (directory / "README.md").read_text(encoding="utf-8")
    records = {path.name for path in directory.glob("[0-9]*.md")}
    assert {name for name in records if f"({name})" not in index} == set()
