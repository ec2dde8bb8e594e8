"""What the repository promises to those who take it: licence, lock files, no trace of the machines it was made on."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
_SKIPPED = {"__pycache__", "node_modules", "build", "dist", "secrets"}
# put together here, so that this file does not hold what it looks for
_TRACES = [
    re.compile(pattern.replace("_", "")) for pattern in (r"/ro_ot/", r"/wo_rk/", r"py_pi\.org", r"python_hosted\.org")
]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def check_locks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_locks", ROOT / "scripts" / "check_locks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _text_files() -> Iterator[Path]:
    for directory, names, files in os.walk(ROOT):
        names[:] = [n for n in names if n not in _SKIPPED and (not n.startswith(".") or n == ".ci")]
        names[:] = [n for n in names if not n.endswith(".egg-info")]
        for name in files:
            path = Path(directory) / name
            if not path.is_symlink() and b"\0" not in path.read_bytes()[:4096]:
                yield path


def test_the_licence_is_the_eupl_1_2_in_full(project: dict[str, Any]) -> None:
    text = (ROOT / "LICENSE").read_text()
    assert project["project"]["license"] == "EUPL-1.2"
    assert "EUROPEAN UNION PUBLIC LICENCE v. 1.2" in text
    for article in range(1, 16):
        assert re.search(rf"^{article}\. ?[A-Z]", text, re.MULTILINE), f"article {article}"
    assert "Compatible Licences" in text


def test_publiccode_says_what_the_project_file_says(project: dict[str, Any]) -> None:
    publiccode = yaml.safe_load((ROOT / "publiccode.yml").read_text())
    assert publiccode["legal"]["license"] == project["project"]["license"]
    assert publiccode["softwareVersion"] == project["project"]["version"]
    assert publiccode["name"] == project["project"]["name"]
    for language in ("de", "en"):
        description = publiccode["description"][language]
        assert len(description["shortDescription"]) <= 150
        assert 150 <= len(description["longDescription"]) <= 10_000
        assert description["features"]
    needed = {"publiccodeYmlVersion", "url", "releaseDate", "platforms", "developmentStatus", "softwareType"}
    assert needed | {"maintenance", "localisation"} <= set(publiccode)


@pytest.mark.parametrize("name", ["SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "README.md", "publiccode.yml"])
def test_the_files_that_a_public_body_expects_are_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


def test_lock_files_hold_packages_and_hashes_alone(check_locks: ModuleType) -> None:
    assert check_locks.foreign_lines() == []
    for name in LOCKS:
        assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org/simple",
        "x @ https://example.org/x.whl",
        "./local",
        "-e .",
        "x>=1",
        "    --hash=md5:00",
    ],
)
def test_a_line_that_is_no_package_is_foreign(check_locks: ModuleType, line: str) -> None:
    assert check_locks._LINE.fullmatch(line) is None


def test_every_dependency_is_locked(project: dict[str, Any], check_locks: ModuleType) -> None:
    runtime = {line.partition("==")[0] for line in check_locks.packages(ROOT / LOCKS[0])}
    development = {line.partition("==")[0] for line in check_locks.packages(ROOT / LOCKS[1])}
    extras = project["project"]["optional-dependencies"]
    assert _names(project["project"]["dependencies"]) | _names(extras["build"]) <= runtime
    assert runtime <= development
    assert _names(extras["embedded"]) | _names(project["dependency-groups"]["dev"]) <= development
    assert _names(extras["embedded"]).isdisjoint(runtime), "production never starts a private server"


def test_both_lock_files_agree_on_versions(check_locks: ModuleType) -> None:
    assert check_locks.packages(ROOT / LOCKS[0]) <= check_locks.packages(ROOT / LOCKS[1])


def test_no_file_names_a_machine_or_a_registry() -> None:
    traces = [
        f"{path.relative_to(ROOT)}: {pattern.pattern}"
        for path in _text_files()
        for pattern in _TRACES
        if pattern.search(path.read_text("utf-8", "replace"))
    ]
    assert traces == []


@pytest.mark.parametrize("script", ["run", "scripts/make-secrets", "deploy/postgres/10-roles.sh", ".ci/run"])
def test_scripts_are_executable_and_parse(script: str) -> None:
    shell = "bash" if script == ".ci/run" else "sh"
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run([shell, "-n", ROOT / script], check=True)


def test_run_says_what_is_missing_when_there_is_no_python(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for program in ("sh", "cat", "cksum", "dirname", "flock", "rm"):
        (tmp_path / "bin" / program).symlink_to(Path("/usr/bin") / program)
    environment = {"PATH": str(tmp_path / "bin"), "DEMAIL_VENV": str(tmp_path / "venv")}
    run = subprocess.run([ROOT / "run", "demo"], env=environment, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stdout == ""
    assert "3.11" in run.stderr


def test_run_gives_words_it_does_not_know_to_the_command(tmp_path: Path) -> None:
    # a ready environment whose programs only tell how they were called
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "demail-gateway"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (programs / name).chmod(0o755)
    stamp = subprocess.run(
        "cat requirements-dev.lock pyproject.toml | cksum", shell=True, cwd=ROOT, capture_output=True, check=True
    ).stdout
    (tmp_path / "venv" / ".stamp").write_bytes(stamp)

    def called(*words: str) -> str:
        environment = {**os.environ, "DEMAIL_VENV": str(tmp_path / "venv")}
        return subprocess.check_output([ROOT / "run", *words], env=environment, text=True).strip()

    assert called() == "demail-gateway demo"
    assert called("tenant", "list", "--json") == "demail-gateway tenant list --json"
    assert called("bench", "--quick") == "python -m benchmarks --quick"
    assert called("test", "-k", "x y").endswith("-k x y")
    assert called("test").startswith("python -m pytest ")


def test_the_package_installs_a_command_and_its_types(project: dict[str, Any]) -> None:
    assert project["project"]["scripts"] == {"demail-gateway": "demail_gateway.cli:main"}
    assert (ROOT / "demail_gateway" / "py.typed").exists()
    assert project["project"]["requires-python"] == ">=3.11"
    assert sys.version_info >= (3, 11)


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower() for requirement in requirements}
