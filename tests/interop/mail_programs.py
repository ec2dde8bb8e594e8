"""GnuPG's gpgsm and NSS, what Thunderbird uses: programs with a database of keys."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12
from cryptography.hazmat.primitives.serialization.pkcs12 import PBES

from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.keys import KeyKind
from tests.harness.programs import program
from tests.interop.cases import CASES, CONTENT, Encrypting, Signing, authority, holder
from tests.interop.partners import NotAsked, run

_PASSWORD = b"geheim"


def _pkcs12(kind: KeyKind) -> bytes:
    """With the old encryption that both programs can read."""
    own = holder(kind)
    certificate = x509.load_der_x509_certificate(own.certificate_der)
    root = x509.load_der_x509_certificate(authority().certificate_der)
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
    protection = builder.key_cert_algorithm(PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(SHA1()).build(_PASSWORD)
    return pkcs12.serialize_key_and_certificates(str(kind).encode(), own.key, certificate, [root], protection)


class Gpgsm:
    """RSA keys alone: importing EC keys is what GnuPG 2.2 cannot do."""

    name = "gpgsm"

    def __init__(self, directory: Path) -> None:
        program("gpgsm")
        self._home = directory
        directory.chmod(0o700)
        fingerprint = hashlib.sha1(authority().certificate_der).hexdigest().upper()
        (directory / "trustlist.txt").write_text(f"{fingerprint} S relax\n")
        (directory / "gpgsm.conf").write_text("disable-crl-checks\ndisable-policy-checks\nno-secmem-warning\n")
        (directory / "gpg-agent.conf").write_text("allow-loopback-pinentry\n")
        self._gpgsm("--import", octets=authority().certificate_pem)
        for kind in {case.kind for case in CASES}:
            self._gpgsm("--import", octets=der_to_pem(holder(kind).certificate_der))
        self._import_key()

    def verifies(self, signature: bytes, content: bytes, case: Signing) -> bool:
        (self._home / "signature").write_bytes(signature)
        (self._home / "shown").write_bytes(content)
        return b"[GNUPG:] GOODSIG" in self._gpgsm("--status-fd", "1", "--verify", "signature", "shown").stdout

    def signs(self, case: Signing) -> bytes | None:
        if case.kind is not KeyKind.RSA_3072 or case.pss:
            return None
        words = ["--detach-sign", "--local-user", self._user(case.kind), "--digest-algo", "SHA256"]
        return self._output(*words, octets=CONTENT)

    def decrypts(self, sealed: bytes, case: Encrypting) -> bytes | None:
        if case.kind is not KeyKind.RSA_3072:
            raise NotAsked
        return self._output("--decrypt", octets=sealed)

    def encrypts(self, case: Encrypting) -> bytes | None:
        cipher = {"cbc": "AES256", "3des": "3DES"}.get(case.cipher)
        if cipher is None or case.transport == "oaep":
            return None
        words = ["--encrypt", "--cipher-algo", cipher, "--recipient", self._user(case.kind)]
        return self._output(*words, octets=CONTENT)

    def close(self) -> None:
        run(["gpgconf", "--kill", "all"], self._home, GNUPGHOME=str(self._home))

    def _import_key(self) -> None:
        (self._home / "key.p12").write_bytes(_pkcs12(KeyKind.RSA_3072))
        words = ["--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import", "key.p12"]
        done = self._gpgsm(*words, octets=_PASSWORD + b"\n")
        assert b"secret keys imported: 1" in done.stderr, done.stderr.decode()

    def _user(self, kind: KeyKind) -> str:
        return "&" + self._keygrip(kind)

    def _keygrip(self, kind: KeyKind) -> str:
        fingerprint = hashlib.sha1(holder(kind).certificate_der).hexdigest().upper()
        listed = self._gpgsm("--with-colons", "--with-keygrip", "--list-keys", fingerprint).stdout.decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("grp:"))

    def _output(self, *words: str, octets: bytes) -> bytes | None:
        (self._home / "input").write_bytes(octets)
        # the key was imported under the passphrase that protected it on its way
        secret = ["--pinentry-mode", "loopback", "--passphrase-fd", "0"]
        done = self._gpgsm(*secret, *words, "input", octets=_PASSWORD + b"\n")
        return done.stdout if done.returncode == 0 else None

    def _gpgsm(self, *words: str, octets: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return run(["gpgsm", "--batch", "--yes", *words], self._home, octets=octets, GNUPGHOME=str(self._home))


class Nss:
    name = "NSS"

    def __init__(self, directory: Path) -> None:
        program("cmsutil")
        self._directory = directory
        self._certutil("-N", "--empty-password")
        (directory / "ca.crt").write_bytes(authority().certificate_der)
        self._certutil("-A", "-n", "ca", "-t", "CT,C,C", "-i", "ca.crt")
        for kind in {case.kind for case in CASES}:
            (directory / "key.p12").write_bytes(_pkcs12(kind))
            done = run(["pk12util", "-i", "key.p12", "-d", "sql:.", "-W", _PASSWORD.decode(), "-K", ""], directory)
            assert done.returncode == 0, done.stderr + done.stdout

    def verifies(self, signature: bytes, content: bytes, case: Signing) -> bool:
        (self._directory / "shown").write_bytes(content)
        # it exits with 0 for a bad signature, too: the status is in what it prints
        done = self._cmsutil("-D", "-n", "-h", "0", "-c", "shown", octets=signature)
        return done.returncode == 0 and b".status=GoodSignature" in done.stdout

    def signs(self, case: Signing) -> bytes | None:
        if case.pss:
            return None
        return self._output("-S", "-T", "-G", "-P", "-N", str(case.kind), "-H", "SHA256", octets=CONTENT)

    def decrypts(self, sealed: bytes, case: Encrypting) -> bytes | None:
        return self._output("-D", octets=sealed)

    def encrypts(self, case: Encrypting) -> bytes | None:
        """It chooses cipher and transport itself, by what it knows of the recipient."""
        if case.cipher != "cbc" or case.transport == "oaep":
            return None
        return self._output("-E", "-r", str(case.kind), octets=CONTENT)

    def close(self) -> None:
        pass

    def _output(self, *words: str, octets: bytes) -> bytes | None:
        done = self._cmsutil(*words, octets=octets)
        return done.stdout if done.returncode == 0 and done.stdout else None

    def _cmsutil(self, *words: str, octets: bytes) -> subprocess.CompletedProcess[bytes]:
        return run(["cmsutil", *words, "-d", "sql:.", "-p", ""], self._directory, octets=octets)

    def _certutil(self, *words: str) -> None:
        done = run(["certutil", *words, "-d", "sql:."], self._directory)
        assert done.returncode == 0, done.stderr
