"""Points in time as the XML of confirmations writes them: xs:dateTime, in legal time (CO-10)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from demail_gateway.core.dates import from_legal_time, legal_time


def format_time(moment: datetime) -> str:
    """xs:dateTime in legal time with offset and seconds (CO-10)."""
    return legal_time(moment).isoformat(timespec="seconds")


def parse_time(text: str) -> tuple[datetime | None, bool]:
    """The moment of an xs:dateTime in UTC, or None; and whether it had a zone. Without one it is legal time (CO-10)."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None, True
    try:
        clock = _clock(match)
        if match["zone"] is None:
            return from_legal_time(clock), False
        return clock.replace(tzinfo=_zone(match["zone"])).astimezone(UTC), True
    except (ValueError, OverflowError):
        return None, True


_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)T(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:\.(?P<fraction>\d{1,12}))?(?P<zone>Z|[+-]\d\d:[0-5]\d)?",
    re.ASCII,
)


def _clock(match: re.Match[str]) -> datetime:
    hour, minute, second = (int(match[name]) for name in ("hour", "minute", "second"))
    # xs:dateTime writes midnight also as 24:00:00 of the day before
    midnight = (hour, minute, second) == (24, 0, 0)
    day = datetime(int(match["year"]), int(match["month"]), int(match["day"]), 0 if midnight else hour, minute, second)  # noqa: DTZ001  the zone is put in by the caller
    fraction = timedelta(microseconds=int((match["fraction"] or "0")[:6].ljust(6, "0")))
    return day + timedelta(days=midnight) + fraction


def _zone(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)
