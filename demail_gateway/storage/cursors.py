"""Cursors of lists: opaque to clients, bound to their list, and no secret."""

from __future__ import annotations

import base64
import binascii
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
    try:
        found, at, row_id = _read(cursor)
        moment, identifier = datetime.fromisoformat(at), UUID(row_id)
    except (ValueError, TypeError) as error:
        raise CursorInvalid from error
    if found != name or moment.tzinfo is None:
        raise CursorInvalid
    return moment, identifier


def make_number_cursor(name: str, number: int) -> str:
    """Cursor of the list `name` behind the row `number`."""
    return _written([name, number])


def read_number_cursor(name: str, cursor: str) -> int:
    """Inverse of `make_number_cursor`. Raises CursorInvalid."""
    try:
        found, number = _read(cursor)
    except (ValueError, TypeError) as error:
        raise CursorInvalid from error
    if found != name or not isinstance(number, int) or not 0 <= number < 1 << 63:
        raise CursorInvalid
    return number


def _written(parts: list[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def _read(cursor: str) -> list[Any]:
    try:
        octets = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        parts = json.loads(octets)
    except (binascii.Error, UnicodeError, RecursionError) as error:
        raise ValueError("no cursor") from error
    if not isinstance(parts, list):
        raise ValueError("no cursor")
    return parts
