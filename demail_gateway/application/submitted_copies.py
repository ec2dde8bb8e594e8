"""The messages handed over, inside an evidence package: found by their keys, read when a proof speaks of one.

Time and memory are bounded whatever the package holds: the keys of all copies and one header section are in memory,
and each body is unpacked at most once for each hash algorithm, however many proofs there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from uuid import UUID

from demail_gateway.application.package_members import Damaged, Members
from demail_gateway.core.address import parse_address
from demail_gateway.core.confirmation_report import SentCopy, SentMessage
from demail_gateway.core.correlation import KEYS, Correlation, CorrelationKeys, correlate
from demail_gateway.core.digests import BodyHasher
from demail_gateway.core.errors import AddressInvalid, MalformedMessage
from demail_gateway.core.header import MAX_HEADER_OCTETS, Header, read_message
from demail_gateway.core.large_message import read_large_message
from demail_gateway.core.limits import MIB
from demail_gateway.core.metadata import Metadata, read_metadata
from demail_gateway.core.options import OPTION_NAMES, SendOptions
from demail_gateway.core.primitives import HashName

MAX_COPY_OCTETS = 45 * MIB
"""Gross limit of a message (TR 01201-3.1 §4.1)."""
MAX_HEADERS_OCTETS = 256 * MIB
"""Ours, of header sections unpacked, those that are unpacked again included: a package of the largest message (a
thousand recipients, half of them bcc) stays below."""
_USUAL_HEADER_OCTETS = 64 * 1024
_HEADER_OCTETS = MAX_HEADER_OCTETS + len(b"\r\n\r\n")
_KEY_CHARS = 1024
"""TR 01201-3.4 §3.1.17; what is longer is no key."""


class SubmittedCopies:
    """By what proofs name them. Every method raises Damaged if there is more to unpack than any honest package has."""

    def __init__(self, members: Members, paths: Iterable[str]) -> None:
        """What cannot be read confirms nothing; that it is what was packed is checked elsewhere."""
        self._members = members
        self._left_octets = MAX_HEADERS_OCTETS
        self._paths: list[str] = []
        self._places: dict[tuple[str, str], int] = {}
        self._digests: dict[tuple[str, HashName], bytes] = {}
        self._last: tuple[str, SentCopy] | None = None
        for path in paths:
            # no provider took what is larger, so no proof speaks of it: it is not even looked at
            if members.size_bytes(path) <= MAX_COPY_OCTETS:
                self._register(path)

    def __len__(self) -> int:
        return len(self._paths)

    def correlation(self, keys: CorrelationKeys) -> Correlation:
        """As online; a copy's id here is its place."""
        places = {name: self._places.get((name, getattr(keys, name) or "")) for name in KEYS}
        return correlate({name: UUID(int=place) for name, place in places.items() if place is not None})

    def sent(self, copy_id: UUID) -> SentCopy:
        """The copy that a correlation names."""
        return self._sent(self._paths[copy_id.int])

    def each(self) -> Iterator[SentCopy]:
        """All of them, one after the other."""
        return map(self._sent, self._paths)

    def _register(self, path: str) -> None:
        try:
            header, metadata = self._read(path)
            _sent_copy(header, metadata, None)
        except (MalformedMessage, AddressInvalid):
            return
        keys = {
            "private_id": metadata.private_id,
            "demail_message_id": metadata.message_id,
            "internet_message_id": metadata.internet_message_id,
        }
        place = len(self._paths)
        self._places |= {(name, key): place for name, key in keys.items() if key and len(key) <= _KEY_CHARS}
        self._paths.append(path)

    def _sent(self, path: str) -> SentCopy:
        if self._last is None or self._last[0] != path:
            header, metadata = self._read(path)
            self._last = path, _sent_copy(header, metadata, SentMessage(header, partial(self._body_digest, path)))
        return self._last[1]

    def _read(self, path: str) -> tuple[Header, Metadata]:
        header = read_message(self._head(path)).header
        return header, read_metadata(header)

    def _head(self, path: str) -> bytes:
        head = b""
        for octets in (_USUAL_HEADER_OCTETS, _HEADER_OCTETS):
            head = self._members.beginning(path, octets)
            self._left_octets -= len(head)
            if self._left_octets < 0:
                raise Damaged("package-oversized")
            if len(head) < octets or (b"\r\n\r\n" if b"\r\n" in head else b"\n\n") in head:
                break
        return head

    def _body_digest(self, path: str, hash_name: HashName) -> bytes:
        if (path, hash_name) not in self._digests:
            self._digests[path, hash_name] = self._unpacked_digest(path, hash_name)
        return self._digests[path, hash_name]

    def _unpacked_digest(self, path: str, hash_name: HashName) -> bytes:
        hasher = BodyHasher(hash_name)
        try:
            message = read_large_message(self._members.size_bytes(path), self._members.reading(path))
        except MalformedMessage:
            return b""  # its line ends change behind the header section: no body of which a proof could speak
        for piece in message.body_chunks():
            hasher.update(piece)
        return hasher.digest()


def _sent_copy(header: Header, metadata: Metadata, message: SentMessage | None) -> SentCopy:
    chosen = metadata.chosen_recipients
    return SentCopy(
        sender=parse_address(header.value("x-de-mail-sender") or ""),
        # a bcc copy names its one recipient beside to and cc, which other copies serve (MF-19)
        served=tuple(mailbox.address for mailbox in chosen.bcc or (*chosen.to, *chosen.cc)),
        subject=metadata.subject or "",
        options=SendOptions(**{name: getattr(metadata, name) for name in OPTION_NAMES}),
        private_id=metadata.private_id or "",
        reply_to=metadata.reply_to,
        octets=message,
    )
