"""Text of other senders' character sets, without surprises.

Only plain table codecs are used: names such as ``idna``, ``rot13`` or ``utf-7`` reach slow or dangerous decoders
of Python and never come from a sane mail program.
"""

from __future__ import annotations

import codecs
import unicodedata

_PERMITTED = frozenset(
    codecs.lookup(name).name
    for name in (
        "utf-8",
        "ascii",
        *(f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)),
        *(f"cp125{page}" for page in range(9)),
        "cp850",
        "koi8-r",
        "koi8-u",
    )
)


def decode(octets: bytes, charset: str) -> str:
    """The text of `octets`; what cannot be decoded becomes U+FFFD. An unknown charset is read as UTF-8."""
    return octets.decode(_codec(charset), "replace")


def is_known(charset: str) -> bool:
    """Whether `decode` honours this name."""
    try:
        return codecs.lookup(charset).name in _PERMITTED
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return False


def without_controls(text: str) -> str:
    """`text` with every control character but the tab replaced by U+FFFD.

    Encoded words and file names can carry line ends; whoever prints them must not have to think of that.
    """
    if text.isprintable():
        return text
    return "".join("\ufffd" if unicodedata.category(char) == "Cc" and char != "\t" else char for char in text)


def _codec(charset: str) -> str:
    return charset if is_known(charset) else "utf-8"
