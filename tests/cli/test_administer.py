"""What an operator reads when a command cannot be carried out."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from demail_gateway.cli.administer import client_app, connection_app
from demail_gateway.cli.faults import sentence
from demail_gateway.core.errors import Conflict, DemailError, KeyUnavailable, NotFound, NothingNamed
from tests.fakes.client_keys import ec_key, private_jwk

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


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000], ids=["broken", "list", "deep"])
def test_a_key_set_that_is_no_object_is_refused(content: str) -> None:
    ran = CliRunner().invoke(client_app, ["create", "Leitstand", "--jwks", "-"], input=content, env=ENVIRONMENT)
    assert ran.exit_code == 2
    assert "kein JSON" in ran.stderr


def test_a_private_key_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [private_jwk(ec_key())]}))
    ran = CliRunner().invoke(client_app, ["create", "Leitstand", "--jwks", str(keys)], env=ENVIRONMENT)
    assert ran.exit_code == 1
    assert "/jwks/keys/0: Das ist ein geheimer Schlüssel" in ran.stderr


def test_in_production_an_operators_client_needs_a_key() -> None:
    ran = CliRunner().invoke(client_app, ["create", "Leitstand"], env=ENVIRONMENT)
    assert ran.exit_code == 1
    assert "Client-Geheimnisse sind hier nicht zugelassen" in ran.stderr


@pytest.mark.parametrize("content", [b"", b"x", b"\xff\xfe"])
def test_what_is_no_certificate_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "client.pem"
    file.write_bytes(content)
    ran = CliRunner().invoke(client_app, ["create", "Leitstand", "--certificate", str(file)], env=ENVIRONMENT)
    assert ran.exit_code != 0
    assert "Leitstand" not in ran.stdout


def test_rights_of_a_tenants_client_are_named_and_never_all_by_default() -> None:
    ran = CliRunner().invoke(client_app, ["create", "gewerbe", "--tenant", "stadt"], env=ENVIRONMENT)
    assert ran.exit_code == 2
    assert "--scope" in ran.stderr
    ran = CliRunner().invoke(client_app, ["create", "Leitstand", "--scope", "inbox:read"], env=ENVIRONMENT)
    assert ran.exit_code == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NothingNamed("tenant", "nix"), "Mandant „nix“ nicht gefunden (not-found)"),
        (NothingNamed("cpy", "x"), "Kopie „x“ nicht gefunden (not-found)"),
        (NotFound(), "Nicht gefunden: Namen und Kennungen prüfen (not-found)"),
        (Conflict("slug-taken"), "Dieses Kürzel ist vergeben. (slug-taken)"),
        (KeyUnavailable(), "key-unavailable"),
    ],
)
def test_a_fault_is_a_sentence(error: DemailError, told: str) -> None:
    assert sentence(error) == told
