"""Which XML signatures are accepted (CO-13, CO-14): their parts, read one by one, everything else refused."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container
from dataclasses import dataclass

from lxml import etree

from demail_gateway.core.errors import XmlSignatureInvalid
from demail_gateway.core.primitives import HashName, SignatureScheme

MAX_CERTIFICATES = 8

DS = "http://www.w3.org/2000/09/xmldsig#"
ENVELOPED = DS + "enveloped-signature"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_C14N_11 = "http://www.w3.org/2006/12/xml-c14n11"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"

_CANONICALISATIONS = frozenset(
    {C14N, C14N + "#WithComments", _C14N_11, _C14N_11 + "#WithComments", EXCLUSIVE, EXCLUSIVE + "WithComments"}
)

_DIGESTS: dict[str, HashName] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": HashName.SHA256,
    _MORE + "sha384": HashName.SHA384,
    "http://www.w3.org/2001/04/xmlenc#sha512": HashName.SHA512,
}
DIGEST_URIS = {name: uri for uri, name in _DIGESTS.items()}

METHODS: dict[str, tuple[SignatureScheme, HashName]] = {
    **{f"{_MORE}rsa-{name}": (SignatureScheme.RSA, name) for name in HashName},
    **{f"{_MORE}ecdsa-{name}": (SignatureScheme.EC_DSA, name) for name in HashName},
    **{f"{_MORE_2007}{name}-rsa-MGF1": (SignatureScheme.RSASSA_PSS, name) for name in HashName},
}
EMITTED: dict[SignatureScheme, str] = {
    SignatureScheme.RSA: _MORE + "rsa-",
    SignatureScheme.EC_DSA: _MORE + "ecdsa-",
}
"""First part of the method of new signatures; the name of the hash follows."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A Signature element whose every part is known and permitted."""

    signed_info: etree._Element
    canonicalisation: etree._Element
    uri: str
    method: str
    transform: etree._Element | None
    """The canonicalisation of the Reference; None for the default, C14N 1.0."""
    digest_name: HashName
    digest: bytes
    value: bytes
    certificates: tuple[bytes, ...]


def read_profile(signature: etree._Element, references: Container[str] = frozenset({""})) -> Profile:
    """The parts of a Signature whose one Reference has one of these URIs.

    Raises:
        XmlSignatureInvalid: for everything that CO-14 does not name.
    """
    if next(signature.iter(etree.Comment, etree.ProcessingInstruction, etree.Entity), None) is not None:
        # A comment inside a value would split what is read from what is seen.
        raise XmlSignatureInvalid("comment or processing instruction inside the signature")
    signed_info, value, key_info = _children(signature, _SIGNATURE)
    canonicalisation, method, reference = _children(signed_info, _SIGNED_INFO)
    uri = reference.get("URI")
    if uri is None or uri not in references:
        raise XmlSignatureInvalid("reference to something else than the document")
    transforms, digest_method, digest_value = _children(reference, _REFERENCE)
    if len(method) or len(digest_method):
        raise XmlSignatureInvalid("algorithm with parameters")
    return Profile(
        signed_info=signed_info,
        canonicalisation=_permitted(canonicalisation, _CANONICALISATIONS),
        uri=uri,
        method=_algorithm(_permitted(method, METHODS)),
        transform=_read_transforms(transforms),
        digest_name=_DIGESTS[_algorithm(_permitted(digest_method, _DIGESTS))],
        digest=_decoded(digest_value),
        value=_decoded(value),
        certificates=_read_certificates(key_info),
    )


def _read_transforms(transforms: etree._Element) -> etree._Element | None:
    found = list(transforms)
    if any(node.tag != ds("Transform") for node in found) or not 1 <= len(found) <= 2:
        raise XmlSignatureInvalid("other transforms than enveloped-signature and one canonicalisation")
    _permitted(found[0], {ENVELOPED})
    return _permitted(found[1], _CANONICALISATIONS) if len(found) == 2 else None


def _read_certificates(key_info: etree._Element) -> tuple[bytes, ...]:
    found = [node for data in key_info.findall(ds("X509Data")) for node in data.findall(ds("X509Certificate"))]
    if not 1 <= len(found) <= MAX_CERTIFICATES:
        raise XmlSignatureInvalid("no certificate, or too many")
    return tuple(_decoded(node) for node in found)


def _children(parent: etree._Element, tags: list[str]) -> list[etree._Element]:
    """The children of `parent`, which must be exactly these, in this order."""
    found = list(parent)
    if [node.tag for node in found] != tags:
        raise XmlSignatureInvalid("structure of the signature is not permitted")
    return found


def _permitted(node: etree._Element, algorithms: Container[str]) -> etree._Element:
    if _algorithm(node) not in algorithms:
        raise XmlSignatureInvalid("algorithm is not permitted")
    return node


def _algorithm(node: etree._Element) -> str:
    return node.get("Algorithm", "")


def canonicalisation_of(node: etree._Element | None) -> tuple[bool, list[str]]:
    """Whether the canonicalisation is the exclusive one, and its InclusiveNamespaces; None is the default, C14N 1.0.

    The variants with comments need no answer of their own: a same-document Reference leaves comments out, and the
    signature itself has none.
    """
    if node is None:
        return False, []
    prefixes: list[str] = []
    for child in node:
        if child.tag != f"{{{EXCLUSIVE}}}InclusiveNamespaces" or len(node) != 1:
            raise XmlSignatureInvalid("canonicalisation with unknown parameters")
        prefixes = child.get("PrefixList", "").split()
    return _algorithm(node) in (EXCLUSIVE, EXCLUSIVE + "WithComments"), prefixes


def _decoded(node: etree._Element) -> bytes:
    if len(node):
        raise XmlSignatureInvalid("elements inside a value")
    try:
        return base64.b64decode("".join((node.text or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise XmlSignatureInvalid("value is not base64") from error


def ds(name: str) -> str:
    return f"{{{DS}}}{name}"


_SIGNATURE = [ds(name) for name in ("SignedInfo", "SignatureValue", "KeyInfo")]
_SIGNED_INFO = [ds(name) for name in ("CanonicalizationMethod", "SignatureMethod", "Reference")]
_REFERENCE = [ds(name) for name in ("Transforms", "DigestMethod", "DigestValue")]
