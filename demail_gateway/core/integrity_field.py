"""X-de-mail-integrity and X-de-mail-signature-certificate as fields: tags read and written (TR 01201-3.4 §3.1.13, .14).

The value is a DKIM tag list (RFC 6376 §3.2) with the deviations of TR 01201-3.4 §3.1.21. What the tags promise is
computed in `integrity.py`.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import pybase64

from demail_gateway.core.errors import CertificateMalformed, MalformedMessage
from demail_gateway.core.header import HeaderField
from demail_gateway.core.primitives import HashName, SignatureScheme

INTEGRITY = "x-de-mail-integrity"
CERTIFICATE = "x-de-mail-signature-certificate"

HEADER_LIST = (
    "From",
    "Date",
    "Message-ID",
    "Subject",
    "Reply-To",
    "X-de-mail-confirmation-of-dispatch",
    "X-de-mail-confirmation-of-receipt",
    "X-de-mail-confirmation-of-retrieve",
    "X-de-mail-authoritative",
    "X-de-mail-private",
    "X-de-mail-sender",
    "X-de-mail-chosen-recipient",
    "X-de-mail-auth-mechanism",
    "X-de-mail-auth-level",
    "X-de-mail-originator-provider",
    "X-de-mail-message-type",
    "X-de-mail-version",
    "X-de-mail-private-id",
    "X-de-mail-message-id",
    "X-de-mail-account-holder",
)
"""The covered fields in their fixed order (TR 01201-3.4 §3.1.21)."""

ONLY_IF_PRESENT = "X-de-mail-private-id"
"""The one name that ``h=`` leaves out when the field is absent (IN-19)."""

MAX_FIELD_CHARS = 64 * 1024
"""Ours, of either value: far above the longest key's; keeps megabytes of tags from being cut into pieces."""

QUERY = "x-header/x-de-mail-signature-certificate"
"""``q=`` of a signed field (IN-6)."""


@dataclass(frozen=True, slots=True)
class IntegrityField:
    """A readable integrity field."""

    source: HeaderField
    tags: dict[str, str]
    """Values without outer white space, by name as spelt."""
    a: str
    hash_name: HashName | None
    """None if ``a=`` is none of the twelve (IN-4)."""
    scheme: SignatureScheme | None
    """None if hash only."""
    h: tuple[str, ...]
    """Names in lower case, in their order."""
    bh: bytes
    b: bytes
    findings: tuple[str, ...] = field(default=())
    """``tag-missing:v|c|d|s``, ``tag-ignored:l|x``, ``tag-q``, ``h-order``, ``h-repeated``."""

    @property
    def value(self) -> str:
        """The unfolded value, for confirmations (CO-9)."""
        return self.source.value


def tag_list(value: str) -> dict[str, str]:
    """The tags of a value by name as spelt, without outer white space (RFC 6376 §3.2).

    Raises:
        MalformedMessage: ``integrity-malformed``: no tag list, a name twice, or more than `MAX_FIELD_CHARS`.
    """
    if len(value) > MAX_FIELD_CHARS:
        raise _malformed()
    parts = value.split(";")
    if len(parts) > 1 and not parts[-1].strip(" \t"):
        parts.pop()  # one trailing semicolon is allowed
    tags: dict[str, str] = {}
    for part in parts:
        name, equals, text = part.partition("=")
        name, text = name.strip(" \t"), text.strip(" \t")
        if not equals or name in tags or not _TAG_NAME.fullmatch(name) or not _TAG_VALUE.fullmatch(text):
            raise _malformed()
        tags[name] = text
    return tags


def read_field(source: HeaderField) -> IntegrityField:
    """The tags of an integrity field.

    Raises:
        MalformedMessage: ``integrity-malformed``, for rows 3 of `integrity.md` §5. An unknown ``a=`` (row 4) does
            not raise: `hash_name` is None.
    """
    return _remembered(source) if len(source.raw) <= _REMEMBERED_OCTETS else _read_field(source)


def _read_field(source: HeaderField) -> IntegrityField:
    tags = tag_list(source.value)
    a = tags.get("a", "")
    hash_text, signature = _halves(a)
    if not a or tags.get("v", "1") != "1" or tags.get("c", "simple") not in ("simple", "simple/simple"):
        raise _malformed()
    h = _names(tags.get("h", ""))
    hash_name = _member(HashName, hash_text)
    scheme = None if signature is None else _member(SignatureScheme, signature)
    if signature is not None and scheme is None:
        hash_name = None
    return IntegrityField(
        source=source,
        tags=tags,
        a=a,
        hash_name=hash_name,
        scheme=scheme,
        h=h,
        bh=_base64(tags.get("bh", "")),
        b=_base64(tags.get("b", "")),
        findings=tuple(sorted({*_tag_findings(tags, scheme), *_order_findings(h)})),
    )


_REMEMBERED_OCTETS = 4096
_remembered = lru_cache(maxsize=16)(_read_field)
"""Integrity, checker and proofs each read the field of the message they look at."""


def emptied(source: HeaderField) -> bytes:
    """The octets of the field with the value of ``b`` deleted and without the final CRLF (IN-17)."""
    raw = source.raw.removesuffix(b"\r\n")
    start = raw.index(b":") + 1
    for part in raw[start:].split(b";"):
        name, equals, _ = part.partition(b"=")
        if equals and name.strip(_FWS) == b"b":
            return raw[: start + len(name) + 1] + raw[start + len(part) :]
        start += len(part) + 1
    raise _malformed()


def same_integrity_value(one: str, other: str) -> bool:
    """Whether two integrity values agree, white space left aside (IN-27)."""
    return "".join(one.split()) == "".join(other.split())


def write_field(a: str, domain: str, h: Sequence[str], bh: bytes, b: bytes | None) -> bytes:
    """The field in the form of IN-10 with its CRLF; `b` None leaves its value empty and the CRLF off."""
    unfinished = f"{_front(a, domain, tuple(h))} bh={_wrapped(bh)};\r\n b=".encode("ascii")
    return unfinished if b is None else finished(unfinished, b)


def finished(unfinished: bytes, b: bytes) -> bytes:
    """What `write_field` left without a value for ``b``, with it."""
    return b"%s%s\r\n" % (unfinished, _wrapped(b).encode("ascii"))


@lru_cache(maxsize=256)
def _front(a: str, domain: str, h: tuple[str, ...]) -> str:
    """The lines up to ``bh``, which a provider writes alike in most of its messages."""
    query = [f"q={QUERY};"] if "/" in a else []
    lines = [f"{INTEGRITY}:"]
    for tag in ("v=1;", f"a={a};", "c=simple/simple;", f"d={domain};", "s=de-mail;", *query):
        if len(lines[-1]) + 1 + len(tag) > _LINE_OCTETS:
            lines.append("")
        lines[-1] += f" {tag}"
    lines.append(" h=" + h[0])
    for name in (f":{name}" for name in h[1:]):
        if len(lines[-1]) + len(name) > _LINE_OCTETS:
            lines.append(" ")
        lines[-1] += name
    lines[-1] += ";"
    return "\r\n".join((*lines, ""))


@lru_cache(maxsize=256)
def write_certificate(der: bytes) -> bytes:
    """The certificate field with its CRLF: bare base64, folded (IN-11)."""
    text = pybase64.b64encode(der)
    lines = (text[at : at + _BASE64_OCTETS] for at in range(0, len(text), _BASE64_OCTETS))
    return b"\r\n ".join((CERTIFICATE.encode("ascii") + b":", *lines)) + b"\r\n"


def read_certificate(source: HeaderField) -> bytes:
    """DER of the certificate field; white space and PEM armour lines are removed (IN-11).

    Raises:
        CertificateMalformed: no base64, or more than one armoured certificate. DER is not looked at.
    """
    value = source.value
    if len(value) > MAX_FIELD_CHARS:
        raise CertificateMalformed
    armoured = _ARMOUR.fullmatch(value)
    try:
        return _base64(armoured[1] if armoured else value)
    except MalformedMessage as error:
        raise CertificateMalformed from error


T = TypeVar("T", HashName, SignatureScheme)

_LINE_OCTETS = 76
_BASE64_OCTETS = 74
_FIRST_BASE64_OCTETS = 70
_FWS = b" \t\r\n"
_TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TAG_VALUE = re.compile(r"[!-:<-~ \t]*")
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_ARMOUR = re.compile(r"-----BEGIN CERTIFICATE-----(.*)-----END CERTIFICATE-----", re.DOTALL)
_POSITION = {name.lower(): position for position, name in enumerate(HEADER_LIST)}


def _malformed() -> MalformedMessage:
    return MalformedMessage("integrity-malformed")


def _halves(a: str) -> tuple[str, str | None]:
    first, slash, second = a.partition("/")
    return first, second if slash else None


def _member(kind: type[T], text: str) -> T | None:
    return kind(text) if text in set(kind) else None


def _names(h: str) -> tuple[str, ...]:
    names = tuple(name.strip(" \t").lower() for name in h.split(":"))
    if INTEGRITY in names or not all(map(_FIELD_NAME.fullmatch, names)):
        raise _malformed()
    return names


def _base64(text: str) -> bytes:
    """Strict base64, white space removed; the one encoding of its octets, so that nothing can be varied unnoticed."""
    compact = "".join(text.split()).encode("ascii", "replace")
    try:
        octets = pybase64.b64decode(compact, validate=True)
    except Base64Error as error:
        raise _malformed() from error
    if not octets or pybase64.b64encode(octets) != compact:
        raise _malformed()
    return octets


def _tag_findings(tags: dict[str, str], scheme: SignatureScheme | None) -> set[str]:
    found = {f"tag-missing:{name}" for name in ("v", "c", "d", "s") if name not in tags}
    found |= {f"tag-ignored:{name}" for name in ("l", "x") if name in tags}
    if scheme is not None and "".join(tags.get("q", "").split()) != QUERY:
        found.add("tag-q")
    return found


def _order_findings(h: tuple[str, ...]) -> set[str]:
    once = list(dict.fromkeys(h))
    listed = [_POSITION[name] for name in once if name in _POSITION]
    return {
        *(["h-repeated"] if len(once) < len(h) else []),
        *(["h-order"] if listed != sorted(listed) else []),
    }


def _wrapped(octets: bytes) -> str:
    text = pybase64.b64encode(octets).decode("ascii")
    if len(text) <= _FIRST_BASE64_OCTETS:
        return text
    head, rest = text[:_FIRST_BASE64_OCTETS], text[_FIRST_BASE64_OCTETS:]
    return "\r\n ".join((head, *(rest[at : at + _BASE64_OCTETS] for at in range(0, len(rest), _BASE64_OCTETS))))
