"""The demonstration from start to end on private servers; and that nothing stays behind, however a run ends."""

from __future__ import annotations

import json
import signal
import socket
from datetime import datetime
from pathlib import Path

import pytest

from tests.harness.servers import Servers
from tests.journeys.installation import Installation, command, processes_with, until
from tests.journeys.people import DISPATCH, RECEIPT, RETRIEVE


def test_the_demonstration_passes_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    run = command("demo", "--json", environment={"TMPDIR": str(tmp_path)})
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    document = json.loads(run.stdout)
    assert document["outcome"] == "passed"
    assert document["tamper_detected"] is True
    assert document["seconds"] > 0
    assert {message["tenant"] for message in document["messages"]} == {"stadt-elbtal", "landesamt-muster"}
    expected = [set(message["expected"]) for message in document["messages"]]
    assert {DISPATCH, RECEIPT} in expected
    assert any(RETRIEVE in each for each in expected)
    for message in document["messages"]:
        assert message["id"].startswith("msg_")
        assert message["to"]
        assert message["recipients"]
        passed = {proof["kind"] for proof in message["evidence"] if proof["outcome"] == "passed"}
        assert set(message["expected"]) <= passed
        times = [datetime.fromisoformat(event["at"]) for event in message["timeline"]]
        assert times
        assert all(at.tzinfo is not None for at in times)
        assert all(event["state"] for event in message["timeline"])
    assert processes_with(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_demonstration_that_fails_says_why_and_keeps_logs_without_keys(servers: Servers, tmp_path: Path) -> None:
    environment = {"DEMAIL_DATABASE_URL": servers.superuser_url, "DEMAIL_REDIS_URL": servers.redis_url}
    run = command("demo", "--json", "--patience", "0", environment={**environment, "TMPDIR": str(tmp_path)})
    assert run.returncode == 1, run.stderr[-2000:]
    document = json.loads(run.stdout)
    assert document["outcome"] == "failed"
    faults = [fault for message in document["messages"] for fault in message["faults"]]
    assert any("Eingangsbestätigung (fehlt); Zustand " in fault for fault in faults)
    (kept,) = tmp_path.iterdir()
    assert document["kept"] == str(kept)
    names = {path.name for path in kept.iterdir()}
    assert {"worker.log", "api.log", "sandbox.log", "trust-anchor.pem"} <= names
    assert {path.suffix for path in kept.iterdir()} <= {".log", ".zip", ".pem"}
    assert "PRIVATE KEY" not in (kept / "trust-anchor.pem").read_text()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_start_that_is_broken_off_ends_clean(by: signal.Signals, servers: Servers, tmp_path: Path) -> None:
    starting = Installation(tmp_path, {"DEMAIL_DATABASE_URL": servers.superuser_url})
    until(lambda: "sandbox" in starting.logs(), within_s=90)
    assert starting.stop(by) == 0, starting.output()
    assert starting.leftovers() == []
    assert not starting.ready_file.exists()


def test_the_next_start_removes_keys_and_secrets_of_a_killed_run(servers: Servers, tmp_path: Path) -> None:
    environment = {"DEMAIL_DATABASE_URL": servers.superuser_url, "DEMAIL_REDIS_URL": servers.redis_url}
    killed = Installation(tmp_path / "killed", environment)
    until(lambda: "sandbox" in killed.logs(), within_s=90)
    killed.stop(signal.SIGKILL)
    (left,) = (tmp_path / "killed/tmp").glob("demail-run-*")
    following = Installation(tmp_path / "following", {**environment, "TMPDIR": str(left.parent)})
    # its first words: by then it hears signals, too
    until(lambda: following.output() != "" or following.process.poll() is not None, within_s=90)
    assert not left.exists(), following.output()
    assert following.stop() == 0, following.output()
    assert killed.leftovers() == []


def test_on_a_port_that_is_taken_nothing_is_started_or_asked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = command("dev", "--port", str(port), environment={"TMPDIR": str(tmp_path)})
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert run.returncode == 1
    assert run.stderr == f"dev: Port {port} ist belegt; mit --port einen anderen wählen\n"
    assert list(tmp_path.iterdir()) == []


def test_without_a_database_the_fault_is_one_line_without_the_password(tmp_path: Path) -> None:
    refused = "postgresql://somebody:a-password@127.0.0.1:1/none"
    run = command("dev", environment={"DEMAIL_DATABASE_URL": refused, "TMPDIR": str(tmp_path)})
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("dev: no connection to the database server")
    assert "a-password" not in run.stderr + run.stdout
    assert "Traceback" not in run.stderr
    # no progress bar where there is no terminal
    assert "\x1b[" not in run.stderr
    assert list(tmp_path.iterdir()) == []
