"""Cursors of lists: opaque to clients, bound to their list, and no secret.

Only what was written here is read: any other spelling of the same position is refused, so that nothing which a
database cannot compare gets that far.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.core.errors import CursorInvalid


def make_cursor(name: str, at: datetime, row_id: UUID) -> str:
    """Cursor of the list `name` behind the row (`at`, `row_id`)."""
    return _written([name, at.isoformat(), str(row_id)])


def read_cursor(name: str, cursor: str) -> tuple[datetime, UUID]:
    """Inverse of `make_cursor`.

    Raises:
        CursorInvalid: this list did not give it out.
    """
    at, row_id = _read(name, cursor, (str, str))
    try:
        moment, identifier = datetime.fromisoformat(at), UUID(row_id)
    except ValueError as error:
        raise CursorInvalid from error
    if not moment.tzinfo or moment.utcoffset() or make_cursor(name, moment, identifier) != cursor:
        raise CursorInvalid
    return moment, identifier


def make_number_cursor(name: str, number: int) -> str:
    """Cursor of the list `name` behind the row `number`."""
    return _written([name, number])


def read_number_cursor(name: str, cursor: str) -> int:
    """Inverse of `make_number_cursor`. Raises CursorInvalid."""
    (number,) = _read(name, cursor, (int,))
    if not 0 <= number < 1 << 63 or make_number_cursor(name, number) != cursor:
        raise CursorInvalid
    return int(number)


def _written(parts: list[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def _read(name: str, cursor: str, types: tuple[type, ...]) -> list[Any]:
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError) as error:  # not ASCII, not base64, not UTF-8, not JSON
        raise CursorInvalid from error
    if not isinstance(parts, list) or [type(part) for part in parts] != [str, *types] or parts[0] != name:
        raise CursorInvalid
    return parts[1:]
