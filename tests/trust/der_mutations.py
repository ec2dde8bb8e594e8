"""Changes to DER that keep most of its structure, so that readers get past the first octets (hypothesis)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st

from demail_gateway.trust.cms.der import header

_DEPTH = 12
_BIT_STRING, _OCTET_STRING = 0x03, 0x04
_TAGS = bytes.fromhex("01020304050a0c13161718303180818284a0a1a2a3ff")


class _Place(NamedTuple):
    """An element and the contents of those that hold it, outermost first."""

    start: int
    end: int
    holders: tuple[tuple[int, int], ...]


@st.composite
def der_mutations(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """One to three elements left out, doubled, moved, wrapped, emptied, given another tag or other octets.

    The lengths of all elements around a change fit again, so that nothing but the change is wrong.
    """
    kinds = st.sampled_from(["drop", "double", "move", "wrap", "empty", "tag", "octet"])
    where = st.floats(0, 1, exclude_max=True)
    steps = draw(st.lists(st.tuples(kinds, where, where, st.integers(0, 255)), min_size=1, max_size=3))

    def mutate(octets: bytes) -> bytes:
        for kind, at, other, value in steps:
            places = _places(octets)
            if places:
                place, source = places[int(at * len(places))], places[int(other * len(places))]
                octets = _replaced(octets, place, _changed(kind, octets, place, source, value))
        return octets

    return mutate


def _changed(kind: str, octets: bytes, place: _Place, source: _Place, value: int) -> bytes:
    element = octets[place.start : place.end]
    if kind == "drop":
        return b""
    if kind == "double":
        return element * 2
    if kind == "move":
        return octets[source.start : source.end]
    if kind == "wrap":
        return header(0x30, len(element)) + element
    if kind == "empty":
        return bytes((element[0], 0))
    if kind == "tag":
        return bytes((_TAGS[value % len(_TAGS)],)) + element[1:]
    return element[:-1] + bytes((value,))


def _replaced(octets: bytes, place: _Place, new: bytes) -> bytes:
    """With `new` in the place's stead; the lengths of the elements around it made right from the inside out."""
    start, end = place.start, place.end
    for head, body in reversed(place.holders):
        stop = _end(octets, head)
        contents = octets[body:start] + new + octets[end:stop]
        lead = octets[_body(octets, head) : body]
        new = header(octets[head], len(lead) + len(contents)) + lead + contents
        start, end = head, stop
    return octets[:start] + new + octets[end:]


def _places(octets: bytes) -> list[_Place]:
    found: list[_Place] = []
    _walk(octets, 0, len(octets), (), found)
    return found


def _walk(octets: bytes, at: int, limit: int, holders: tuple[tuple[int, int], ...], found: list[_Place]) -> None:
    while at + 2 <= limit and len(holders) < _DEPTH:
        end = _end(octets, at)
        if not at < end <= limit:
            return
        found.append(_Place(at, end, holders))
        body, tag = _body(octets, at), octets[at]
        if tag == _BIT_STRING:
            body += 1
        if tag & 0x20 or tag in (_BIT_STRING, _OCTET_STRING):
            _walk(octets, body, end, (*holders, (at, body)), found)
        at = end


def _body(octets: bytes, at: int) -> int:
    size = octets[at + 1]
    return at + 2 + (size & 0x7F if size & 0x80 else 0)


def _end(octets: bytes, at: int) -> int:
    body, size = _body(octets, at), octets[at + 1]
    return body + (int.from_bytes(octets[at + 2 : body], "big") if size & 0x80 else size)
