"""schemathesis against the OpenAPI document: whatever it invents, right or wrong, there is no 5xx.

Over the fakes, with tokens that hold every right and ids that exist, so that requests come past the access checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.generation import GenerationMode

from demail_gateway.api.documents import ProblemDocument
from demail_gateway.storage.engine import create_engine
from demail_gateway.tenancy.identifiers import Prefix, format_id
from tests.api.stored import StoredGateway
from tests.fakes.api_client import ApiClient
from tests.fakes.gateway import Gateway
from tests.harness.database import Database

EXAMPLES = 10
BASE = "http://gateway.test"

_SCHEMA = schemathesis.openapi.from_dict(Gateway().app.openapi())
_OPERATIONS: dict[str, Any] = {found.ok().label: found.ok() for found in _SCHEMA.get_all_operations()}  # type: ignore[union-attr]


def _cases() -> Iterator[Any]:
    """Every operation, rightly and wrongly used; where every text is right there is no wrong use to invent."""
    for label, operation in _OPERATIONS.items():
        yield pytest.param(label, GenerationMode.POSITIVE, id=f"{label} right")
        if operation.body or any(each.name not in ("reference", "mailbox", "from") for each in operation.query):
            yield pytest.param(label, GenerationMode.NEGATIVE, id=f"{label} wrong")


class Prepared:
    """A gateway in a loop of its own, because hypothesis asks from outside of any."""

    def __init__(self, runner: asyncio.Runner, gateway: ApiClient, known: dict[str, str]) -> None:
        self._runner = runner
        self._gateway = gateway
        city = gateway.default
        assert city is not None
        self._tenant_token = runner.run(gateway.token(city))
        self._operator_token = runner.run(gateway.token(None))
        message = runner.run(gateway.send())
        self._known = {
            "tenant": city.slug,
            "tenant_id": city.id,
            "message_id": message.json()["id"],
            "client_id": city.client_id,
            "address": city.address,
            "number": "1",
            **known,
        }

    def answer(self, case: Case[Any], *, known: bool) -> httpx.Response:
        """The answer to an invented case; with `known`, ids in its path are replaced by such as exist."""
        if known:
            case.path_parameters.update({k: v for k, v in self._known.items() if k in case.path_parameters})
        invented = requests.Request(**case.as_transport_kwargs(base_url=BASE)).prepare()
        headers = {k: v for k, v in (invented.headers or {}).items() if k.lower() not in ("authorization", "host")}
        if case.path != "/oauth2/token":
            token = self._operator_token if case.path.startswith("/v1/operator") else self._tenant_token
            headers["Authorization"] = f"Bearer {token}"
        request = self._gateway.http.request(
            str(invented.method), str(invented.url), headers=_sendable(headers), content=_octets(invented.body)
        )
        return self._runner.run(request)


def _sendable(headers: dict[Any, Any]) -> dict[bytes, bytes]:
    def octets(value: Any) -> bytes:
        return value if isinstance(value, bytes) else str(value).encode("latin-1", "replace")

    return {octets(name): octets(value) for name, value in headers.items()}


def _octets(body: Any) -> bytes | None:
    return body.encode("utf-8") if isinstance(body, str) else body


@pytest.fixture(scope="module")
def prepared() -> Iterator[Prepared]:
    with asyncio.Runner() as runner:
        gateway = Gateway()
        known = {
            "account_id": format_id(Prefix.ACCOUNT, gateway.city.account.id),
            "connection_id": format_id(Prefix.CONNECTION, gateway.connection.id),
        }
        yield Prepared(runner, gateway, known)
        runner.run(gateway.http.aclose())


@pytest.fixture
def stored_prepared(database: Database) -> Iterator[Prepared]:
    with asyncio.Runner() as runner:
        engine = create_engine(database.app_url, pool_size=2)
        gateway = StoredGateway(engine)
        runner.run(gateway.set_up())
        yield Prepared(runner, gateway, {"connection_id": gateway.connection})
        runner.run(gateway.http.aclose())
        runner.run(engine.dispose())


@pytest.mark.parametrize(("label", "mode"), list(_cases()))
def test_no_invented_request_is_answered_with_5xx(prepared: Prepared, label: str, mode: GenerationMode) -> None:
    _ask(prepared, label, mode, EXAMPLES)


def test_nor_is_it_over_the_real_storage(stored_prepared: Prepared) -> None:
    for case in _cases():
        label, mode = case.values
        _ask(stored_prepared, label, mode, 4)


def _ask(prepared: Prepared, label: str, mode: GenerationMode, examples: int) -> None:
    @settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_OPERATIONS[label].as_strategy(generation_mode=mode), known=st.booleans())
    def ask(case: Case[Any], known: bool) -> None:
        answer = prepared.answer(case, known=known)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400 and case.path != "/oauth2/token":
            assert answer.headers["content-type"] == "application/problem+json"
            ProblemDocument.model_validate_json(answer.content)

    ask()
