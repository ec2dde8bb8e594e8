"""Directories of private servers: one holder at a time, temporary ones collected after their holder has gone."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from demail_gateway.embedded.errors import EmbeddedError
from demail_gateway.embedded.process import Account

_LOCK = "holder.lock"
_RAM_DISK = Path("/dev/shm")  # noqa: S108 - the directory made in it is unguessable and ours alone
_RAM_DISK_FREE_BYTES = 512 * 1024 * 1024


@dataclass(slots=True)
class Place:
    """A server's directory, held by this process until `release`."""

    path: Path
    is_temporary: bool
    _lock: int

    def release(self) -> None:
        """Let go; a temporary directory goes with everything in it. Twice is as good as once."""
        if self._lock < 0:
            return
        if self.is_temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)
        self._lock = -1


def temporary(prefix: str, *, account: Account | None, in_memory: bool) -> Place:
    """A new directory `<prefix>…`, private to this user, that `account` can reach.

    With `in_memory` it lies on /dev/shm where that has 512 MiB free (a container often has 64 MB); that is for servers
    whose data may vanish. Directories of the same prefix whose holders have gone are removed first.
    """
    parent = _ram_disk() if in_memory else None
    parent = parent or _reachable_temporary_directory(account)
    _collect(parent, prefix)
    # made under another name and locked before it gets its own, so that no collector sees it unlocked
    made = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=parent))
    lock = _hold(made)
    path = made.rename(parent / made.name.removeprefix("."))
    _open_for(path, account)
    return Place(path, is_temporary=True, _lock=lock)


def kept(path: Path, *, account: Account | None) -> Place:
    """`path`, made where it is missing, and kept after `release`.

    Raises:
        EmbeddedError: another process holds it, or `account` cannot reach it.
    """
    path = path.absolute()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _hold(path)
    _open_for(path, account)
    if account and not reachable(path, account):
        os.close(lock)
        raise EmbeddedError(
            f"the account {account.name!r} cannot reach {path}: choose a directory that others may enter"
        )
    return Place(path, is_temporary=False, _lock=lock)


def reachable(path: Path, account: Account) -> bool:
    """Whether `account` may enter `path` and every directory above it; access lists are not looked at."""
    return all(_may_enter(directory.stat(), account) for directory in (path, *path.resolve().parents))


def _may_enter(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _open_for(path: Path, account: Account | None) -> None:
    # the other account passes through to its own subdirectory, and lists nothing
    path.chmod(0o711 if account else 0o700)


def _hold(path: Path) -> int:
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise EmbeddedError(f"{path} is in use by another process") from error
    return lock


def _ram_disk() -> Path | None:
    if not os.access(_RAM_DISK, os.W_OK | os.X_OK):
        return None
    return _RAM_DISK if shutil.disk_usage(_RAM_DISK).free > _RAM_DISK_FREE_BYTES else None


def _reachable_temporary_directory(account: Account | None) -> Path:
    usual = Path(tempfile.gettempdir())
    if account is None or reachable(usual, account):
        return usual
    # root's own TMPDIR may be closed to the account that runs the server
    for other in (Path("/var/tmp"), Path("/tmp")):  # noqa: S108 - as above
        if other.is_dir() and reachable(other, account):
            return other
    raise EmbeddedError(f"no temporary directory that the account {account.name!r} can reach")


def _collect(parent: Path, prefix: str) -> None:
    for candidate in parent.glob(f"{prefix}*"):
        if not _is_ours(candidate):
            continue
        try:
            lock = _hold(candidate)
        except (EmbeddedError, OSError):  # alive, or just being removed by another collector
            continue
        shutil.rmtree(candidate, ignore_errors=True)
        os.close(lock)


def _is_ours(candidate: Path) -> bool:
    # in a world-writable directory a name proves nothing: only our own real directory with its lock counts
    try:
        status = candidate.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and (candidate / _LOCK).exists()
