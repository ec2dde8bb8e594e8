"""Every kept file, and whatever it is changed into: one of the named errors, never another exception, never a pass.

The corpus holds what OpenSSL wrote (the holder's key is beside it, for nothing else) and hostile structures; a defect
that is found leaves a file there.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demail_gateway.core.errors import CmsInvalid, DecryptionFailed
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.cms import (
    decrypt,
    decrypt_file,
    read_certs_only,
    verify_detached,
    verify_enveloping,
    verify_enveloping_file,
)
from demail_gateway.trust.cms.ber import to_der
from demail_gateway.trust.cms.der import DerError
from demail_gateway.trust.cms.timestamps import read_token
from demail_gateway.trust.keys import load_pkcs8
from tests.harness.programs import program

CORPUS = Path(__file__).with_name("corpus")
CERTIFICATE = (CORPUS / "holder.crt.der").read_bytes()
KEY = load_pkcs8((CORPUS / "holder.key.der").read_bytes())
CONTENT = b"Content-Type: text/plain\r\n\r\nText\r\n"
FILES = {path.name: path.read_bytes() for path in sorted(CORPUS.iterdir()) if not path.name.startswith("holder")}
SEEDS = {name: octets for name, octets in FILES.items() if not name.startswith("hostile")}


def _from_file(octets: bytes, read: Callable[[io.BytesIO, io.BytesIO], object]) -> bytes:
    sink = io.BytesIO()
    read(io.BytesIO(octets), sink)
    return sink.getvalue()


READERS: dict[str, Callable[[bytes], object]] = {
    "detached": lambda octets: CONTENT if verify_detached(octets, CONTENT).signers else b"",
    "enveloping": lambda octets: verify_enveloping(octets)[1],
    "enveloping file": lambda octets: _from_file(octets, verify_enveloping_file),
    "decrypt": lambda octets: decrypt(octets, KEY, CERTIFICATE),
    "decrypt file": lambda octets: _from_file(octets, lambda one, two: decrypt_file(one, two, KEY, CERTIFICATE)),
    "certificates": read_certs_only,
    "timestamp": lambda octets: read_token(octets, CONTENT),
}
EXPECTED = {
    "signed-detached": "detached",
    "signed-enveloping": "enveloping",
    "sealed": "decrypt",
    "certs": "certificates",
}


def _answers(octets: bytes) -> dict[str, object]:
    """What each reader gave that did not refuse."""
    found = {}
    for name, read in READERS.items():
        try:
            found[name] = read(octets)
        except (CmsInvalid, DecryptionFailed):
            continue
    return found


@pytest.mark.parametrize("name", [*FILES])
def test_kept_file_is_read_by_its_reader_alone(name: str) -> None:
    wanted = next((reader for start, reader in EXPECTED.items() if name.startswith(start)), None)
    answers = _answers(FILES[name])
    assert {reader.removesuffix(" file") for reader in answers} == ({wanted} if wanted else set())
    if wanted != "certificates":
        assert set(answers.values()) <= {CONTENT}


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_changed_file_passes_nowhere_with_another_content(data: st.DataObject) -> None:
    """For CBC, which is not authenticated, some other content may come out (EFAIL)."""
    name = data.draw(st.sampled_from([*SEEDS]))
    octets = bytearray(SEEDS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "insert", "copy"]))
        if kind == "set":
            octets[at] = data.draw(st.sampled_from([0x00, 0x02, 0x04, 0x24, 0x30, 0x31, 0x80, 0xA0, 0xFF]))
        elif kind == "cut":
            del octets[at : at + data.draw(st.integers(1, 20))]
        elif kind == "insert":
            octets[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            octets[at:at] = octets[at : at + data.draw(st.integers(1, 60))]
        if not octets:
            break
    answers = _answers(bytes(octets))
    answers.pop("certificates", None)
    if "cbc" not in name and "3des" not in name:
        assert set(answers.values()) <= {CONTENT}


@settings(max_examples=200, deadline=None)
@given(octets=st.binary(max_size=400))
def test_arbitrary_octets_are_refused(octets: bytes) -> None:
    assert _answers(octets) == {}
    assert _answers(b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30\x80" + octets) == {}


@pytest.mark.parametrize("name", [*SEEDS])
def test_normalising_twice_changes_nothing(name: str) -> None:
    """BER to DER is idempotent, and leaves DER as it is."""
    once = to_der(SEEDS[name])
    assert to_der(once) == once
    assert name.endswith(".ber") or once == SEEDS[name]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_normaliser_refuses_or_is_idempotent(data: st.DataObject) -> None:
    octets = bytearray(data.draw(st.sampled_from([*FILES.values()])))
    for _ in range(data.draw(st.integers(1, 4))):
        if octets:
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        once = to_der(bytes(octets))
    except DerError:
        return
    assert to_der(once) == once


@pytest.mark.parametrize("name", ["signed-detached.der", "signed-detached-cades.der", "sealed-gcm.der"])
def test_what_we_pass_openssl_passes(tmp_path: Path, name: str) -> None:
    """Differential: we may be stricter, never laxer, and read the same."""
    (tmp_path / "holder.pem").write_bytes(der_to_pem(CERTIFICATE))
    (tmp_path / "content").write_bytes(CONTENT)
    signed = ["-verify", "-noverify", "-binary", "-inform", "DER", "-content", "content", "-certfile", "holder.pem"]
    sealed = ["-decrypt", "-binary", "-inform", "DER", "-recip", "holder.pem", "-inkey", str(CORPUS / "holder.key.der")]
    words = [program("openssl"), "cms", *(signed if name.startswith("signed") else [*sealed, "-keyform", "DER"])]
    random, passed = Random(name), 0
    for octets in [FILES[name], *(_changed(FILES[name], random) for _ in range(400))]:
        if answers := _answers(octets):
            done = subprocess.run(words, input=octets, cwd=tmp_path, capture_output=True)
            assert (done.returncode, done.stdout) == (0, CONTENT), done.stderr
            assert set(answers.values()) == {CONTENT}
            passed += 1
    assert passed >= 1


def _changed(octets: bytes, random: Random) -> bytes:
    changed = bytearray(octets)
    for _ in range(random.randint(1, 2)):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)
