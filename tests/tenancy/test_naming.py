"""What may be called how, by whoever names it."""

from __future__ import annotations

import pytest

from demail_gateway.core.errors import RuleViolation
from demail_gateway.tenancy.naming import NAME_CHARS, check_name, check_reason, check_slug


@pytest.mark.parametrize("slug", ["a", "7", "stadt-elbtal", "a" * 63, "a--b"])
def test_slugs(slug: str) -> None:
    check_slug(slug)


@pytest.mark.parametrize("slug", ["", "-a", "a-", "A", "ä", "a b", "a_b", "a" * 64, "a\n", "ten_x", "a/b", "a\0"])
def test_no_slugs(slug: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        check_slug(slug)
    (fault,) = caught.value.violations
    assert (fault.code, fault.pointer) == ("invalid-request", "/slug")


@pytest.mark.parametrize(("name", "good"), [("x" * NAME_CHARS, True), ("x" * (NAME_CHARS + 1), False), ("", False)])
def test_names_have_their_length(name: str, good: bool) -> None:
    if good:
        check_name(name)
    else:
        with pytest.raises(RuleViolation):
            check_name(name)


@pytest.mark.parametrize("text", ["a\nb", "a\x00", "\x1b[2J", "\u2028", "\udcff"])
def test_names_and_reasons_are_one_line(text: str) -> None:
    for check in (check_name, check_reason):
        with pytest.raises(RuleViolation):
            check(text)
