"""Limits: the smallest holds, and sizes as transmitted are exact."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.limits import GUIDELINE, GUIDELINE_NORMAL, MIB, Limits, base64_size, smallest_of

some_limits = st.builds(Limits, *[st.none() | st.integers(0, 100)] * 6)


@pytest.mark.clause("TR 01201-3.4 §3.1.17 length")
def test_the_guideline_allows_20_mib_net_45_gross_and_1024_characters() -> None:
    assert (GUIDELINE.net_bytes, GUIDELINE.gross_bytes, GUIDELINE.reference_chars) == (20 * MIB, 45 * MIB, 1024)


@pytest.mark.clause("TR 01201-3.1 step 26")
def test_level_normal_allows_100_messages_to_300_recipients_a_day() -> None:
    assert (GUIDELINE_NORMAL.messages_per_day, GUIDELINE_NORMAL.recipients_per_day) == (100, 300)


def test_the_smallest_of_guideline_contract_and_policy_holds() -> None:
    contract, policy = Limits(net_bytes=25 * MIB, gross_bytes=30 * MIB), Limits(net_bytes=10 * MIB, recipients=5)
    smallest = smallest_of(GUIDELINE, contract, policy)
    assert smallest == Limits(net_bytes=10 * MIB, gross_bytes=30 * MIB, reference_chars=1024, recipients=5)


@given(some_limits, some_limits, some_limits)
def test_the_order_of_parties_does_not_matter(a: Limits, b: Limits, c: Limits) -> None:
    assert smallest_of(a, b, c) == smallest_of(c, a, b) == smallest_of(a, smallest_of(b, c))


@given(some_limits)
def test_a_party_without_limits_changes_nothing(limits: Limits) -> None:
    assert smallest_of(limits, Limits()) == limits


@given(st.binary(max_size=400))
def test_base64_size_is_that_of_the_encoded_lines(data: bytes) -> None:
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    assert base64_size(len(data)) == len(encoded)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        base64_size(-1)
