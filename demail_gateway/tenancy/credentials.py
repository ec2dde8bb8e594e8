"""Secrets of clients, and the lock against guessing them (GWT-23)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta

SECRET_OCTETS = 32
TRIES_BEFORE_LOCK = 3
"""At the latest the third wrong secret in a row locks (TR 01201-2.1 §3.6.2, GWT-23)."""
FIRST_LOCK = timedelta(seconds=30)
LONGEST_LOCK = timedelta(hours=24)


def secret_text(random: bytes) -> str:
    """A client's secret as it is shown once: 32 random octets in base64url without padding.

    Raises:
        ValueError: not exactly 32 octets.
    """
    if len(random) != SECRET_OCTETS:
        raise ValueError("a secret has 32 octets")
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode("ascii")


def secret_digest(secret: str) -> bytes:
    """What is stored of a secret: SHA-256 over its text.

    No slow hash: 256 random bits cannot be guessed, and the token endpoint must not be a place to burn CPU.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def secret_matches(secret: str, digest: bytes) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(secret_digest(secret), digest)


def lock_after(failures: int) -> timedelta | None:
    """How long a client is locked for a source after so many wrong secrets in a row; None: not yet.

    Doubles with each further failure, up to a day, and ends by itself (TR 01201-2.1 §3.6.2).
    """
    if failures < TRIES_BEFORE_LOCK:
        return None
    doublings = min(failures - TRIES_BEFORE_LOCK, 16)
    return min(FIRST_LOCK * (1 << doublings), LONGEST_LOCK)
