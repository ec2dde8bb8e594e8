"""The parts of a confirmation or notification: text, XML, PDF inside ``multipart/mixed`` (CO-5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from demail_gateway.core.header import Octets
from demail_gateway.core.mime import Part, leaves, read_parts
from demail_gateway.core.xml_tree import root_tag

MAX_XML_CANDIDATES = 20
"""A confirmation has one; bounds the parsing of a message made of XML parts."""


@dataclass(frozen=True, slots=True)
class ProofParts:
    """What a message of class B or M consists of; None where a part is missing."""

    is_multipart_mixed: bool
    xml: bytes | None = field(default=None, repr=False)
    pdf: bytes | None = field(default=None, repr=False)
    """Kept as evidence, never interpreted."""
    text: str | None = field(default=None, repr=False)
    """The first text for people."""

    @property
    def findings(self) -> tuple[str, ...]:
        """``structure-not-multipart-mixed``, ``structure-xml-missing``, ``structure-pdf-missing``."""
        missing = {
            "structure-not-multipart-mixed": not self.is_multipart_mixed,
            "structure-xml-missing": self.xml is None,
            "structure-pdf-missing": self.pdf is None,
        }
        return tuple(code for code, is_so in missing.items() if is_so)


def read_proof_parts(octets: Octets, root: str) -> ProofParts:
    """The parts by CO-5; `root` is the name of the XML's root element, as `root_tag` writes it. Never raises.

    The XML is not verified: its root alone is looked at, to tell it from a user's attachments.
    """
    parts = read_parts(octets.header, octets.body)
    contents = leaves(parts)
    candidates = [part for part in contents if _may_be_xml(part)][:MAX_XML_CANDIDATES]
    documents = (part.decode() for part in candidates)
    texts = (part.text() for part in contents if part.content_type == "text/plain" and not _may_be_xml(part))
    return ProofParts(
        is_multipart_mixed=parts[0].content_type == "multipart/mixed",
        xml=next((xml for xml in documents if root_tag(xml) == root), None),
        pdf=next((pdf for part in contents if (pdf := _pdf(part)) is not None), None),
        text=next(texts, None),
    )


def _may_be_xml(part: Part) -> bool:
    return part.content_type in ("application/xml", "text/xml") or (part.filename or "").lower().endswith(".xml")


def _pdf(part: Part) -> bytes | None:
    if part.content_type.startswith("text/") or _may_be_xml(part):
        return None
    octets = part.decode()
    return octets if octets.startswith(b"%PDF-") else None
