from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from demail_gateway.core.errors import CmsInvalid, ComposeFailed
from demail_gateway.core.primitives import HashName
from demail_gateway.trust.authority import TestAuthority
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.cms import (
    der,
    sign_digest_detached,
    verify_detached,
    verify_enveloping,
)
from demail_gateway.trust.cms import sign_detached as sign_by_policy
from demail_gateway.trust.cms.algorithms import (
    CONTENT_TYPE,
    DATA,
    HASH_OIDS,
    MESSAGE_DIGEST,
    SIGNED_DATA,
    SIGNING_CERTIFICATE_V2,
    SIGNING_TIME,
    algorithm,
    signature_algorithm,
)
from demail_gateway.trust.cms.verification import MAX_CERTIFICATES, MAX_SIGNERS
from demail_gateway.trust.keys import PrivateKey, SoftwareSigner, generate_key
from demail_gateway.trust.policy import SMIME_3
from tests.harness.programs import program

SignerOf = Callable[..., SoftwareSigner]

CONTENT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nSehr geehrte Frau M\xc3\xbcller,\r\n"
SIGNERS = [
    ("rsa-3072", False, HashName.SHA256),
    ("rsa-3072", False, HashName.SHA512),
    ("rsa-3072", True, HashName.SHA256),
    ("rsa-3072", True, HashName.SHA384),
    ("p256", False, HashName.SHA256),
    ("p384", False, HashName.SHA384),
    ("p521", False, HashName.SHA512),
    ("brainpool-p256", False, HashName.SHA256),
    ("brainpool-p384", False, HashName.SHA384),
]
sign_detached = partial(sign_by_policy, policy=SMIME_3)
"""With PKCS #1 v1.5, which TR-03116-4 no longer permits in making, so that it is tried, too."""
every_signer = pytest.mark.parametrize(("kind", "pss", "hash_name"), SIGNERS)


@every_signer
def test_own_signature_verifies(signer_of: SignerOf, now: datetime, kind: str, pss: bool, hash_name: HashName) -> None:
    signer = signer_of(kind, pss=pss)
    signature = verify_detached(sign_detached(CONTENT, signer, at=now, hash_name=hash_name), CONTENT)
    (found,) = signature.signers
    assert found.certificate_der == signer.certificate_der
    assert found.algorithm == f"{hash_name}/{signer.scheme}"
    assert found.signing_time == now
    assert signature.certificates == (signer.certificate_der,)


@every_signer
def test_openssl_verifies_as_cades(
    tmp_path: Path,
    authority: TestAuthority,
    signer_of: SignerOf,
    now: datetime,
    kind: str,
    pss: bool,
    hash_name: HashName,
) -> None:
    signed = sign_detached(CONTENT, signer_of(kind, pss=pss), at=now, hash_name=hash_name)
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "changed").write_bytes(CONTENT + b" ")
    command = [program("openssl"), "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-CAfile", "ca.pem"]
    command += ["-attime", str(int(now.timestamp())), "-out", "out", "-content"]
    good = subprocess.run([*command, "content"], input=signed, cwd=tmp_path, capture_output=True)
    assert good.returncode == 0, good.stderr
    assert (tmp_path / "out").read_bytes() == CONTENT
    bad = subprocess.run([*command, "changed"], input=signed, cwd=tmp_path, capture_output=True)
    assert bad.returncode != 0


@every_signer
@pytest.mark.parametrize("options", [(), ("-cades",), ("-noattr",), ("-keyid",)], ids=str)
def test_signature_of_openssl_verifies(
    tmp_path: Path,
    signer_of: SignerOf,
    kind: str,
    pss: bool,
    hash_name: HashName,
    options: tuple[str, ...],
) -> None:
    signer = signer_of(kind, pss=pss)
    signed = _openssl_sign(tmp_path, signer, f"-md={hash_name}".split("="), options)
    (found,) = verify_detached(signed, CONTENT).signers
    assert found.certificate_der == signer.certificate_der
    assert found.algorithm == f"{hash_name}/{signer.scheme}"
    assert (found.signing_time is None) == ("-noattr" in options)
    with pytest.raises(CmsInvalid):
        verify_detached(signed, CONTENT[:-1])


@pytest.mark.parametrize("options", [(), ("-stream", "-indef")], ids=str)
def test_enveloping_signature_gives_its_content(tmp_path: Path, signer_of: SignerOf, options: tuple[str, ...]) -> None:
    signed = _openssl_sign(tmp_path, signer_of("p256"), ["-nodetach"], options)
    signature, content = verify_enveloping(signed)
    assert content == CONTENT
    assert len(signature.signers) == 1
    with pytest.raises(CmsInvalid, match="wrong place"):
        verify_detached(signed, CONTENT)


def test_detached_signature_has_no_content(signer_of: SignerOf, now: datetime) -> None:
    with pytest.raises(CmsInvalid, match="wrong place"):
        verify_enveloping(sign_detached(CONTENT, signer_of("p256"), at=now))


def test_chain_comes_along(signer_of: SignerOf, authority: TestAuthority, now: datetime) -> None:
    one = signer_of("p256")
    signer = SoftwareSigner(one.key, one.certificate_der, chain=(authority.certificate_der,))
    signature = verify_detached(sign_detached(CONTENT, signer, at=now), CONTENT)
    assert set(signature.certificates) == {one.certificate_der, authority.certificate_der}
    assert signature.signers[0].certificate_der == one.certificate_der


def test_signing_a_digest_is_signing_its_content(signer_of: SignerOf, now: datetime) -> None:
    digest = hashlib.sha384(CONTENT).digest()
    signed = sign_digest_detached(digest, signer_of("p256"), at=now, hash_name=HashName.SHA384)
    assert verify_detached(signed, CONTENT).signers[0].algorithm == "sha384/ec-dsa"


def test_attributes_do_not_pass_as_a_content(signer_of: SignerOf, now: datetime) -> None:
    """The octets signed under a message, taken as a message of their own without attributes (RFC 5652 §5.4)."""
    signed = sign_detached(CONTENT, signer_of("p256"), at=now)
    version, hashes, content, certificates, infos = der.parse(signed).children()[1].children()[0].children()
    fields = infos.children()[0].children()
    stripped = der.tlv(der.SEQUENCE, *(field.raw for field in fields if field.tag != der.CONTEXT_CONSTRUCTED))
    data = (version.raw, hashes.raw, content.raw, certificates.raw, der.tlv(der.SET, stripped))
    forged = der.tlv(der.SEQUENCE, SIGNED_DATA, der.tlv(der.CONTEXT_CONSTRUCTED, der.tlv(der.SEQUENCE, *data)))
    (attributes,) = [field for field in fields if field.tag == der.CONTEXT_CONSTRUCTED]
    with pytest.raises(CmsInvalid, match="looks like signed attributes"):
        verify_detached(forged, der.tlv(der.SET, attributes.value))


def _with(signer: SoftwareSigner, *attributes: bytes, certificates: int = 1, signers: int = 1) -> bytes:
    """A SignedData over CONTENT by hand, with exactly these signed attributes."""
    digest_algorithm = algorithm(HASH_OIDS[HashName.SHA256])
    signed = der.tlv(der.SET, *attributes)
    info = der.tlv(
        der.SEQUENCE,
        der.integer(1),
        der.tlv(der.SEQUENCE, *der.issuer_and_serial(signer.certificate_der)),
        digest_algorithm,
        der.tlv(der.CONTEXT_CONSTRUCTED, *attributes),
        signature_algorithm(signer.scheme, HashName.SHA256),
        der.tlv(der.OCTET_STRING, signer.sign_digest(HashName.SHA256, hashlib.sha256(signed).digest())),
    )
    data = der.tlv(
        der.SEQUENCE,
        der.integer(1),
        der.set_of([digest_algorithm]),
        der.tlv(der.SEQUENCE, DATA),
        der.tlv(der.CONTEXT_CONSTRUCTED, *[signer.certificate_der] * certificates),
        der.tlv(der.SET, *[info] * signers),
    )
    return der.tlv(der.SEQUENCE, SIGNED_DATA, der.tlv(der.CONTEXT_CONSTRUCTED, data))


def _attribute(identifier: bytes, *values: bytes) -> bytes:
    return der.tlv(der.SEQUENCE, identifier, der.tlv(der.SET, *values))


def _ess(*parts: bytes) -> bytes:
    certs = der.tlv(der.SEQUENCE, *([der.tlv(der.SEQUENCE, *parts)] if parts else []))
    return _attribute(SIGNING_CERTIFICATE_V2, der.tlv(der.SEQUENCE, certs))


TYPE = _attribute(CONTENT_TYPE, DATA)
DIGEST = _attribute(MESSAGE_DIGEST, der.tlv(der.OCTET_STRING, hashlib.sha256(CONTENT).digest()))
TIME = der.time(datetime(2026, 3, 2, 12, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ([DIGEST], "content type does not fit"),
        ([_attribute(CONTENT_TYPE, SIGNED_DATA), DIGEST], "content type does not fit"),
        ([TYPE], "digest does not fit"),
        ([TYPE, _attribute(MESSAGE_DIGEST, der.tlv(der.OCTET_STRING, bytes(32)))], "digest does not fit"),
        ([TYPE, _attribute(MESSAGE_DIGEST, der.integer(1))], "digest does not fit"),
        ([TYPE, DIGEST, DIGEST], "repeated"),
        ([TYPE, DIGEST, _attribute(SIGNING_TIME, TIME, TIME)], "repeated"),
        ([TYPE, DIGEST, _attribute(SIGNING_TIME)], "repeated"),
        ([TYPE, DIGEST, _attribute(SIGNING_TIME, der.integer(1))], "not a time"),
        ([TYPE, DIGEST, _ess()], "signing certificate"),
        ([TYPE, DIGEST, _ess(der.tlv(der.OCTET_STRING, bytes(32)))], "signing certificate"),
    ],
)
def test_signed_attributes_must_be_in_order(signer_of: SignerOf, attributes: list[bytes], reason: str) -> None:
    with pytest.raises(CmsInvalid, match=reason):
        verify_detached(_with(signer_of("p256"), *attributes), CONTENT)


def test_signing_certificate_may_be_named_by_issuer_and_another_hash(signer_of: SignerOf) -> None:
    signer = signer_of("p256")
    own = signer.certificate_der
    issuer, serial = der.issuer_and_serial(own)
    digest = algorithm(HASH_OIDS[HashName.SHA384]), der.tlv(der.OCTET_STRING, hashlib.sha384(own).digest())
    for number, holds in ((serial, True), (der.integer(1), False)):
        names = der.tlv(der.SEQUENCE, der.tlv(der.CONTEXT_CONSTRUCTED | 4, issuer))
        signed = _with(signer, TYPE, DIGEST, _ess(*digest, der.tlv(der.SEQUENCE, names, number)))
        if holds:
            assert verify_detached(signed, CONTENT).signers[0].signing_time is None
        else:
            with pytest.raises(CmsInvalid, match="signing certificate"):
                verify_detached(signed, CONTENT)


def test_unknown_attributes_are_passed_over(signer_of: SignerOf) -> None:
    more = _attribute(der.oid("1.2.3.4"), der.integer(1), der.integer(2))
    assert verify_detached(_with(signer_of("p256"), TYPE, DIGEST, more), CONTENT).signers


def test_numbers_of_signers_and_certificates_are_limited(signer_of: SignerOf) -> None:
    signer = signer_of("p256")
    assert len(verify_detached(_with(signer, TYPE, DIGEST, signers=MAX_SIGNERS), CONTENT).signers) == MAX_SIGNERS
    for signed in (
        _with(signer, TYPE, DIGEST, signers=0),
        _with(signer, TYPE, DIGEST, signers=MAX_SIGNERS + 1),
        _with(signer, TYPE, DIGEST, certificates=MAX_CERTIFICATES + 1),
    ):
        with pytest.raises(CmsInvalid):
            verify_detached(signed, CONTENT)


def test_key_identifier_is_looked_up_among_several_certificates(tmp_path: Path, signer_of: SignerOf) -> None:
    one, other = signer_of("p256"), signer_of("rsa-3072")
    signed = _openssl_sign(tmp_path, one, ["-nocerts", "-keyid"], ())
    known = [other.certificate_der, one.certificate_der]
    assert verify_detached(signed, CONTENT, certificates=known).signers[0].certificate_der == one.certificate_der
    with pytest.raises(CmsInvalid, match="missing"):
        verify_detached(signed, CONTENT, certificates=known[:1])
    with pytest.raises(CmsInvalid, match="certificate cannot be read"):
        verify_detached(signed, CONTENT, certificates=[b"x"])


def test_weak_key_neither_signs_nor_verifies(tmp_path: Path, authority: TestAuthority, now: datetime) -> None:
    """IN-14: RSA below 2048 bit."""
    key = rsa.generate_private_key(65537, 1024)
    signer = SoftwareSigner(key, _certify(authority, key, now))
    with pytest.raises(ComposeFailed):
        sign_detached(CONTENT, signer, at=now)
    with pytest.raises(CmsInvalid, match="key is not permitted"):
        verify_detached(_openssl_sign(tmp_path, signer, [], ()), CONTENT)


@pytest.mark.parametrize("options", [("-md", "sha1"), ("-md", "md5"), ("-md", "sha224")], ids=str)
def test_old_hashes_are_refused(tmp_path: Path, signer_of: SignerOf, options: tuple[str, ...]) -> None:
    signed = _openssl_sign(tmp_path, signer_of("rsa-3072"), options, ())
    with pytest.raises(CmsInvalid, match="hash is not permitted"):
        verify_detached(signed, CONTENT)


def test_pss_with_sha1_in_its_mask_is_refused(tmp_path: Path, signer_of: SignerOf) -> None:
    options = ["-md", "sha256", "-keyopt", "rsa_mgf1_md:sha1"]
    signed = _openssl_sign(tmp_path, signer_of("rsa-3072", pss=True), options, ())
    with pytest.raises(CmsInvalid):
        verify_detached(signed, CONTENT)


def test_certificate_that_is_missing_may_be_given(tmp_path: Path, signer_of: SignerOf) -> None:
    signer = signer_of("p256")
    signed = _openssl_sign(tmp_path, signer, ["-nocerts"], ())
    with pytest.raises(CmsInvalid, match="certificate of the signer is missing"):
        verify_detached(signed, CONTENT)
    with pytest.raises(CmsInvalid, match="certificate of the signer is missing"):
        verify_detached(signed, CONTENT, certificates=[signer_of("p384").certificate_der])
    assert verify_detached(signed, CONTENT, certificates=[signer.certificate_der]).certificates == ()
    with pytest.raises(CmsInvalid):
        verify_detached(signed, CONTENT, certificates=[b"\x30\x00"])


def test_certificate_of_the_same_name_and_another_key_does_not_verify(signer_of: SignerOf, now: datetime) -> None:
    """The identifier alone names no key: a second certificate with issuer and serial of the first is no help."""
    signer = signer_of("p256")
    signed = sign_detached(CONTENT, signer, at=now)
    mine = signer.certificate_der
    other = bytearray(mine)
    at = mine.index(b"\x03\x42\x00\x04") + 4
    point = generate_key("p256").public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    other[at : at + 64] = point
    with pytest.raises(CmsInvalid, match=r"signing certificate does not fit"):
        verify_detached(signed.replace(mine, bytes(other)), CONTENT)


def test_every_signer_must_hold(tmp_path: Path, signer_of: SignerOf) -> None:
    one, two = signer_of("p256"), signer_of("rsa-3072")
    both = _openssl_sign(tmp_path, one, _signer_options(tmp_path, two, "two"), ())
    assert {s.certificate_der for s in verify_detached(both, CONTENT).signers} == {
        one.certificate_der,
        two.certificate_der,
    }
    for signature in _signature_values(both):
        broken = both.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1]))
        with pytest.raises(CmsInvalid):
            verify_detached(broken, CONTENT)


def test_no_octet_of_the_structure_can_be_changed_unnoticed(signer_of: SignerOf, now: datetime) -> None:
    """Only version numbers and the list of hashes, which nothing rests on, are free."""
    signed = sign_detached(CONTENT, signer_of("p256"), at=now)
    version, hashes, *_, infos = der.parse(signed).children()[1].children()[0].children()
    info_version = infos.children()[0].children()[0]
    free = {at for element in (version, hashes, info_version) for at in range(element.body, element.end)}
    for at in set(range(len(signed))) - free:
        changed = signed[:at] + bytes([signed[at] ^ 0x04]) + signed[at + 1 :]
        with pytest.raises(CmsInvalid):
            verify_detached(changed, CONTENT)


@pytest.mark.parametrize("length", [0, 1, 2, 5, 20, 100, 400, -2, -1])
def test_truncated_structures_are_refused(signer_of: SignerOf, now: datetime, length: int) -> None:
    with pytest.raises(CmsInvalid):
        verify_detached(sign_detached(CONTENT, signer_of("p256"), at=now)[:length], CONTENT)


def test_trailing_octets_are_refused(signer_of: SignerOf, now: datetime) -> None:
    with pytest.raises(CmsInvalid):
        verify_detached(sign_detached(CONTENT, signer_of("p256"), at=now) + b"\x00", CONTENT)


def test_deep_nesting_is_refused() -> None:
    for bomb in (b"\x30\x80" * 50_000, der.tlv(0x30, SIGNED_DATA, b"\xa0\x80" * 50_000)):
        with pytest.raises(CmsInvalid):
            verify_detached(bomb, CONTENT)


def test_frame_of_indefinite_length_is_read(signer_of: SignerOf, now: datetime) -> None:
    frame = der.parse(sign_detached(CONTENT, signer_of("p256"), at=now)).children()
    signed_data = b"".join(child.raw for child in frame[1].children()[0].children())
    end = b"\x00\x00"
    loose = b"\x30\x80" + frame[0].raw + b"\xa0\x80\x30\x80" + signed_data + end + end + end
    assert verify_detached(loose, CONTENT).signers[0].algorithm == "sha256/ec-dsa"
    with pytest.raises(CmsInvalid, match="digest does not fit"):
        verify_detached(loose, CONTENT + b"!")


def test_structures_of_another_kind_are_refused() -> None:
    data = der.tlv(0x30, der.oid("1.2.840.113549.1.7.1"), der.tlv(0xA0, der.tlv(4, b"x")))
    with pytest.raises(CmsInvalid, match="not signed data"):
        verify_detached(data, CONTENT)


def _certify(authority: TestAuthority, key: PrivateKey, now: datetime) -> bytes:
    return authority.issue(key.public_key(), "smime", "TEST weak", not_before=now, not_after=now + timedelta(days=1))


def _signer_options(directory: Path, signer: SoftwareSigner, name: str) -> list[str]:
    pem = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / f"{name}.key").write_bytes(pem)
    (directory / f"{name}.pem").write_bytes(der_to_pem(signer.certificate_der))
    options = ["-signer", f"{name}.pem", "-inkey", f"{name}.key"]
    return [*options, "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"] if signer.pss else options


def _openssl_sign(
    directory: Path, signer: SoftwareSigner, first: list[str] | tuple[str, ...], options: tuple[str, ...]
) -> bytes:
    command = [program("openssl"), "cms", "-sign", "-binary", "-outform", "DER", *options]
    keyopts = [option for option in first if option == "-keyopt" or option.startswith("rsa_")]
    others = [option for option in first if option not in keyopts]
    command += [*_signer_options(directory, signer, "one"), *keyopts, *others]
    done = subprocess.run(command, input=CONTENT, cwd=directory, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _signature_values(signed: bytes) -> list[bytes]:
    signed_data = der.parse(signed).children()[1].children()[0]
    return [info.children()[-1].value for info in signed_data.children()[-1].children()]
