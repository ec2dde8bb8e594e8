"""`docs/operation.md` explains every event that a process of the gateway can log, at its level."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from demail_gateway.observability.observer import _LEVELS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operation.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| (`[a-z_`, ]+`) \| (error|warning|info|debug) \|", re.MULTILINE)
EXPLAINED = {name: level for names, level in _ROW.findall(PAGE) for name in re.findall(r"`([a-z_]+)`", names)}

_REPORTERS = {"observe", "_observe", "_report"}
_LOGGERS = {"log.info": "info", "log.warning": "warning", "log.error": "error", "self._failed": "error"}
_NOT_AN_INSTALLATION = ("sandbox", "cli", "embedded")


def reported() -> Iterator[tuple[str, str]]:
    """Every event in the source, with the level that it is logged at."""
    for path in (ROOT / "demail_gateway").rglob("*.py"):
        if path.relative_to(ROOT / "demail_gateway").parts[0] in _NOT_AN_INSTALLATION:
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant):
                yield from _event(call, call.args[0].value)


def _event(call: ast.Call, name: object) -> Iterator[tuple[str, str]]:
    called = ast.unparse(call.func)
    if not isinstance(name, str) or not re.fullmatch("[a-z_]+", name):
        return
    if called.rpartition(".")[2] in _REPORTERS:
        yield name, logging.getLevelName(_LEVELS.get(name, logging.INFO)).lower()
    elif called in _LOGGERS:
        yield name, _LOGGERS[called]


def test_every_event_is_explained_at_its_level_and_no_other() -> None:
    found = dict(reported())
    assert len(found) > 25
    assert found == EXPLAINED


def test_every_level_is_that_of_an_event() -> None:
    assert set(_LEVELS) <= set(EXPLAINED)
