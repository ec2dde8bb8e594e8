"""Ident-Bestätigungen made for the tests; signed by signxml, so that another hand than ours has made what is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, SignatureConstructionMethod
from signxml.signer import XMLSigner

from demail_gateway.core.address import Address, parse_address
from demail_gateway.core.entity import PartSource, build_entity
from demail_gateway.core.header import read_message
from demail_gateway.core.ident import IdentReport, check_ident, read_ident
from demail_gateway.core.provider_message import ProviderMessage, write_provider_message
from demail_gateway.core.vocabulary import MessageType
from demail_gateway.trust.verifier import CryptographyVerifier
from tests.core.proofs import ERIKA, PROVIDER_B, RECEIVED_AT, SENDER, SIGNATURES, STAMP, TRUSTED, sealed
from tests.core.vector_trust import VECTORS, VectorJudge

SERVICE = SENDER
"""The service provider: the tenant's mailbox."""
SYSTEM = "Ident-Bestaetigung@dmda-b.example"
FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
IDENT = "http://www.de-mail.de/xml/2010/01/ident"
VALIDATED = 'validationTime="2026-01-15T10:00:00Z"'


def card(kind: str, *fields: tuple[str, str], inside: str = "Identcard", when: str = VALIDATED) -> str:
    """A card as the example of TR 01201-4.4 §2.6 nests it; without `inside` bare."""
    leaves = "".join(f"<{name} {when}>{value}</{name}>" for name, value in fields)
    bare = f'<{kind} xmlns="{IDENT}">{leaves}</{kind}>'
    return f'<{inside} xmlns="{IDENT}">{bare}</{inside}>' if inside else bare


OWN_ADDRESS = ("de-mail-address", str(ERIKA))
PERSON = card(
    "NaturalPerson",
    ("personalTitle", "Dr."),
    ("surname", "Mustermann"),
    ("givenname", "Erika"),
    ("street", "Heidestraße 17"),
    ("locationOfBirth", "Berlin"),
    ("dateOfBirth", "12.08.&lt;&lt;&lt;&lt;"),
    ("locality", "Köln"),
    ("zip", "51147"),
    ("country", "DE"),
    ("age", "61"),
    OWN_ADDRESS,
)


def assertion(**changes: str) -> str:
    """An assertion with a place for its signature; `changes` replace parts by name."""
    parts = {
        "version": 'Version="2.0"',
        "id": 'ID="_4c1d2e"',
        "issued": 'IssueInstant="2026-03-02T08:20:00Z"',
        "issuer": f'<saml:Issuer Format="{FORMAT}">{SYSTEM}</saml:Issuer>',
        "signature": '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"/>',
        "subject": f'<saml:Subject><saml:NameID Format="{FORMAT}">{ERIKA}</saml:NameID></saml:Subject>',
        "limits": "",
        "restriction": f"<saml:AudienceRestriction><saml:Audience>{SERVICE}</saml:Audience></saml:AudienceRestriction>",
        "authn": '<saml:AuthnStatement AuthnInstant="2026-03-02T08:18:47.0Z"><saml:AuthnContext>'
        "<saml:AuthnContextClassRef>\n  urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract\n"
        "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>",
        "card": PERSON,
        "attributes": "",
        "end": "",
        **changes,
    }
    attributes = parts["attributes"] or (
        f'<saml:AttributeStatement><saml:Attribute Name="Card"><saml:AttributeValue>{parts["card"]}'
        "</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>"
    )
    return (
        f'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" {parts["version"]} {parts["id"]} '
        f"{parts['issued']}>{parts['issuer']}{parts['signature']}{parts['subject']}"
        f"<saml:Conditions{parts['limits']}>{parts['restriction']}</saml:Conditions>"
        f"{parts['authn']}{attributes}{parts['end']}</saml:Assertion>"
    )


def signed(
    xml: str, *, key: str = "rsa3072", method: str = "rsa-sha256", reference: str = "_4c1d2e", c14n: str = ""
) -> bytes:
    """The assertion signed by signxml in the place kept for it, by the transforms of §2.6."""
    maker = XMLSigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=method,
        digest_algorithm="sha256",
        c14n_algorithm=c14n or CanonicalizationMethod.CANONICAL_XML_1_0,
    )
    certificate = (VECTORS / "keys" / f"{key}.crt.pem").read_text("ascii")
    root = maker.sign(
        etree.fromstring(xml),
        key=_private_key(key),
        cert=certificate,
        reference_uri=reference or None,
        id_attribute="ID",
    )
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def unsealed(xml: bytes, *, pdf: bytes = b"%PDF-1.7\n", **changes: Any) -> bytes:
    """The message around an assertion, from provider B to the service provider, a copy to Erika."""
    parts: Sequence[PartSource] = (
        PartSource("ident.xml", "application/xml", xml),
        PartSource("ident.pdf", "application/pdf", pdf),
    )
    arguments: dict[str, Any] = {
        "sender": SYSTEM,
        "to": (SERVICE,),
        "cc": (ERIKA,),
        "message_type": MessageType.IDENTIFICATION,
        "subject": "Ident-Bestätigung",
        "private": True,
    }
    text = "Hiermit werden die folgenden Identitätsdaten zur angegebenen De-Mail-Adresse bestätigt:\n"
    entity = build_entity(text, None, parts, STAMP.boundary)
    return write_provider_message(ProviderMessage(**{**arguments, **changes}), entity, PROVIDER_B, STAMP)


def report(message: bytes, **changes: Any) -> IdentReport:
    """The check of an Ident-Bestätigung in the service provider's mailbox."""
    arguments: dict[str, Any] = {
        "mailbox": SERVICE,
        "verifier": CryptographyVerifier(),
        "judge": VectorJudge(),
        "trusted": TRUSTED,
        "at": RECEIVED_AT,
    }
    return check_ident(read_ident(read_message(message), SIGNATURES), **{**arguments, **changes})


def other(address: str) -> Address:
    return parse_address(address)


@cache
def _private_key(name: str) -> Any:
    """Loading checks the key, which takes longer than all the rest."""
    return load_pem_private_key((VECTORS / "keys" / f"{name}.key.pem").read_bytes(), None)


ASSERTION = signed(assertion())
MESSAGE = sealed(unsealed(ASSERTION))
