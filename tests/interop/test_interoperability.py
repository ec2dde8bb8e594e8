"""`docs/interoperability.md` says what is measured with the programs at hand."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.interop.cases import CASES
from tests.interop.matrix import NO, PARTNERS, YES, documented, measured, table, table_of

PAGE = Path(__file__).parents[2] / "docs" / "interoperability.md"
DOCUMENTED = documented(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [*PARTNERS])
def test_partner_understands_what_the_page_says(name: str) -> None:
    """Exactly that in CI, whose programs the page is about; elsewhere newer ones may understand more."""
    # not pytest's directory: the path of GnuPG's socket may have a hundred octets
    with tempfile.TemporaryDirectory() as directory:
        found = measured(name, Path(directory))
    if os.environ.get("CI"):
        assert found == DOCUMENTED[name], "python scripts/interoperability.py --write"
    for title, cell in DOCUMENTED[name].items():
        for was, now in zip(cell.split(" / "), found[title].split(" / "), strict=True):
            assert (was, now) != (YES, NO), title


def test_page_has_every_partner_and_case() -> None:
    assert [*DOCUMENTED] == [*PARTNERS]
    assert table(DOCUMENTED) == table_of(PAGE.read_text(encoding="utf-8"))
    for column in DOCUMENTED.values():
        assert [*column] == [case.title for case in CASES]
