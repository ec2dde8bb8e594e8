"""Pages of lists that are short enough to be read as a whole: `limit` and `cursor` as on every other list.

A cursor names its list, the last item shown and its place: the next page begins behind that item, or at its place
when it has gone meanwhile. It is opaque to clients and no secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api.render import json_response
from demail_gateway.core.errors import CursorInvalid

T = TypeVar("T")
Json = dict[str, Any]

Limit = Annotated[int, Query(ge=1, le=200, description="Most items of one page")]
LIMIT = 50


def page_response(
    request: Request, items: Sequence[T], item: Callable[[T], Json], limit: int, cursor: str | None
) -> Response:
    """One page of `items`, each written by `item`. Raises CursorInvalid: not given out by this list."""
    names = [_name(each) for each in map(item, items)]
    start = 0 if cursor is None else _start(request.url.path, cursor, names)
    end = start + limit
    following = _written(request.url.path, end, names[end - 1]) if end < len(items) else None
    return json_response({"items": [item(each) for each in items[start:end]], "next_cursor": following})


def _name(written: Json) -> str:
    """What tells an item from the others of its list: its id; a permission has none but what it permits."""
    own = written.get("id") or f"{written['client_id']} {written['address']}"
    return hashlib.sha256(own.encode("utf-8", "replace")).hexdigest()[:16]


def _start(path: str, cursor: str, names: Sequence[str]) -> int:
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError) as error:  # not ASCII, not base64, not UTF-8, not JSON
        raise CursorInvalid from error
    if not isinstance(parts, list) or [type(part) for part in parts] != [str, int, str]:
        raise CursorInvalid
    _, place, name = parts
    if not 0 < place < 1 << 31 or _written(path, place, name) != cursor:
        raise CursorInvalid
    return names.index(name) + 1 if name in names else place - 1


def _written(path: str, place: int, name: str) -> str:
    own = hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()[:16]
    return base64.urlsafe_b64encode(json.dumps([own, place, name]).encode("ascii")).decode("ascii").rstrip("=")
