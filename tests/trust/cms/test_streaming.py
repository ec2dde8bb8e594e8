"""CMS of any size: the same answers as in memory, in constant memory, nothing given out before it holds."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demail_gateway.core.errors import CmsInvalid, ComposeFailed, DecryptionFailed
from demail_gateway.core.primitives import HashName
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.cms import (
    ContentCipher,
    decrypt,
    decrypt_file,
    der,
    encrypt,
    encrypted,
    sign_detached,
    sign_digest_enveloping,
    sign_enveloping,
    verify_detached,
    verify_enveloping,
    verify_enveloping_file,
)
from demail_gateway.trust.keys import PrivateKey, SoftwareSigner
from demail_gateway.trust.policy import SMIME_3
from tests.harness.programs import program

SignerOf = Callable[..., SoftwareSigner]

ENVELOPED = b"\x30\x80" + der.oid("1.2.840.113549.1.7.3")
CONTENT = b"Content-Type: text/plain\r\n\r\n" + b"Zeile mit Text\r\n" * 20_000
few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
CHUNKS = st.lists(st.binary(max_size=70), max_size=20)


@few
@given(chunks=CHUNKS, cipher=st.sampled_from(list(ContentCipher)))
def test_chunks_of_a_content_change_nothing_in_its_encryption(
    signer_of: SignerOf, now: datetime, chunks: list[bytes], cipher: ContentCipher
) -> None:
    holder, content = signer_of("p256"), b"".join(chunks)
    pieces = encrypted(chunks, len(content), [holder.certificate_der], cipher, at=now, policy=SMIME_3)
    sink = io.BytesIO()
    facts = decrypt_file(io.BytesIO(b"".join(pieces)), sink, holder.key, holder.certificate_der)
    assert sink.getvalue() == content
    assert facts.is_authenticated is (cipher is ContentCipher.AES_256_GCM)


@few
@given(chunks=CHUNKS)
def test_chunks_of_a_content_change_nothing_in_its_signature(
    signer_of: SignerOf, now: datetime, chunks: list[bytes]
) -> None:
    content = b"".join(chunks)
    signed = sign_detached(content, signer_of("p256"), at=now)
    assert verify_detached(signed, iter(chunks)) == verify_detached(signed, content)
    with pytest.raises(CmsInvalid):
        verify_detached(signed, iter([*chunks, b"x"]))


def test_content_of_another_size_than_announced_is_an_error(signer_of: SignerOf, now: datetime) -> None:
    for size in (2, 4):
        with pytest.raises(ComposeFailed, match="size"):
            b"".join(encrypted([b"abc"], size, [signer_of("p256").certificate_der], at=now))


def test_large_content_is_written_between_front_and_back(signer_of: SignerOf, now: datetime) -> None:
    signer = signer_of("rsa-3072", pss=True)
    digest = hashlib.sha256(CONTENT).digest()
    front, back = sign_digest_enveloping(digest, len(CONTENT), signer, at=now)
    signature, content = verify_enveloping(front + CONTENT + back)
    assert (content, signature.signers[0].certificate_der) == (CONTENT, signer.certificate_der)


@pytest.mark.parametrize("options", [(), ("-stream", "-indef"), ("-stream", "-indef", "-noattr")], ids=str)
def test_enveloping_signature_of_openssl_is_verified_from_a_file(
    tmp_path: Path, signer_of: SignerOf, options: tuple[str, ...]
) -> None:
    signed = _openssl(tmp_path, signer_of("p256"), "-sign", "-nodetach", "-signer", "o.pem", *options)
    sink = io.BytesIO()
    signature = verify_enveloping_file(io.BytesIO(signed), sink)
    assert sink.getvalue() == CONTENT
    assert signature == verify_enveloping(signed)[0]
    changed = signed.replace(b"Zeile", b"Seile", 1)
    sink = io.BytesIO()
    with pytest.raises(CmsInvalid, match=r"digest|signature"):
        verify_enveloping_file(io.BytesIO(changed), sink)
    assert sink.getvalue() == b""


@pytest.mark.parametrize("options", [("-aes-256-gcm",), ("-aes-256-cbc",), ("-des3", "-aes256-wrap")], ids=str)
@pytest.mark.parametrize("form", [(), ("-stream", "-indef")], ids=str)
def test_encryption_of_openssl_is_decrypted_from_a_file(
    tmp_path: Path, signer_of: SignerOf, options: tuple[str, ...], form: tuple[str, ...]
) -> None:
    holder = signer_of("p256")
    sealed = _openssl(tmp_path, holder, "-encrypt", "-recip", "o.pem", *options, *form)
    sink = io.BytesIO()
    decrypt_file(io.BytesIO(sealed), sink, holder.key, holder.certificate_der)
    assert sink.getvalue() == CONTENT


@pytest.mark.parametrize("cipher", list(ContentCipher))
def test_nothing_is_given_out_of_what_was_changed(signer_of: SignerOf, now: datetime, cipher: ContentCipher) -> None:
    holder = signer_of("p256")
    sealed = encrypt(CONTENT, [holder.certificate_der], cipher, at=now, policy=SMIME_3)
    last = len(sealed) - 1
    # for CBC the last octet decides the padding; the rest can be changed unnoticed (EFAIL)
    for at in (last, *((last - 40_000, 400) if cipher is ContentCipher.AES_256_GCM else ())):
        sink = io.BytesIO()
        changed = sealed[:at] + bytes([sealed[at] ^ 0x55]) + sealed[at + 1 :]
        with pytest.raises((DecryptionFailed, CmsInvalid)):
            decrypt_file(io.BytesIO(changed), sink, holder.key, holder.certificate_der)
        assert sink.getvalue() == b""


@few
@given(data=st.data())
def test_file_and_memory_agree_on_changed_structures(signer_of: SignerOf, now: datetime, data: st.DataObject) -> None:
    """Whatever is changed: both refuse, or both read the same."""
    signer = signer_of("p256")
    for octets, in_memory, from_file in _readers(signer, now):
        changed = bytearray(octets)
        for _ in range(data.draw(st.integers(1, 3))):
            changed[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        sink = io.BytesIO()
        try:
            expected = in_memory(bytes(changed))
        except (CmsInvalid, DecryptionFailed):
            with pytest.raises((CmsInvalid, DecryptionFailed)):
                from_file(io.BytesIO(changed), sink)
        else:
            from_file(io.BytesIO(changed), sink)
            assert sink.getvalue() == expected


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x80" * 5000,
        b"\x30\x84\xff\xff\xff\xff",
        der.tlv(0x30, der.oid("1.2.840.113549.1.7.2"), b"\xa0\x80\x30\x80" + b"\x30\x80" * 200_000),
        # elements without end, and pieces without contents
        b"\x30\x80"
        + der.oid("1.2.840.113549.1.7.3")
        + b"\xa0\x80\x30\x80\x02\x01\x00\x31\x80"
        + b"\x30\x00" * 3_000_000,
    ],
)
def test_hostile_files_are_refused(signer_of: SignerOf, octets: bytes) -> None:
    for read in (verify_enveloping_file, lambda source, sink: decrypt_file(source, sink, *_keys(signer_of("p256")))):
        with pytest.raises(CmsInvalid):
            read(io.BytesIO(octets), io.BytesIO())


def test_detached_signature_has_no_content_in_a_file(signer_of: SignerOf, now: datetime) -> None:
    with pytest.raises(CmsInvalid, match="wrong place"):
        verify_enveloping_file(io.BytesIO(sign_detached(b"x", signer_of("p256"), at=now)), io.BytesIO())


def test_hundred_mebibytes_need_little_memory() -> None:
    """Signing, encrypting, decrypting, verifying 100 MiB: at most 32 MiB above idle, whatever the size."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.trust.cms.large_content"], cwd=Path(__file__).parents[3], capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    above_idle_mib = float(done.stdout)
    assert above_idle_mib <= 32


Case = tuple[bytes, Callable[[bytes], bytes], Callable[[BinaryIO, BinaryIO], object]]


def _readers(signer: SoftwareSigner, now: datetime) -> list[Case]:
    """Octets, how memory reads them, and how a file."""
    key, certificate = _keys(signer)
    return [
        (_signed(signer, now), lambda octets: verify_enveloping(octets)[1], verify_enveloping_file),
        (
            _sealed(signer, now),
            lambda octets: decrypt(octets, key, certificate),
            lambda source, sink: decrypt_file(source, sink, key, certificate),
        ),
    ]


def _keys(holder: SoftwareSigner) -> tuple[PrivateKey, bytes]:
    return holder.key, holder.certificate_der


def _signed(signer: SoftwareSigner, now: datetime) -> bytes:
    return _once("signed", lambda: sign_enveloping(CONTENT[:300], signer, at=now, hash_name=HashName.SHA384))


def _sealed(holder: SoftwareSigner, now: datetime) -> bytes:
    return _once("sealed", lambda: encrypt(CONTENT[:300], [holder.certificate_der], at=now))


_KEPT: dict[str, bytes] = {}


def _once(name: str, make: Callable[[], bytes]) -> bytes:
    """The same octets for every example, though signatures and keys are random."""
    if name not in _KEPT:
        _KEPT[name] = make()
    return _KEPT[name]


def _openssl(directory: Path, holder: SoftwareSigner, action: str, *options: str) -> bytes:
    pem = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "o.key").write_bytes(pem)
    (directory / "o.pem").write_bytes(der_to_pem(holder.certificate_der))
    command = [program("openssl"), "cms", action, "-binary", "-outform", "DER", *options]
    if action == "-sign":
        command += ["-inkey", "o.key"]
    done = subprocess.run(command, input=CONTENT, cwd=directory, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
