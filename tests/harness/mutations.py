"""Changes to octets as an attacker or a broken line makes them, for hypothesis; places fit documents of any length."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import strategies as st

Mutation = Callable[[bytes], bytes]

_PLACE = st.floats(0, 1, exclude_max=True)


@st.composite
def octet_mutations(draw: st.DrawFn) -> Mutation:
    """Some changes of single octets, cuts, insertions and repetitions."""
    kinds = st.sampled_from(["set", "flip", "cut", "insert", "repeat"])
    steps = draw(st.lists(st.tuples(kinds, _PLACE, st.binary(min_size=1, max_size=6)), min_size=1, max_size=5))

    def mutate(original: bytes) -> bytes:
        octets = bytearray(original)
        for kind, where, value in steps:
            at = int(where * len(octets))
            if kind == "set":
                octets[at : at + 1] = value[:1]
            elif kind == "flip":
                octets[at : at + 1] = bytes(octet ^ value[0] for octet in octets[at : at + 1])
            elif kind == "cut":
                del octets[at : at + value[0] % 32]
            elif kind == "insert":
                octets[at:at] = value
            else:
                octets[at:at] = octets[at : at + value[0] % 64]
        return bytes(octets)

    return mutate


@st.composite
def xml_mutations(draw: st.DrawFn) -> Mutation:
    """Changes of whole pieces of markup: doubled, dropped, swapped, moved, or something dangerous put beside them."""
    kinds = st.sampled_from(["double", "drop", "swap", "insert", "replace", "attribute"])
    steps = draw(st.lists(st.tuples(kinds, _PLACE, _PLACE, st.sampled_from(PIECES)), min_size=1, max_size=4))

    def mutate(original: bytes) -> bytes:
        pieces = _PIECE.findall(original)
        for kind, one, two, new in steps:
            here, there = int(one * len(pieces)), int(two * len(pieces))
            if not pieces:
                pieces.append(new)
            elif kind == "double":
                pieces.insert(there, pieces[here])
            elif kind == "drop":
                del pieces[here]
            elif kind == "swap":
                pieces[here], pieces[there] = pieces[there], pieces[here]
            elif kind == "insert":
                pieces.insert(here, new)
            elif kind == "replace":
                pieces[here] = new
            elif pieces[here].startswith(b"<") and pieces[here].endswith(b">"):
                pieces[here] = pieces[here].rstrip(b"/>") + b' xml:id="a" Id="_4c1d2e"' + pieces[here][-1:]
        return b"".join(pieces)

    return mutate


_PIECE = re.compile(rb"<[^>]*>|[^<]+|<")
PIECES = (
    b"<!-- x -->",
    b"<?x y?>",
    b"<![CDATA[</Text>]]>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"&amp;",
    b"&#13;",
    b"&#0;",
    b"&#xD800;",
    b"&b;",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00",
    b"<a>" * 300,
    b"<Text>x</Text>",
    b'<x xmlns="urn:de-mail"/>',
    b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>',
    b"<?xml version='1.0' encoding='UTF-16'?>",
    "\N{RIGHT-TO-LEFT OVERRIDE}ä\N{COMBINING ACUTE ACCENT}".encode(),
    b"2026-13-45T99:99:99+25:00",
    b"-0001-01-01T00:00:00Z",
)
"""What is put in."""
