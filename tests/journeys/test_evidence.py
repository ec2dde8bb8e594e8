"""Evidence, checked without the gateway: by `demail-gateway verify`, OpenSSL, xmlsec1 (GWT-90, GWT-91, SND-101)."""

from __future__ import annotations

import email
import hashlib
import io
import json
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness.programs import program
from tests.journeys.installation import Installation, Json, command
from tests.journeys.people import CITIZENS, DISPATCH, RECEIPT, WITH_ALL_PROOFS, Application, Sandbox, octets_of

NO_NETWORK = {"DEMAIL_DATABASE_URL": "postgresql://nobody@192.0.2.1/none", "DEMAIL_REDIS_URL": "redis://192.0.2.1/0"}
"""`verify` reads neither: it works without database and network."""


@dataclass(frozen=True)
class Files:
    """What an archive keeps of one De-Mail."""

    package: Path
    received: Path
    confirmation: Path
    unpacked: Path
    anchor: Path
    crl: Path
    message_id: str

    def changed(self, file: Path, old: bytes, new: bytes) -> Path:
        octets = file.read_bytes()
        assert old in octets
        target = file.with_name(f"changed-{file.name}")
        target.write_bytes(octets.replace(old, new, 1))
        return target


@pytest.fixture(scope="module")
def files(
    town: Application, sandbox: Sandbox, installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Files:
    directory = tmp_path_factory.mktemp("evidence")
    address = f"olga.evidence{CITIZENS}"
    message = town.when(town.send(address, options={**WITH_ALL_PROOFS, "authoritative": True}))
    base = f"messages/{message['id']}"
    (receipt,) = (item for item in town.evidence(message["id"]) if item["kind"] == RECEIPT)
    contents = {
        "evidence.zip": town.octets(f"{base}/evidence.zip"),
        "received.eml": octets_of(sandbox.mailbox(address)[0]),
        "receipt.eml": town.octets(f"{base}/evidence/{receipt['id']}/raw"),
        "crl.der": sandbox.crl(),
    }
    for name, octets in contents.items():
        (directory / name).write_bytes(octets)
    unpacked = directory / "unpacked"
    zipfile.ZipFile(directory / "evidence.zip").extractall(unpacked)
    return Files(
        package=directory / "evidence.zip",
        received=directory / "received.eml",
        confirmation=directory / "receipt.eml",
        unpacked=unpacked,
        anchor=Path(installation.ready()["sandbox"]["trust_anchor"]),
        crl=directory / "crl.der",
        message_id=message["id"],
    )


def verify(*words: str | Path) -> tuple[int, list[Json]]:
    """Exit code and the objects printed."""
    run = command("verify", "--json", *words, environment=NO_NETWORK)
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


@pytest.mark.clause("CO-2")
def test_a_versandbestaetigung_of_the_own_provider_is_confirmed_without_remark(files: Files, town: Application) -> None:
    (dispatch,) = (item for item in town.evidence(files.message_id) if item["kind"] == DISPATCH)
    assert dispatch["verification"]["verdict"] == "confirmed", dispatch


def test_a_package_verifies_with_nothing_but_the_anchor(files: Files) -> None:
    code, (report,) = verify("--trust-anchor", files.anchor, files.package)
    assert (code, report["outcome"], report["kind"]) == (0, "passed", "evidence-package")
    assert report["file"] == str(files.package)
    assert report["message_id"] == files.message_id
    names = {check["name"] for check in report["checks"]}
    assert {"package.signature", "package.signer", "package.complete", "evidence.verdict"} <= names
    assert all(check["source"] for check in report["checks"])


@pytest.mark.clause("TR 01201-3.1 step 83", "TR 01201-3.4 §3.6 integrity")
def test_a_signed_message_and_a_confirmation_verify_with_anchor_and_revocation_list(files: Files) -> None:
    code, reports = verify("--trust-anchor", files.anchor, "--crl", files.crl, files.received, files.confirmation)
    assert code == 0, reports
    assert [report["kind"] for report in reports] == ["message", "confirmation"]
    assert [report["outcome"] for report in reports] == ["passed", "passed"]
    assert reports[0]["integrity"]["mode"] == "signed"
    (status,) = (check for check in reports[0]["checks"] if check["name"] == "certificate.status")
    assert status["outcome"] == "passed"
    (own,) = (check for check in reports[0]["checks"] if check["name"] == "content.signature")
    assert own["outcome"] == "passed"


def test_without_revocation_list_the_status_is_undecided(files: Files) -> None:
    """`integrity.md` §5 row 15: a check that could not be made is not passed."""
    code, reports = verify("--trust-anchor", files.anchor, files.received, files.confirmation)
    assert (code, [report["outcome"] for report in reports]) == (2, ["indeterminate"] * 2)
    for report in reports:
        outcomes = {check["name"]: check["outcome"] for check in report["checks"]}
        assert outcomes["certificate.status"] == "indeterminate"


def test_without_anchor_nothing_signed_is_trusted(files: Files) -> None:
    """A package brings certificates along; none of them becomes an anchor."""
    code, reports = verify("--crl", files.crl, files.package, files.received, files.confirmation)
    assert (code, [report["outcome"] for report in reports]) == (2, ["indeterminate"] * 3)
    for report in reports:
        details = " ".join(check["detail"] for check in report["checks"] if check["outcome"] == "indeterminate")
        assert "trust-anchor-missing" in details
        assert "certificate-status-unknown" not in details


@pytest.mark.clause("TR 01201-3.1 step 83 FC-01")
def test_a_changed_message_fails(files: Files) -> None:
    changed = [
        files.changed(file, b"\r\nSubject: ", b"\r\nSubject: x") for file in (files.received, files.confirmation)
    ]
    code, reports = verify("--trust-anchor", files.anchor, "--crl", files.crl, *changed, files.received)
    assert (code, [report["outcome"] for report in reports]) == (1, ["failed", "failed", "passed"])


def _repacked(files: Files, number: int, change: dict[str, bytes | None]) -> Path:
    """The package with some members replaced, added or (None) left out."""
    source, target = zipfile.ZipFile(files.package), io.BytesIO()
    members = {name: source.read(name) for name in source.namelist()} | change
    with zipfile.ZipFile(target, "w") as archive:
        for name, octets in members.items():
            if octets is not None:
                archive.writestr(name, octets)
    path = files.package.with_name(f"repacked-{number}.zip")
    path.write_bytes(target.getvalue())
    return path


def test_a_package_that_is_not_as_it_was_made_fails(files: Files) -> None:
    names = zipfile.ZipFile(files.package).namelist()
    message, proof = (next(n for n in names if n.startswith(start)) for start in ("messages/", "evidence/"))
    manifest = (files.unpacked / "manifest.json").read_bytes()
    changes: list[dict[str, bytes | None]] = [
        {},
        {message: (files.unpacked / message).read_bytes() + b"\r\n"},
        {proof: None},
        {"more.txt": b"more"},
        {"manifest.json.p7s": None},
        {"manifest.json": manifest.replace(b"{", b"{ ", 1)},
    ]
    repacked = [_repacked(files, number, change) for number, change in enumerate(changes)]
    code, reports = verify("--trust-anchor", files.anchor, *repacked)
    assert code == 1
    assert [report["outcome"] for report in reports] == ["passed", *["failed"] * 5]


def test_every_flipped_byte_of_a_package_shows(files: Files) -> None:
    """Twenty positions all over the members, in one run; the directory behind them has room for archivers' remarks."""
    octets = files.package.read_bytes()
    with zipfile.ZipFile(files.package) as archive:
        end = archive.start_dir
    changed = []
    for number in range(20):
        position = (2 * number + 1) * end // 40
        path = files.package.with_name(f"flipped-{number}.zip")
        path.write_bytes(octets[:position] + bytes([octets[position] ^ 0x01]) + octets[position + 1 :])
        changed.append(path)
    code, reports = verify("--trust-anchor", files.anchor, *changed)
    assert (code, [report["outcome"] for report in reports]) == (1, ["failed"] * 20)


def test_unusable_arguments_and_files_win_over_every_verdict(files: Files, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.bin"
    nonsense.write_bytes(bytes(range(256)) * 8)
    changed = files.changed(files.received, b"\r\nSubject: ", b"\r\nSubject: y")
    assert verify(nonsense)[0] == 3
    assert verify(changed, tmp_path / "absent.eml", files.package)[0] == 3
    assert verify("--unknown-option", files.package)[0] == 3


def test_the_report_for_a_clerk_is_german(files: Files) -> None:
    run = command("verify", "--trust-anchor", files.anchor, files.package, environment=NO_NETWORK)
    assert run.returncode == 0
    assert "Nachweispaket: bestanden" in run.stdout


def test_openssl_verifies_the_manifest_and_with_it_every_member(files: Files) -> None:
    manifest = files.unpacked / "manifest.json"
    words: list[str | Path] = [
        program("openssl"),
        "cms",
        "-verify",
        "-inform",
        "DER",
        "-in",
        f"{manifest}.p7s",
        "-content",
        manifest,
        "-binary",
    ]
    words += ["-CAfile", files.anchor, "-purpose", "any", "-out", "/dev/null"]
    good = subprocess.run(words, capture_output=True, text=True)
    assert good.returncode == 0, good.stderr
    listed: dict[str, Any] = json.loads(manifest.read_bytes())
    assert listed["format"] == "demail-evidence/1"
    assert listed["message_id"] == files.message_id
    for entry in listed["files"]:
        assert hashlib.sha256((files.unpacked / entry["path"]).read_bytes()).hexdigest() == entry["sha256"]
    members = {entry["path"] for entry in listed["files"]} | {"manifest.json", "manifest.json.p7s"}
    assert members == set(zipfile.ZipFile(files.package).namelist())
    other = files.unpacked / "other.json"
    other.write_bytes(manifest.read_bytes() + b" ")
    assert subprocess.run([other if word is manifest else word for word in words], capture_output=True).returncode != 0


def test_openssl_verifies_the_message_in_the_package(files: Files) -> None:
    (message,) = (files.unpacked / "messages").glob("*.eml")
    words: list[str | Path] = [
        program("openssl"),
        "cms",
        "-verify",
        "-in",
        message,
        "-CAfile",
        files.anchor,
        "-purpose",
        "any",
    ]
    verified = subprocess.run([*words, "-out", "/dev/null"], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stderr


@pytest.mark.clause("TR 01201-3.4 §3.5.1 signature")
def test_xmlsec1_verifies_the_signature_of_each_confirmation(files: Files, tmp_path: Path) -> None:
    confirmations = sorted((files.unpacked / "evidence").glob("*.eml"))
    assert len(confirmations) == 3
    for number, file in enumerate(confirmations):
        parts = email.message_from_bytes(file.read_bytes()).walk()
        (xml,) = (part.get_payload(decode=True) for part in parts if part.get_content_type() == "application/xml")
        assert isinstance(xml, bytes)
        document = tmp_path / f"{number}.xml"
        document.write_bytes(xml)
        words: list[str | Path] = [
            program("xmlsec1"),
            "--verify",
            "--trusted-pem",
            files.anchor,
            "--enabled-key-data",
            "x509",
            document,
        ]
        verified = subprocess.run(words, capture_output=True, text=True)
        assert verified.returncode == 0, verified.stderr
        document.write_bytes(xml.replace(b"<Sender>", b"<Sender>x", 1))
        assert subprocess.run(words, capture_output=True).returncode != 0
