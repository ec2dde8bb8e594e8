"""The container files, as far as they can be judged without an engine."""

from __future__ import annotations

import re
import stat
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from demail_gateway.sandbox import configuration as sandbox
from demail_gateway.settings import Settings, secret_names

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
OURS = ("migrate", "api", "worker", "inbound", "scheduler", "sandbox")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    run = subprocess.run([SCRIPTS / "hadolint", "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_compose_file_fits_its_schema() -> None:
    words = [str(SCRIPTS / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_compose_holds_the_promised_services(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "redis", *OURS, "tests"}
    assert compose["services"]["sandbox"]["profiles"] == ["sandbox"]
    assert compose["services"]["tests"]["profiles"] == ["tests"]


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_without_rights_on_a_read_only_file_system(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all("noexec" in mount and "nosuid" in mount for mount in service["tmpfs"])


def test_every_service_that_stays_has_a_health_check(compose: dict[str, Any]) -> None:
    staying = set(compose["services"]) - {"migrate", "tests"}
    assert {name for name in staying if "healthcheck" not in compose["services"][name]} == set()


def test_the_database_and_the_broker_are_reached_from_inside_alone(compose: dict[str, Any]) -> None:
    assert compose["networks"]["backend"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert compose["services"][name]["networks"] == ["backend"]
        assert "ports" not in compose["services"][name]


def test_every_variable_in_compose_is_a_setting(compose: dict[str, Any]) -> None:
    fields, secrets = set(Settings.model_fields), secret_names()
    # DEMAIL_HEARTBEAT_FILE and the like are settings by their whole name, DEMAIL_DATABASE_URL_FILE is a secret's file
    known = {f"DEMAIL_{name.upper()}" for name in fields} | {f"DEMAIL_{name.upper()}_FILE" for name in secrets}
    known |= _sandbox_variables()
    used = {
        variable
        for service in compose["services"].values()
        for variable in service.get("environment", {})
        if variable.startswith("DEMAIL_")
    }
    assert used - known == set()
    assert len(used) > 15


def test_no_secret_stands_in_compose_itself(compose: dict[str, Any]) -> None:
    secret_variables = {f"DEMAIL_{name.upper()}" for name in secret_names()} | {"POSTGRES_PASSWORD"}
    for service in compose["services"].values():
        assert secret_variables.isdisjoint(service.get("environment", {}))


def test_the_example_of_env_has_exactly_the_variables_that_compose_asks_for() -> None:
    asked = set(re.findall(r"\$\{(\w+):-", (ROOT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert asked == offered


def test_make_secrets_makes_every_file_that_compose_names_and_keeps_what_exists(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    directory = tmp_path / "secrets"
    subprocess.run([ROOT / "scripts" / "make-secrets", directory], check=True, capture_output=True)
    made = {path.name: path.read_bytes() for path in directory.iterdir()}
    named = {Path(secret["file"]).name for secret in compose["secrets"].values()}
    assert named <= set(made)
    assert all(made.values())
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o444}
    subprocess.run([ROOT / "scripts" / "make-secrets", directory], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == made


def test_the_secrets_made_are_what_the_settings_take(tmp_path: Path) -> None:
    from demail_gateway.settings import load_settings

    subprocess.run([ROOT / "scripts" / "make-secrets", tmp_path], check=True, capture_output=True)
    made = {path.name for path in tmp_path.iterdir()}
    names = secret_names() & made
    assert {"database_url", "owner_database_url", "redis_url", "master_key", "token_secret", "log_key"} <= names
    settings = load_settings({f"DEMAIL_{name.upper()}_FILE": str(tmp_path / name) for name in names})
    settings.need(*names)


def test_every_secret_that_a_service_mounts_is_declared(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        for variable, value in service.get("environment", {}).items():
            if value.startswith("/run/secrets/"):
                assert Path(value).name in service["secrets"], variable


def _sandbox_variables() -> set[str]:
    parser = sandbox._parser({})
    options = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
    return {f"DEMAIL_SANDBOX_{option[2:].upper().replace('-', '_')}" for option in options}
