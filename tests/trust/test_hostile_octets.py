"""Whatever is done to the octets of the other side: one of the named errors, never another exception, never a pass."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings

from demail_gateway.core.errors import CertificateMalformed, CmsInvalid, XmlRefused, XmlSignatureInvalid
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import parse_certificate
from demail_gateway.trust.cms import sign_detached, verify_detached
from demail_gateway.trust.crls import read_crls, read_list
from demail_gateway.trust.keys import SoftwareSigner
from demail_gateway.trust.paths import PathJudge
from demail_gateway.trust.revocation import RevocationIndex
from demail_gateway.trust.xmldsig import LxmlSignatures
from tests.harness.mutations import Mutation, octet_mutations

SignerOf = Callable[..., SoftwareSigner]

CONTENT = b"Content-Type: text/plain\r\n\r\nText\r\n"
XML = b'<?xml version="1.0"?>\n<Acknowledge-Message xmlns="urn:de-mail"><Text>versandt</Text></Acknowledge-Message>'
hostile = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@hostile
@given(mutate=octet_mutations())
@pytest.mark.parametrize(("kind", "pss"), [("rsa-3072", True), ("p256", False)])
def test_cms_signatures(signer_of: SignerOf, now: datetime, kind: str, pss: bool, mutate: Mutation) -> None:
    signer = signer_of(kind, pss=pss)
    try:
        found = verify_detached(mutate(sign_detached(CONTENT, signer, at=now)), CONTENT)
    except CmsInvalid:
        return
    assert [one.certificate_der for one in found.signers] == [signer.certificate_der]


@hostile
@given(mutate=octet_mutations())
def test_xml_signatures(signer_of: SignerOf, mutate: Mutation) -> None:
    xmldsig = LxmlSignatures()
    signed = xmldsig.sign(XML, signer_of("p256", Profile.PROVIDER_SIGNATURE))
    try:
        verified = xmldsig.verify(mutate(signed))
    except (XmlRefused, XmlSignatureInvalid):
        return
    assert verified.canonical == xmldsig.verify(signed).canonical


@hostile
@given(mutate=octet_mutations())
def test_certificates(signer_of: SignerOf, authority: TestAuthority, now: datetime, mutate: Mutation) -> None:
    own = signer_of("p256").certificate_der
    changed = mutate(own)
    try:
        verdict = PathJudge([authority.certificate_der]).judge(changed, now)
    except CertificateMalformed:
        return
    assert parse_certificate(changed).tbs_certificate_bytes == _tbs(own) or verdict.findings


@hostile
@given(mutate=octet_mutations())
def test_revocation_lists(signer_of: SignerOf, authority: TestAuthority, now: datetime, mutate: Mutation) -> None:
    own = signer_of("p256").certificate_der
    crl = authority.crl(now, timedelta(days=1))
    changed = mutate(crl)
    answer = RevocationIndex([changed]).status(own, authority.certificate_der, now)
    assert answer.status is (CertificateStatus.GOOD if _says_the_same(changed, crl) else CertificateStatus.UNKNOWN)
    try:
        assert len(read_crls(changed)) == 1
    except CertificateMalformed:
        return


@pytest.mark.parametrize("octet", [0x00, 0x05, 0x30, 0x80, 0xFF])
def test_every_octet_of_a_revocation_list(
    signer_of: SignerOf, authority: TestAuthority, now: datetime, octet: int
) -> None:
    own = signer_of("p256").certificate_der
    crl = authority.crl(now, timedelta(days=1))
    changed = {crl[:at] + bytes((octet,)) + crl[at + 1 :] for at in range(len(crl))} - {crl}
    lists = {each for each in changed if not _says_the_same(each, crl)}
    answer = RevocationIndex(sorted(lists)).status(own, authority.certificate_der, now)
    assert answer.status is CertificateStatus.UNKNOWN


def _tbs(certificate: bytes) -> bytes:
    return parse_certificate(certificate).tbs_certificate_bytes


def _says_the_same(changed: bytes, crl: bytes) -> bool:
    """Nobody signs the octet that counts the unused bits of the signature."""
    known, read = read_list(crl), read_list(changed)
    return known is not None and read is not None and _signed(read.crl) == _signed(known.crl)


def _signed(crl: x509.CertificateRevocationList) -> tuple[bytes, bytes]:
    return crl.tbs_certlist_bytes, crl.signature
