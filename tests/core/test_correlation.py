"""Correlation by the keys of CO-16."""

from __future__ import annotations

from uuid import UUID

import pytest

from demail_gateway.core.correlation import KEYS, Correlation, correlate

ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize("key", KEYS)
def test_each_key_alone_assigns(key: str) -> None:
    assert correlate({key: ONE}) == Correlation(ONE, key)


def test_the_first_key_in_order_is_named() -> None:
    found = {"internet_message_id": ONE, "demail_message_id": ONE, "private_id": ONE}
    assert correlate(found) == Correlation(ONE, "private_id")


def test_contradicting_keys_assign_nothing() -> None:
    assert correlate({"private_id": ONE, "demail_message_id": TWO}) == Correlation(None, finding="correlation-conflict")


def test_nothing_found_assigns_nothing() -> None:
    assert correlate({}) == Correlation(None, finding="correlation-none")


def test_subject_sender_and_date_never_assign() -> None:
    """SND-46."""
    assert correlate({"subject": ONE, "sender": ONE, "date": ONE}).copy_id is None
