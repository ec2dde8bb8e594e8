"""GWT-23: secrets and the growing lock."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.tenancy.credentials import lock_after, secret_digest, secret_matches, secret_text


@given(st.binary(min_size=32, max_size=32))
def test_a_secret_matches_its_digest_and_no_other(random: bytes) -> None:
    secret = secret_text(random)
    assert secret_matches(secret, secret_digest(secret))
    assert not secret_matches(secret + "x", secret_digest(secret))


def test_a_lone_surrogate_in_a_secret_is_merely_wrong() -> None:
    assert not secret_matches("\ud800", secret_digest("x"))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_has_exactly_32_octets(size: int) -> None:
    with pytest.raises(ValueError, match="32 octets"):
        secret_text(bytes(size))


@pytest.mark.clause("GWT-23")
def test_the_third_wrong_secret_locks_and_the_lock_grows_up_to_a_day() -> None:
    assert [lock_after(n) for n in (0, 1, 2)] == [None, None, None]
    grown = [lock_after(n) for n in range(3, 40)]
    assert grown[0] == timedelta(seconds=30)
    assert grown[1] == timedelta(seconds=60)
    assert grown == sorted(grown)  # type: ignore[type-var]
    assert grown[-1] == timedelta(hours=24)
