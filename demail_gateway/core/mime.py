"""MIME structure of a message, read from its octets (RFC 2045, 2046, 2231).

Tolerant and bounded: hostile nesting, millions of delimiters and broken headers give fewer or rawer parts, never an
error. Nothing is copied; every part knows its exact octets, so that a signature over it can be checked. The body may
lie outside the memory (`windows.py`).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

import pybase64

from demail_gateway.core.charset import decode as decode_charset
from demail_gateway.core.charset import without_controls
from demail_gateway.core.encoded_words import decode_words
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import Header, HeaderField
from demail_gateway.core.windows import Windows

MAX_PARTS = 1_000
"""More than any honest message has; what follows stays in one last part, so that nothing escapes the scanner."""
MAX_DEPTH = 30
"""Each level is searched once more, so depth multiplies the work. Deeper multiparts are read as one part."""

DEPTH_LIMIT = "mime-depth-limit"
PARTS_LIMIT = "mime-parts-limit"
NO_BOUNDARY = "mime-no-boundary"
"""There is none, or one that is longer than a line can be or contains a line end."""
NOT_CLOSED = "mime-not-closed"


@dataclass(frozen=True, slots=True)
class Part:
    """One entity. `message/rfc822` is not opened: what stands in an attached message is not this message's."""

    path: str
    """``1``, ``2.1``: positions from the outside; empty for the whole message's content."""
    content_type: str
    """In lower case without parameters; ``text/plain`` if missing or unreadable (RFC 2045 §5.2)."""
    parameters: Mapping[str, str] = field(repr=False)
    """Of Content-Type, names in lower case, decoded by RFC 2231."""
    filename: str | None = field(repr=False)
    """Without path, control characters and encoding; None if there is none."""
    disposition: str
    """``attachment``, ``inline`` or another word in lower case; empty if there is none."""
    encoding: str
    """Content-Transfer-Encoding in lower case; ``7bit`` if there is none."""
    octets: bytes | Windows = field(repr=False)
    """What the part lies in; `begin`, `content` and `end` are positions there."""
    begin: int
    """Where its header section begins; of the whole content where the body begins."""
    content: int
    """Where its body begins."""
    end: int
    defects: tuple[str, ...] = ()
    """``mime-depth-limit``, ``mime-parts-limit``, ``mime-no-boundary``, ``mime-not-closed``."""

    @property
    def entity(self) -> memoryview:
        """Exact octets of header and body, as a signature over this part covers them; of the whole content the body.

        Large ones that are not in memory are for `entity_chunks`.
        """
        return _in_memory(self.octets, self.begin, self.end)

    @property
    def raw(self) -> memoryview:
        """Octets of the body as transmitted."""
        return _in_memory(self.octets, self.content, self.end)

    def entity_chunks(self) -> Iterator[bytes | memoryview]:
        """`entity` in pieces, in bounded memory; each call reads anew."""
        return _pieces(self.octets, self.begin, self.end)

    def decoded_chunks(self) -> Iterator[bytes]:
        """`decode` in pieces, in bounded memory; each call reads anew."""
        if self.encoding == "base64":
            return _decoded_pieces(_pieces(self.octets, self.content, self.end))
        if self.encoding == "quoted-printable":
            return _decoded_quoted(_pieces(self.octets, self.content, self.end))
        return map(bytes, _pieces(self.octets, self.content, self.end))

    def begins_with(self, mark: bytes) -> bool:
        """Whether the decoded content begins so; little of it is decoded."""
        start = b""
        for piece in self.decoded_chunks():
            start += piece
            if len(start) >= len(mark):
                break
        return start.startswith(mark)

    def decode(self) -> bytes:
        """The content without its transfer encoding, as far as it can be decoded; never raises."""
        octets = bytes(self.raw)
        if self.encoding == "base64":
            return _from_base64(octets)
        if self.encoding == "quoted-printable":
            return b"".join(_decoded_quoted((octets,)))
        return octets

    def text(self) -> str:
        """The decoded content as text in its charset; UTF-8 if none is named."""
        return decode_charset(self.decode(), self.parameters.get("charset", "utf-8"))


def read_parts(header: Header, body: bytes | memoryview | Windows) -> tuple[Part, ...]:
    """All parts in document order, multiparts before their children; the first is the whole content.

    A message without MIME fields is one ``text/plain`` part. Raises OSError only where `body` does.
    """
    data = bytes(body) if isinstance(body, memoryview) else body
    walk = _Walk(data)
    walk.visit(_Entity(header, 0, 0, len(data)), "", 0)
    return tuple(walk.parts)


def leaves(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Those parts that hold content: no multipart that was opened."""
    containers = {part.path.rpartition(".")[0] for part in parts if part.path}
    return tuple(part for part in parts if part.path not in containers)


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """The word in front and the parameters of a Content-Type or Content-Disposition value, decoded by RFC 2231.

    Of a repeated name the first counts; the extended form goes before the plain one (RFC 6266 §4.3).
    """
    first, _, rest = value.partition(";")
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bool, str]]] = {}
    for match in _PARAMETER.finditer(";" + rest):
        text = _unquoted(match["value"].strip())
        name = match["name"].lower()
        split = _SECTION.fullmatch(name)
        if split is None:
            plain.setdefault(name, text)
        else:
            extended = split["number"] is None or bool(split["star"])
            found = sections.setdefault(split["name"], {})
            found.setdefault(int(split["number"] or 0), (extended, text))
    joined = {name: _joined(found) for name, found in sections.items()}
    return first.strip().lower(), {**plain, **joined}


_PARAMETER = re.compile(r""";\s*(?P<name>[^\s=;"]+)\s*=\s*(?P<value>"(?:[^"\\]|\\.)*"|[^;]*)""", re.DOTALL)
_SECTION = re.compile(r"(?P<name>[^*]+)\*(?:(?P<number>\d{1,4})(?P<star>\*?))?")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_TYPE = re.compile(r"[!#-'*+.0-9A-Z^_`a-z{|}~-]+/[!#-'*+.0-9A-Z^_`a-z{|}~-]+")
_NOT_BASE64 = bytes(octet for octet in range(256) if not (chr(octet).isalnum() and octet < 128) and octet not in b"+/=")


@dataclass(frozen=True, slots=True)
class _Entity:
    """An entity not yet interpreted: where it, its body and its end are in the data."""

    header: Header
    start: int
    body: int
    end: int


class _Walk:
    def __init__(self, data: bytes | Windows) -> None:
        self.data = data
        self.parts: list[Part] = []

    def visit(self, entity: _Entity, path: str, depth: int) -> None:
        content_type, parameters = _content_type(entity.header)
        boundary = parameters.get("boundary", "")
        position = len(self.parts)
        defects: list[str] = []
        self.parts.append(self.part(entity, path, content_type, parameters))
        if not content_type.startswith("multipart/"):
            return
        if not boundary or len(boundary) > _MAX_LINE_OCTETS or "\n" in boundary:
            defects.append(NO_BOUNDARY)
        elif depth >= MAX_DEPTH:
            defects.append(DEPTH_LIMIT)
        else:
            defects.extend(self.children(entity, boundary, path, depth))
        if defects:
            self.parts[position] = self.part(entity, path, content_type, parameters, tuple(defects))

    def children(self, entity: _Entity, boundary: str, path: str, depth: int) -> Iterator[str]:
        closed = False
        for number, (start, end, last) in enumerate(self.pieces(entity, boundary), 1):
            child = f"{path}.{number}" if path else str(number)
            if len(self.parts) >= MAX_PARTS:
                # all the rest as one part: not interpreted, but there to be scanned
                self.parts.append(self.opaque(start, entity.end, child))
                return
            self.visit(self.entity(start, end), child, depth + 1)
            closed = last
        if not closed:
            yield NOT_CLOSED

    def pieces(self, entity: _Entity, boundary: str) -> Iterator[tuple[int, int, bool]]:
        """Start and end of each part between delimiter lines, and whether the closing delimiter follows."""
        start = -1
        for line_start, line_end, closing in self.delimiters(entity, boundary):
            if start >= 0:
                yield start, max(start, line_start), closing
            if closing:
                return
            start = line_end
        if start >= 0:
            yield start, entity.end, False

    def delimiters(self, entity: _Entity, boundary: str) -> Iterator[tuple[int, int, bool]]:
        """Delimiter lines: where the line end before them starts, where the next line starts, whether they close."""
        mark = b"--" + boundary.encode("utf-8", "surrogateescape")
        # one search within the octets for whole lines: a message may have millions that only begin like the mark
        line = re.compile(b"\n" + re.escape(mark) + _REST_OF_DELIMITER)
        longest = len(mark) + _MAX_PADDING + len(b"\n--\n")
        first = line.match(b"\n" + self.data[entity.body : min(entity.end, entity.body + longest)])
        if first is not None:
            yield entity.body, min(entity.body + first.end(), entity.end), first["closing"] is not None
        for position, match in _matches(self.data, line, longest, entity.body, entity.end):
            start, end = position + match.start() + 1, position + match.end() + 1
            yield self.before_line(start, entity.body), min(end, entity.end), match["closing"] is not None

    def before_line(self, at: int, lowest: int) -> int:
        """Position of the line end in front of `at`, which belongs to the delimiter (RFC 2046 §5.1.1)."""
        if at - 2 >= lowest and self.data[at - 2] == _CR:
            return at - 2
        return max(at - 1, lowest)

    def entity(self, start: int, end: int) -> _Entity:
        header_end, body = _header_end(self.data, start, end)
        block = self.data[start : min(header_end, start + _MAX_PART_HEADER_OCTETS)]
        return _Entity(_tolerant_header(block), start, body, end)

    def opaque(self, start: int, end: int, path: str) -> Part:
        kind = "application/octet-stream"
        return Part(path, kind, _NOTHING, None, "", "7bit", self.data, start, start, end, (PARTS_LIMIT,))

    def part(
        self,
        entity: _Entity,
        path: str,
        content_type: str,
        parameters: dict[str, str],
        defects: tuple[str, ...] = (),
    ) -> Part:
        disposition, found = parse_parameters(entity.header.value("content-disposition") or "")
        return Part(
            path=path,
            content_type=content_type,
            parameters=MappingProxyType(parameters),
            filename=_filename(found.get("filename") or parameters.get("name")),
            disposition=disposition,
            encoding=(entity.header.value("content-transfer-encoding") or "7bit").strip().lower(),
            octets=self.data,
            begin=entity.start,
            content=entity.body,
            end=entity.end,
            defects=defects,
        )


_CR = 0x0D
_MAX_LINE_OCTETS = 998
"""RFC 5322 §2.1.1; a boundary stands in one line."""
_MAX_PADDING = 16 * 1024
_REST_OF_DELIMITER = rb"(?P<closing>--)?[ \t\r]{0,%d}+(?=\n|\Z)" % _MAX_PADDING
"""RFC 2046 §5.1.1: blanks may follow; far more of them here than fit into a line."""
_NOTHING: Mapping[str, str] = MappingProxyType({})
_MAX_PART_HEADER_OCTETS = 64 * 1024
_MAX_PART_FIELDS = 200
_STRETCH_OCTETS = 64 * 1024
_LINE = re.compile(rb"(?<=\n)(?![ \t])")


def _content_type(header: Header) -> tuple[str, dict[str, str]]:
    word, parameters = parse_parameters(header.value("content-type") or "text/plain")
    return (word, parameters) if _TYPE.fullmatch(word) else ("text/plain", {})


def _header_end(data: bytes | Windows, start: int, end: int) -> tuple[int, int]:
    """Where a part's header section ends and its body begins; lines may end with LF alone."""
    if data.startswith(b"\r\n", start, end):
        return start, start + 2
    if data.startswith(b"\n", start, end):
        return start, start + 1
    at, body = end, end
    for mark in (b"\r\n\r\n", b"\n\n"):
        # the second is looked for only in front of the first: not through the whole body
        found = data.find(mark, start, at)
        if found >= 0:
            at, body = found, found + len(mark)
    return at, body


def _tolerant_header(block: bytes) -> Header:
    """The fields of a part; lines that are no field are passed over."""
    fields = []
    lines = _LINE.split(block, maxsplit=_MAX_PART_FIELDS)
    for raw in lines[:_MAX_PART_FIELDS]:
        try:
            fields.append(HeaderField(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")))
        except MalformedMessage:
            continue
    return Header(tuple(fields))


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return _ESCAPE.sub(r"\1", text[1:-1])
    return text


def _joined(found: dict[int, tuple[bool, str]]) -> str:
    """Sections of RFC 2231 in their order up to the first gap; the charset stands in the first."""
    charset = "utf-8"
    octets = b""
    for number in range(len(found)):
        if number not in found:
            break
        extended, text = found[number]
        if extended and number == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        octets += unquote_to_bytes(text) if extended else text.encode("utf-8", "surrogateescape")
    return decode_charset(octets, charset)


def _filename(name: str | None) -> str | None:
    """The last path component, decoded, without control characters; names that mean a directory are none."""
    if name is None:
        return None
    plain = without_controls(decode_words(name)).replace("\\", "/").rpartition("/")[2].strip()
    return None if plain.strip(".") == "" else plain


def _matches(
    octets: bytes | Windows, pattern: re.Pattern[bytes], longest: int, start: int, end: int
) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Matches, each with the position to which its own are relative."""
    if isinstance(octets, bytes):
        return ((0, match) for match in pattern.finditer(octets, start, end))
    return octets.matches(pattern, longest, start, end)


def _in_memory(octets: bytes | Windows, start: int, end: int) -> memoryview:
    if isinstance(octets, bytes):
        return memoryview(octets)[start:end]
    return memoryview(b"".join(octets.chunks(start, end)))


def _pieces(octets: bytes | Windows, start: int, end: int) -> Iterator[bytes | memoryview]:
    if isinstance(octets, bytes):
        return iter((memoryview(octets)[start:end],))
    return octets.chunks(start, end)


def _decoded_pieces(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Base64 as `_from_base64` decodes it, a piece at a time."""
    rest = b""
    for piece in pieces:
        letters, padding, _ = (rest + bytes(piece).translate(None, _NOT_BASE64)).partition(b"=")
        if padding:
            yield _from_base64(letters)
            return
        whole = len(letters) - len(letters) % 4
        rest = letters[whole:]
        yield pybase64.b64decode(letters[:whole])
    yield _from_base64(rest)


def _decoded_quoted(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Quoted-printable, a stretch of whole lines at a time. Of a line that is longer than a stretch, the stretches
    are decoded each for itself, wherever the pieces were cut."""
    rest = b""
    for piece in pieces:
        octets, at = rest + bytes(piece), 0
        while len(octets) - at >= _STRETCH_OCTETS:
            end = (octets.rfind(b"\n", at, at + _STRETCH_OCTETS) + 1) or at + _STRETCH_OCTETS
            yield binascii.a2b_qp(octets[at:end])
            at = end
        rest = octets[at:]
    yield binascii.a2b_qp(rest)


def _from_base64(octets: bytes) -> bytes:
    """Everything up to the first padding, in whole octets: what is behind it, decoders understand differently."""
    padding = octets.find(b"=")
    if padding < 0 or not octets[padding:].translate(None, _NOT_BASE64).strip(b"="):
        try:
            return pybase64.b64decode(octets)
        except binascii.Error:
            pass  # cut in the middle of a group
    clean = octets.partition(b"=")[0].translate(None, _NOT_BASE64)
    clean = clean[: len(clean) - (len(clean) % 4 == 1)]
    return pybase64.b64decode(clean + b"=" * (-len(clean) % 4))
