"""XML of others: read without DOCTYPE, entities, network or the parser's huge mode (CO-6, CO-14)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from lxml import etree

from demail_gateway.core.errors import XmlRefused
from demail_gateway.core.xml_tree import ENCODINGS, check_bounds

_MISC = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_SCHEMA = Path(__file__).parent / "schemas" / "confirmation.xsd"


def read_xml(xml: bytes) -> etree._ElementTree:
    """The document as a tree of its own, nothing left out: comments, processing instructions and blanks stay.

    Raises:
        XmlRefused: too large, another encoding, a DOCTYPE (so that no entity can be declared), or not well-formed.
    """
    check_bounds(xml)
    # Before the parser sees it: an entity bomb must not even be expanded in order to be refused.
    if _first_markup(xml).startswith(b"<!DOCTYPE"):
        raise XmlRefused("DOCTYPE")
    try:
        tree = etree.fromstring(xml, _parser()).getroottree()
    except (etree.XMLSyntaxError, ValueError) as error:
        # The parser's own text quotes the document; it stays in the chained exception.
        raise XmlRefused("not well-formed") from error
    if tree.docinfo.internalDTD is not None:
        raise XmlRefused("DOCTYPE")
    if (tree.docinfo.encoding or "UTF-8").upper() not in ENCODINGS:
        raise XmlRefused("encoding")
    return tree


def schema_errors(tree: etree._ElementTree) -> tuple[str, ...]:
    """Violations of `confirmation.xsd` (TR 01201-3.4 §3.5.3), empty if none: line, kind and place, no contents."""
    with _schema_lock:
        if _schema().validate(tree):
            return ()
        log = list(cast(Iterable[Any], _schema().error_log))
    return tuple(f"line {entry.line}: {entry.type_name} at {entry.path}" for entry in log)


_schema_lock = threading.Lock()
"""A compiled schema keeps the errors of its last run in itself."""
_compiled: list[etree.XMLSchema] = []


def _schema() -> etree.XMLSchema:
    if not _compiled:
        _compiled.append(etree.XMLSchema(etree.parse(str(_SCHEMA), _parser())))
    return _compiled[0]


def _parser() -> etree.XMLParser:
    """A new one each time: parsers carry state and are not shared between threads."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_blank_text=False,
        remove_comments=False,
        remove_pis=False,
        strip_cdata=False,
        collect_ids=False,
    )


def _first_markup(xml: bytes) -> bytes:
    """The octets from the first ``<`` on that begins neither comment nor processing instruction."""
    at = 3 if xml.startswith(b"\xef\xbb\xbf") else 0
    while found := _MISC.match(xml, at):
        at = found.end()
    if xml[at : at + 1] != b"<":
        raise XmlRefused("not well-formed, or another encoding")
    return xml[at : at + 9]
