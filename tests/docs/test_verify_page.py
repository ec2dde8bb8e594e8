"""`docs/verify.md` names every check as reports do."""

from __future__ import annotations

import re
from pathlib import Path

from demail_gateway.application.explain.check_titles import TITLES
from demail_gateway.application.explain.report import FINDINGS
from demail_gateway.application.inspect import Kind
from demail_gateway.cli.verify import EXIT, UNUSABLE
from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation_report import Verdict

PAGE = (Path(__file__).parents[2] / "docs" / "verify.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([a-z-]+\.[0-9a-z-]+)` \| (.+) \|$", PAGE, re.MULTILINE))


def test_every_check_is_listed_with_its_title() -> None:
    assert {name: text.de for name, text in TITLES.items()} == ROWS


def test_what_is_wrong_with_a_writers_signature_is_explained() -> None:
    codes = {f"signature-{end}" for end in ("missing", "parts", "type", "unreadable")}
    assert {code for code in codes if f"`{code}`" in PAGE} == codes <= set(FINDINGS)


def test_every_kind_and_every_exit_code_is_explained() -> None:
    assert all(f"| `{kind}` |" in PAGE for kind in Kind)
    assert all(re.search(rf"^\| {code} \| ", PAGE, re.MULTILINE) for code in {*EXIT.values(), UNUSABLE})


def test_a_confirmation_with_remarks_passes_and_the_page_says_so() -> None:
    """CO-18 goes before the worst step."""
    assert Verdict.CONFIRMED_WITH_REMARKS.outcome is Outcome.PASSED
    assert EXIT[Outcome.PASSED] == 0
    assert "Fällt etwa Schritt 2, 5 oder 14 durch, so heißt das Urteil `confirmed-with-remarks`" in PAGE
