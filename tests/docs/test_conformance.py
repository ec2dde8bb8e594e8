"""`docs/conformance.md` says what the markers of the tests say, and passes over nothing that the guideline asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.conformance import PAGE, Clause, Part, faults, numbers, page, read_markers, read_parts

ROOT = Path(__file__).parents[2]
DEVIATIONS = (ROOT / "docs" / "deviations.md").read_text(encoding="utf-8")
PARTS = read_parts()
SHOWN = read_markers(ROOT / "tests")


def part(**members: object) -> Part:
    return Part("TR 01201-3.4", "x", (Clause("§1", "t", **members),))  # type: ignore[arg-type]


def test_every_clause_has_a_test_or_a_reason() -> None:
    assert faults(PARTS, SHOWN) == []


def test_the_page_is_what_the_markers_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(PARTS, SHOWN)


def test_every_step_and_function_of_the_guideline_is_there() -> None:
    (steps,) = (each for each in PARTS if each.name == "TR 01201-3.1")
    listed = {clause.number for clause in steps.clauses}
    assert listed >= {f"step {n}" for n in range(1, 92)} | {f"function {n}" for n in range(1, 15)}
    assert all(re.fullmatch(r"(step|function) \d+( FC-\d\d)?", number) for number in listed)


def test_every_section_of_the_formats_is_there() -> None:
    (formats,) = (each for each in PARTS if each.name == "TR 01201-3.4")
    sections = {clause.number.split(" ")[0] for clause in formats.clauses}
    headers = {f"§3.1.{n}" for n in range(1, 23)}
    assert sections >= headers | {"§2.1", "§3.2", "§3.3", "§3.4", "§3.4.1", "§3.5.1", "§3.5.2", "§3.5.3", "§3.6", "§4"}


@pytest.mark.parametrize(
    "number",
    sorted({f"{each.name[9:]} {c.number.split(' FC')[0]}" for each in PARTS for c in each.clauses if c.open}),
)
def test_what_is_open_stands_among_the_deviations(number: str) -> None:
    assert number in DEVIATIONS


@pytest.mark.parametrize(
    ("members", "shown", "fault"),
    [
        ({"by": ("core",)}, False, "no test shows it"),
        ({"not_ours": "x"}, True, "a test shows it, and yet it is said to be not ours or open"),
        ({"open": "x"}, True, "a test shows it, and yet it is said to be not ours or open"),
        ({"by": ("core",), "open": "x"}, True, "must have exactly one of by, not_ours, open"),
        ({}, True, "must have exactly one of by, not_ours, open"),
        ({"by": ("somebody",)}, True, "by: only gateway, core, sandbox"),
    ],
)
def test_a_clause_that_is_not_settled_once_is_a_fault(members: dict[str, object], shown: bool, fault: str) -> None:
    assert f"TR 01201-3.4 §1: {fault}" in faults([part(**members)], {"TR 01201-3.4 §1": ("a",)} if shown else {})


@pytest.mark.parametrize("number", ["TR 01201-3.4 §9.9", "TR 01201-3.1 step 92", "some rule"])
def test_a_marker_that_names_no_clause_is_a_fault(number: str) -> None:
    found = faults(PARTS, {**SHOWN, number: ("core/test_x.py::test_y",)})
    assert found == [f"{number}: no clause or rule of this name (core/test_x.py::test_y)"]


def test_ranges_name_each_step() -> None:
    assert numbers("TR 01201-3.1 steps 2–4, 9") == [f"TR 01201-3.1 step {n}" for n in (2, 3, 4, 9)]
    assert numbers("TR 01201-3.1 step 48 FC-04") == ["TR 01201-3.1 step 48 FC-04"]
    assert numbers("TR 01201-3.4 §3.1.21 a") == ["TR 01201-3.4 §3.1.21 a"]


def test_markers_of_functions_classes_and_modules_count(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "pytestmark = [pytest.mark.clause('SND-1')]\n"
        "@pytest.mark.clause('SND-2')\nclass TestA:\n    @mark.clause('SND-3')\n    async def test_a(self): ...\n"
        "@pytest.mark.clause('SND-4', 'SND-5')\ndef test_b(): ...\n"
        "@pytest.mark.clause('SND-6')\ndef no_test(): ...\n",
        encoding="utf-8",
    )
    shown = read_markers(tmp_path)
    assert {number: [test.split("::")[1] for test in tests] for number, tests in shown.items()} == {
        "SND-1": ["test_a", "test_b"],
        "SND-2": ["test_a"],
        "SND-3": ["test_a"],
        "SND-4": ["test_b"],
        "SND-5": ["test_b"],
    }
