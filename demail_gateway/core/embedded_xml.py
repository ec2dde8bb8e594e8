"""The XML that a PDF carries inside: whether the two forms of a proof say the same (TR 01201-3.4 §3.4.1).

What a page of a PDF shows is never interpreted (CO-5). But a provider may attach the XML to it, as PDF/A-3 allows, and
who reads the PDF takes that for the proof: if it says something else than the XML part, that is told. The file is not
parsed as a PDF: streams that call themselves embedded files are looked for, a few of them, each up to a bound.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from demail_gateway.core.errors import XmlRefused
from demail_gateway.core.xml_tree import MAX_XML_OCTETS, root_tag

PDF_DIFFERS = "structure-pdf-differs"
"""Finding: the XML inside the PDF contradicts the XML part."""

MAX_EMBEDDED = 8
"""Streams that are looked at."""

T = TypeVar("T")


def contradicts(pdf: bytes, xml: bytes, root: str, read: Callable[[bytes], T], said: T) -> bool:
    """Whether the PDF carries XML of this root that says something else than `said`, which `read` has made of `xml`.

    False also where nothing of that kind can be found in it: most PDFs carry none. Never raises.
    """
    for found in _embedded(pdf):
        if found == xml or root_tag(found) != root:
            continue
        try:
            if read(found) != said:
                return True
        except XmlRefused:
            return True
    return False


def _embedded(pdf: bytes) -> Iterator[bytes]:
    at = 0
    for _ in range(MAX_EMBEDDED):
        at = pdf.find(_MARK, at) + len(_MARK)
        if at < len(_MARK):
            return
        begin = pdf.find(b"stream", at)
        if begin < 0 or b"endobj" in pdf[at:begin]:
            continue
        dictionary = pdf[pdf.rfind(b"obj", 0, at) + 3 : begin]
        start = begin + len(b"stream\r\n" if pdf.startswith(b"stream\r\n", begin) else b"stream\n")
        end = pdf.find(b"endstream", start)
        if end >= 0:
            yield _content(pdf[start:end], dictionary)


_MARK = b"/EmbeddedFile"


def _content(octets: bytes, dictionary: bytes) -> bytes:
    """Empty where another filter than deflate, or none, was used."""
    if b"/FlateDecode" in dictionary:
        try:
            return zlib.decompressobj().decompress(octets, MAX_XML_OCTETS)
        except zlib.error:
            return b""
    if b"/Filter" in dictionary:
        return b""
    return octets.removesuffix(b"\n").removesuffix(b"\r")
