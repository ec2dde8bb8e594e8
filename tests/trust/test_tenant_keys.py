"""What the application asks of keys: a tenant's S/MIME, the workshop that makes keys, the installation's signature."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demail_gateway.application.ports.installation import SigningMaterial
from demail_gateway.core.errors import ComposeFailed, Conflict, KeyUnavailable
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import der_to_pem, read_certificate
from demail_gateway.trust.cms import decrypt, verify_detached
from demail_gateway.trust.keys import SoftwareSigner, load_pkcs8, to_pkcs8
from demail_gateway.trust.ocsp_exchange import NONCE_OCTETS, ocsp_request
from demail_gateway.trust.package_signer import InstallationSigner
from demail_gateway.trust.responder import TestResponder
from demail_gateway.trust.smime import KEPT_SIGNERS, SmimeSealer
from demail_gateway.trust.workshop import SoftwareWorkshop

SignerOf = Callable[..., SoftwareSigner]
DAY = timedelta(days=1)

ENTITY = b"Content-Type: text/plain\r\n\r\nText\r\n"


def _material(holder: SoftwareSigner, chain: tuple[bytes, ...] = (), key_id: UUID | None = None) -> SigningMaterial:
    return SigningMaterial(key_id or uuid4(), to_pkcs8(holder.key), holder.certificate_der, chain)


def test_sealer_signs_with_the_tenants_key_and_chain(
    signer_of: SignerOf, authority: TestAuthority, now: datetime
) -> None:
    holder = signer_of("rsa-3072")
    signature, micalg = SmimeSealer().sign(ENTITY, _material(holder, (authority.certificate_der,)), now)
    verified = verify_detached(signature, ENTITY)
    assert micalg == "sha-256"
    assert verified.signers[0].certificate_der == holder.certificate_der
    assert verified.signers[0].algorithm == "sha256/rsassa-pss"
    assert authority.certificate_der in verified.certificates


def test_sealer_encrypts_for_everybody_named(signer_of: SignerOf, now: datetime) -> None:
    holders = [signer_of("rsa-3072"), signer_of("p256")]
    certificates = [holder.certificate_der for holder in holders]
    pieces, smime_type = SmimeSealer().encrypt((ENTITY[:9], memoryview(ENTITY)[9:]), certificates, now)
    sealed = b"".join(pieces)
    assert smime_type == "authEnveloped-data"
    assert [decrypt(sealed, holder.key, holder.certificate_der) for holder in holders] == [ENTITY, ENTITY]


@pytest.mark.clause("DIR-51", "TR 01201-3.1 step 8 FC-03")
def test_sealer_objects_to_what_it_would_not_encrypt_for(
    signer_of: SignerOf, authority: TestAuthority, now: datetime
) -> None:
    sealer = SmimeSealer()
    good, seal = signer_of("p256").certificate_der, signer_of("p256", Profile.PROVIDER_SIGNATURE).certificate_der
    ends = read_certificate(good).not_after
    short = authority.issue(
        rsa.generate_private_key(65537, 2048).public_key(), "smime", "x", not_before=now, not_after=now + DAY
    )
    assert [sealer.objection(each, now) for each in (good, seal, short, b"none")] == [
        None,
        "certificate-key-usage",
        "key-size-outdated",
        "certificate-malformed",
    ]
    assert [sealer.objection(good, at) for at in (ends, ends + DAY, now - 9 * DAY)] == [
        None,
        "certificate-expired",
        "certificate-not-yet-valid",
    ]
    for each in (seal, short, b"none"):
        with pytest.raises(ComposeFailed):
            b"".join(sealer.encrypt((ENTITY,), [each], now)[0])


def test_sealer_refuses_a_certificate_of_another_key(signer_of: SignerOf, now: datetime) -> None:
    material = SigningMaterial(uuid4(), to_pkcs8(signer_of("p384").key), signer_of("p256").certificate_der, ())
    with pytest.raises(KeyUnavailable):
        SmimeSealer().sign(ENTITY, material, now)


@pytest.mark.clause("TR 01201-3.1 step 6 FC-03")
@pytest.mark.parametrize("seconds", [-1, 1])
def test_sealer_signs_nothing_outside_the_certificates_validity(signer_of: SignerOf, seconds: int) -> None:
    material = _material(signer_of("p256"))
    own = read_certificate(material.certificate_der)
    edge = own.not_after if seconds > 0 else own.not_before
    SmimeSealer().sign(ENTITY, material, edge)
    with pytest.raises(KeyUnavailable, match="certificate"):
        SmimeSealer().sign(ENTITY, material, edge + timedelta(seconds=seconds))


def test_renewed_certificate_is_used_at_once(signer_of: SignerOf, now: datetime) -> None:
    sealer, key_id = SmimeSealer(), uuid4()
    old, new = signer_of("p256", Profile.SMIME), signer_of("p256", Profile.INSTALLATION)
    for holder in (old, new, old):
        signature, _ = sealer.sign(ENTITY, _material(holder, key_id=key_id), now)
        assert verify_detached(signature, ENTITY).signers[0].certificate_der == holder.certificate_der


def test_signers_are_kept_up_to_a_number_under_threads(signer_of: SignerOf, now: datetime) -> None:
    sealer, holder = SmimeSealer(), signer_of("p256")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: sealer.sign(ENTITY, _material(holder), now), range(KEPT_SIGNERS + 20)))
    assert len(sealer._signers) == KEPT_SIGNERS


def test_workshop_makes_a_key_and_takes_its_certificate(authority: TestAuthority, now: datetime) -> None:
    workshop, address = SoftwareWorkshop(), "poststelle@stadt-elbtal.de-mail.de"
    pkcs8 = workshop.make("p256")
    request = workshop.request(pkcs8, "Stadt Elbtal " * 9, address)
    names = x509.load_pem_x509_csr(request.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.RFC822Name) == [address]
    certificate = authority.issue(request.encode(), "smime", not_before=now, not_after=now + timedelta(days=9))
    chain_pem = [authority.certificate_pem.decode()]
    pem = der_to_pem(certificate).decode()
    key = workshop.match(pkcs8, pem, chain_pem, now)
    assert (key.certificate_der, key.chain) == (certificate, (authority.certificate_der,))
    assert key.not_after == now + timedelta(days=9)
    with pytest.raises(Conflict, match="certificate-expired"):
        workshop.match(pkcs8, pem, chain_pem, now + timedelta(days=9))
    with pytest.raises(Conflict, match="certificate-key-mismatch"):
        workshop.match(workshop.make("p256"), pem, chain_pem, now)
    assert load_pkcs8(workshop.make("rsa-3072")).key_size == 3072


def test_installation_signs_manifests_and_shows_its_status(
    signer_of: SignerOf, authority: TestAuthority, now: datetime
) -> None:
    holder = signer_of("p256", Profile.INSTALLATION)
    key_pem = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    bundle = der_to_pem(holder.certificate_der) + der_to_pem(authority.certificate_der)
    crls: list[bytes] = []
    signer = InstallationSigner(key_pem, bundle, lambda: tuple(crls))
    assert verify_detached(signer.sign(b"{}", now), b"{}").signers[0].signing_time == now
    assert signer.certificates == (holder.certificate_der, authority.certificate_der)
    assert not signer.status_answers
    own, foreign = authority.crl(now, DAY), TestAuthority.create("TEST Other", now, key_kind="p256").crl(now, DAY)
    request = ocsp_request(holder.certificate_der, authority.certificate_der, bytes(NONCE_OCTETS))
    answer = TestResponder(authority, now).answer(request, now, DAY)
    crls += (b"unreadable", foreign, own, answer)
    assert signer.status_answers == (own, answer)
    with pytest.raises(KeyUnavailable):
        InstallationSigner(key_pem, authority.certificate_pem, tuple)
