from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demail_gateway.core.errors import CmsInvalid, ComposeFailed, DecryptionFailed
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.cms import ContentCipher, RsaTransport, decrypt, der
from demail_gateway.trust.cms import encrypt as encrypt_at
from demail_gateway.trust.cms.decryption import MAX_3DES_BYTES
from demail_gateway.trust.keys import PrivateKey, SoftwareSigner
from demail_gateway.trust.policy import SMIME_3
from tests.harness.programs import program

SignerOf = Callable[..., SoftwareSigner]

ENTITY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGeheim: M\xc3\xbcller\r\n" * 500
KINDS = ["rsa-3072", "p256", "p384", "p521", "brainpool-p256", "brainpool-p384"]
CIPHERS = list(ContentCipher)
every_kind = pytest.mark.parametrize("kind", KINDS)
every_cipher = pytest.mark.parametrize("cipher", CIPHERS)
AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
encrypt = partial(encrypt_at, at=AT, policy=SMIME_3)
"""With what TR-03116-4 no longer permits, so that both directions are tried for it, too."""


@every_kind
@every_cipher
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 5000])
def test_entity_comes_back(signer_of: SignerOf, kind: str, cipher: ContentCipher, size: int) -> None:
    holder = signer_of(kind)
    sealed = encrypt(ENTITY[:size], [holder.certificate_der], cipher)
    assert decrypt(sealed, holder.key, holder.certificate_der) == ENTITY[:size]


@pytest.mark.parametrize("transport", list(RsaTransport))
@every_kind
@every_cipher
def test_openssl_decrypts(
    tmp_path: Path, signer_of: SignerOf, kind: str, cipher: ContentCipher, transport: RsaTransport
) -> None:
    holder = signer_of(kind)
    sealed = encrypt(ENTITY, [holder.certificate_der], cipher, rsa_transport=transport)
    command = [program("openssl"), "cms", "-decrypt", "-inform", "DER", "-recip", "r.pem", "-inkey", "r.key", "-binary"]
    _files(tmp_path, holder)
    done = subprocess.run(command, input=sealed, cwd=tmp_path, capture_output=True)
    assert done.stdout == ENTITY, done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("-aes-128-cbc",),
        ("-aes-192-cbc",),
        ("-aes-256-cbc",),
        ("-aes-256-cbc", "-keyid"),
        ("-aes-256-cbc", "-stream", "-indef"),
        ("-des3",),
        ("-des3", "-stream"),
        ("-aes-128-gcm",),
        ("-aes-256-gcm",),
        ("-aes-256-gcm", "-stream", "-indef"),
    ],
    ids=" ".join,
)
@every_kind
def test_encryption_of_openssl_is_read(
    tmp_path: Path, signer_of: SignerOf, kind: str, options: tuple[str, ...]
) -> None:
    """For EC recipients OpenSSL's KDF is one with SHA-1 unless told otherwise: read, never written.

    Its other default, 3DES also as key wrap (RFC 3217), is not: S/MIME 3.1, for which 3DES is read, knew RSA alone.
    """
    holder = signer_of(kind)
    if kind != "rsa-3072" and "-des3" in options:
        options = (*options, "-aes256-wrap")
    sealed = _openssl_encrypt(tmp_path, holder, *options)
    assert decrypt(sealed, holder.key, holder.certificate_der) == ENTITY


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("mask", ["sha1", "sha256"])
def test_oaep_of_openssl_is_read(tmp_path: Path, signer_of: SignerOf, digest: str, mask: str) -> None:
    holder = signer_of("rsa-3072")
    options = ["rsa_padding_mode:oaep", f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{mask}"]
    sealed = _openssl_encrypt(tmp_path, holder, "-aes-256-cbc", keyopts=options)
    assert decrypt(sealed, holder.key, holder.certificate_der) == ENTITY


@pytest.mark.parametrize("digest", ["sha224", "sha256", "sha384", "sha512"])
def test_agreement_of_openssl_is_read(tmp_path: Path, signer_of: SignerOf, digest: str) -> None:
    holder = signer_of("p384")
    sealed = _openssl_encrypt(tmp_path, holder, "-aes-128-cbc", keyopts=[f"ecdh_kdf_md:{digest}"])
    assert decrypt(sealed, holder.key, holder.certificate_der) == ENTITY


def test_label_of_oaep_is_not_supported(tmp_path: Path, signer_of: SignerOf) -> None:
    holder = signer_of("rsa-3072")
    options = ["rsa_padding_mode:oaep", "rsa_oaep_label:0102"]
    sealed = _openssl_encrypt(tmp_path, holder, "-aes-256-cbc", keyopts=options)
    with pytest.raises(DecryptionFailed):
        decrypt(sealed, holder.key, holder.certificate_der)


@pytest.mark.clause("TR 01201-3.1 step 8")
@every_cipher
def test_every_recipient_decrypts_and_nobody_else(signer_of: SignerOf, cipher: ContentCipher) -> None:
    holders = [signer_of(kind) for kind in KINDS[:-1]]
    sealed = encrypt(ENTITY, [holder.certificate_der for holder in holders] * 2, cipher)
    for holder in holders:
        assert decrypt(sealed, holder.key, holder.certificate_der) == ENTITY
    other = signer_of(KINDS[-1])
    with pytest.raises(DecryptionFailed):
        decrypt(sealed, other.key, other.certificate_der)


def test_content_key_of_another_length_is_one_more_failure(signer_of: SignerOf) -> None:
    """A key of 16 octets under AES-256, wrapped as it should be; every way of wrapping."""
    for kind, transport in (("rsa-3072", "oaep"), ("rsa-3072", "pkcs1"), ("p256", "oaep")):
        holder = signer_of(kind)
        sealed = encrypt(ENTITY, [holder.certificate_der], rsa_transport=transport)
        version, infos, content, mac = der.parse(_inner(sealed)).children()
        kind_of, algorithm, body = content.children()
        shorter = der.tlv(0x30, der.oid("2.16.840.1.101.3.4.1.6"), algorithm.children()[1].raw)
        parts = (version.raw, infos.raw, der.tlv(0x30, kind_of.raw, shorter, body.raw), mac.raw)
        with pytest.raises(DecryptionFailed):
            decrypt(_info("1.2.840.113549.1.9.16.1.23", der.tlv(0x30, *parts)), holder.key, holder.certificate_der)


def test_ciphertext_longer_than_the_modulus_is_one_more_failure(signer_of: SignerOf) -> None:
    holder = signer_of("rsa-3072")
    for transport in RsaTransport:
        sealed = encrypt(ENTITY, [holder.certificate_der], rsa_transport=transport)
        version, infos, *rest = der.parse(_inner(sealed)).children()
        number, name, algorithm, wrapped = infos.children()[0].children()
        info = der.tlv(0x30, number.raw, name.raw, algorithm.raw, der.tlv(4, wrapped.value + b"\x00"))
        parts = (version.raw, der.tlv(0x31, info), *(part.raw for part in rest))
        with pytest.raises(DecryptionFailed):
            decrypt(_info("1.2.840.113549.1.9.16.1.23", der.tlv(0x30, *parts)), holder.key, holder.certificate_der)


def test_recipient_is_named_once(signer_of: SignerOf) -> None:
    one = signer_of("p256").certificate_der
    assert len(encrypt(b"", [one, one])) == len(encrypt(b"", [one]))


@every_cipher
@every_kind
def test_right_certificate_with_the_wrong_key_fails(signer_of: SignerOf, kind: str, cipher: ContentCipher) -> None:
    holder = signer_of(kind)
    sealed = encrypt(ENTITY, [holder.certificate_der], cipher)
    for other in ("p256", "rsa-3072", "brainpool-p384"):
        if other != kind:
            with pytest.raises(DecryptionFailed):
                decrypt(sealed, signer_of(other).key, holder.certificate_der)


@pytest.mark.parametrize("transport", list(RsaTransport))
def test_broken_key_and_broken_content_cannot_be_told_apart(signer_of: SignerOf, transport: RsaTransport) -> None:
    holder = signer_of("rsa-3072")
    sealed = encrypt(ENTITY, [holder.certificate_der], rsa_transport=transport)
    _, recipients, content, mac = der.parse(sealed).children()[1].children()[0].children()
    wrapped = recipients.children()[0].children()[-1]
    body = content.children()[-1]
    errors = set()
    for element in (wrapped, body, mac):
        at = element.end - 1
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(DecryptionFailed) as caught:
            decrypt(changed, holder.key, holder.certificate_der)
        errors.add((str(caught.value), caught.value.__cause__))
    assert errors == {("", None)}


@pytest.mark.parametrize("kind", ["rsa-3072", "p256"])
def test_no_octet_of_authenticated_content_can_be_changed(signer_of: SignerOf, kind: str) -> None:
    holder = signer_of(kind)
    sealed = encrypt(ENTITY[:40], [holder.certificate_der])
    content = der.parse(sealed).children()[1].children()[0].children()[2]
    for at in range(content.start, len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 0x10]) + sealed[at + 1 :]
        with pytest.raises((DecryptionFailed, CmsInvalid)):
            decrypt(changed, holder.key, holder.certificate_der)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@every_cipher
def test_changed_structures_give_one_of_two_errors(
    signer_of: SignerOf, cipher: ContentCipher, data: st.DataObject
) -> None:
    """Or, for CBC, which is not authenticated, some entity (EFAIL); never another exception."""
    holder = signer_of("p256")
    sealed = bytearray(encrypt(ENTITY[:40], [holder.certificate_der, signer_of("rsa-3072").certificate_der], cipher))
    for _ in range(data.draw(st.integers(1, 4))):
        sealed[data.draw(st.integers(0, len(sealed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(sealed) - 30, len(sealed)))
    for kind in ("p256", "rsa-3072"):
        holder = signer_of(kind)
        try:
            decrypt(bytes(sealed[:cut]), holder.key, holder.certificate_der)
        except (DecryptionFailed, CmsInvalid):
            continue


def test_cipher_and_kind_of_structure_must_fit(signer_of: SignerOf) -> None:
    """No downgrade: GCM content that is presented as EnvelopedData would be read without its tag."""
    holder = signer_of("p256")
    sealed = encrypt(ENTITY, [holder.certificate_der])
    authenticated, enveloped = "1.2.840.113549.1.9.16.1.23", "1.2.840.113549.1.7.3"
    inner = der.parse(sealed).children()[1].children()[0]
    without_mac = der.tlv(0x30, *(child.raw for child in inner.children()[:-1]))
    for kind, content in ((enveloped, without_mac), (enveloped, inner.raw)):
        with pytest.raises(CmsInvalid):
            decrypt(_info(kind, content), holder.key, holder.certificate_der)
    cbc = encrypt(ENTITY, [holder.certificate_der], "aes-256-cbc")
    with pytest.raises(CmsInvalid, match="does not fit"):
        decrypt(_info(authenticated, _inner(cbc)), holder.key, holder.certificate_der)


def test_shortened_tag_is_refused(signer_of: SignerOf) -> None:
    holder = signer_of("p256")
    fields = [child.raw for child in der.parse(_inner(encrypt(ENTITY, [holder.certificate_der]))).children()]
    short = der.tlv(0x30, *fields[:-1], der.tlv(4, fields[-1][2:6]))
    with pytest.raises(CmsInvalid, match="16 octets"):
        decrypt(_info("1.2.840.113549.1.9.16.1.23", short), holder.key, holder.certificate_der)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2.16.840.1.101.3.4.1.46", "1.2.840.113549.3.4"),  # RC4
        ("2.16.840.1.101.3.4.1.46", "2.16.840.1.101.3.4.1.42"),
    ],
)
def test_other_ciphers_are_refused(signer_of: SignerOf, old: str, new: str) -> None:
    holder = signer_of("p256")
    inner = der.parse(_inner(encrypt(ENTITY, [holder.certificate_der]))).children()
    _, algorithm, body = inner[2].children()
    identifier, parameters = algorithm.children()
    assert identifier.raw == der.oid(old)
    content = der.tlv(0x30, der.oid("1.2.840.113549.1.7.1"), der.tlv(0x30, der.oid(new), parameters.raw), body.raw)
    changed = der.tlv(0x30, inner[0].raw, inner[1].raw, content, inner[3].raw)
    with pytest.raises(CmsInvalid):
        decrypt(_info("1.2.840.113549.1.9.16.1.23", changed), holder.key, holder.certificate_der)


def test_3des_is_limited_in_size(signer_of: SignerOf) -> None:
    """34 MB/s: a large one would hold a worker for minutes."""
    holder = signer_of("p256")
    algorithm = der.tlv(0x30, der.oid("1.2.840.113549.3.7"), der.tlv(4, bytes(8)))
    content = der.tlv(0x30, der.oid("1.2.840.113549.1.7.1"), algorithm, der.tlv(0x80, bytes(MAX_3DES_BYTES + 8)))
    sealed = _info("1.2.840.113549.1.7.3", der.tlv(0x30, der.integer(0), der.set_of([]), content))
    with pytest.raises(CmsInvalid, match="too large"):
        decrypt(sealed, holder.key, holder.certificate_der)


def _transport_with(sealed: bytes, algorithm: bytes) -> bytes:
    """The structure with another key-encryption algorithm for its one RSA recipient."""
    version, infos, *rest = der.parse(_inner(sealed)).children()
    number, name, _, wrapped = infos.children()[0].children()
    info = der.tlv(0x30, number.raw, name.raw, algorithm, wrapped.raw)
    parts = (version.raw, der.tlv(0x31, info), *(part.raw for part in rest))
    return _info("1.2.840.113549.1.9.16.1.23", der.tlv(0x30, *parts))


OAEP = der.oid("1.2.840.113549.1.1.7")
SHA256 = der.tlv(0x30, der.oid("2.16.840.1.101.3.4.2.1"))
MD5 = der.tlv(0x30, der.oid("1.2.840.113549.2.5"))
MGF1 = der.oid("1.2.840.113549.1.1.8")


@pytest.mark.parametrize(
    "algorithm",
    [
        der.tlv(0x30, OAEP),  # SHA-1 by default
        der.tlv(0x30, OAEP, der.tlv(0x30)),
        der.tlv(0x30, OAEP, der.tlv(0x30, der.tlv(0xA0, MD5))),
        der.tlv(0x30, OAEP, der.tlv(0x30, der.tlv(0xA0))),
        der.tlv(0x30, OAEP, der.tlv(0x30, der.tlv(0xA1, der.tlv(0x30, MGF1)))),
        der.tlv(0x30, OAEP, der.tlv(0x30, der.tlv(0xA1, der.tlv(0x30, OAEP, SHA256)))),
        der.tlv(0x30, der.oid("1.2.3.4")),
    ],
)
def test_unknown_key_transport_is_one_more_failure(signer_of: SignerOf, algorithm: bytes) -> None:
    holder = signer_of("rsa-3072")
    changed = _transport_with(encrypt(ENTITY, [holder.certificate_der]), algorithm)
    with pytest.raises(DecryptionFailed):
        decrypt(changed, holder.key, holder.certificate_der)


def _agreement_with(sealed: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    version, infos, *rest = der.parse(_inner(sealed)).children()
    fields = change([child.raw for child in infos.children()[0].children()])
    parts = (version.raw, der.tlv(0x31, der.tlv(0xA1, *fields)), *(part.raw for part in rest))
    return _info("1.2.840.113549.1.9.16.1.23", der.tlv(0x30, *parts))


STATIC = der.tlv(0xA0, der.tlv(0x30, der.tlv(0x30), der.integer(1)))
NOT_EC = der.tlv(0xA0, der.tlv(0xA1, der.tlv(0x30, OAEP), der.tlv(3, b"\x00\x04")))
ECDH = der.oid("1.3.132.1.11.1")


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: [fields[0], STATIC, *fields[2:]],
        lambda fields: [fields[0], NOT_EC, *fields[2:]],
        lambda fields: [*fields[:2], der.tlv(0xA1, der.tlv(4, b"other material")), *fields[2:]],
        lambda fields: [*fields[:2], der.tlv(0x30, ECDH), *fields[3:]],
        lambda fields: [*fields[:2], der.tlv(0x30, ECDH, der.tlv(0x30, OAEP)), *fields[3:]],
        lambda fields: [*fields[:2], der.tlv(0x30, OAEP), *fields[3:]],
    ],
)
def test_unknown_key_agreement_is_one_more_failure(
    signer_of: SignerOf, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    holder = signer_of("p256")
    changed = _agreement_with(encrypt(ENTITY, [holder.certificate_der]), change)
    with pytest.raises(DecryptionFailed):
        decrypt(changed, holder.key, holder.certificate_der)


@pytest.mark.parametrize("kind", ["rsa-3072", "p256"])
def test_certificate_without_key_identifier_is_found_by_name_alone(
    tmp_path: Path, signer_of: SignerOf, key_of: Callable[[str], PrivateKey], now: datetime, kind: str
) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    key = key_of(kind)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 5, now, now + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
    plain = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert decrypt(encrypt(ENTITY, [plain]), key, plain) == ENTITY
    with pytest.raises(DecryptionFailed):
        decrypt(_openssl_encrypt(tmp_path, signer_of(kind), "-aes-256-cbc", "-keyid"), key, plain)


def test_cbc_can_be_changed_unnoticed_except_in_its_padding(signer_of: SignerOf) -> None:
    """EFAIL: why a signature must be inside, and why GCM is the default."""
    holder = signer_of("p256")
    sealed = encrypt(ENTITY[:15], [holder.certificate_der], "aes-256-cbc")
    iv_at = sealed.index(der.parse(_inner(sealed)).children()[2].children()[1].children()[1].value)

    def changed(at: int) -> bytes:
        return sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]

    assert decrypt(changed(iv_at), holder.key, holder.certificate_der) == b"B" + ENTITY[1:15]
    with pytest.raises(DecryptionFailed):
        decrypt(changed(iv_at + 15), holder.key, holder.certificate_der)


def test_ciphertext_of_partial_blocks_is_one_more_failure(signer_of: SignerOf) -> None:
    holder = signer_of("p256")
    version, infos, content = der.parse(_inner(encrypt(ENTITY, [holder.certificate_der], "aes-256-cbc"))).children()
    kind, algorithm, body = content.children()
    for value in (b"", body.value[:-1]):
        changed = der.tlv(0x30, kind.raw, algorithm.raw, der.tlv(0x80, value))
        sealed = _info("1.2.840.113549.1.7.3", der.tlv(0x30, version.raw, infos.raw, changed))
        with pytest.raises(DecryptionFailed):
            decrypt(sealed, holder.key, holder.certificate_der)
    pieces = der.tlv(0xA0, der.integer(1))
    sealed = _info(
        "1.2.840.113549.1.7.3", der.tlv(0x30, version.raw, infos.raw, der.tlv(0x30, kind.raw, algorithm.raw, pieces))
    )
    with pytest.raises(CmsInvalid, match="other pieces"):
        decrypt(sealed, holder.key, holder.certificate_der)


@pytest.mark.parametrize(
    ("cipher", "parameters"),
    [
        ("2.16.840.1.101.3.4.1.42", der.tlv(4, bytes(8))),
        ("2.16.840.1.101.3.4.1.42", der.tlv(2, bytes(16))),
        ("1.2.840.113549.3.7", der.tlv(4, bytes(16))),
        ("1.2.840.113549.3.7", b""),
    ],
)
def test_parameters_of_ciphers_are_exact(signer_of: SignerOf, cipher: str, parameters: bytes) -> None:
    holder = signer_of("p256")
    algorithm = der.tlv(0x30, der.oid(cipher), parameters)
    content = der.tlv(0x30, der.oid("1.2.840.113549.1.7.1"), algorithm, der.tlv(0x80, bytes(16)))
    sealed = _info("1.2.840.113549.1.7.3", der.tlv(0x30, der.integer(0), der.set_of([]), content))
    with pytest.raises(CmsInvalid, match="permitted"):
        decrypt(sealed, holder.key, holder.certificate_der)


def test_recipients_by_password_are_passed_over(tmp_path: Path, signer_of: SignerOf) -> None:
    holder = signer_of("p256")
    sealed = _openssl_encrypt(tmp_path, holder, "-aes-256-cbc", "-pwri_password", "geheim")
    assert decrypt(sealed, holder.key, holder.certificate_der) == ENTITY


def test_other_structures_are_invalid(signer_of: SignerOf) -> None:
    holder = signer_of("p256")
    for data in (b"", b"\x30\x80" * 1000, _info("1.2.840.113549.1.7.2", der.tlv(0x30)), b"\x30\x00"):
        with pytest.raises(CmsInvalid):
            decrypt(data, holder.key, holder.certificate_der)


def test_own_form_is_the_shortest_and_names_its_mime_type(signer_of: SignerOf) -> None:
    sealed = encrypt(ENTITY, [signer_of("p256").certificate_der])
    assert len(sealed) < len(ENTITY) + 700
    assert ContentCipher.AES_256_GCM.smime_type == "authEnveloped-data"
    assert ContentCipher.AES_256_CBC.smime_type == "enveloped-data"


def test_two_encryptions_share_nothing(signer_of: SignerOf) -> None:
    one, two = (encrypt(ENTITY, [signer_of("p256").certificate_der]) for _ in range(2))
    assert one != two


def test_what_cannot_be_encrypted_for_is_refused(authority: TestAuthority, signer_of: SignerOf, now: datetime) -> None:
    weak = rsa.generate_private_key(65537, 1024).public_key()
    weak_one = authority.issue(weak, Profile.SMIME, "T", not_before=now, not_after=now + timedelta(days=1))
    for recipients in (
        [],
        [b"no certificate"],
        [weak_one],
        [signer_of("p256", Profile.PROVIDER_SIGNATURE).certificate_der],
        [signer_of("rsa-3072", Profile.PROVIDER_SIGNATURE).certificate_der],
        [signer_of("rsa-3072", Profile.TLS_SERVER).certificate_der],
    ):
        with pytest.raises(ComposeFailed):
            encrypt(ENTITY, recipients)
    with pytest.raises(ValueError, match="des"):
        encrypt(ENTITY, [signer_of("p256").certificate_der], "des")


def _inner(sealed: bytes) -> bytes:
    return der.parse(sealed).children()[1].children()[0].raw


def _info(content_type: str, content: bytes) -> bytes:
    return der.tlv(0x30, der.oid(content_type), der.tlv(0xA0, content))


def _files(directory: Path, holder: SoftwareSigner) -> None:
    pem = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "r.key").write_bytes(pem)
    (directory / "r.pem").write_bytes(der_to_pem(holder.certificate_der))


def _openssl_encrypt(directory: Path, holder: SoftwareSigner, *options: str, keyopts: list[str] | None = None) -> bytes:
    _files(directory, holder)
    command = [program("openssl"), "cms", "-encrypt", "-binary", "-outform", "DER", *options, "-recip", "r.pem"]
    command += [word for keyopt in keyopts or () for word in ("-keyopt", keyopt)]
    done = subprocess.run(command, input=ENTITY, cwd=directory, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
