"""Enveloped XML signatures of confirmations: made as CO-13 says, accepted only within the limits of CO-14; of SAML
assertions accepted as ID-3 says.

The profile is so narrow (one Reference to the whole document, two transforms) that signing and verifying are written
out here on lxml's canonicalisation: nothing is looked up by id, no transform is run that is not named below, and what
the caller gets are the very octets whose digest was signed. signxml and xmlsec1 are the second opinion in the tests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from lxml import etree

from demail_gateway.core.errors import CertificateMalformed, ComposeFailed, XmlSignatureInvalid
from demail_gateway.core.primitives import DigestSigner, ExaminedXml, HashName, SignatureScheme, VerifiedXml
from demail_gateway.trust.certificates import public_key_of
from demail_gateway.trust.keys import PublicKey, is_permitted
from demail_gateway.trust.verifier import verify_with_key
from demail_gateway.trust.xml_reading import read_xml, schema_errors
from demail_gateway.trust.xmldsig_profile import (
    C14N,
    DIGEST_URIS,
    DS,
    EMITTED,
    ENVELOPED,
    METHODS,
    Profile,
    canonicalisation_of,
    ds,
    read_profile,
)

_XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"


class LxmlSignatures:
    """The core's XmlSignatures. Holds only the hash for new signatures; share one between threads at will."""

    __slots__ = ("_hash_name",)

    def __init__(self, hash_name: HashName = HashName.SHA256) -> None:
        self._hash_name = hash_name

    def examine(self, xml: bytes) -> ExaminedXml:
        """Violations of `confirmation.xsd`, and what `verify` gives. Raises XmlRefused."""
        tree = read_xml(xml)
        errors = schema_errors(tree)
        try:
            return ExaminedXml(errors, _verify(tree))
        except XmlSignatureInvalid:
            return ExaminedXml(errors, None)

    def verify(self, xml: bytes) -> VerifiedXml:
        """The octets that the one signature of the document covers, and the certificate that it holds under.

        Comments are not part of them (a Reference with ``URI=""`` leaves them out); processing instructions are.
        Path and status of the certificate are not judged here.

        Raises:
            XmlRefused: DOCTYPE, entities, not well-formed, too large.
            XmlSignatureInvalid: the signature does not hold, or is outside CO-14.
        """
        return _verify(read_xml(xml))

    def verify_assertion(self, xml: bytes) -> VerifiedXml:
        """As `verify`, for a SAML assertion that is the document (SAML core §5.4, ID-3).

        Its one signature is a child of the root, at any place; the Reference names the root by its ``ID``, or the
        document. No other element may bear an identifier of the same value, whatever its attribute is called.

        Raises as `verify`.
        """
        return _verify_assertion(read_xml(xml))

    def sign(self, xml: bytes, signer: DigestSigner) -> bytes:
        """The document, UTF-8 with XML declaration, with the signature as last child of its root (CO-13).

        Carriage returns come out as character references, as CO-11 needs them.

        Raises:
            XmlRefused
            ComposeFailed: there is a signature already, or the key or scheme (RSASSA-PSS) is not to be emitted.
        """
        return _sign(read_xml(xml), signer, self._hash_name)


def _sign(tree: etree._ElementTree, signer: DigestSigner, hash_name: HashName) -> bytes:
    root = tree.getroot()
    key = public_key_of(signer.certificate_der)
    prefix = EMITTED.get(signer.scheme)
    if key is None or not is_permitted(key) or prefix is None:
        raise ComposeFailed("key or scheme is not permitted in XML signatures")
    if _signatures(root) or _has_xml_attributes(root):
        raise ComposeFailed("document cannot be signed")
    digest = hashlib.new(hash_name, _canonical(tree)).digest()
    signature = etree.SubElement(root, ds("Signature"), nsmap={"ds": DS})
    signed_info = _signed_info(signature, prefix + hash_name, DIGEST_URIS[hash_name], digest)
    value = signer.sign_digest(hash_name, hashlib.new(hash_name, _canonical_part(signed_info)).digest())
    if isinstance(key, ec.EllipticCurvePublicKey):
        value = _plain(value, key)
    etree.SubElement(signature, ds("SignatureValue")).text = _encoded(value)
    data = etree.SubElement(etree.SubElement(signature, ds("KeyInfo")), ds("X509Data"))
    etree.SubElement(data, ds("X509Certificate")).text = _encoded(signer.certificate_der)
    return etree.tostring(tree, xml_declaration=True, encoding="UTF-8")


def _signed_info(signature: etree._Element, method: str, digest_method: str, digest: bytes) -> etree._Element:
    info = etree.SubElement(signature, ds("SignedInfo"))
    etree.SubElement(info, ds("CanonicalizationMethod"), Algorithm=C14N)
    etree.SubElement(info, ds("SignatureMethod"), Algorithm=method)
    reference = etree.SubElement(info, ds("Reference"), URI="")
    transforms = etree.SubElement(reference, ds("Transforms"))
    for algorithm in (ENVELOPED, C14N):
        etree.SubElement(transforms, ds("Transform"), Algorithm=algorithm)
    etree.SubElement(reference, ds("DigestMethod"), Algorithm=digest_method)
    etree.SubElement(reference, ds("DigestValue")).text = _encoded(digest)
    return info


def _verify(tree: etree._ElementTree) -> VerifiedXml:
    root = tree.getroot()
    signatures = _signatures(root)
    if len(signatures) != 1 or len(root) == 0 or root[-1] is not signatures[0]:
        raise XmlSignatureInvalid("not exactly one signature as last child of the root")
    return _holding(tree, signatures[0], read_profile(signatures[0]))


def _verify_assertion(tree: etree._ElementTree) -> VerifiedXml:
    root = tree.getroot()
    signatures = _signatures(root)
    if len(signatures) != 1 or signatures[0].getparent() is not root:
        raise XmlSignatureInvalid("not exactly one signature as child of the root")
    identifier = root.get("ID")
    if identifier and _bearers(root, identifier) != 1:
        raise XmlSignatureInvalid("identifier of the root occurs elsewhere")
    references = {"", f"#{identifier}"} if identifier else {""}
    return _holding(tree, signatures[0], read_profile(signatures[0], references))


def _bearers(root: etree._Element, identifier: str) -> int:
    """How many attributes that may be identifiers, whatever a reader takes for one, have this value."""
    return sum(
        value == identifier and etree.QName(name).localname.lower() == "id"
        for node in root.iter(etree.Element)
        for name, value in node.attrib.items()
    )


def _holding(tree: etree._ElementTree, signature: etree._Element, profile: Profile) -> VerifiedXml:
    root = tree.getroot()
    if _has_xml_attributes(root) or _has_xml_attributes(signature):
        # They would have to be inherited into SignedInfo; the schemas know none.
        raise XmlSignatureInvalid("attributes of the XML namespace")
    try:
        signed = _canonical_part(profile.signed_info, *canonicalisation_of(profile.canonicalisation))
        _detach(root, signature)
        # a reference to the root leaves out what stands beside it in the document
        canonicalise = _canonical_part if profile.uri else _canonical_document
        canonical = canonicalise(root, *canonicalisation_of(profile.transform))
    except etree.LxmlError as error:
        raise XmlSignatureInvalid("cannot be canonicalised") from error
    if not hmac.compare_digest(hashlib.new(profile.digest_name, canonical).digest(), profile.digest):
        raise XmlSignatureInvalid("digest does not fit")
    certificate = _holding_certificate(profile, signed)
    return VerifiedXml(canonical, certificate, profile.method.rpartition("#")[2])


def _holding_certificate(profile: Profile, signed: bytes) -> bytes:
    scheme, hash_name = METHODS[profile.method]
    digest = hashlib.new(hash_name, signed).digest()
    for certificate in profile.certificates:
        try:
            key = public_key_of(certificate)
        except CertificateMalformed as error:
            raise XmlSignatureInvalid("certificate cannot be read") from error
        if key is None or not is_permitted(key):
            continue
        value = _from_plain(profile.value, key) if scheme is SignatureScheme.EC_DSA else profile.value
        if verify_with_key(key, scheme, hash_name, digest, value):
            return certificate
    raise XmlSignatureInvalid("signature does not hold")


def _canonical_part(element: etree._Element, exclusive: bool = False, prefixes: Sequence[str] = ()) -> bytes:
    """Canonical octets of an element as apex, with the namespaces in scope.

    As a document of its own: lxml's canonicalisation of an inner element may change the tree that it lies in.
    """
    return _canonical(read_xml(etree.tostring(element, with_tail=False)), exclusive, prefixes)


def _canonical_document(root: etree._Element, exclusive: bool = False, prefixes: Sequence[str] = ()) -> bytes:
    """Canonical octets of the document around the root, processing instructions before and behind it included."""
    return _canonical(root.getroottree(), exclusive, prefixes)


def _canonical(tree: etree._ElementTree, exclusive: bool = False, prefixes: Sequence[str] = ()) -> bytes:
    """Canonical octets of a document without its comments.

    Without attributes of the XML namespace at its apex, which the callers see to, C14N 1.0 and 1.1 are the same.
    """
    names = list(prefixes) if exclusive and prefixes else None
    return etree.tostring(tree, method="c14n", exclusive=exclusive, with_comments=False, inclusive_ns_prefixes=names)


def _detach(root: etree._Element, signature: etree._Element) -> None:
    """Takes the signature out and leaves the text behind it where it was."""
    tail = signature.tail or ""
    before = signature.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        root.text = (root.text or "") + tail
    root.remove(signature)


def _signatures(root: etree._Element) -> list[etree._Element]:
    return list(root.iter(ds("Signature")))


def _has_xml_attributes(element: etree._Element) -> bool:
    return any(str(name).startswith(f"{{{_XML_NAMESPACE}}}") for name in element.attrib)


def _plain(der: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    """r‖s, each as long as the curve's order (RFC 4050, XMLDSig 1.1 §6.4.3); XML has no DER here."""
    size = (key.key_size + 7) // 8
    return b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(der))


def _from_plain(value: bytes, key: PublicKey) -> bytes:
    size = (key.key_size + 7) // 8
    if len(value) != 2 * size:
        return b""
    return encode_dss_signature(int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big"))


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
