"""Bouncy Castle through a program of our own (BouncyCastle.java), which Java compiles when it is started."""

from __future__ import annotations

import subprocess
from itertools import count
from pathlib import Path

from demail_gateway.trust.keys import KeyKind, to_pkcs8
from tests.harness.programs import program
from tests.interop.cases import CASES, CONTENT, Encrypting, Signing, holder
from tests.interop.partners import run

_JARS = Path("/usr/share/java")
_LIBRARIES = ("bcmail", "bcpkix", "bcprov", "bcutil")
_SOURCE = Path(__file__).with_name("BouncyCastle.java")


class BouncyCastle:
    """Compiled and started once; to be closed."""

    name = "Bouncy Castle"

    def __init__(self, directory: Path) -> None:
        program("javac")
        missing = [name for name in _LIBRARIES if not (_JARS / f"{name}.jar").exists()]
        if missing:
            program(f"lib{missing[0]}-java")  # skips, or fails in CI
        self._directory = directory
        self._numbers = count()
        self._path = ":".join([str(directory), *(str(_JARS / f"{name}.jar") for name in _LIBRARIES)])
        compiled = run(["javac", "-cp", self._path, "-d", str(directory), str(_SOURCE)], directory)
        assert compiled.returncode == 0, compiled.stderr.decode()
        for kind in {case.kind for case in CASES}:
            (directory / f"{kind}.p8").write_bytes(to_pkcs8(holder(kind).key))
            (directory / f"{kind}.crt").write_bytes(holder(kind).certificate_der)
        words = [program("java"), "-XX:TieredStopAtLevel=1", "-cp", self._path, "BouncyCastle"]
        self._machine = subprocess.Popen(words, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        self._machine.communicate(timeout=20)

    def verifies(self, signature: bytes, content: bytes, case: Signing) -> bool:
        return self._job("verify", self._file(signature), self._file(content))

    def signs(self, case: Signing) -> bytes | None:
        algorithm = {False: "SHA256withRSA", True: "SHA256withRSAandMGF1"}[case.pss]
        if case.kind is not KeyKind.RSA_3072:
            algorithm = "SHA256withECDSA"
        return self._made("sign", f"{case.kind}.p8", f"{case.kind}.crt", algorithm, self._file(CONTENT))

    def decrypts(self, sealed: bytes, case: Encrypting) -> bytes | None:
        return self._made("decrypt", f"{case.kind}.p8", f"{case.kind}.crt", self._file(sealed))

    def encrypts(self, case: Encrypting) -> bytes | None:
        return self._made("encrypt", f"{case.kind}.crt", case.transport, case.cipher, self._file(CONTENT))

    def _made(self, *words: str) -> bytes | None:
        out = f"{next(self._numbers)}.out"
        return (self._directory / out).read_bytes() if self._job(*words, out) else None

    def _job(self, *words: str) -> bool:
        assert self._machine.stdin is not None
        assert self._machine.stdout is not None
        self._machine.stdin.write("\t".join(words) + "\n")
        self._machine.stdin.flush()
        answer = self._machine.stdout.readline()
        assert answer, "Bouncy Castle ended"
        return answer == "ok\n"

    def _file(self, octets: bytes) -> str:
        name = f"{next(self._numbers)}.in"
        (self._directory / name).write_bytes(octets)
        return name
