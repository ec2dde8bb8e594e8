"""`verify`: exit codes, JSON, and the shared vectors as files on disk."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from demail_gateway.application.explain.report import explain
from demail_gateway.application.explain.wording import Language
from demail_gateway.application.inspect import Inspection, Kind
from demail_gateway.cli.program import app
from demail_gateway.cli.verify import run_verify, without_steps
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.entity import multipart_signed
from demail_gateway.core.header import read_message
from demail_gateway.core.integrity import seal
from demail_gateway.core.journal import START, journal_hash
from demail_gateway.core.mbox import write_mbox_message
from demail_gateway.core.primitives import HashName
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.cms import sign_detached
from demail_gateway.trust.keys import SoftwareSigner, generate_key

VECTORS = Path(__file__).parents[1] / "core/vectors/integrity"
MANIFEST: dict[str, Any] = json.loads((VECTORS / "manifest.json").read_text(encoding="utf-8"))
ANCHOR = VECTORS / MANIFEST["trust_anchors"][0]
AT = MANIFEST["verification_time"]
CASES = [case for case in MANIFEST["cases"] if case["kind"] == "verify"]

MIB = 1024 * 1024
EXIT_OF = {"passed": 0, "failed": 1, "indeterminate": 2}


def expected(case: dict[str, Any]) -> str:
    """Without a revocation list whatever is signed stays undecided, and a revocation is not known."""
    verdict, protection = case["expect"]["verdict"], case["expect"]["protection"]
    if case["id"] == "bad-revoked" or (verdict == "valid" and protection == "signature"):
        return "indeterminate"
    return {"valid": "passed", "invalid": "failed", "indeterminate": "indeterminate"}[verdict]


def verify(*files: Path, anchors: tuple[Path, ...] = (ANCHOR,), at: str | None = AT) -> int:
    return run_verify(list(files), list(anchors), [], at, as_json=True)


@pytest.mark.clause("TR 01201-3.1 step 83", "TR 01201-3.4 §3.6 integrity")
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_each_vector_has_the_outcome_of_its_verdict(case: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    file = VECTORS / case["file"]
    code = verify(file)
    document = json.loads(capsys.readouterr().out)
    assert (document["outcome"], code) == (expected(case), EXIT_OF[expected(case)])
    assert document["file"] == str(file)
    mode = {"signature": "signed"}.get(case["expect"]["protection"], case["expect"]["protection"])
    assert document["integrity"]["mode"] == mode


def test_without_any_anchor_what_is_signed_is_undecided(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEMAIL_TRUST_ANCHORS", raising=False)
    assert verify(VECTORS / "messages/rsa-sha256.eml", anchors=()) == 2
    assert verify(VECTORS / "messages/hash-sha256.eml", anchors=()) == 0


def test_anchors_of_the_environment_count_when_none_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMAIL_TRUST_ANCHORS", str(VECTORS / "keys/other-ca.crt.pem"))
    assert verify(VECTORS / "messages/rsa-sha256.eml", anchors=()) == 1


def test_unreadable_wins_over_failed_and_failed_over_undecided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passed, undecided, failed = (VECTORS / f"messages/{name}.eml" for name in ("hash-sha256", "rsa-sha256", "bad-body"))
    assert verify(passed, undecided) == 2
    assert verify(undecided, failed, passed) == 1
    assert verify(failed, tmp_path / "absent.eml") == 3


@pytest.mark.parametrize(
    "at", ["yesterday", "2026-03-02T12:00:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z"]
)
def test_a_moment_without_zone_or_sense_is_unusable(at: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(VECTORS / "messages/hash-sha256.eml", at=at) == 3


def test_an_anchor_that_cannot_be_read_is_unusable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "anchor.pem"
    broken.write_text("no certificate", encoding="ascii")
    assert verify(VECTORS / "messages/hash-sha256.eml", anchors=(broken,)) == 3


@pytest.mark.parametrize(
    ("language", "told", "absent"),
    [(Language.GERMAN, "kein Vertrauensanker", "nicht gefunden"), (Language.ENGLISH, "no trust anchor", "not found")],
)
def test_a_file_of_no_use_is_named_in_the_language_of_the_report(
    language: Language, told: str, absent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message, other, nowhere = VECTORS / "messages/hash-sha256.eml", VECTORS / "manifest.json", VECTORS / "nix"
    for anchors, crls, files, words in (
        ([other], [], [message], f"verify: {other}: {told}"),
        ([nowhere], [], [message], f"verify: {nowhere}: {absent}"),
        ([ANCHOR], [other], [message], f"verify: {other}: "),
        ([ANCHOR], [], [nowhere], f"{nowhere}: {absent}"),
    ):
        assert run_verify(files, anchors, crls, AT, as_json=True, language=language) == 3
        assert capsys.readouterr().err.startswith(words)


def test_an_empty_file_is_unreadable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.eml"
    empty.write_bytes(b"\r\n")
    assert verify(empty) == 3


def journal(changed: bool = False) -> bytes:
    lines, prev = [], START
    for seq in (1, 2, 3):
        item: dict[str, Any] = {
            "seq": seq,
            "at": f"2026-11-24T05:30:0{seq}.000000Z",
            "tenant": "ten_01",
            "actor": "gateway",
            "action": "message.queued",
            "object": f"msg_{seq}",
        }
        digest = journal_hash(prev, item)
        lines.append({**item, "prev_hash": prev.hex(), "hash": digest.hex()})
        prev = digest
    if changed:
        lines[1]["object"] = "msg_9"
    return "\n".join(json.dumps(line) for line in lines).encode()


@pytest.mark.parametrize(("changed", "code"), [(False, 0), (True, 1)])
def test_a_journal_export_holds_until_an_entry_is_changed(
    tmp_path: Path, changed: bool, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "journal.ndjson"
    file.write_bytes(journal(changed))
    assert verify(file) == code
    assert json.loads(capsys.readouterr().out)["kind"] == "journal"


def test_a_journal_without_its_first_entries_is_undecided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "journal.ndjson"
    file.write_bytes(journal().split(b"\n", 1)[1])
    assert verify(file) == 2
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert check["detail"] == "ten_01: journal-starts-late:2"
    file.write_bytes(journal(changed=True).split(b"\n", 1)[1])
    assert verify(file) == 1


@pytest.mark.parametrize("octets", [b'{"url": "http://127.0.0.1:8000"}', b'{\n "seq": 1\n}\n', b"{}"])
def test_other_json_is_unreadable_and_no_failed_journal(
    octets: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ready.json"
    file.write_bytes(octets)
    assert verify(file) == 3


def test_a_journal_cut_off_in_the_middle_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "journal.ndjson"
    file.write_bytes(journal()[:-20])
    assert verify(file) == 1


def test_a_line_that_is_no_entry_fails_the_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "journal.ndjson"
    file.write_bytes(journal() + b"\n[1]")
    assert verify(file) == 1


def package(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, octets in members.items():
            archive.writestr(name.replace("__", "."), octets)
    return target.getvalue()


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"PK\x03\x04 cut off", "package.readable"),
        (package(notes__txt=b"x"), "package.manifest"),
        (package(manifest__json=b"{}"), "package.manifest"),
        (
            package(manifest__json=b'{"format":"demail-evidence/1","message_id":"msg_1","created_at":"2026-11-24T05:30:00Z","files":[]}'),
            "package.signature",
        ),
        (
            package(
                manifest__json=b'{"format":"demail-evidence/1","message_id":"msg_1","created_at":"2026-11-24T05:30:00Z","files":[]}',
                extra__txt=hashlib.sha256(b"").digest(),
            ),
            "package.nothing-added",
        ),
    ],
)  # fmt: skip
def test_a_package_that_is_not_whole_fails(
    tmp_path: Path, octets: bytes, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "evidence.zip"
    file.write_bytes(octets)
    assert verify(file) == 1
    document = json.loads(capsys.readouterr().out)
    assert name in {check["name"] for check in document["checks"] if check["outcome"] == "failed"}


@pytest.mark.clause("TR 01201-3.1 step 91")
def test_a_person_reads_german(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verify([VECTORS / "messages/bad-body.eml"], [ANCHOR], [], AT, as_json=False) == 1
    text = capsys.readouterr().out
    assert "durchgefallen" in text
    assert "body-hash-mismatch" in text


@pytest.mark.clause("TR 01201-3.4 §3.2 unchanged", "TR 01201-3.4 §3.3 unchanged")
@pytest.mark.parametrize(
    ("name", "detail"),
    [("weiterleitung", ["sent-on-forwarded"]), ("nachsendung", ["sent-on-redirected"]), ("hash-sha256", [])],
)
def test_a_message_that_was_sent_on_passes_and_says_so(
    name: str, detail: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(VECTORS / "messages" / f"{name}.eml") == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    told = [(each["outcome"], each["detail"]) for each in checks if each["name"] == "message.transport"]
    assert told == [("not-applicable", each) for each in detail]


def test_another_person_reads_english(capsys: pytest.CaptureFixture[str]) -> None:
    files = [VECTORS / "messages/bad-body.eml", VECTORS / "manifest.json"]
    assert run_verify(files, [ANCHOR], [], AT, as_json=False, language=Language.ENGLISH) == 3
    told = capsys.readouterr()
    assert "De-Mail message: failed" in told.out
    assert "The message was changed or damaged after sealing." in told.out
    assert "neither De-Mail nor evidence package nor journal" in told.err


@pytest.mark.parametrize("words", [["--language", "fr", "x"], [], ["--at", "x", "y"], ["--nonsense", "x"]])
def test_unusable_words_end_with_3(words: list[str]) -> None:
    assert CliRunner().invoke(app, ["verify", *words]).exit_code == 3


def test_a_directory_is_unreadable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(tmp_path) == 3
    assert str(tmp_path) in capsys.readouterr().err


def test_a_pipe_is_checked_like_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe, message = tmp_path / "pipe", (VECTORS / "messages/hash-sha256.eml").read_bytes()
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(message,))
    writer.start()
    assert verify(pipe) == 0
    writer.join()


@pytest.mark.parametrize("octets", [bytes(range(256)) * 4, b"%PDF-1.7\n1 0 obj\n", b"Das ist keine Nachricht.\n"])
def test_what_is_no_message_at_all_is_unreadable_and_not_a_forgery(
    octets: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other"
    file.write_bytes(octets)
    assert verify(file) == 3


def test_a_damaged_demail_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "damaged.eml"
    file.write_bytes(b"\0\n" + (VECTORS / "messages/hash-sha256.eml").read_bytes())
    assert verify(file) == 1


def test_names_and_findings_are_shown_and_not_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File names and headers are whoever's: neither markup nor a terminal's commands in them have an effect."""
    file = tmp_path / "[red]x\x1b[2J.eml"
    message = (VECTORS / "messages/hash-sha256.eml").read_bytes()
    file.write_bytes(b"x-de-mail-[/b]\x1b[31m: yes\r\n" + message)
    assert run_verify([file], [ANCHOR], [], AT, as_json=False) in (0, 1)
    shown = capsys.readouterr().out
    assert "[red]x\ufffd[2J.eml" in shown
    assert "\x1b" not in shown


def test_a_message_of_100_mib_takes_32_mib_at_most(tmp_path: Path) -> None:
    """Also as one of a mailbox file, and with its writer's own signature over all of it."""
    small = VECTORS / "messages/hash-sha256.eml"
    large, mailbox = tmp_path / "large.eml", tmp_path / "mailbox"
    large.write_bytes(signed_message(b"x" * 76 + b"\r\n", 100 * MIB))
    with mailbox.open("wb") as file, large.open("rb") as message:
        file.writelines(write_mbox_message(iter(lambda: message.read(MIB), b""), None, datetime.now(UTC)))
    words = [sys.executable, "-m", "tests.cli.large_files", AT, str(ANCHOR), str(small), str(large), str(mailbox)]
    run = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "Signatur des Verfassers" in run.stdout
    assert float(run.stderr) <= 32


def signed_message(line: bytes, size_bytes: int) -> bytes:
    """A sealed De-Mail, its content of so many octets signed by its writer."""
    now = datetime.fromisoformat(AT)
    key, authority = generate_key("p256"), TestAuthority.create("TEST", now, key_kind="p256")
    certificate = authority.issue(
        key.public_key(), Profile.SMIME, "x", not_before=now, not_after=now + timedelta(days=1)
    )
    entity = b"Content-Type: text/plain\r\n\r\n" + line * (size_bytes // len(line))
    signer = SoftwareSigner.for_certificate(key, certificate)
    signature = sign_detached(entity, signer, at=now, hash_name=HashName.SHA256)
    fields = read_message((VECTORS / "messages/hash-sha256.eml").read_bytes()).header.fields
    head = b"".join(field.raw for field in fields if not field.lower.startswith(("x-de-mail-integrity", "content-")))
    message = head + multipart_signed(entity, signature, "sha-256", "b1")
    return seal(message, hash_name=HashName.SHA256, domain="dmda-a.example", signer=None)


def test_steps_that_just_passed_are_folded_into_the_verdict_of_their_proof() -> None:
    proof, letter = "evidence/evd_1.eml", "2"
    checks = (
        Check("package.signer", Outcome.PASSED, "CN=Gateway"),
        Check("evidence.verdict", Outcome.PASSED, f"{proof}: confirmed-with-remarks"),
        Check("confirmation.01-integrity", Outcome.PASSED, f"{proof}: CN=Anbieter"),
        Check("confirmation.02-matrix", Outcome.PASSED, f"{proof}: "),
        Check("confirmation.03-issuer", Outcome.PASSED, f"{proof}: issuer-unconfirmed"),
        Check("confirmation.08-hash", Outcome.FAILED, f"{proof}: "),
        Check("confirmation.10-correlation", Outcome.PASSED, f"{proof}: with-sent-message"),
        Check("integrity.hash", Outcome.PASSED, f"{letter}: "),
    )
    report = explain(Inspection(Kind.EVIDENCE_PACKAGE, Outcome.FAILED, checks), Language.GERMAN)
    kept, folded = without_steps(report.lines)
    told = {"confirmation.08-hash", "package.signer", "evidence.verdict", "confirmation.03-issuer", "integrity.hash"}
    assert ({line.name for line in kept}, folded) == (told, 3)
