"""Confirmations and notifications made for the tests, and the message that they speak of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pybase64

from demail_gateway.core.address import TrustedDomains, parse_address
from demail_gateway.core.confirmation import build_confirmation
from demail_gateway.core.confirmation_check import ConfirmationReport, SentCopy, check_confirmation
from demail_gateway.core.confirmation_reading import read_confirmation
from demail_gateway.core.correlation import Correlation
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.integrity import seal
from demail_gateway.core.notification import build_notification
from demail_gateway.core.notification_check import (
    NotificationReport,
    check_notification,
    read_notification_message,
)
from demail_gateway.core.options import SendOptions
from demail_gateway.core.primitives import CertificateStatus, HashName, SignatureScheme
from demail_gateway.core.provider_message import Issuer, Stamp
from demail_gateway.core.vocabulary import ConfirmationKind, NotificationType
from demail_gateway.trust.verifier import CryptographyVerifier
from demail_gateway.trust.xmldsig import LxmlSignatures
from tests.core.vector_trust import VECTORS, VectorJudge, VectorSigner

ORIGINAL_OCTETS = (VECTORS / "messages" / "original-with-private-id.eml").read_bytes()
ORIGINAL = read_message(ORIGINAL_OCTETS)
SENDER = parse_address("poststelle@musterstadt.dmda-a.example")
ERIKA = parse_address("erika.mustermann@dmda-b.example")
COPY = UUID(int=7)
AT = datetime(2026, 3, 2, 8, 20, tzinfo=UTC)
"""Of the events that the made confirmations confirm."""
RECEIVED_AT = datetime(2026, 3, 2, 8, 21, tzinfo=UTC)

TRUSTED = TrustedDomains(frozenset({"dmda-a.example", "dmda-b.example"}))
PROVIDER_A = Issuer("dmda-a.example", "Anbieter A", "mail.dmda-a.example", "https://dmda-a.example")
PROVIDER_B = Issuer("dmda-b.example", "Anbieter B", "mail.dmda-b.example")
STAMP = Stamp("b-1@dmda-b.example", "<b-1@dmda-b.example>", "b1", AT)
SIGNATURES = LxmlSignatures()
SIGNER = VectorSigner("rsa3072", SignatureScheme.RSA)
OTHER_SIGNER = VectorSigner("p256", SignatureScheme.EC_DSA)

SENT = SentCopy(
    sender=SENDER,
    served=(ERIKA,),
    subject="Bescheid zum Antrag 2026-0815",
    options=SendOptions(confirmation_of_dispatch=True, confirmation_of_receipt=True),
    private_id="urn:uuid:3b7d6a52-0f0c-4d1e-9a55-5d0c6b0e3a11",
    submitted_at=datetime(2026, 3, 2, 8, 14, 6, tzinfo=UTC),
    octets=ORIGINAL_OCTETS,
)
ALL_REQUESTED = replace(SENT.options, confirmation_of_retrieve=True)
ASSIGNED = Correlation(COPY, "private_id")


def pdf(title: str, rows: Sequence[tuple[str, str]], text: str, xml: bytes) -> bytes:
    """Not a PDF that can be shown; what it was given stands in it."""
    return b"%PDF-1.7\n" + repr((title, list(rows), text, len(xml))).encode()


def unsealed(kind: ConfirmationKind, original: Octets = ORIGINAL, **changes: Any) -> bytes:
    """A confirmation of this kind by the provider that may issue it."""
    is_dispatch = kind is ConfirmationKind.DISPATCH
    arguments: dict[str, Any] = {
        "issuer": PROVIDER_A if is_dispatch else PROVIDER_B,
        "stamp": STAMP,
        "recipient": None if is_dispatch else ERIKA,
        "xml_signatures": SIGNATURES,
        "signer": SIGNER,
        "pdf": pdf,
        "delivery_time": AT if kind is ConfirmationKind.RETRIEVE else None,
    }
    return build_confirmation(kind, original, **{**arguments, **changes})


def sealed(message: bytes, signer: VectorSigner | None = SIGNER) -> bytes:
    return seal(message, hash_name=HashName.SHA256, domain="dmda-b.example", signer=signer)


def report(message: bytes, **changes: Any) -> ConfirmationReport:
    """The check of a confirmation as it came, correlated with SENT unless told otherwise."""
    arguments: dict[str, Any] = {
        "correlation": ASSIGNED,
        "sent": SENT,
        "verifier": CryptographyVerifier(),
        "judge": VectorJudge(),
        "trusted": TRUSTED,
        "at": RECEIVED_AT,
    }
    confirmation = read_confirmation(read_message(message), SIGNATURES)
    return check_confirmation(confirmation, **{**arguments, **changes})


def notice(kind: NotificationType, text: str, **changes: Any) -> bytes:
    """An unsealed notification of provider B about Erika."""
    arguments: dict[str, Any] = {"issuer": PROVIDER_B, "stamp": STAMP, "recipient": ERIKA, "pdf": pdf}
    return build_notification(kind, ORIGINAL, **{**arguments, "text": text, **changes})


def notification_report(message: bytes, **changes: Any) -> NotificationReport:
    """The check of a notification as it came, correlated with SENT unless told otherwise."""
    arguments: dict[str, Any] = {
        "correlation": ASSIGNED,
        "sent": SENT,
        "verifier": CryptographyVerifier(),
        "judge": VectorJudge(),
        "trusted": TRUSTED,
        "at": RECEIVED_AT,
    }
    return check_notification(read_notification_message(read_message(message)), **{**arguments, **changes})


_XML_PART = re.compile(rb'(filename="\w+\.xml"\r\n\r\n)(.*?)(?=--)', re.DOTALL)


def xml_of(message: bytes) -> bytes:
    """The XML part of a made message."""
    match = _XML_PART.search(message)
    assert match is not None
    return pybase64.b64decode(match[2].replace(b"\r\n", b""))


def with_xml(message: bytes, xml: bytes) -> bytes:
    """A made message, not sealed yet, with another XML part."""
    match = _XML_PART.search(message)
    assert match is not None
    encoded = pybase64.encodebytes(xml).replace(b"\n", b"\r\n")
    return message[: match.start(2)] + encoded + message[match.end(2) :]


STATUS_UNKNOWN = VectorJudge(status=CertificateStatus.UNKNOWN)
REVOKED = VectorJudge(status=CertificateStatus.REVOKED)
