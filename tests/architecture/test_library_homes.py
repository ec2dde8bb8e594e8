"""One home per library: a table, read from the source. A library that is not in it may be imported nowhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PRODUCT = Path(__file__).parents[2] / "demail_gateway"
ADAPTERS_AND_OUTWARD = {
    *("storage", "providers", "trust", "webhooks", "scanning"),
    *("settings", "observability", "bootstrap", "api", "console", "inbound", "workers", "cli", "sandbox"),
}
HOMES: dict[str, set[str]] = {
    "aiosmtpd": {"inbound", "sandbox"},
    "aiosmtplib": {"providers", "sandbox"},
    "alembic": {"storage"},
    "asn1crypto": {"trust"},
    # embedded makes databases and roles before there is any schema, and may not know storage
    "asyncpg": {"storage", "embedded"},
    "billiard": {"workers"},
    "celery": {"workers"},  # what wakes them is in waking and needs no Celery
    "cryptography": {"trust", "storage"},  # storage: AESGCM alone, see below
    "dotenv": {"settings"},
    "fastapi": {"api", "console", "sandbox"},
    "httpx": {"providers", "webhooks", "cli"},  # cli: `demo` is a client of the REST interface like any other
    "jwt": {"application"},  # a codec of signed values, without clock or network, like pybase64 in core
    "kombu": {"workers"},
    "lxml": {"trust"},
    "prometheus_client": {"observability", "api"},
    "pybase64": {"core", "trust", "api", "sandbox"},
    "pydantic": {"api", "console", "sandbox", "settings", "bootstrap"},  # bootstrap: the types of the settings' secrets
    "pydantic_core": {"api", "console"},  # PydanticCustomError: a code of ours in a field's error
    "pydantic_settings": {"settings"},
    "pyhanko_certvalidator": {"trust"},
    "python_multipart": {"api"},
    "redis": {"waking"},  # workers speak to it through Celery
    "rfc3161_client": {"trust"},
    "rich": {"cli"},
    "signxml": {"trust"},
    "sqlalchemy": {"storage"},
    "starlette": {"api", "console", "sandbox"},
    "structlog": ADAPTERS_AND_OUTWARD,
    "typer": {"cli"},
    "typst": {"trust"},
    "uvicorn": {"api", "console", "sandbox", "cli"},
    "uvloop": {"api", "inbound", "workers", "cli", "sandbox"},
}


def _imports(source: Path) -> Iterator[tuple[str, int]]:
    """Full names that `source` imports, wherever they stand in it, with their lines."""
    for node in ast.walk(ast.parse(source.read_bytes(), filename=str(source))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _sources() -> list[Path]:
    return sorted(PRODUCT.rglob("*.py"))


def _part(source: Path) -> str:
    return source.relative_to(PRODUCT).parts[0].removesuffix(".py")


def test_every_library_is_imported_in_its_home_alone() -> None:
    strays = [
        f"{source.relative_to(PRODUCT)}:{line} imports {name}"
        for source in _sources()
        for name, line in _imports(source)
        if (top := name.partition(".")[0]) not in sys.stdlib_module_names
        and top != "demail_gateway"
        and _part(source) not in HOMES.get(top, set())
    ]
    assert strays == []


def test_storage_uses_of_cryptography_the_content_cipher_alone() -> None:
    allowed = (
        "cryptography.hazmat.primitives.ciphers.aead.",
        "cryptography.hazmat.primitives.keywrap.",
        "cryptography.exceptions.",
    )
    strays = [
        f"{source.relative_to(PRODUCT)}:{line} imports {name}"
        for source in _sources()
        if _part(source) == "storage"
        for name, line in _imports(source)
        if name.startswith("cryptography") and not name.startswith(allowed)
    ]
    assert strays == []


def test_core_asks_for_no_time_no_chance_and_no_socket() -> None:
    banned = {"asyncio", "logging", "random", "secrets", "socket", "ssl", "subprocess", "tempfile", "threading", "time"}
    strays = [
        f"{source.relative_to(PRODUCT)}:{line} imports {name}"
        for source in _sources()
        if _part(source) in {"core", "tenancy"}
        for name, line in _imports(source)
        if name.partition(".")[0] in banned
    ]
    assert strays == []


@pytest.mark.parametrize("ring", ["core", "tenancy", "application"])
def test_the_clock_is_an_argument_of_the_inner_rings(ring: str) -> None:
    calls = [
        f"{source.relative_to(PRODUCT)}:{node.lineno} asks for {node.attr}"
        for source in sorted((PRODUCT / ring).rglob("*.py"))
        for node in ast.walk(ast.parse(source.read_bytes()))
        if isinstance(node, ast.Attribute)
        and node.attr in {"now", "utcnow", "today", "uuid4", "uuid1", "urandom"}
        and isinstance(node.value, ast.Name)
        and node.value.id in {"datetime", "date", "uuid", "os"}
    ]
    assert calls == []


def test_imports_point_inward() -> None:
    root = PRODUCT.parent
    words = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    run = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stdout + run.stderr
