"""`docs/configuration.md` explains every variable, and none that nobody reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from demail_gateway.sandbox.configuration import read_configuration
from demail_gateway.settings import PREFIX, Settings, secret_names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(DEMAIL_\w+)` \| (.+) \| (.+) \| (ja|nein) \| (.+) \|$", re.MULTILINE)
_VARIABLE = re.compile(r"\bDEMAIL_[A-Z][A-Z0-9_]*[A-Z0-9]\b")
_PLACEHOLDERS = {"DEMAIL_X", "DEMAIL_X_FILE"}
ROWS = {name: (default, secret) for name, _, default, secret, _ in _ROW.findall(PAGE)}


def variable(field: str) -> str:
    return PREFIX + field.upper()


def default_text(value: object) -> str:
    if value is None or value is PydanticUndefined or value == ():
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_every_setting_is_explained_and_every_row_is_a_setting() -> None:
    assert set(ROWS) == {variable(field) for field in Settings.model_fields}


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_defaults_and_secrets_are_told_as_they_are(field: str) -> None:
    default, secret = ROWS[variable(field)]
    assert default == default_text(Settings.model_fields[field].default)
    assert secret == ("ja" if field in secret_names() else "nein")


def test_every_variable_that_is_read_anywhere_is_explained() -> None:
    places = [
        *(ROOT / "demail_gateway").rglob("*.py"),
        *(ROOT / "migrations").rglob("*.py"),
        *(ROOT / "tests" / "harness").rglob("*.py"),
        *(ROOT / name for name in ("docker-compose.yml", ".env.example", "run", "Dockerfile")),
    ]
    named = {name for place in places for name in _VARIABLE.findall(place.read_text(encoding="utf-8"))}
    explained = set(_VARIABLE.findall(PAGE))
    secret_files = {f"{variable(field)}_FILE" for field in secret_names()}
    not_variables = {"DEMAIL_DOMAIN", "DEMAIL_DOMAINS", "DEMAIL_ADDRESS"}  # constants of the code
    assert named - explained - secret_files - not_variables - _PLACEHOLDERS == set()


def test_every_option_of_the_sandbox_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_configuration(["--help"], {})
    options = set(re.findall(r"^  --([a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    expected = {f"DEMAIL_SANDBOX_{option.upper().replace('-', '_')}" for option in options}
    assert {name for name in _VARIABLE.findall(PAGE) if name.startswith("DEMAIL_SANDBOX_")} == expected
