"""Digests of one content, whole or in chunks, each octet hashed once per hash that is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Set

from demail_gateway.core.primitives import HashName
from demail_gateway.trust.cms.der import DerError


class Digests:
    """What signatures need of a content; its octets may be gone afterwards."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._found: dict[HashName, bytes] = {}
        self._is_spent = False
        self.first_octet = b""

    @classmethod
    def of(cls, content: bytes | Iterable[bytes]) -> Digests:
        return _WholeDigests(content) if isinstance(content, bytes) else cls(content)

    def compute(self, names: Set[HashName]) -> None:
        """Reads the content, the first time it is asked for anything."""
        if not names <= self._found.keys():
            for _ in self.passing(names):
                pass

    def passing(self, names: Set[HashName]) -> Iterator[bytes]:
        """The chunks as they come, hashed on the way; the digests are there after the last one.

        Raises:
            DerError: they were read before.
        """
        if self._is_spent:
            raise DerError("digest was not announced")
        self._is_spent = True
        hashers = {name: hashlib.new(name) for name in names}
        for chunk in self._chunks:
            if not self.first_octet:
                self.first_octet = chunk[:1]
            for hasher in hashers.values():
                hasher.update(chunk)
            yield chunk
        self._found.update((name, hasher.digest()) for name, hasher in hashers.items())

    def digest(self, name: HashName) -> bytes:
        """Raises DerError for a hash that was not asked for in time."""
        if name not in self._found:
            raise DerError("digest was not announced")
        return self._found[name]


class _WholeDigests(Digests):
    """Of a content in memory: any number of passes."""

    def __init__(self, content: bytes) -> None:
        super().__init__(())
        self._content = content
        self.first_octet = content[:1]

    def compute(self, names: Set[HashName]) -> None:
        missing = names - self._found.keys()
        self._found.update((name, hashlib.new(name, self._content).digest()) for name in missing)
