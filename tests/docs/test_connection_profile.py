"""`docs/connection-profile.md` explains every field of a connection's profile, and none that nobody reads."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

from demail_gateway.providers.profile import Endpoint, ProviderProfile, Timeouts

PAGE = (Path(__file__).parents[2] / "docs" / "connection-profile.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| (`[a-z_.`, ]+`) \|", re.MULTILINE)
SECTIONS = {"smtp": Endpoint, "timeouts": Timeouts}


def keys() -> set[str]:
    """As they stand in the profile's JSON."""
    found = set()
    for field in fields(ProviderProfile):
        section = SECTIONS.get(field.name)
        name = {"timeouts": "timeouts_s"}.get(field.name, field.name)
        found |= {name} if section is None else {f"{name}.{each.name.removesuffix('_s')}" for each in fields(section)}
    return found


def test_every_field_is_explained_and_every_row_is_a_field() -> None:
    table = PAGE[PAGE.index("| Key | Type, default | Meaning |") : PAGE.index("## What the provider's answers mean")]
    explained = [name for row in _ROW.findall(table) for name in re.findall(r"`([a-z_.]+)`", row)]
    assert sorted(explained) == sorted(keys())


def test_every_section_of_the_profile_is_looked_into() -> None:
    nested = {field.name for field in fields(ProviderProfile) if is_dataclass(field.default) or field.name == "smtp"}
    assert nested == set(SECTIONS)
