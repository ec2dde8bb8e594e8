"""What an operator reads when a command cannot be carried out."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from demail_gateway.cli.administer import client_app, connection_app

# no database is reached: what is wrong with the words is found before
ENVIRONMENT = {
    "DEMAIL_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "DEMAIL_MASTER_KEY": base64.b64encode(bytes(32)).decode(),
}


def test_a_faulty_profile_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"smtp": {}}))
    ran = CliRunner().invoke(connection_app, ["create", "anbieter", str(profile)], env=ENVIRONMENT)
    assert ran.exit_code == 1
    assert "/profile/smtp/host" in ran.stderr
    assert "/profile/tls_anchors" in ran.stderr


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_profile_that_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(content)
    ran = CliRunner().invoke(connection_app, ["create", "anbieter", str(profile)], env=ENVIRONMENT)
    assert ran.exit_code == 2
    assert "kein JSON" in ran.stderr


def test_an_unknown_scope_is_refused_and_the_known_ones_are_named() -> None:
    words = ["create", "gewerbe", "--tenant", "stadt", "--scope", "alles"]
    ran = CliRunner().invoke(client_app, words, env=ENVIRONMENT)
    assert ran.exit_code == 2
    assert "messages:send" in ran.stderr
