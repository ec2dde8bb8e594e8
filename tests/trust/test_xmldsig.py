from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml.algorithms import SignatureConstructionMethod
from signxml.signer import XMLSigner
from signxml.verifier import XMLVerifier

from demail_gateway.core.errors import ComposeFailed, XmlRefused, XmlSignatureInvalid
from demail_gateway.core.primitives import HashName
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import der_to_pem, parse_certificate
from demail_gateway.trust.keys import SoftwareSigner
from demail_gateway.trust.xmldsig import LxmlSignatures
from tests.harness.programs import program
from tests.trust.wrapping import ATTACKS, Attack

SignerOf = Callable[..., SoftwareSigner]

NS = "urn:de-mail"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
XML = """<?xml version="1.0" encoding="UTF-8"?>
<Acknowledge-Message xmlns="urn:de-mail" xmlns:unused="urn:x">
<Sender>Versandbestaetigung@dmda-a.example</Sender>
<Metadata><Metadate><Name>Subject</Name><Value>Bescheid &amp; Gebühr</Value>
<OriginalHeader>Subject: Bescheid&#xD;
 &amp; Geb\u00fchr&#xD;
</OriginalHeader></Metadate></Metadata>
<Subject>Versandbestätigung: Bescheid</Subject><Text>versandt</Text><Hash>v=1</Hash>
<Time>2026-03-02T09:14:21+01:00</Time>
</Acknowledge-Message>
""".encode()
KINDS = ["rsa-3072", "p256", "p384", "p521", "brainpool-p256"]
XMLDSIG = LxmlSignatures()


@pytest.fixture(scope="module")
def signed(signer_of: SignerOf) -> bytes:
    return XMLDSIG.sign(XML, signer_of("p256", Profile.PROVIDER_SIGNATURE))


@pytest.mark.clause("TR 01201-3.4 §3.5.1 signature")
@pytest.mark.parametrize("hash_name", list(HashName))
@pytest.mark.parametrize("kind", KINDS)
def test_own_signature_verifies(signer_of: SignerOf, kind: str, hash_name: HashName) -> None:
    signer = signer_of(kind, Profile.PROVIDER_SIGNATURE)
    verified = XMLDSIG.verify(LxmlSignatures(hash_name).sign(XML, signer))
    assert verified.certificate_der == signer.certificate_der
    assert verified.algorithm == ("rsa-" if kind.startswith("rsa") else "ecdsa-") + hash_name
    assert verified.canonical == etree.tostring(etree.fromstring(XML).getroottree(), method="c14n")


def test_shape_is_that_of_co_13(signed: bytes) -> None:
    signature = etree.fromstring(signed)[-1]
    assert signature.tag == DS + "Signature"
    algorithms = [node.get("Algorithm") for node in signature.iter() if node.get("Algorithm")]
    assert algorithms == [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2001/04/xmlenc#sha256",
    ]
    assert [node.get("URI") for node in signature.iter(DS + "Reference")] == [""]
    assert XMLDSIG.examine(signed).schema_errors == ()


def test_carriage_returns_survive_as_references(signed: bytes) -> None:
    """CO-11."""
    assert b"Bescheid&#13;\n" in signed
    header = ElementTree.fromstring(XMLDSIG.verify(signed).canonical).find(f".//{{{NS}}}OriginalHeader")
    assert header is not None
    assert header.text == "Subject: Bescheid\r\n & Gebühr\r\n"


@pytest.mark.clause("TR 01201-3.4 §3.5.1 signature")
@pytest.mark.parametrize("hash_name", list(HashName))
@pytest.mark.parametrize("kind", KINDS)
def test_xmlsec1_verifies(
    tmp_path: Path, signer_of: SignerOf, authority: TestAuthority, kind: str, hash_name: HashName
) -> None:
    ours = LxmlSignatures(hash_name).sign(XML, signer_of(kind, Profile.PROVIDER_SIGNATURE))
    assert _xmlsec1_says_ok(tmp_path, authority, ours)
    assert not _xmlsec1_says_ok(tmp_path, authority, ours.replace(b"versandt", b"versendet"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "c14n",
    [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/2006/12/xml-c14n11#WithComments",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    ],
)
def test_signature_of_xmlsec1_verifies(tmp_path: Path, signer_of: SignerOf, kind: str, c14n: str) -> None:
    signer = signer_of(kind, Profile.PROVIDER_SIGNATURE)
    theirs = _xmlsec1_sign(tmp_path, signer, XML, c14n)
    verified = XMLDSIG.verify(theirs)
    assert verified.certificate_der == signer.certificate_der
    with pytest.raises(XmlSignatureInvalid, match="digest does not fit"):
        XMLDSIG.verify(theirs.replace(b"versandt", b"versendet"))


def test_comments_and_instructions_are_treated_as_xmlsec1_treats_them(tmp_path: Path, signer_of: SignerOf) -> None:
    xml = XML.replace(b"<Text>", b"<?note here?><!-- c --><Text>").replace(
        b"?>\n<Ack", b"?>\n<?style x?><!-- d -->\n<Ack"
    )
    signer = signer_of("p256", Profile.PROVIDER_SIGNATURE)
    theirs = _xmlsec1_sign(tmp_path, signer, xml + b"<?end?>\n", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")
    canonical = XMLDSIG.verify(theirs).canonical
    assert b"<!--" not in canonical
    assert canonical.count(b"<?") == 3
    assert XMLDSIG.verify(theirs.replace(b"<!-- c -->", b"<!-- other -->")).canonical == canonical


def test_comment_does_not_hide_part_of_a_value(signed: bytes) -> None:
    """Readers of the verified octets see the whole text, wherever a comment was put after signing."""
    commented = signed.replace(b"v=1</Hash>", b"v=<!-- -->1</Hash>")
    root = ElementTree.fromstring(XMLDSIG.verify(commented).canonical)
    assert root.findtext(f"{{{NS}}}Hash") == "v=1"


@pytest.mark.parametrize("kind", ["rsa-3072", "p384", "brainpool-p256"])
def test_signxml_agrees_both_ways(signer_of: SignerOf, kind: str) -> None:
    signer = signer_of(kind, Profile.PROVIDER_SIGNATURE)
    certificate = parse_certificate(signer.certificate_der)
    verifier = XMLVerifier()
    assert verifier.verify(XMLDSIG.sign(XML, signer), x509_cert=certificate)
    theirs = _signxml_sign(signer, "rsa-sha256" if kind == "rsa-3072" else "ecdsa-sha256")
    assert XMLDSIG.verify(theirs).certificate_der == signer.certificate_der


@pytest.mark.parametrize("hash_name", list(HashName))
def test_pss_is_accepted_and_not_emitted(signer_of: SignerOf, hash_name: HashName) -> None:
    """CO-13."""
    signer = signer_of("rsa-3072", Profile.PROVIDER_SIGNATURE)
    verified = XMLDSIG.verify(_signxml_sign(signer, f"{hash_name}-rsa-MGF1"))
    assert verified.algorithm == f"{hash_name}-rsa-MGF1"
    with pytest.raises(ComposeFailed):
        XMLDSIG.sign(XML, signer_of("rsa-3072", pss=True))


def test_second_signature_is_not_made(signed: bytes, signer_of: SignerOf) -> None:
    with pytest.raises(ComposeFailed):
        XMLDSIG.sign(signed, signer_of("p256"))


def test_certificates_of_a_chain_may_come_along(signed: bytes, signer_of: SignerOf, authority: TestAuthority) -> None:
    root = etree.fromstring(signed)
    data = root.find(f".//{DS}X509Data")
    own = root.find(f".//{DS}X509Certificate")
    assert data is not None
    assert own is not None
    data.remove(own)
    for text in (_base64(authority.certificate_der), own.text):
        etree.SubElement(data, DS + "X509Certificate").text = text
    expected = signer_of("p256", Profile.PROVIDER_SIGNATURE).certificate_der
    assert XMLDSIG.verify(etree.tostring(root)).certificate_der == expected


# --- signature wrapping and other attacks (CO-14) ---------------------------------------------------------------------


@pytest.mark.clause("TR 01201-3.4 §3.5.1 signature")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_attack_is_refused(signed: bytes, attack: Attack) -> None:
    with pytest.raises(XmlSignatureInvalid):
        XMLDSIG.verify(etree.tostring(attack(etree.fromstring(signed))))


def test_signature_of_another_certificate_with_the_same_key_info_fails(signed: bytes, signer_of: SignerOf) -> None:
    mine = _base64(signer_of("p256", Profile.PROVIDER_SIGNATURE).certificate_der).encode()
    other = _base64(signer_of("p384", Profile.PROVIDER_SIGNATURE).certificate_der).encode()
    with pytest.raises(XmlSignatureInvalid, match="does not hold"):
        XMLDSIG.verify(signed.replace(mine, other))


def test_weak_key_does_not_count(signed: bytes, authority: TestAuthority, now: datetime) -> None:
    """IN-14."""
    key = rsa.generate_private_key(65537, 1024)
    weak = authority.issue(key.public_key(), "smime", "T", not_before=now, not_after=now + timedelta(days=1))
    with pytest.raises(ComposeFailed):
        XMLDSIG.sign(XML, SoftwareSigner(key, weak))
    with pytest.raises(XmlSignatureInvalid, match="does not hold"):
        XMLDSIG.verify(_signxml_sign(SoftwareSigner(key, weak), "rsa-sha256"))


def test_canonicalisation_of_the_reference_may_be_left_out(tmp_path: Path, signer_of: SignerOf) -> None:
    signer = signer_of("p256", Profile.PROVIDER_SIGNATURE)
    theirs = _xmlsec1_sign(tmp_path, signer, XML, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", transforms=1)
    assert XMLDSIG.verify(theirs).certificate_der == signer.certificate_der


def test_unsigned_document_is_invalid() -> None:
    with pytest.raises(XmlSignatureInvalid):
        XMLDSIG.verify(XML)
    with pytest.raises(XmlSignatureInvalid):
        XMLDSIG.verify(b"<a/>")


def test_text_around_the_signature_is_signed_too(signed: bytes) -> None:
    moved = signed.replace(b"</ds:Signature></Ack", b"</ds:Signature>gef</Ack")
    assert moved != signed
    with pytest.raises(XmlSignatureInvalid, match="digest"):
        XMLDSIG.verify(moved)


def test_signature_alone_in_its_root_keeps_the_text(tmp_path: Path, signer_of: SignerOf) -> None:
    signer = signer_of("p256", Profile.PROVIDER_SIGNATURE)
    c14n = "http://www.w3.org/2001/10/xml-exc-c14n#"
    theirs = _xmlsec1_sign(tmp_path, signer, b"<a>vorne<X/>hinten</a>", c14n, place=b"<X/>")
    assert XMLDSIG.verify(theirs).canonical == b"<a>vornehinten</a>"


def test_inclusive_namespaces_are_honoured(tmp_path: Path, signer_of: SignerOf) -> None:
    signer = signer_of("p256", Profile.PROVIDER_SIGNATURE)
    c14n = "http://www.w3.org/2001/10/xml-exc-c14n#"
    names = f'<ec:InclusiveNamespaces xmlns:ec="{c14n}" PrefixList="unused"/>'
    theirs = _xmlsec1_sign(tmp_path, signer, XML, c14n, inside=names)
    assert b'xmlns:unused="urn:x"' in XMLDSIG.verify(theirs).canonical


def _xmlsec1_says_ok(directory: Path, authority: TestAuthority, signed: bytes) -> bool:
    (directory / "ca.pem").write_bytes(authority.certificate_pem)
    (directory / "signed.xml").write_bytes(signed)
    command = [program("xmlsec1"), "--verify", "--enabled-key-data", "x509", "--trusted-pem", "ca.pem"]
    command += ["--verification-time", "2026-03-02 12:00:00", "signed.xml"]
    return subprocess.run(command, cwd=directory, capture_output=True).returncode == 0


def _xmlsec1_sign(
    directory: Path,
    signer: SoftwareSigner,
    xml: bytes,
    c14n: str,
    *,
    place: bytes = b"",
    inside: str = "",
    transforms: int = 2,
) -> bytes:
    kind = "rsa" if signer.scheme == "rsa" else "ecdsa"
    second = f'<ds:Transform Algorithm="{c14n}">{inside}</ds:Transform>' if transforms == 2 else ""
    template = f"""<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>
<ds:CanonicalizationMethod Algorithm="{c14n}">{inside}</ds:CanonicalizationMethod>
<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#{kind}-sha384"/>
<ds:Reference URI=""><ds:Transforms>
<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
{second}</ds:Transforms>
<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/><ds:DigestValue/></ds:Reference>
</ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data/></ds:KeyInfo></ds:Signature>""".encode()
    if place:
        document = xml.replace(place, template)
    else:
        document = xml.replace(b"</Acknowledge-Message>", template + b"\n</Acknowledge-Message>")
    (directory / "template.xml").write_bytes(document)
    (directory / "key.pem").write_bytes(signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (directory / "cert.pem").write_bytes(der_to_pem(signer.certificate_der))
    command = [program("xmlsec1"), "--sign", "--privkey-pem", "key.pem,cert.pem", "--output", "out.xml", "template.xml"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (directory / "out.xml").read_bytes()


def _signxml_sign(signer: SoftwareSigner, method: str) -> bytes:
    maker = XMLSigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=method,
        digest_algorithm="sha256",
        c14n_algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    )
    root = maker.sign(etree.fromstring(XML), key=signer.key, cert=der_to_pem(signer.certificate_der).decode())
    return etree.tostring(root)


def _base64(der: bytes) -> str:
    return base64.b64encode(der).decode()


def test_hostile_xml_is_refused_by_every_entry(signer_of: SignerOf) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY a "x">]><a>&a;</a>'
    with pytest.raises(XmlRefused):
        XMLDSIG.verify(bomb)
    with pytest.raises(XmlRefused):
        XMLDSIG.sign(bomb, signer_of("p256"))
    with pytest.raises(XmlRefused):
        XMLDSIG.examine(bomb)
