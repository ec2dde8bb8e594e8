"""The C library's heap, told to keep what was freed for the next message."""

from __future__ import annotations

import ctypes

KEPT_BYTES = 8 * 1024 * 1024
"""Freed memory that a process may keep at the end of its heap; a message of 1 MiB needs half of it."""
_MAPPED_BYTES = 4 * 1024 * 1024
"""Larger blocks are mapped, and given back one by one."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """For processes that compose messages: up to KEPT_BYTES stay with the process between two of them.

    By default glibc gives memory back as soon as a message is done and takes it anew for the next, page by page, which
    costs as much as encrypting and encoding it (`docs/performance.md`). False where the C library has no such call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    done = [mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES), mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)]
    return done == [1, 1]
