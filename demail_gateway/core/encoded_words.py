"""Text outside ASCII in header values: RFC 2047 encoded words in UTF-8 (MF-9)."""

from __future__ import annotations

import re
import unicodedata
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Iterator

import pybase64

from demail_gateway.core.charset import decode, is_known, without_controls

# RFC 2047 allows 75 octets. 52 keep the first line within 78 behind the longest name of a text field,
# "x-de-mail-account-holder: " with 26.
_WORD_OCTETS = 52
_PAYLOAD_OCTETS = _WORD_OCTETS - len("=?utf-8?q??=")
_LONGEST_PLAIN_WORD = 900
"""Longer ones are encoded, since a word without blank could not be folded to 998 octets."""

_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
"""RFC 2047 §5 (3): safe in a display name too."""

_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\s]*)\?=")
_Q_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")


def encode_words(text: str) -> str:
    """`text` as it may stand in a header value: itself if it is plain ASCII, else encoded words, blank-separated.

    `decode_words` gives `text` again.

    Raises:
        ValueError: control characters other than the tab, or lone surrogates.
    """
    if text.isascii() and text.isprintable() and _stays_plain(text):
        return text
    if any(unicodedata.category(char) == "Cc" and char != "\t" for char in text):
        raise ValueError("control character in header text")
    octets = text.encode("utf-8")
    if sum(1 if octet in _Q_SAFE or octet == 0x20 else 3 for octet in octets) <= len(octets) * 4 / 3:
        return " ".join(f"=?utf-8?q?{chunk}?=" for chunk in _chunks(text, _quoted, _PAYLOAD_OCTETS))
    # 30 octets make 40 of base64
    chunks = _chunks(text, str, _PAYLOAD_OCTETS * 3 // 4, lambda piece: len(piece.encode("utf-8")))
    return " ".join(f"=?utf-8?b?{pybase64.b64encode(chunk.encode('utf-8')).decode('ascii')}?=" for chunk in chunks)


def decode_words(value: str) -> str:
    """`value` for display: encoded words decoded, raw octets read as UTF-8, control characters replaced.

    Words that cannot be decoded stay as they are. Adjacent words of one charset are decoded together, because some
    programs split characters between them.
    """
    value = readable(value)
    return without_controls("".join(_pieces(value))) if "=?" in value else value


def readable(value: str) -> str:
    """`value` for display without decoding of words, as inside a quoted string: raw octets, control characters."""
    if not value.isascii():
        value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return without_controls(value)


def _stays_plain(text: str) -> bool:
    if "=?" in text or text != text.strip(" "):
        return False
    return len(text) <= _LONGEST_PLAIN_WORD or max(map(len, text.split(" "))) <= _LONGEST_PLAIN_WORD


def _chunks(text: str, spell: Callable[[str], str], limit: int, measure: Callable[[str], int] = len) -> Iterator[str]:
    """`text` spelt character by character, in pieces of at most `limit`, never splitting a character."""
    piece: list[str] = []
    size = 0
    for char in text:
        spelt = spell(char)
        length = measure(spelt)
        if size + length > limit:
            yield "".join(piece)
            piece, size = [], 0
        piece.append(spelt)
        size += length
    yield "".join(piece)


def _quoted(char: str) -> str:
    if char == " ":
        return "_"
    return "".join(chr(octet) if octet in _Q_SAFE else f"={octet:02X}" for octet in char.encode("utf-8"))


def _pieces(value: str) -> Iterator[str]:
    end, charset, pending = 0, "", b""
    for match in _WORD.finditer(value):
        octets = _octets_of(match[2], match[3]) if is_known(match[1]) else None
        gap = value[end : match.start()]
        if octets is None:
            yield decode(pending, charset) if pending else ""
            yield gap + match[0]
            charset, pending = "", b""
        elif charset == match[1].lower() and not gap.strip(" \t"):
            pending += octets
        else:
            yield decode(pending, charset) if pending else ""
            # blanks between two encoded words belong to the encoding, not to the text (RFC 2047 §6.2)
            yield gap if gap.strip(" \t") or not charset else ""
            charset, pending = match[1].lower(), octets
        end = match.end()
    yield decode(pending, charset) if pending else ""
    yield value[end:]


def _octets_of(encoding: str, payload: str) -> bytes | None:
    octets = payload.encode("utf-8")
    if encoding in "qQ":
        return _Q_ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), octets.replace(b"_", b" "))
    try:
        return a2b_base64(octets + b"=" * (-len(octets) % 4))
    except Base64Error:
        return None
