"""Programs that sign, verify, encrypt and decrypt CMS, each behind the same four questions."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.keys import SoftwareSigner
from tests.harness.programs import program
from tests.interop.cases import CASES, CONTENT, Encrypting, Signing, authority, holder


class NotAsked(Exception):
    """The question makes no sense for this partner, or its key cannot be brought to it."""


class Partner(Protocol):
    """Answers are None where the partner refuses or cannot; NotAsked comes from `decrypts`."""

    name: str

    def verifies(self, signature: bytes, content: bytes, case: Signing) -> bool: ...

    def signs(self, case: Signing) -> bytes | None:
        """A detached signature over CONTENT."""
        ...

    def decrypts(self, sealed: bytes, case: Encrypting) -> bytes | None: ...

    def encrypts(self, case: Encrypting) -> bytes | None:
        """CONTENT for the holder of the case."""
        ...

    def close(self) -> None:
        """Ends what it started."""


def run(
    words: Sequence[str], directory: Path, *, octets: bytes = b"", **environ: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program(words[0]), *words[1:]],
        input=octets,
        cwd=directory,
        capture_output=True,
        timeout=60,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(directory), "LC_ALL": "C", **environ},
    )


def pem_key(owner: SoftwareSigner) -> bytes:
    return owner.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class OpenSsl:
    name = "openssl"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "ca.pem").write_bytes(authority().certificate_pem)
        (directory / "content").write_bytes(CONTENT)
        for kind in {case.kind for case in CASES}:
            (directory / f"{kind}.pem").write_bytes(der_to_pem(holder(kind).certificate_der))
            (directory / f"{kind}.key").write_bytes(pem_key(holder(kind)))

    def verifies(self, signature: bytes, content: bytes, case: Signing) -> bool:
        (self._directory / "shown").write_bytes(content)
        words = ["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-CAfile", "ca.pem", "-content", "shown"]
        done = self._openssl(*words, octets=signature)
        return done.returncode == 0 and done.stdout == content

    def signs(self, case: Signing) -> bytes | None:
        options = ["-keyopt", "rsa_padding_mode:pss"] if case.pss else []
        own = ["-signer", f"{case.kind}.pem", "-inkey", f"{case.kind}.key", *options]
        return _output(self._openssl("cms", "-sign", "-binary", "-outform", "DER", *own, octets=CONTENT))

    def decrypts(self, sealed: bytes, case: Encrypting) -> bytes | None:
        own = ["-recip", f"{case.kind}.pem", "-inkey", f"{case.kind}.key"]
        return _output(self._openssl("cms", "-decrypt", "-binary", "-inform", "DER", *own, octets=sealed))

    def encrypts(self, case: Encrypting) -> bytes | None:
        cipher = {"gcm": "-aes-256-gcm", "cbc": "-aes-256-cbc", "3des": "-des3"}[case.cipher]
        options = {"oaep": ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256"], "ecdh": ["ecdh_kdf_md:sha256"], "pkcs1": []}
        keyopts = [word for option in options[case.transport] for word in ("-keyopt", option)]
        words = ["cms", "-encrypt", "-binary", "-outform", "DER", cipher, "-recip", f"{case.kind}.pem", *keyopts]
        return _output(self._openssl(*words, octets=CONTENT))

    def close(self) -> None:
        pass

    def _openssl(self, *words: str, octets: bytes) -> subprocess.CompletedProcess[bytes]:
        return run(["openssl", *words], self._directory, octets=octets)


def _output(done: subprocess.CompletedProcess[bytes]) -> bytes | None:
    return done.stdout if done.returncode == 0 else None
