"""MIME entities assembled as octets: text, attachments, signed and encrypted wrappings (RFC 2045, 2046, 2183, 8551).

The standard library's message classes are not used: they need fifty times as long and may write octets anew that a
signature already covers. An entity is its own header fields, an empty line and the body; all lines end with CRLF, all
octets are 7-bit, lines have at most 998 octets (MF-26).
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import pybase64

from demail_gateway.core.address import transliterated
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.limits import base64_size

MAX_FILENAME_CHARS = 255

Piece = bytes | memoryview


@dataclass(frozen=True, slots=True)
class PartSource:
    """An attachment to be sent."""

    filename: str = field(repr=False)
    content_type: str
    """Media type with its parameters, e.g. ``application/pdf``; neither ``multipart`` nor ``message``."""
    octets: bytes = field(repr=False)


def build_entity(text: str | None, html: str | None, attachments: Sequence[PartSource], boundary: str) -> bytes:
    """The content of a message as a MIME entity; without any content an empty text.

    Text and HTML together become ``multipart/alternative``; with attachments all stands in ``multipart/mixed``. Line
    ends of the text become CRLF, nothing else of it changes. `boundary` is a unique token of letters and digits; no
    delimiter can occur in a part, since neither quoted-printable nor base64 has ``=_``.

    Raises:
        ComposeFailed: a file name, a content type or the boundary cannot be written, or lone surrogates.
    """
    _require(_TOKEN, boundary, "boundary")
    body = [
        _text_part(subtype, content) for subtype, content in (("plain", text), ("html", html)) if content is not None
    ]
    if not attachments:
        return b"".join(_alternative(body or [_text_part("plain", "")], boundary))
    first: list[_Pieces] = [list(_alternative(body, boundary))] if body else []
    parts = first + [(_attachment_header(item), _base64_part(item.octets)) for item in attachments]
    return b"".join(_multipart('multipart/mixed; boundary="=_m{}"', f"=_m{boundary}", parts, boundary))


def attachment_entity(attachment: PartSource) -> bytes:
    """One attachment as an entity. Raises ComposeFailed as `build_entity`."""
    return _attachment_header(attachment) + _base64_lines(attachment.octets)


def multipart_signed(entity: bytes, signature_der: bytes, micalg: str, boundary: str) -> bytes:
    """`entity` with its detached CMS signature (RFC 8551 §3.5.3). The octets of `entity` stay exactly as signed.

    `micalg` is e.g. ``sha-256``.

    Raises:
        ComposeFailed: the boundary or `micalg` cannot be written.
    """
    return b"".join(signed_pieces(entity, signature_der, micalg, boundary))


def signed_pieces(entity: bytes, signature_der: bytes, micalg: str, boundary: str) -> tuple[Piece, ...]:
    """`multipart_signed` in pieces, `entity` itself among them: large messages are copied as seldom as can be."""
    _require(_TOKEN, boundary, "boundary")
    _require(_MICALG, micalg, "micalg")
    head = (
        b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\nContent-Transfer-Encoding: base64\r\n'
        b'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n'
    )
    signed = f'multipart/signed; protocol="application/pkcs7-signature";\r\n micalg={micalg}; boundary="=_s{{}}"'
    parts: list[_Pieces] = [[entity], [head, _base64_part(signature_der)]]
    return tuple(_multipart(signed, f"=_s{boundary}", parts, boundary))


def enveloped(cms_der: bytes, smime_type: str) -> bytes:
    """Encrypted CMS as an entity (RFC 8551 §3.2); `smime_type` is ``enveloped-data`` or ``authEnveloped-data``.

    Raises:
        ComposeFailed: `smime_type` cannot be written.
    """
    return b"".join(enveloped_pieces((cms_der,), smime_type))


def enveloped_pieces(cms: Iterable[Piece], smime_type: str) -> Iterator[bytes]:
    """`enveloped` in pieces, for CMS that comes in pieces, cut anywhere."""
    _require(_MICALG, smime_type, "smime-type")
    head = (
        f'Content-Type: application/pkcs7-mime; smime-type={smime_type}; name="smime.p7m"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="smime.p7m"\r\n\r\n'
    )
    yield head.encode("ascii")
    yield from _base64_blocks(cms)


_Pieces = Sequence[Piece]

_TOKEN = re.compile(r"[A-Za-z0-9]{1,60}")
_MICALG = re.compile(r"[A-Za-z0-9-]{1,40}")
_ATOM = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"
_CONTENT_TYPE = re.compile(
    rf"(?!multipart/|message/){_ATOM}/{_ATOM}( *; *{_ATOM}=({_ATOM}|\"[^\"\\\x00-\x1f\x7f]*\"))*", re.I
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_MAX_CONTENT_TYPE_CHARS = 255
_MAX_QUOTED_CHARS = 50
"""Of a file name in one quoted string; longer ones are written in sections (RFC 2231 §3)."""
_SECTION_CHARS = 54

_PRINTABLE = bytes([0x0D, 0x0A, *range(0x20, 0x7F)])
_LINE_CHARS = 76
_BLOCK_LINES = struct.Struct(f"{_LINE_CHARS}s" * 1152)
_BLOCK_OCTETS = _BLOCK_LINES.size // 4 * 3


def _require(pattern: re.Pattern[str], value: str, what: str) -> None:
    if not pattern.fullmatch(value):
        raise ComposeFailed(f"{what} cannot be written")


def _alternative(parts: list[bytes], boundary: str) -> Iterator[bytes | memoryview]:
    if len(parts) == 1:
        return iter(parts)
    return _multipart('multipart/alternative; boundary="=_a{}"', f"=_a{boundary}", [[part] for part in parts], boundary)


def _multipart(
    content_type: str, delimiter: str, parts: Sequence[_Pieces], boundary: str
) -> Iterator[bytes | memoryview]:
    line = f"--{delimiter}".encode("ascii")
    yield f"Content-Type: {content_type.format(boundary)}\r\n\r\n".encode("ascii")
    for part in parts:
        yield line + b"\r\n"
        yield from part
        yield b"\r\n"
    yield line + b"--\r\n"


def _text_part(subtype: str, text: str) -> bytes:
    octets = _crlf(text)
    quoted = _quoted_printable(octets)
    if quoted is None:
        encoding, body = "base64", _base64_lines(octets)
    else:
        encoding, body = "quoted-printable", quoted
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode("ascii") + body


def _crlf(text: str) -> bytes:
    try:
        octets = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ComposeFailed("text cannot be encoded") from error
    if b"\r" in octets:
        octets = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return octets.replace(b"\n", b"\r\n")


def _quoted_printable(octets: bytes) -> bytes | None:
    """The octets in quoted-printable; None if base64 is shorter."""
    if octets and not octets.endswith(b"\r\n"):
        return _unfinished_line(octets)
    others = len(octets.translate(None, _PRINTABLE)) + octets.count(b"=")
    if not others and _is_its_own_encoding(octets):
        return octets
    limit = base64_size(len(octets))
    if len(octets) + 2 * others > limit:
        return None
    quoted = binascii.b2a_qp(octets)
    # a blank before a line end, written as =20, may make b2a_qp's line longer than RFC 2045 permits
    fits = len(quoted) <= limit and max(map(len, quoted.split(b"\r\n"))) <= _LINE_CHARS
    return quoted if fits else None


def _unfinished_line(octets: bytes) -> bytes | None:
    """Text without a final line end: closed with a soft one, so that an entity always ends with CRLF (SMTP would
    add one to the text). None as `_quoted_printable`, and where the last line has no room for the soft end."""
    quoted = _quoted_printable(octets + b"\r\n")
    if quoted is None or len(quoted) - quoted.rfind(b"\n", 0, -1) > _LINE_CHARS:
        return None
    return quoted[:-2] + b"=\r\n"


def _is_its_own_encoding(octets: bytes) -> bool:
    if b" \r\n" in octets:
        return False
    return max(map(len, octets.split(b"\r\n"))) <= _LINE_CHARS


def _base64_lines(octets: bytes) -> bytes:
    """Base64 with lines of 76 characters, each with its CRLF."""
    return b"".join(_base64_blocks((octets,)))


def _base64_blocks(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """The same of octets in pieces, in whole lines.

    Blocks fit the cache, and each is cut into lines by one call: a fifth of what replacing line ends costs.
    """
    rest = b""
    for piece in pieces:
        view = memoryview(b"".join((rest, piece)) if rest else piece)
        whole = len(view) - len(view) % _BLOCK_OCTETS
        for at in range(0, whole, _BLOCK_OCTETS):
            lines = _BLOCK_LINES.unpack(pybase64.b64encode(view[at : at + _BLOCK_OCTETS]))
            yield b"\r\n".join((*lines, b""))
        rest = bytes(view[whole:])
    yield pybase64.encodebytes(rest).replace(b"\n", b"\r\n")


def _base64_part(octets: bytes) -> memoryview:
    """The same inside a multipart, where the last line end belongs to the delimiter; without a copy."""
    return memoryview(_base64_lines(octets))[:-2]


def _attachment_header(attachment: PartSource) -> bytes:
    name = attachment.filename
    if not name or len(name) > MAX_FILENAME_CHARS or _CONTROLS.search(name):
        raise ComposeFailed("file name cannot be written")
    if len(attachment.content_type) > _MAX_CONTENT_TYPE_CHARS:
        raise ComposeFailed("content type cannot be written")
    _require(_CONTENT_TYPE, attachment.content_type, "content type")
    lines = [
        f'Content-Type: {attachment.content_type};\r\n name="{_escaped(_fallback(name))}"',
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: attachment;\r\n {_filename_parameter(name)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _filename_parameter(name: str) -> str:
    """``filename`` as quoted string if it is short ASCII, else by RFC 2231, in sections where it is long."""
    if name.isascii() and len(name) <= _MAX_QUOTED_CHARS:
        return f'filename="{_escaped(name)}"'
    try:
        sections = list(_sections(name))
    except UnicodeEncodeError as error:
        raise ComposeFailed("file name cannot be written") from error
    if len(sections) == 1:
        return f"filename*=utf-8''{sections[0]}"
    sections[0] = f"utf-8''{sections[0]}"
    return ";\r\n ".join(f"filename*{number}*={section}" for number, section in enumerate(sections))


def _sections(name: str) -> Iterator[str]:
    section = ""
    for char in name:
        spelt = quote(char, safe="")
        if len(section) + len(spelt) > _SECTION_CHARS:
            yield section
            section = ""
        section += spelt
    yield section


def _fallback(name: str) -> str:
    """The name in ASCII for programs that know no RFC 2231."""
    stem, dot, suffix = (
        transliterated(name).encode("ascii", "replace").decode("ascii").replace("?", "_").rpartition(".")
    )
    return f"{stem[: _MAX_QUOTED_CHARS - len(suffix)]}{dot}{suffix}" if len(suffix) < 10 else suffix[:_MAX_QUOTED_CHARS]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
