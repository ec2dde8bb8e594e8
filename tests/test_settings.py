"""Settings: read once, all faults at once, no secret with a default, secrets from files."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from demail_gateway.settings import (
    ConfigurationError,
    entry_settings,
    load_settings,
    read_former_master_keys,
    secret_names,
)

KEY = base64.b64encode(bytes(range(32))).decode()


def test_all_faults_are_named_at_once_and_no_value_is_shown() -> None:
    variables = {
        "DEMAIL_MASTER_KEY": "hunter2",
        "DEMAIL_API_PORT": "eighty",
        "DEMAIL_DATABASE_URL": "sqlite:///x",
        "DEMAIL_TOKEN_SECRET": base64.b64encode(b"short").decode(),
        "DEMAIL_ENVIRONMENT": "staging",
    }
    with pytest.raises(ConfigurationError) as caught:
        load_settings(variables)
    assert {fault.partition(":")[0] for fault in caught.value.faults} == set(variables)
    assert not any(value in str(caught.value) for value in variables.values())


def test_no_secret_has_a_default() -> None:
    assert {name for name in secret_names() if getattr(load_settings({}), name) is not None} == set()
    assert secret_names() >= {"master_key", "token_secret", "log_key", "database_url", "redis_url"}


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "master_key"
    file.write_text(f"{KEY}\n", encoding="ascii")
    settings = load_settings({"DEMAIL_MASTER_KEY_FILE": str(file)})
    assert settings.master_key is not None
    assert settings.master_key.get_secret_value() == bytes(range(32))
    assert KEY not in repr(settings)


def test_the_variable_itself_goes_before_the_file(tmp_path: Path) -> None:
    settings = load_settings({"DEMAIL_MASTER_KEY_FILE": str(tmp_path / "absent"), "DEMAIL_MASTER_KEY": KEY})
    assert settings.master_key is not None


def test_a_secret_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="DEMAIL_LOG_KEY_FILE: cannot be read"):
        load_settings({"DEMAIL_LOG_KEY_FILE": str(tmp_path / "absent")})


def test_the_environment_goes_before_the_dotenv_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("DEMAIL_API_PORT=1\nDEMAIL_API_HOST=0.0.0.0\n", encoding="ascii")
    settings = load_settings({"DEMAIL_DOTENV": str(file), "DEMAIL_API_PORT": "2"})
    assert (settings.api_port, settings.api_host) == (2, "0.0.0.0")


def test_what_a_process_needs_is_named_when_it_is_missing() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}).need("database_url", "redis_url", "environment")
    assert caught.value.faults == ("DEMAIL_DATABASE_URL: is not set", "DEMAIL_REDIS_URL: is not set")


def test_a_scanner_that_protects_from_nothing_is_refused_in_production() -> None:
    assert load_settings({"DEMAIL_SCANNER": "eicar-test", "DEMAIL_ENVIRONMENT": "test"}).scanner == "eicar-test"
    with pytest.raises(ConfigurationError, match="DEMAIL_SCANNER"):
        load_settings({"DEMAIL_SCANNER": "eicar-test"})


def test_former_master_keys_are_pairs_of_id_and_key() -> None:
    settings = load_settings({"DEMAIL_FORMER_MASTER_KEYS": f"2024:{KEY}, 2025:{KEY}"})
    assert [key_id for key_id, _ in read_former_master_keys(settings)] == ["2024", "2025"]
    with pytest.raises(ConfigurationError, match="DEMAIL_FORMER_MASTER_KEYS"):
        read_former_master_keys(load_settings({"DEMAIL_FORMER_MASTER_KEYS": "2024:short"}))


@pytest.mark.clause("GWT-25")
@pytest.mark.parametrize(
    ("variables", "methods"),
    [
        ({}, {"private_key_jwt", "tls_client_auth"}),
        ({"DEMAIL_ENVIRONMENT": "test"}, {"private_key_jwt", "tls_client_auth", "client_secret_basic"}),
        ({"DEMAIL_ENVIRONMENT": "dev"}, {"private_key_jwt", "tls_client_auth", "client_secret_basic"}),
        ({"DEMAIL_CLIENT_AUTHENTICATION": "tls_client_auth"}, {"tls_client_auth"}),
        (
            {"DEMAIL_CLIENT_AUTHENTICATION": "private_key_jwt, client_secret_basic"},
            {"private_key_jwt", "client_secret_basic"},
        ),
    ],
)
def test_secrets_of_clients_are_for_test_installations_unless_permitted(
    variables: dict[str, str], methods: set[str]
) -> None:
    assert load_settings(variables).client_methods == methods


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLIENT_AUTHENTICATION", "client_secret_post"),
        ("CLIENT_AUTHENTICATION", ","),
        ("TRUSTED_PROXIES", "proxy.example.org"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, 0.0.0.0/0"),
        ("TRUSTED_PROXIES", "::/0"),
        ("CLIENT_CERTIFICATE_HEADER", "X-Client-Cert"),
        ("CLIENT_CERTIFICATE_HEADER", "X Client"),
    ],
)
def test_what_would_let_others_in_is_a_fault(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({f"DEMAIL_{name}": value})
    assert caught.value.faults[0].startswith(f"DEMAIL_{name}: ")


def test_proxies_are_addresses_and_networks() -> None:
    variables = {"DEMAIL_TRUSTED_PROXIES": "10.1.0.0/16, 192.0.2.7,fd00::/8", "DEMAIL_CLIENT_CERTIFICATE_HEADER": "X-C"}
    settings = load_settings(variables)
    assert [str(network) for network in settings.trusted_proxies] == ["10.1.0.0/16", "192.0.2.7/32", "fd00::/8"]
    assert settings.client_certificate_header == "X-C"


def test_a_program_ends_with_one_line_per_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMAIL_API_PORT", "eighty")
    monkeypatch.setenv("DEMAIL_INBOUND_PORT", "99999")
    with pytest.raises(SystemExit) as caught, entry_settings():
        pass
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Konfiguration", "Konfiguration"]


@pytest.mark.parametrize("program", ["api", "inbound", "workers", "workers.periodic"])
def test_a_program_that_lacks_a_setting_names_it_and_ends(program: str) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DEMAIL_")}
    command = [sys.executable, "-m", f"demail_gateway.{program}"]
    ended = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "Konfiguration: DEMAIL_LOG_KEY: is not set" in ended.stderr.splitlines()
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("variable", ["DEMAIL_CLAMD", "DEMAIL_DATABSE_URL", "DEMAIL_API_PORT_FILE"])
def test_a_variable_that_nobody_reads_is_a_fault(variable: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        load_settings({variable: "x"})


def test_variables_of_other_programs_are_none_of_our_business() -> None:
    load_settings({"DEMAIL_SANDBOX_BIND": "0.0.0.0", "DEMAIL_VENV": ".venv", "DEMAIL_TEST_WORKERS": "2", "PATH": "/"})
