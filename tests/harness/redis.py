"""One database number of the Redis server per test process, also where several runs share a server."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit, urlunsplit

import redis

_CLAIM = "demail-test-run"
_CLAIM_S = 4 * 60 * 60
_NUMBERS = range(15, 0, -1)  # 0 is what a person uses by hand; a server has 16 unless told otherwise


class ClaimedNumber:
    """A database number of our own: found empty, marked as taken, emptied after each test, given back at the end."""

    def __init__(self, server_url: str) -> None:
        self._mark = secrets.token_hex(8)
        self.url, self._client = self._claim(server_url)

    def empty(self) -> None:
        """Delete everything but the mark; a test that flushed the database gets the mark put back."""
        keys = [key for key in self._client.scan_iter(count=1000) if key != _CLAIM.encode()]
        if keys:
            self._client.delete(*keys)
        self._client.set(_CLAIM, self._mark, ex=_CLAIM_S)

    def release(self) -> None:
        """Delete everything and let go."""
        self._client.flushdb()
        self._client.close()

    def _claim(self, server_url: str) -> tuple[str, redis.Redis]:
        for number in _NUMBERS:
            url = urlunsplit(urlsplit(server_url)._replace(path=f"/{number}"))
            client = redis.Redis.from_url(url)
            if client.set(_CLAIM, self._mark, nx=True, ex=_CLAIM_S):
                if client.dbsize() == 1:
                    return url, client
                client.delete(_CLAIM)
            client.close()
        raise RuntimeError("every database of the Redis server is in use")
