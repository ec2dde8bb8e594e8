"""Directories of private servers: one holder, collected after their holder has gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demail_gateway.embedded import place
from demail_gateway.embedded.errors import EmbeddedError
from demail_gateway.embedded.process import Account

_HOLD_AND_WAIT = """
import sys
from demail_gateway.embedded import place
print(place.temporary("demail-test-", account=None, in_memory=False).path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def temporary_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_a_temporary_place_is_private_and_goes_with_its_release(temporary_root: Path) -> None:
    made = place.temporary("demail-test-", account=None, in_memory=False)
    assert made.path.parent == temporary_root
    assert made.path.stat().st_mode & 0o777 == 0o700
    made.release()
    made.release()
    assert list(temporary_root.iterdir()) == []


def test_a_kept_place_stays_after_its_release(tmp_path: Path) -> None:
    made = place.kept(tmp_path / "base", account=None)
    (made.path / "data").write_text("kept")
    made.release()
    assert (tmp_path / "base" / "data").read_text() == "kept"


def test_a_kept_place_has_one_holder_at_a_time(tmp_path: Path) -> None:
    first = place.kept(tmp_path / "base", account=None)
    with pytest.raises(EmbeddedError, match="in use"):
        place.kept(tmp_path / "base", account=None)
    first.release()
    place.kept(tmp_path / "base", account=None).release()


def test_the_next_start_collects_what_a_killed_holder_left(temporary_root: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLD_AND_WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    left = Path(holder.stdout.readline().decode().strip())
    beside_the_living = place.temporary("demail-test-", account=None, in_memory=False)
    assert left.exists(), "the holder is alive: its directory is not ours to remove"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    after_its_death = place.temporary("demail-test-", account=None, in_memory=False)
    assert not left.exists()
    assert beside_the_living.path.exists()
    beside_the_living.release()
    after_its_death.release()


def test_a_directory_that_only_bears_the_name_is_left_alone(temporary_root: Path) -> None:
    stranger = temporary_root / "demail-test-stranger"
    stranger.mkdir()
    (stranger / "data").write_text("not ours")
    link = temporary_root / "demail-test-link"
    link.symlink_to(stranger)
    place.temporary("demail-test-", account=None, in_memory=False).release()
    assert (stranger / "data").read_text() == "not ours"
    assert link.is_symlink()


def test_an_account_reaches_a_directory_only_through_open_parents(tmp_path: Path) -> None:
    account = Account("nobody", 65534, 65534)
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o711)
    inner.parent.chmod(0o700)
    assert not place.reachable(inner, account)
    assert place.reachable(Path("/usr/bin"), account)
    assert place.reachable(inner.parent, Account("self", inner.parent.stat().st_uid, os.getegid())) or os.geteuid() == 0
