"""Cursors: what was given out is read again, and nothing else."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demail_gateway.core.errors import CursorInvalid
from demail_gateway.storage.cursors import make_cursor, make_number_cursor, read_cursor, read_number_cursor

AT = datetime(2026, 11, 24, 10, 0, 0, 123, tzinfo=UTC)
ROW = UUID("01990000-0000-7000-8000-000000000000")
moments = st.datetimes(timezones=st.just(UTC))


def written(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


@given(moments, st.uuids())
@settings(max_examples=50)
def test_reading_is_the_inverse_of_making(at: datetime, row: UUID) -> None:
    assert read_cursor("messages", make_cursor("messages", at, row)) == (at, row)


@given(st.integers(0, (1 << 63) - 1))
@settings(max_examples=50)
def test_reading_a_number_is_the_inverse_of_making(number: int) -> None:
    assert read_number_cursor("journal", make_number_cursor("journal", number)) == number


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda octets: base64.urlsafe_b64encode(octets).decode()))
@settings(max_examples=200)
def test_anything_else_is_refused_by_one_error(cursor: str) -> None:
    for read in (read_cursor, read_number_cursor):
        with pytest.raises(CursorInvalid):
            read("messages", cursor)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(json_values | st.lists(json_values, min_size=2, max_size=2).map(lambda rest: ["messages", *rest]))
@settings(max_examples=200)
def test_any_other_json_is_refused(value: object) -> None:
    with pytest.raises(CursorInvalid):
        read_cursor("messages", written(value))


@pytest.mark.parametrize(
    "parts",
    [
        ["messages", AT.isoformat(), 5],
        ["messages", 5, str(ROW)],
        ["messages", "2026-11-24T10:00:00", str(ROW)],
        ["messages", AT.astimezone(timezone(timedelta(hours=1))).isoformat(), str(ROW)],
        ["messages", "0001-01-01T00:00:00+14:00", str(ROW)],
        ["messages", "20261124T100000+0000", str(ROW)],
        ["messages", AT.isoformat(), f"{{{ROW}}}"],
        ["messages", AT.isoformat(), ROW.hex],
        ["tenants", AT.isoformat(), str(ROW)],
        ["messages", AT.isoformat(), str(ROW), "more"],
    ],
)
def test_other_spelling_of_a_position_is_refused(parts: list[object]) -> None:
    with pytest.raises(CursorInvalid):
        read_cursor("messages", written(parts))


@pytest.mark.parametrize("number", [-1, 1 << 63, True, 1.0, "1", None])
def test_number_of_another_kind_or_range_is_refused(number: object) -> None:
    with pytest.raises(CursorInvalid):
        read_number_cursor("journal", written(["journal", number]))


@pytest.mark.parametrize("change", [lambda c: c + "=", lambda c: c + "A", lambda c: c[:-1], lambda c: " " + c])
def test_tampered_cursor_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(CursorInvalid):
        read_cursor("messages", change(make_cursor("messages", AT, ROW)))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(CursorInvalid):
        read_cursor("messages", base64.urlsafe_b64encode(b"[" * 100_000).decode())
