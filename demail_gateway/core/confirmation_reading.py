"""A received confirmation, taken apart: header section, parts, and what its XML signature covers.

Two steps, because what it confirms is looked up in between: `read_confirmation` gives the keys to look up with (CO-16),
`confirmation_check.check_confirmation` judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from demail_gateway.core.confirmation_xml import ACKNOWLEDGEMENT, AcknowledgeMessage, Metadate, read_acknowledgement
from demail_gateway.core.correlation import CorrelationKeys
from demail_gateway.core.errors import MalformedMessage, XmlRefused
from demail_gateway.core.header import Header, HeaderField, Octets
from demail_gateway.core.metadata import Metadata, message_type_of, read_metadata
from demail_gateway.core.primitives import VerifiedXml, XmlSignatures
from demail_gateway.core.proof_parts import ProofParts, read_proof_parts
from demail_gateway.core.vocabulary import CLASS_OF, ConfirmationKind, MessageClass


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A confirmation as far as it can be read."""

    kind: ConfirmationKind
    octets: Octets = field(repr=False)
    metadata: Metadata
    """Of the confirmation itself."""
    parts: ProofParts
    verified: VerifiedXml | None = field(repr=False)
    """What the XML signature covers; None if there is no XML or its signature does not hold."""
    contents: AcknowledgeMessage | None
    """Read from the verified octets alone (CO-14)."""
    original: Metadata | None
    """Of the confirmed message, read from the fields that the confirmation carries."""
    schema_findings: tuple[str, ...]
    """``xml-missing``, ``xml-schema``."""
    keys: CorrelationKeys


def is_confirmation(header: Header) -> bool:
    """Whether the message is of class B (`message-format.md` §1)."""
    message_type = message_type_of(header)
    return message_type is not None and CLASS_OF[message_type] is MessageClass.B


def read_confirmation(octets: Octets, xml_signatures: XmlSignatures) -> Confirmation:
    """The confirmation with its XML signature verified; nothing about certificates, nothing about the header's hash.

    Raises:
        MalformedMessage: ``message-type``: the message is not of class B.
    """
    message_type = message_type_of(octets.header)
    if message_type is None or CLASS_OF[message_type] is not MessageClass.B:
        raise MalformedMessage("message-type")
    metadata = read_metadata(octets.header)
    parts = read_proof_parts(octets, ACKNOWLEDGEMENT)
    verified, schema_findings = _examined(parts.xml, xml_signatures)
    contents = _contents(verified)
    original = None if contents is None else read_metadata(_original_header(contents))
    return Confirmation(
        kind=ConfirmationKind(message_type.value),
        octets=octets,
        metadata=metadata,
        parts=parts,
        verified=None if contents is None else verified,
        contents=contents,
        original=original,
        schema_findings=schema_findings,
        keys=_keys(metadata, original, contents),
    )


def _examined(xml: bytes | None, xml_signatures: XmlSignatures) -> tuple[VerifiedXml | None, tuple[str, ...]]:
    """What is verified, and the findings of step 5."""
    if xml is None:
        return None, ("xml-missing",)
    try:
        examined = xml_signatures.examine(xml)
    except XmlRefused:
        return None, ("xml-missing",)
    return examined.verified, ("xml-schema",) if examined.schema_errors else ()


def _contents(verified: VerifiedXml | None) -> AcknowledgeMessage | None:
    try:
        return None if verified is None else read_acknowledgement(verified.canonical)
    except XmlRefused:
        return None


def _original_header(contents: AcknowledgeMessage) -> Header:
    """The original's fields as far as they are carried, the first of each name (CO-11)."""
    found: dict[str, HeaderField] = {}
    for entry in contents.metadata:
        rebuilt = entry.header_field or _from_value(entry)
        if rebuilt is not None:
            found.setdefault(rebuilt.lower, rebuilt)
    return Header(tuple(found.values()))


def _from_value(entry: Metadate) -> HeaderField | None:
    """A stand-in from Value where OriginalHeader is unusable; it never enters the proof."""
    try:
        made = HeaderField(f"{entry.name.strip()}: {' '.join(entry.value.split())}\r\n".encode())
    except MalformedMessage:
        return None
    return made if made.lower == entry.lower else None  # a colon in the name would make it another field


def _keys(metadata: Metadata, original: Metadata | None, contents: AcknowledgeMessage | None) -> CorrelationKeys:
    if original is None or contents is None:
        return CorrelationKeys(private_id=metadata.private_id)
    return CorrelationKeys(
        private_id=metadata.private_id or original.private_id,
        demail_message_id=original.message_id,
        integrity_value="".join((contents.hash or "").split()) or None,
        internet_message_id=original.internet_message_id,
    )
