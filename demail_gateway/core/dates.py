"""Points in time as messages write them: RFC 5322 dates, German legal time (gesetzliche Zeit).

Legal time is computed from the rule of the Zeitgesetz and Directive 2000/84/EC (since 1996), so that no time zone
database need be installed: summer time from the last Sunday of March to the last Sunday of October, 01:00 UTC each.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FIRST_YEAR, _LAST_YEAR = 1900, 9000
_STANDARD = timezone(timedelta(hours=1))
_SUMMER = timezone(timedelta(hours=2))
_DATE = re.compile(
    r"(?:(?P<day_name>Mon|Tue|Wed|Thu|Fri|Sat|Sun)\s*,\s*)?"
    r"(?P<day>\d{1,2})\s+(?P<month>[A-Za-z]{3})\s+(?P<year>\d{4})\s+"
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)\s+"
    r"(?:(?P<sign>[+-])(?P<zone_hour>\d\d)(?P<zone_minute>[0-5]\d)|GMT|UT|Z)"
    r"(?:\s*\([^()]*\))?",
    re.ASCII,
)


def legal_time(moment: datetime) -> datetime:
    """The same moment with the offset of Europe/Berlin. `moment` is aware."""
    at = moment.astimezone(UTC)
    begin, end = _changes(at.year)
    return at.astimezone(_SUMMER if begin <= at < end else _STANDARD)


def german_time(moment: datetime, form: str = "%d.%m.%Y %H:%M") -> str:
    """Legal time as German texts write it, to the minute unless `form` says otherwise."""
    return legal_time(moment).strftime(form)


def from_legal_time(clock: datetime) -> datetime:
    """The moment of a naive clock reading in Germany, in UTC; of a reading that occurs twice, the first."""
    for zone in (_SUMMER, _STANDARD):
        moment = clock.replace(tzinfo=zone)
        if legal_time(moment).utcoffset() == moment.utcoffset():
            return moment.astimezone(UTC)
    # a reading in the hour that is skipped in March
    return clock.replace(tzinfo=_STANDARD).astimezone(UTC)


def read_moment(text: str) -> datetime:
    """The moment that a machine wrote by RFC 3339, in UTC.

    Raises ValueError: none, one without time zone, or one so far away that nothing can be reckoned from it.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError("a moment of another age")
    return moment.astimezone(UTC)


def format_date(moment: datetime) -> str:
    """RFC 5322 date-time in legal time, to the second, e.g. ``Mon, 02 Mar 2026 09:14:05 +0100``."""
    local = legal_time(moment)
    name, month = _DAYS[local.weekday()], _MONTHS[local.month - 1]
    offset = "+0200" if local.tzinfo is _SUMMER else "+0100"
    return f"{name}, {local.day:02} {month} {local.year:04} {local:%H:%M:%S} {offset}"


def parse_date(value: str) -> datetime | None:
    """The moment of an RFC 5322 date-time in UTC; None if it is none, or has no seconds or no zone.

    The name of the day is not compared with the date.
    """
    match = _DATE.fullmatch(value)
    if match is None or match["month"].title() not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[name]) for name in ("day", "year", "hour", "minute", "second"))
    month = _MONTHS.index(match["month"].title()) + 1
    if second == 60:
        second = 59  # datetime knows no leap second
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=_zone(match)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _zone(match: re.Match[str]) -> timezone:
    minutes = int(match["zone_hour"] or 0) * 60 + int(match["zone_minute"] or 0)
    return timezone(timedelta(minutes=-minutes if match["sign"] == "-" else minutes))


def _changes(year: int) -> tuple[datetime, datetime]:
    return _last_sunday(year, 3), _last_sunday(year, 10)


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)
