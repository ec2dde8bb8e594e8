"""Good XML made hostile: each change by the name of what it is. No reader may take the outcome for a proof."""

from __future__ import annotations

from collections.abc import Callable

Change = Callable[[bytes], bytes]

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'


def _body(xml: bytes) -> bytes:
    """The document without its XML declaration, which signers write in several ways."""
    return xml.partition(b"?>")[2].lstrip() if xml.startswith(b"<?xml") else xml


def _root(xml: bytes) -> bytes:
    return _body(xml)[1:].split(b" ")[0]


def _with_doctype(subset: bytes) -> Change:
    return lambda xml: b"<!DOCTYPE " + _root(xml) + b" " + subset + b">" + _body(xml)


def _with_entity(subset: bytes, reference: bytes) -> Change:
    """As the first text of the root."""

    def change(xml: bytes) -> bytes:
        declared = _with_doctype(subset)(xml)
        at = declared.index(b">", declared.index(b"<" + _root(xml))) + 1
        return declared[:at] + reference + declared[at:]

    return change


def _encoded(encoding: str, declared: str | None = None) -> Change:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    return lambda xml: (head + _body(xml).decode()).encode(encoding)


def _declaring(namespaces: int) -> bytes:
    """The beginning of an element that declares so many."""
    return b"<x " + b" ".join(b'xmlns:a%d="u:%d"' % (n, n) for n in range(namespaces))


def _inside(begin: bytes, end: bytes) -> Change:
    """As the first content of the root."""

    def change(xml: bytes) -> bytes:
        body = _body(xml)
        at = body.index(b">") + 1
        return body[:at] + begin + end + body[at:]

    return change


LAUGHS = b'[<!ENTITY a "haha">' + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))

REFUSED: dict[str, Change] = {
    "laughing entities": _with_entity(LAUGHS + b"]", b"&j;"),
    "entity of quadratic size": _with_entity(b'[<!ENTITY a "' + b"x" * 50_000 + b'">]', b"&a;" * 10_000),
    "external entity": _with_entity(b'[<!ENTITY a SYSTEM "file:///etc/passwd">]', b"&a;"),
    "parameter entity": _with_doctype(b'[<!ENTITY % a SYSTEM "http://127.0.0.1:1/a"> %a;]'),
    "external subset": _with_doctype(b'SYSTEM "http://127.0.0.1:1/a.dtd"'),
    "doctype alone": _with_doctype(b""),
    "default attribute": _with_doctype(b"[<!ATTLIST Text xmlns CDATA 'urn:other'>]"),
    "doctype behind a comment": lambda xml: b"<!-- > -->" + _with_doctype(b"")(xml),
    "doctype behind a mark": lambda xml: b"\xef\xbb\xbf" + _with_doctype(b"")(xml),
    "undeclared entity": _inside(b"&a;", b""),
    "UTF-16 with mark": _encoded("utf-16"),
    "UTF-16 without mark": _encoded("utf-16-be"),
    "UTF-16 little endian without mark": _encoded("utf-16-le"),
    "UTF-32": _encoded("utf-32"),
    "UTF-7": _encoded("utf-7", "UTF-7"),
    "EBCDIC": _encoded("cp037", "IBM037"),
    "EBCDIC only declared": _encoded("utf-8", "IBM037"),
    "Shift-JIS only declared": _encoded("utf-8", "Shift_JIS"),
    "encoding that nobody knows": _encoded("utf-8", "x-none"),
    "codec that is none of text": _encoded("utf-8", "hex"),
    "octet that is no UTF-8": _inside(b"\xff", b""),
    "overlong UTF-8": _inside(b"\xc0\xbc", b""),
    "surrogate in UTF-8": _inside(b"\xed\xa0\x80", b""),
    "zero octet": _inside(b"\0", b""),
    "control character": _inside(b"\x01", b""),
    "reference to a control character": _inside(b"&#1;", b""),
    "reference to a surrogate": _inside(b"&#xD800;", b""),
    "reference behind the last character": _inside(b"&#x110000;", b""),
    "two marks": lambda xml: b"\xef\xbb\xbf" * 2 + _body(xml),
    "declaration not at the beginning": lambda xml: b"\n" + DECLARATION + _body(xml),
    "second root": lambda xml: _body(xml) * 2,
    "text behind the root": lambda xml: _body(xml) + b"x",
    "cut off": lambda xml: xml[:-7],
    "undeclared prefix": _inside(b"<x:y/>", b""),
    "attribute twice": _inside(b'<x y="1" y="2"/>', b""),
    "too many tags": _inside(b"<x/>" * 60_000, b""),
    "too large": _inside(b"<!--" + b"x" * 9_000_000, b"-->"),
    "too many attributes": _inside(b"<x " + b" ".join(b'a%d=""' % n for n in range(20_000)) + b"/>", b""),
    "too many namespaces": _inside(_declaring(5_000) + b"/>", b""),
    "namespaces in scope of many": _inside(_declaring(1_000) + b">" + b"<e/>" * 300, b"</x>"),
    "too deep": _inside(b"<x>" * 20_000, b"</x>" * 20_000),
}
"""No reader reads it."""

CHANGED: dict[str, Change] = {
    "deep": _inside(b"<x>" * 200, b"</x>" * 200),
    "many attributes": _inside(b"<x " + b" ".join(b'a%d=""' % n for n in range(900)) + b"/>", b""),
    "many namespaces": _inside(_declaring(200) + b"/>", b""),
    "long attribute": _inside(b'<x a="' + b"x" * 500_000 + b'"/>', b""),
    "long text": _inside(b"x" * 500_000, b""),
    "marked section": _inside(b"<![CDATA[" + b"]]" * 1000, b"]]>"),
    "inclusion": _inside(b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>', b""),
    "character beyond the first plane": _inside("\N{GRINNING FACE}".encode(), b""),
    "stylesheet": lambda xml: b'<?xml-stylesheet href="http://127.0.0.1:1/a.xsl"?>' + _body(xml),
}
"""It is read, and it is not what was signed."""
