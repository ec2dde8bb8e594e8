"""The tables of `docs/integration.md` say what the interface answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demail_gateway.api.catalogue import CATALOGUE
from demail_gateway.core.options import GERMAN, OPTION_NAMES, PROFILES
from demail_gateway.core.vocabulary import MessageState, RecipientState, UndeliverableReason
from demail_gateway.tenancy.scope import TENANT_SCOPES

PAGE = (Path(__file__).parents[2] / "docs" / "integration.md").read_text(encoding="utf-8")
_ERROR = re.compile(r"^\| `([a-z-]+)` \| (\d{3}) \| (\S+) \| (ja|nein) \| (.+?) \| (.+) \|$", re.MULTILINE)
ERRORS = {code: rest for code, *rest in _ERROR.findall(PAGE)}


def first_column() -> set[str]:
    """Everything in code font in the first column of any table."""
    return {
        name for row in re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }


def test_every_error_and_no_other_has_a_row() -> None:
    assert set(ERRORS) == set(CATALOGUE)


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_an_error_is_told_as_it_is_answered(code: str) -> None:
    entry = CATALOGUE[code]
    status, rule, retryable, title, advice = ERRORS[code]
    assert (int(status), rule) == (entry.status, entry.rule or "–")
    assert (retryable == "ja", title) == (entry.retryable, entry.title_de)
    assert advice.strip()


def test_every_state_scope_option_and_profile_is_explained() -> None:
    outbound = {str(state) for state in MessageState} - {"received", "acknowledged"}
    recipients = {str(state) for state in RecipientState}
    explained = first_column()
    assert explained >= outbound | recipients | {str(scope) for scope in TENANT_SCOPES}
    assert explained >= set(OPTION_NAMES) | set(PROFILES)
    assert all(f"`{reason}`" in PAGE for reason in UndeliverableReason)
    assert all(german in PAGE for german in GERMAN.values())


@pytest.mark.clause("SND-3")
def test_no_proof_is_said_to_show_that_a_message_was_read() -> None:
    for name in ("README.md", "docs/integration.md", "docs/operation.md"):
        page = (Path(__file__).parents[2] / name).read_text(encoding="utf-8")
        assert not re.search(r"\bgelesen\b", page)
