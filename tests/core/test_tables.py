"""The guideline's tables, kept beside the tests, against the product's data and answers: MF-5, MF-31, tables 1, 26."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demail_gateway.core.findings import SEVERITIES, SUBMISSION_ERRORS, Severity, finding
from demail_gateway.core.header import Header, HeaderField
from demail_gateway.core.integrity_field import HEADER_LIST, ONLY_IF_PRESENT
from demail_gateway.core.matrix import KNOWN_VERSIONS, MATRIX, InTransit, matrix_findings
from demail_gateway.core.vocabulary import MessageClass
from tests.core.test_checker import CASES, OUTSIDE_THE_CASES

TABLES = Path(__file__).parent / "tables"


def rows(name: str) -> list[list[str]]:
    """Cells of the only table of a page, without its head."""
    lines = [line for line in (TABLES / name).read_text("utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def codes() -> dict[str, str]:
    """Code → severity as the table gives it: one for each code of a row, or one for all, or ``E, last W``."""
    found: dict[str, str] = {}
    for names, severities, _ in rows("check-codes.md"):
        listed = re.split(r"[,/] ?", names.replace(" / ", ","))
        given = re.findall(r"\b[EW]\b", severities.partition("(")[0] if "submission" in severities else severities)
        each = given if len(given) == len(listed) else [given[0]] * len(listed)
        if "last" in severities:
            each[-1] = given[-1]
        found.update(zip(listed, each, strict=True))
    return found


def test_codes_and_severities_are_those_of_the_table() -> None:
    letters = {Severity.ERROR: "E", Severity.WARNING: "W"}
    assert {code: letters[severity] for code, severity in SEVERITIES.items()} == codes()


def test_what_is_an_error_in_a_draft_alone_is_what_the_table_says() -> None:
    marked = {row[0] for row in rows("check-codes.md") if "E on submission" in row[1]}
    assert {code for names in marked for code in names.split(", ")} & SUBMISSION_ERRORS == SUBMISSION_ERRORS
    assert all(finding(code, submission=True).severity is Severity.ERROR for code in SUBMISSION_ERRORS)


def test_every_code_has_a_message_that_shows_it() -> None:
    shown = {code.split(" ")[0] for *_, expected in CASES for code in expected} | OUTSIDE_THE_CASES
    assert shown == set(codes())


def names_of(row: list[str]) -> list[str]:
    return row[1].lower().split(", ")


def test_the_matrix_has_the_rows_of_the_table_in_its_order() -> None:
    listed = [(int(row[0]), name) for row in rows("header-matrix.md") for name in names_of(row)]
    assert [(row.number, row.header) for row in MATRIX] == listed


@pytest.mark.parametrize("row", rows("header-matrix.md"), ids=lambda row: row[0])
def test_who_sets_a_field_what_covers_it_and_what_sending_on_does_are_those_of_the_table(row: list[str]) -> None:
    _, _, german, *_, sent_on, set_by, in_hash = row
    for mine in (each for each in MATRIX if str(each.number) == row[0]):
        assert german.startswith(mine.german)
        assert set_by.startswith(mine.set_by)
        assert in_hash.startswith("yes") is mine.covered
        assert (mine.header in {name.lower() for name in HEADER_LIST}) is mine.covered
        if sent_on.startswith("orig") or "MF-4" in sent_on:
            assert mine.in_transit is InTransit.KEPT
        elif "rewritten" in sent_on:
            assert mine.in_transit is InTransit.REWRITTEN
        else:
            assert mine.in_transit in (InTransit.ADDED, InTransit.SET_ANEW)
    assert (row[1] == ONLY_IF_PRESENT) is (in_hash == "yes, if present")


def since(name: str) -> str:
    """The first version that has the field (table 26)."""
    for field, *marks in rows("versions.md"):
        if field.lower() == name:
            return next(version for version, mark in zip(KNOWN_VERSIONS, marks, strict=True) if mark.startswith("x"))
    return KNOWN_VERSIONS[0]


def test_the_known_versions_are_those_of_the_table() -> None:
    (values,) = [row[1:] for row in rows("versions.md") if "value of" in row[0]]
    assert tuple(values) == KNOWN_VERSIONS


def cell(row: list[str], message_class: MessageClass) -> str:
    return row[3 + list(MessageClass).index(message_class)]


@pytest.mark.clause("TR 01201-3.4 §3.1.1 table 1", "TR 01201-3.4 §4")
@pytest.mark.parametrize("version", [*KNOWN_VERSIONS, "9.9"])
@pytest.mark.parametrize("message_class", list(MessageClass))
@pytest.mark.parametrize("row", rows("header-matrix.md"), ids=lambda row: row[0])
def test_each_cell_of_the_matrix_holds_in_each_version(
    row: list[str], message_class: MessageClass, version: str
) -> None:
    """A section with every field, and without this one: what is said of it is what the cell and the version say."""
    every = [HeaderField(f"{each.header}: x\r\n".encode()) for each in MATRIX]
    for name in names_of(row):
        present = codes_about(name, Header(tuple(every)), message_class, version)
        absent = codes_about(name, Header(tuple(f for f in every if f.lower != name)), message_class, version)
        rules = version if version in KNOWN_VERSIONS else KNOWN_VERSIONS[-1]
        exists = KNOWN_VERSIONS.index(rules) >= KNOWN_VERSIONS.index(since(name))
        mark = cell(row, message_class)
        assert present == ({"header-forbidden"} if mark.startswith("–") else set())
        assert absent == ({"header-missing"} if mark.startswith("M!") and exists else set())


def codes_about(name: str, header: Header, message_class: MessageClass, version: str) -> set[str]:
    return {item.code for item in matrix_findings(header, message_class, version) if item.header == name}
