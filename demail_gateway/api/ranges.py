"""Content with ranges (RFC 9110 §14), always as a download and never for a browser to run."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api.problems import Problem

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def content_response(request: Request, octets: bytes, media_type: str, filename: str) -> Response:
    """The whole (200), the one range asked for (206), or Problem(range-not-satisfiable) past the end.

    Several ranges at once, and what is no byte range, are answered with the whole, as RFC 9110 §14.2 permits.
    """
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(filename.encode('utf-8', 'replace'), safe='')}",
        # content of strangers: a browser that opens it in spite of all runs nothing
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    span = byte_range(request.headers.get("range"), len(octets))
    if span is None:
        return Response(octets, 200, headers, _safe(media_type))
    start, end = span
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(octets)}"
    return Response(octets[start:end], 206, headers, _safe(media_type))


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First octet and the one after the last, or None for the whole.

    Raises:
        Problem: range-not-satisfiable.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = int(match[2])
        start, end = max(size - length, 0), size
        satisfiable = length > 0 and size > 0
    else:
        start = int(match[1])
        end = min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None  # invalid, so to be ignored (§14.1.1)
        satisfiable = start < size
    if not satisfiable:
        raise Problem("range-not-satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return start, end


_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+(; *[ -~]*)?", re.ASCII)


def _safe(media_type: str) -> str:
    """A media type that can stand in a header: inbound ones are whatever a stranger wrote."""
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
