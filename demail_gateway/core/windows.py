"""Octets that lie elsewhere, a file for instance, searched and read in windows: only one window is in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import overload

ReadAt = Callable[[int, int], bytes]
"""Offset and number of octets → exactly those octets, fewer only at the end."""

WINDOW_OCTETS = 256 * 1024
_BACK_OCTETS = 2


class Windows:
    """Octets with the searching and slicing of `bytes`, as far as reading a message needs them.

    `size_bytes` octets from `offset` on. With `lf_is_line_end` the octets have LF alone as line end (IN-16): positions
    are those of the octets as they lie there, and `chunks` gives them with CRLF. Short slices are cheap near the last
    one taken; a slice is copied into memory, so large stretches are for `chunks`.

    Raises, in every method, what `read_at` raises, and OSError if it gives fewer octets than there were.
    """

    __slots__ = ("_end", "_lf_is_line_end", "_offset", "_read_at", "_window", "_window_at", "_window_octets")

    def __init__(
        self,
        size_bytes: int,
        read_at: ReadAt,
        *,
        offset: int = 0,
        lf_is_line_end: bool = False,
        window_octets: int = WINDOW_OCTETS,
    ) -> None:
        self._read_at = read_at
        self._offset, self._end = offset, offset + size_bytes
        self._lf_is_line_end = lf_is_line_end
        self._window_octets = window_octets
        self._window, self._window_at = b"", 0

    def __len__(self) -> int:
        return self._end - self._offset

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, int):
            position = range(len(self))[key]
            return self._octets(position, position + 1)[0]
        start, end, _ = key.indices(len(self))
        return self._octets(start, max(start, end))

    def startswith(self, mark: bytes, start: int = 0, end: int | None = None) -> bool:
        """As ``bytes.startswith``."""
        end = len(self) if end is None else min(end, len(self))
        return start + len(mark) <= end and self._octets(start, start + len(mark)) == mark

    def find(self, mark: bytes, start: int = 0, end: int | None = None) -> int:
        """As ``bytes.find``, for a mark that is not empty."""
        end = len(self) if end is None else min(end, len(self))
        while start + len(mark) <= end:
            window, window_at = self._window_with(start, len(mark))
            found = window.find(mark, start - window_at, min(end - window_at, len(window)))
            if found >= 0:
                return window_at + found
            # the next search begins where a mark across the border would begin
            start = window_at + len(window) - len(mark) + 1
        return -1

    def matches(
        self, pattern: re.Pattern[bytes], longest: int, start: int, end: int
    ) -> Iterator[tuple[int, re.Match[bytes]]]:
        """Matches as of ``pattern.finditer(octets[start:end])``, each with the position to which its own are relative.

        `longest`: no match has more octets, together with what the pattern looks at behind it. Two windows and twice
        `longest` are in memory.
        """
        window, window_at = b"", start
        while True:
            fetched = window_at + len(window)
            window += self._fetch(fetched, max(0, min(self._window_octets + longest, end - fetched)))
            is_last = window_at + len(window) >= end
            # what begins behind this place may not be here to its end
            cut = len(window) if is_last else len(window) - longest + 1
            for match in pattern.finditer(window):
                if match.start() >= cut and not is_last:
                    break
                yield window_at, match
                cut = max(cut, match.end())
            if is_last:
                return
            window, window_at = window[cut:], window_at + cut

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The octets from `start` to `end` in pieces, with CRLF as line ends."""
        end = len(self) if end is None else end
        while start < end:
            piece = self._fetch(start, min(self._window_octets, end - start))
            start += len(piece)
            yield piece.replace(b"\n", b"\r\n") if self._lf_is_line_end else piece

    def behind(self, start: int, *, lf_is_line_end: bool) -> Windows:
        """The octets from `start` to the end as Windows of their own."""
        return Windows(
            len(self) - start,
            self._read_at,
            offset=self._offset + start,
            lf_is_line_end=lf_is_line_end,
            window_octets=self._window_octets,
        )

    def _octets(self, start: int, end: int) -> bytes:
        if end - start > self._window_octets:
            return self._fetch(start, end - start)
        if start >= end:
            return b""
        window, window_at = self._window_with(start, end - start)
        return window[start - window_at : end - window_at]

    def _window_with(self, start: int, octets: int) -> tuple[bytes, int]:
        """A window that holds these octets, and where it begins."""
        inside = self._window_at <= start and start + octets <= self._window_at + len(self._window)
        if not inside or not self._window:
            # a little of what is before comes along: the walk looks back at line ends
            self._window_at = max(0, start - _BACK_OCTETS)
            wanted = max(self._window_octets, start + octets - self._window_at)
            self._window = self._fetch(self._window_at, min(wanted, len(self) - self._window_at))
        return self._window, self._window_at

    def _fetch(self, start: int, octets: int) -> bytes:
        found = self._read_at(self._offset + start, octets)
        if len(found) != octets:
            raise OSError("the octets became fewer while they were read")
        return found
