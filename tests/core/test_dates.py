"""RFC 5322 dates and German legal time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.dates import format_date, from_legal_time, legal_time, parse_date, read_moment

NAIVE_1997 = datetime(1997, 1, 1, tzinfo=UTC).replace(tzinfo=None)
NAIVE_2037 = datetime(2037, 12, 31, tzinfo=UTC).replace(tzinfo=None)
MOMENTS = st.datetimes(NAIVE_1997, NAIVE_2037).map(lambda at: at.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("year", "begin", "end"),
    [(1997, 30, 26), (2000, 26, 29), (2024, 31, 27), (2025, 30, 26), (2026, 29, 25), (2027, 28, 31), (2029, 25, 28)],
)
def test_summer_time_lasts_from_march_to_october(year: int, begin: int, end: int) -> None:
    second = timedelta(seconds=1)
    starts, ends = datetime(year, 3, begin, 1, tzinfo=UTC), datetime(year, 10, end, 1, tzinfo=UTC)
    offsets = [legal_time(at).utcoffset() for at in (starts - second, starts, ends - second, ends)]
    assert offsets == [timedelta(hours=hours) for hours in (1, 2, 2, 1)]


@given(MOMENTS)
def test_parsing_a_written_date_gives_the_second_again(moment: datetime) -> None:
    assert parse_date(format_date(moment)) == moment.replace(microsecond=0)


@given(MOMENTS)
def test_clock_reading_gives_the_moment_except_in_the_doubled_hour(moment: datetime) -> None:
    back = from_legal_time(legal_time(moment).replace(tzinfo=None))
    assert back in {moment, moment - timedelta(hours=1)}
    assert legal_time(back).replace(tzinfo=None) == legal_time(moment).replace(tzinfo=None)


def test_date_is_written_as_in_the_vectors() -> None:
    assert format_date(datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC)) == "Mon, 02 Mar 2026 09:14:05 +0100"
    assert format_date(datetime(2026, 7, 1, 22, 0, 0, tzinfo=UTC)) == "Thu, 02 Jul 2026 00:00:00 +0200"


def test_skipped_hour_is_read_as_standard_time() -> None:
    clock = datetime(2026, 3, 29, 2, 30, tzinfo=UTC).replace(tzinfo=None)
    assert from_legal_time(clock) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2 Mar 2026 09:14:05 GMT", datetime(2026, 3, 2, 9, 14, 5, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 09:14:05 +0100 (CET)", datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC)),
        ("Mon, 02 MAR 2026 09:14:05 -0130", datetime(2026, 3, 2, 10, 44, 5, tzinfo=UTC)),
        ("Sat, 31 Dec 2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 09:14 +0100", None),
        ("Mon, 02 Mar 2026 09:14:05", None),
        ("Mon, 30 Feb 2026 09:14:05 +0100", None),
        ("Mon, 02 Mrz 2026 09:14:05 +0100", None),
        ("Mon, 02 Mar 2026 09:14:61 +0100", None),
        ("Mon, 02 Mar 2026 09:14:05 +9900", None),
        ("Mon, 01 Jan 0001 00:00:00 +0100", None),
        ("02.03.2026", None),
        ("", None),
    ],
)
def test_dates_of_others(value: str, moment: datetime | None) -> None:
    assert parse_date(value) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T09:14:05+01:00", datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC)),
        ("2026-03-02T08:14:05Z", datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC)),
        *(
            (text, None)
            for text in ("", "x", "2026-03-02T09:14:05", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59")
        ),
    ],
)
def test_moments_of_machines(text: str, expected: datetime | None) -> None:
    if expected is not None:
        assert read_moment(text) == expected
        return
    with pytest.raises(ValueError, match=r"moment|isoformat"):
        read_moment(text)
