"""Recipient lists: the values of X-de-mail-chosen-recipient and -actual-recipient (TR 01201-3.4 §3.1.8, §3.1.15).

Grammar of MF-18::

    recipients   = element *( ";" element )
    element      = [FWS] kind [FWS] "=" [FWS] mailbox-list [FWS]
    kind         = "to" / "cc" / "bcc"
    mailbox-list = mailbox *( [FWS] "," [FWS] mailbox )     ; addr-spec or name-addr, RFC 5322
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from demail_gateway.core.address import Address, is_system_local_part, parse_address
from demail_gateway.core.encoded_words import decode_words, encode_words, readable
from demail_gateway.core.errors import AddressInvalid
from demail_gateway.core.vocabulary import RecipientKind

# Ours, far above what any honest list has (ten thousand recipients with names): bounds time and memory for the others.
MAX_PIECES = 60_000
MAX_QUOTED_CHARS = 10_000
"""Of a quoted string or comment."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address with the name shown beside it."""

    display: str = field(repr=False)
    """Decoded text; empty if there is none."""
    address: Address = field(repr=False)

    def __str__(self) -> str:
        """As written in a header value: ASCII, not folded. Raises ValueError for control characters."""
        return f"{_phrase(self.display)} <{self.address}>" if self.display else str(self.address)


@dataclass(frozen=True, slots=True)
class RecipientLists:
    """Recipients by kind, in the order given."""

    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()

    def __iter__(self) -> Iterator[tuple[RecipientKind, Mailbox]]:
        """All mailboxes with their kinds: to, cc, bcc."""
        for kind in RecipientKind:
            for mailbox in self.of(kind):
                yield kind, mailbox

    def of(self, kind: RecipientKind) -> tuple[Mailbox, ...]:
        return {RecipientKind.TO: self.to, RecipientKind.CC: self.cc, RecipientKind.BCC: self.bcc}[kind]

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(mailbox.address for _, mailbox in self)

    @property
    def is_empty(self) -> bool:
        return not (self.to or self.cc or self.bcc)

    def same_as(self, other: RecipientLists) -> bool:
        """Whether both hold the same kinds and addresses, whatever the order and the names (MF-23)."""
        mine = {(kind, mailbox.address) for kind, mailbox in self}
        return mine == {(kind, mailbox.address) for kind, mailbox in other}


def parse_recipients(value: str) -> tuple[RecipientLists, tuple[str, ...]]:
    """The recipients of an unfolded value, and the codes of what is wrong with it; never raises.

    Mailboxes that cannot be read are left out. Codes: ``recipient-syntax``, ``recipient-empty``,
    ``recipient-duplicate-element``, ``recipient-semicolon-list``, ``recipient-trailing-semicolon``,
    ``address-local-too-long``, ``address-domain-too-long``, ``address-too-long``, ``address-case``.
    """
    return _remembered(value) if len(value) <= _REMEMBERED_CHARS else _parsed(value)


def _parsed(value: str) -> tuple[RecipientLists, tuple[str, ...]]:
    found: dict[str, list[Mailbox]] = {}
    codes: dict[str, None] = {}
    parts = _split(list(_tokens(value)), ";")
    if len(parts) > 1 and not _text(parts[-1]):
        parts.pop()
        codes["recipient-trailing-semicolon"] = None
    kind = ""
    for part in parts:
        begins = _KIND.match(part[0][1]) if part and part[0][0] == _TEXT else None
        if begins:
            kind = begins[1].lower()
            part[0] = (_TEXT, part[0][1][begins.end() :])
            if kind in found:
                codes["recipient-duplicate-element"] = None
        elif kind and _text(part):
            codes["recipient-semicolon-list"] = None
        else:
            codes["recipient-syntax" if _text(part) else "recipient-empty"] = None
            continue
        found.setdefault(kind, []).extend(_mailboxes(part, codes))
    lists = RecipientLists(*(tuple(found.get(kind, ())) for kind in RecipientKind))
    return lists, tuple(codes)


_REMEMBERED_CHARS = 1024
_remembered = lru_cache(maxsize=32)(_parsed)
"""The same list stands in several fields of a message and of its proofs, and several checks read each."""


def format_recipients(recipients: RecipientLists) -> str:
    """The value in the order to, cc, bcc; kinds without recipients are left out (MF-18).

    Raises:
        ValueError: no recipient at all, or a display name with control characters.
    """
    if recipients.is_empty:
        raise ValueError("no recipient")
    return "; ".join(
        f"{kind}={format_mailboxes(mailboxes)}" for kind in RecipientKind if (mailboxes := recipients.of(kind))
    )


def format_mailboxes(mailboxes: Sequence[Mailbox]) -> str:
    """A comma-separated list for To, Cc, From or Reply-To."""
    return ", ".join(map(str, mailboxes))


def parse_mailboxes(value: str) -> tuple[tuple[Mailbox, ...], tuple[str, ...]]:
    """The mailboxes of a From, To, Cc or Reply-To value, and the codes of what is wrong; never raises.

    Codes as in `parse_recipients`.
    """
    codes: dict[str, None] = {}
    mailboxes = tuple(_mailboxes(list(_tokens(value)), codes))
    return mailboxes, tuple(codes)


_TEXT, _QUOTED, _ANGLE, _BROKEN = "text", "quoted", "angle", "broken"
_Token = tuple[str, str]

_KIND = re.compile(r"[ \t]*(to|cc|bcc)[ \t]*=[ \t]*", re.IGNORECASE)
_SCAN = re.compile(
    r"""(?P<quoted>") | (?P<angle><[^<>]*>) | (?P<text>[^"<>(),;\\:]+)
      | (?P<separator>[,;]) | (?P<comment>\() | (?P<broken>.)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED_END = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_COMMENT_END = re.compile(r"[^()\\]*(?:\\.[^()\\]*)*([()])", re.DOTALL)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _tokens(value: str) -> Iterator[_Token]:
    """Pieces of the value without comments. Group syntax (``:``) and stray specials are broken pieces.

    What does not end, a quoted string or a comment, is one broken piece with all that follows, as is what is too much.
    """
    position = 0
    for _ in range(MAX_PIECES):
        match = _SCAN.match(value, position)
        if match is None:
            return
        kind, end = match.lastgroup or _BROKEN, match.end()
        if kind in _ENDS:
            found = _ENDS[kind](value, end)
            if found is None:
                break
            end = found
        if kind != "comment":
            yield (match[0] if kind == "separator" else kind), value[position:end]
        position = end
    if position < len(value):
        yield _BROKEN, value[position:]


def _end_of_quoted(value: str, position: int) -> int | None:
    match = _QUOTED_END.match(value, position, position + MAX_QUOTED_CHARS)
    return None if match is None else match.end()


def _end_of_comment(value: str, position: int) -> int | None:
    depth, limit = 1, position + MAX_QUOTED_CHARS
    while depth:
        match = _COMMENT_END.match(value, position, limit)
        if match is None:
            return None
        depth += 1 if match[1] == "(" else -1
        position = match.end()
    return position


_ENDS: dict[str, Callable[[str, int], int | None]] = {_QUOTED: _end_of_quoted, "comment": _end_of_comment}


def _split(tokens: Sequence[_Token], separator: str) -> list[list[_Token]]:
    parts: list[list[_Token]] = [[]]
    for token in tokens:
        if token[0] == separator:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _text(tokens: Sequence[_Token]) -> str:
    return "".join(text for _, text in tokens).strip(" \t")


def _mailboxes(tokens: Sequence[_Token], codes: dict[str, None]) -> Iterator[Mailbox]:
    parts = _split(tokens, ",")
    if len(parts) == 1 and not _text(parts[0]):
        codes["recipient-empty"] = None
        return
    for part in parts:
        mailbox = _mailbox(part, codes)
        if mailbox is not None:
            yield mailbox


def _mailbox(tokens: Sequence[_Token], codes: dict[str, None]) -> Mailbox | None:
    pieces = [token for token in tokens if token[1].strip(" \t")]
    kinds = [kind for kind, _ in pieces]
    if kinds == [_TEXT]:
        display, spec = "", pieces[0][1]
    elif kinds and kinds[-1] == _ANGLE and set(kinds[:-1]) <= {_TEXT, _QUOTED}:
        display, spec = _display(pieces[:-1]), pieces[-1][1][1:-1]
    else:
        codes["recipient-syntax"] = None
        return None
    try:
        address = parse_address(spec.strip(" \t"))
    except AddressInvalid as error:
        codes["recipient-syntax" if error.reason == "address-syntax" else error.reason] = None
        return None
    if spec != spec.lower() and not is_system_local_part(address.local):
        codes["address-case"] = None
    return Mailbox(display, address)


def _display(tokens: Sequence[_Token]) -> str:
    return " ".join(
        readable(_ESCAPED.sub(r"\1", text[1:-1])) if kind == _QUOTED else decode_words(text.strip(" \t"))
        for kind, text in tokens
    )


def _phrase(display: str) -> str:
    if not display.isascii():
        return encode_words(display)
    if _ATOMS.fullmatch(display) and "=?" not in display:
        return display
    if not display.replace("\t", " ").isprintable():
        raise ValueError("control character in display name")
    return '"' + display.replace("\\", "\\\\").replace('"', '\\"') + '"'
