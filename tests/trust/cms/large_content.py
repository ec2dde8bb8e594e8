"""A process of its own: signs, encrypts, decrypts and verifies 100 MiB; prints the MiB that it needed above idle."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demail_gateway.trust.authority import TestAuthority
from demail_gateway.trust.cms import (
    ContentCipher,
    decrypt_file,
    encrypt,
    encrypted,
    sign_digest_detached,
    sign_digest_enveloping,
    verify_detached,
    verify_enveloping_file,
)
from demail_gateway.trust.keys import SoftwareSigner, generate_key
from demail_gateway.trust.policy import SMIME_3

SIZE_BYTES = 100 * 1024 * 1024
_CHUNK = bytes(range(256)) * 256


def content() -> Iterator[bytes]:
    for _ in range(SIZE_BYTES // len(_CHUNK)):
        yield _CHUNK


def main() -> None:
    now = datetime.now(UTC)
    key = generate_key("p256")
    authority = TestAuthority.create("TEST", now, key_kind="p256")
    certificate = authority.issue(key.public_key(), "smime", "x", not_before=now, not_after=now + timedelta(days=1))
    signer = SoftwareSigner.for_certificate(key, certificate)
    encrypt(b"warm", [certificate], at=now)
    Path("/proc/self/clear_refs").write_text("5")
    idle_mib = _peak_mib()
    run(signer, now)
    print(f"{_peak_mib() - idle_mib:.1f}")


def run(signer: SoftwareSigner, now: datetime) -> None:
    hasher = hashlib.sha256()
    for chunk in content():
        hasher.update(chunk)
    verify_detached(sign_digest_detached(hasher.digest(), signer, at=now), content())
    with tempfile.TemporaryFile() as sealed, tempfile.TemporaryFile() as opened:
        for cipher in ContentCipher:
            sealed.seek(0)
            pieces = encrypted(content(), SIZE_BYTES, [signer.certificate_der], cipher, at=now, policy=SMIME_3)
            sealed.writelines(pieces)
            sealed.truncate()
            sealed.seek(0)
            opened.seek(0)
            decrypt_file(sealed, opened, signer.key, signer.certificate_der)
            assert opened.tell() == SIZE_BYTES
        sealed.seek(0)
        front, back = sign_digest_enveloping(hasher.digest(), SIZE_BYTES, signer, at=now)
        sealed.write(front)
        sealed.writelines(content())
        sealed.write(back)
        sealed.truncate()
        sealed.seek(0)
        opened.seek(0)
        verify_enveloping_file(sealed, opened)
        assert opened.tell() == SIZE_BYTES


def _peak_mib() -> float:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
