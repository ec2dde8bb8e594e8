"""What protecting a message costs in CPU time, against the primitives that it cannot do without, in the same run.

No input or output, no database, no line. Product and primitives in turn, round by round; the least of a round's
repetitions counts, because whatever else the machine does only adds.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from benchmarks.confirmations import confirmation_check, whole_pdf
from benchmarks.paths import judgements
from demail_gateway.bootstrap.memory import keep_freed_memory
from demail_gateway.core.entity import PartSource, Piece, build_entity, enveloped_pieces, signed_pieces
from demail_gateway.core.header import Header, read_header
from demail_gateway.core.integrity import seal, seal_fields
from demail_gateway.core.primitives import HashName
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.cms import encrypted, sign_detached, verify_detached
from demail_gateway.trust.keys import PublicKey, SoftwareSigner, generate_key

NOW = datetime.now(UTC)
_HEADER = (
    b"From: Poststelle <poststelle@stadt-elbtal.de-mail.de>\r\nTo: erika.mustermann@buerger.de-mail.de\r\n"
    b"Date: Tue, 24 Nov 2026 09:00:00 +0100\r\nMessage-ID: <b-1@stadt-elbtal.de-mail.de>\r\nSubject: Bescheid\r\n"
    b"x-de-mail-message-id: b-1@dmda-a.example\r\nx-de-mail-message-type: normal\r\nx-de-mail-version: 1.8\r\n"
    b"x-de-mail-sender: poststelle@stadt-elbtal.de-mail.de\r\nx-de-mail-authoritative: yes\r\n"
    b"x-de-mail-chosen-recipient: to=erika.mustermann@buerger.de-mail.de\r\nx-de-mail-auth-level: high\r\n"
    b"MIME-Version: 1.0\r\n"
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One thing the product does; `raw` are the primitives it needs, None where the goal is an absolute time."""

    name: str
    product: Callable[[], object]
    raw: Callable[[], object] | None
    goal: float
    """Product ÷ primitives, or microseconds."""
    count: int
    """Repetitions in a round."""


@dataclass(frozen=True, slots=True)
class CpuRound:
    """Microseconds of CPU time per operation; the reference of an absolute goal is the goal."""

    product: float
    reference: float


class _Message:
    """_HEADER in front of an entity in pieces, the first of which holds its fields (header.ChunkedMessage)."""

    findings: tuple[str, ...] = ()

    def __init__(self, entity: tuple[Piece, ...]) -> None:
        start = bytes(entity[0][:1000])
        end = start.index(b"\r\n\r\n") + 2
        self.header: Header = read_header(_HEADER + start[:end])
        self._body = (memoryview(entity[0])[end + 2 :], *entity[1:])

    def body_chunks(self) -> Iterator[Piece]:
        return iter(self._body)


def measurements() -> list[Measurement]:
    """Everything that has a goal, and what is worth knowing beside it."""
    keep_freed_memory()  # as workers do
    authority = TestAuthority.create("TEST", NOW - timedelta(days=2), key_kind="p256")
    return [
        *_pipeline("rsa-3072", _signer(authority, "rsa-3072"), "10 KiB", _text(), (1.10, 1.10, 1.15), 40),
        *_pipeline("rsa-3072", _signer(authority, "rsa-3072"), "1 MiB", _pdf(), (1.10, 1.10, 1.6), 10),
        *_pipeline("p256", _signer(authority, "p256"), "10 KiB", _text(), (3.0, 3.0, 3.5), 400),
        *_small(_signer(authority, "p256")),
        *_judgements("rsa-3072"),
        *_judgements("brainpool-p256"),
    ]


def measure(measurement: Measurement, rounds: int) -> Iterator[CpuRound]:
    for _ in range(rounds):
        product = _cpu_us(measurement.product, measurement.count)
        reference = measurement.goal if measurement.raw is None else _cpu_us(measurement.raw, measurement.count)
        yield CpuRound(product, reference)


def _signer(authority: TestAuthority, kind: str) -> SoftwareSigner:
    key = generate_key(kind)
    end = NOW + timedelta(days=2)
    certificate = authority.issue(key.public_key(), Profile.SMIME, "TEST", not_before=NOW, not_after=end)
    return SoftwareSigner.for_certificate(key, certificate, pss=True)


def _text() -> bytes:
    return build_entity("Sehr geehrte Frau Mustermann, anbei der Bescheid.\n" * 210, None, (), "b1")


def _pdf() -> bytes:
    return build_entity("Anbei.\n", None, [PartSource("a.pdf", "application/pdf", os.urandom(1024 * 1024))], "b1")


def _pipeline(
    kind: str, signer: SoftwareSigner, size: str, entity: bytes, goals: tuple[float, float, float], count: int
) -> list[Measurement]:
    """Integrity alone, with an S/MIME signature inside, and that encrypted, too."""

    def signed() -> tuple[Piece, ...]:
        return signed_pieces(entity, sign_detached(entity, signer, at=NOW), "sha-256", "b2")

    def sealed(content: Iterable[Piece]) -> bytes:
        pieces = tuple(content)
        fields = seal_fields(_Message(pieces), hash_name=HashName.SHA256, domain="dmda-a.example", signer=signer)
        return b"".join((fields, _HEADER, *pieces))

    def enveloped() -> Iterator[bytes]:
        inside = signed()
        pieces = encrypted(inside, sum(map(len, inside)), [signer.certificate_der], at=NOW)
        return enveloped_pieces(pieces, "authEnveloped-data")

    inner, outer = b"".join(signed()), b"".join(enveloped())
    steps = (
        ("integrity", lambda: sealed((entity,)), _raw(signer, entity)),
        ("integrity + CMS", lambda: sealed(signed()), _raw(signer, entity, inner)),
        ("integrity + CMS + encryption", lambda: sealed(enveloped()), _raw(signer, entity, outer, encrypts=inner)),
    )
    return [
        Measurement(f"{kind}, {size}: {name}", product, raw, goal, count)
        for (name, product, raw), goal in zip(steps, goals, strict=True)
    ]


def _small(signer: SoftwareSigner) -> list[Measurement]:
    entity = _text()
    signature = sign_detached(entity, signer, at=NOW)
    message = _HEADER + entity

    def sealed() -> bytes:
        return seal(message, hash_name=HashName.SHA256, domain="dmda-a.example", signer=signer)

    def verified() -> object:
        return verify_detached(signature, entity)

    return [
        Measurement("p256, 10 KiB: integrity, µs", sealed, None, 60.0, 400),
        Measurement("p256, 10 KiB: CMS verified, µs", verified, None, 200.0, 200),
        Measurement("confirmation verified, µs", confirmation_check(), None, 1500.0, 20),
        Measurement("the same with a whole PDF, µs", confirmation_check(whole_pdf), None, 1500.0, 20),
    ]


def _judgements(kind: str) -> list[Measurement]:
    """The first judgement of a certificate is made once in the life of a process, the others for every message."""
    goals = (10_000.0, 50.0, 50.0, 50.0)
    named = zip(judgements(kind).items(), goals, strict=True)
    return [Measurement(f"{kind}: {name}, µs", call, None, goal, 20) for (name, call), goal in named]


def _raw(signer: SoftwareSigner, *hashed: bytes, encrypts: bytes | None = None) -> Callable[[], None]:
    """One signature and one SHA-256 for each of `hashed`; AES-256-GCM and one recipient for `encrypts`."""
    digest, gcm, nonce = bytes(32), AESGCM(bytes(32)), bytes(12)
    transport = _transport(signer.key.public_key())

    def run() -> None:
        for octets in hashed:
            hashlib.sha256(octets).digest()
            signer.sign_digest(HashName.SHA256, digest)
        if encrypts is not None:
            gcm.encrypt(nonce, encrypts, None)
            transport()

    return run


def _transport(key: PublicKey) -> Callable[[], bytes]:
    """What one recipient needs: RSAES-OAEP, or an ephemeral key, ECDH, a KDF and a key wrap."""
    if isinstance(key, rsa.RSAPublicKey):
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        return lambda: key.encrypt(bytes(32), oaep)

    def agree() -> bytes:
        secret = ec.generate_private_key(key.curve).exchange(ec.ECDH(), key)
        wrapping = X963KDF(hashes.SHA256(), 32, bytes(24)).derive(secret)
        return aes_key_wrap(wrapping, bytes(32))

    return agree


def _cpu_us(call: Callable[[], object], count: int) -> float:
    """The least CPU time of one call among 25 short runs, so that one falls into a quiet moment of the machine."""
    best, calls = float("inf"), max(1, count // 5)
    for _ in range(25):
        begin = time.process_time()
        for _ in range(calls):
            call()
        best = min(best, time.process_time() - begin)
    return best / calls * 1e6
