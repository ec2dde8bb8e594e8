"""What every answer has in common: ids, headers, problems, the OpenAPI document, reference, health, metrics, log."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from pydantic import BaseModel

from demail_gateway.api import documents
from demail_gateway.api.app import create_app
from demail_gateway.api.catalogue import CATALOGUE
from demail_gateway.api.languages import language_of
from demail_gateway.api.problems import problem_body, problem_of
from demail_gateway.application.services import Probe
from demail_gateway.core import errors
from demail_gateway.core.errors import DemailError, StoreUnavailable, Violation
from demail_gateway.observability.logs import configure_logging
from demail_gateway.tenancy.scope import Scope
from tests.fakes.api_client import draft
from tests.fakes.gateway import Gateway

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


# --- ids and headers


async def test_a_request_id_is_echoed_and_a_trace_continued(gateway: Gateway) -> None:
    headers = {"X-Request-Id": "fach-42", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answer = await gateway.http.get("/v1/tenants/x/messages", headers=headers)
    assert (answer.headers["x-request-id"], answer.json()["trace_id"]) == ("fach-42", TRACE)
    token = await gateway.token(gateway.city)
    headers |= {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    await gateway.http.post("/v1/tenants/stadt-elbtal/messages", json=draft(gateway.city), headers=headers)
    (sent,) = gateway.world.sent.values()
    assert sent.message.trace_id == TRACE


async def test_the_root_leads_to_the_reference(gateway: Gateway) -> None:
    answer = await gateway.http.get("/")
    assert answer.is_redirect
    assert (await gateway.http.get(str(answer.next_request.url if answer.next_request else ""))).status_code == 200


@pytest.mark.parametrize("given", ["", "mit leer", "x" * 129, "a\x7f"])
async def test_an_unusable_request_id_is_replaced(gateway: Gateway, given: str) -> None:
    answer = await gateway.http.get("/livez", headers={b"X-Request-Id": given.encode()})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize("path", ["/livez", "/v1/tenants/x/messages", "/gibt/es/nicht", "/openapi.json"])
async def test_no_answer_is_cached_sniffed_or_names_the_product(gateway: Gateway, path: str) -> None:
    answer = await gateway.http.get(path)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


async def test_unknown_paths_and_methods_are_problems_too(gateway: Gateway) -> None:
    missing = await gateway.http.get("/v2/x", headers={"Accept-Language": "en"})
    assert (missing.status_code, missing.json()["code"], missing.json()["title"]) == (404, "not-found", "Not found")
    wrong = await gateway.http.delete("/livez")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, "method-not-allowed", "GET, HEAD")
    assert (await gateway.http.get("/v1/operator/tenants/")).status_code == 404


async def test_an_unforeseen_error_is_500_without_text(gateway: Gateway) -> None:
    gateway.world.failing = {"messages": RuntimeError("geheimer Text")}
    answer = await gateway.call("GET", "messages")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "geheim" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


# --- language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "de"),
        ("", "de"),
        ("de", "de"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("fr", "de"),
        ("fr,en;q=0.1", "en"),
        ("en;q=0.5,de;q=0.4", "en"),
        ("en;q=x", "de"),
        ("en;q=9", "de"),
        ("*", "de"),
        (",;,=", "de"),
        ("en" * 10_000, "de"),
    ],
)
def test_the_language_follows_accept_language_and_german_is_the_default(header: str | None, language: str) -> None:
    assert language_of(header) == language


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_problem_has_texts_in_both_languages(code: str) -> None:
    entry = CATALOGUE[code]
    assert entry.title_de != entry.title_en
    assert entry.detail_de != entry.detail_en
    assert 400 <= entry.status < 600


def _made(kind: type[DemailError]) -> DemailError:
    """An instance; facts that are not listed are short texts."""
    violation = Violation("recipient-not-demail", "SND-11", "/to/0", "de", "en")
    facts: dict[str, Any] = {"violations": [violation], "missing": ["contact"], "retry_after": timedelta(seconds=3)}
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    needed = [each for each in parameters if each.default is each.empty]
    named = [each for each in needed if each.kind is each.POSITIONAL_OR_KEYWORD]
    return kind(*(facts.get(each.name, "x") for each in named))


def _tree(kind: type[DemailError]) -> list[type[DemailError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in _tree(child))]


@pytest.mark.parametrize("kind", [each for each in _tree(DemailError) if each.__module__ == errors.__name__])
def test_every_error_of_the_tree_becomes_a_problem(kind: type[DemailError]) -> None:
    body = problem_body(problem_of(_made(kind)), "de", TRACE)
    documents.ProblemDocument.model_validate(body)


def test_the_status_of_several_broken_rules_is_that_of_the_first() -> None:
    large = Violation("too-large", "SND-19", "", "de", "en")
    other = Violation("recipient-not-demail", "SND-11", "/to/0", "de", "en")
    assert problem_body(problem_of(errors.RuleViolation([other, large])), "de", TRACE)["status"] == 422
    assert problem_body(problem_of(errors.RuleViolation([large, other])), "de", TRACE)["status"] == 413


# --- documents


async def test_every_problem_type_leads_to_a_page_of_this_installation(gateway: Gateway) -> None:
    listing = await gateway.http.get("/problems/")
    for code in CATALOGUE:
        assert f"/problems/{code}" in listing.text
        page = await gateway.http.get(f"/problems/{code}")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await gateway.http.get("/problems/unsinn")).status_code == 404


async def test_the_reference_loads_nothing_from_elsewhere(gateway: Gateway) -> None:
    page = await gateway.http.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links
    for link in links:
        assert link.startswith(("/", "#"))
        if link.startswith("/docs/"):
            asset = await gateway.http.get(link)
            assert asset.status_code == 200
            assert "http://" not in asset.text
            assert "https://" not in asset.text
    for name in ("x.js", "..%2fapp.py", "reference.html%00"):
        assert (await gateway.http.get(f"/docs/{name}")).status_code == 404


async def test_the_openapi_document_describes_every_tenant_and_operator_operation(gateway: Gateway) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    operations = [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if path.startswith("/v1/")
    ]
    assert len(operations) > 30
    for path, method, operation in operations:
        assert operation["security"], path
        assert {"401", "403", "404", "422", "503"} <= operation["responses"].keys(), path
        if method in ("post", "put", "patch") and not path.endswith("/cancel"):
            assert "requestBody" in operation, path
    references = set(re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(document)))
    for kind, name in references:
        assert name in document["components"][kind]


async def test_problem_examples_are_declared_in_both_languages(gateway: Gateway) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    examples = document["components"]["responses"]["Problem413"]["content"]["application/problem+json"]["examples"]
    assert examples.keys() == {"too-large (de)", "too-large (en)"}
    for example in examples.values():
        documents.ProblemDocument.model_validate(example["value"])


async def test_the_example_of_a_submission_is_accepted(gateway: Gateway) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    (example,) = document["components"]["schemas"]["SubmissionRequest"]["examples"]
    assert (await gateway.send(**{**example, "from_": example["from"]})).status_code == 202


async def test_answers_are_as_documented(gateway: Gateway) -> None:
    """Nothing is missing and nothing undocumented: the documents forbid other members."""

    def check(model: type[BaseModel], answer: Any) -> None:
        assert answer.status_code < 300, answer.text
        model.model_validate_json(answer.content)

    sent = await gateway.send(attachments=[{"filename": "a", "content_type": "text/plain", "content": ""}])
    check(documents.MessageDocument, sent)
    public_id = sent.json()["id"]
    gateway.receive(gateway.city, b"x")
    gateway.receive(gateway.city, b"x", private=True)
    check(documents.MessageList, await gateway.call("GET", "messages"))
    check(documents.MessageList, await gateway.call("GET", "inbox", Scope.INBOX_READ))
    check(documents.EventList, await gateway.call("GET", f"messages/{public_id}/events"))
    check(documents.EvidenceList, await gateway.call("GET", f"messages/{public_id}/evidence"))
    check(documents.LimitsDocument, await gateway.call("GET", "limits"))
    check(documents.UploadDocument, await gateway.call("POST", "attachments?filename=a", content=b"x"))
    dry = await gateway.call("POST", "messages?dry_run=true", json=draft(gateway.city))
    check(documents.ForecastDocument, dry)
    base = f"tenants/{gateway.city.id}"
    check(documents.TenantDocument, await gateway.operate("GET", base))
    check(documents.TenantList, await gateway.operate("GET", "tenants"))
    check(documents.AccountList, await gateway.operate("GET", f"{base}/accounts"))
    check(documents.AddressList, await gateway.operate("GET", f"{base}/addresses"))
    check(documents.ClientList, await gateway.operate("GET", f"{base}/clients"))
    check(documents.SenderList, await gateway.operate("GET", f"{base}/senders"))
    new_client = {"name": "x", "scopes": ["messages:read"]}
    check(documents.NewClientDocument, await gateway.operate("POST", f"{base}/clients", json=new_client))
    check(documents.KeyDocument, await gateway.operate("POST", f"{base}/keys", json={}))
    check(documents.KeyList, await gateway.operate("GET", f"{base}/keys"))
    check(documents.ConnectionList, await gateway.operate("GET", "connections"))
    check(documents.JournalList, await gateway.operate("GET", f"journal?tenant={gateway.city.id}"))
    check(documents.HealthDocument, await gateway.http.get("/readyz"))


# --- health and metrics


async def ok() -> str:
    return "ok"


async def away() -> str:
    raise StoreUnavailable


async def silent() -> str:
    await asyncio.Event().wait()
    return "never"


async def test_readiness_is_degraded_for_a_provider_and_unavailable_for_the_database(gateway: Gateway) -> None:
    gateway.probes["database"] = Probe(ok, needed=True)
    assert (await gateway.http.get("/readyz")).json()["status"] == "ok"
    gateway.probes["providers"] = Probe(away, needed=False)
    degraded = await gateway.http.get("/readyz")
    assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
    assert degraded.json()["parts"]["providers"]["status"] == "unavailable"
    gateway.probes["database"] = Probe(away, needed=True)
    answer = await gateway.http.get("/readyz")
    assert (answer.status_code, answer.json()["status"], answer.headers["retry-after"]) == (503, "unavailable", "5")
    assert (await gateway.http.get("/livez")).status_code == 200


async def test_a_part_that_does_not_answer_counts_as_away(gateway: Gateway) -> None:
    gateway.probes["keys"] = Probe(silent, needed=True, patience_s=0.01)
    answer = await gateway.http.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["keys"]["detail"]) == (503, "TimeoutError")


async def test_metrics_name_routes_and_no_tenants_addresses_or_ids(gateway: Gateway) -> None:
    message = (await gateway.send()).json()["id"]
    await gateway.call("GET", f"messages/{message}")
    await gateway.http.request("UNSINN", "/x")
    text = (await gateway.http.get("/metrics")).text
    assert 'route="/v1/tenants/{tenant}/messages/{message_id}"' in text
    assert 'method="other"' in text
    for secret in ("stadt-elbtal", message, "de-mail.de"):
        assert secret not in text


async def test_metrics_stand_on_a_port_of_their_own_in_production(gateway: Gateway) -> None:
    app = create_app(gateway.services, gateway.metrics, json_body_bytes=1000, expose_metrics=False)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://x") as client:
        assert (await client.get("/metrics")).status_code == 404


# --- log


@pytest.mark.clause("GWT-51")
async def test_the_log_has_ids_and_neither_content_nor_addresses_nor_secrets(gateway: Gateway) -> None:
    stream = io.StringIO()
    configure_logging("api", stream=stream)
    gateway.world.failing = {"evidence_of": RuntimeError("Bescheid fuer buergerin@sandbox.de-mail.de")}
    headers = {"Idempotency-Key": "k", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    attachments = [{"filename": "geheim.pdf", "content_type": "application/pdf", "content": "U2VjcmV0"}]
    body = draft(gateway.city, subject="Betreff-42", text="Inhalt-42", attachments=attachments)
    sent = await gateway.call("POST", "messages", json=body, headers=headers)
    await gateway.call("GET", f"messages/{sent.json()['id']}/evidence")
    await gateway.call("GET", "messages?reference=AZ-42")
    await gateway.operate("GET", f"tenants/{gateway.city.id}/senders")
    await gateway.send("k2", to=["fremd@example.org"])
    text = stream.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    accepted = next(line for line in lines if line.get("message") == sent.json()["id"])
    assert (accepted["event"], accepted["status"], accepted["trace_id"]) == ("request", 202, TRACE)
    assert accepted["tenant"] == gateway.city.id
    token = await gateway.token(gateway.city)
    for secret in ("Betreff-42", "Inhalt-42", "geheim", "@", "AZ-42", token, gateway.city.secret, "Bescheid"):
        assert secret not in text


# --- the edge as ASGI sees it


async def test_a_caller_who_goes_away_within_its_body_gets_no_answer_and_leaves_no_error(gateway: Gateway) -> None:
    stream = io.StringIO()
    configure_logging("api", stream=stream)
    token = await gateway.token(gateway.city)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/tenants/stadt-elbtal/messages",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"authorization", f"Bearer {token}".encode()),
            (b"content-type", b"application/json"),
            (b"idempotency-key", b"k"),
        ],
    }
    incoming = [{"type": "http.request", "body": b'{"from"', "more_body": True}, {"type": "http.disconnect"}]
    answered: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        answered.append(message)

    await gateway.app(scope, receive, send)
    assert answered == []
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events[-2:] == ["client_gone", "request"]
    assert gateway.world.sent == {}


async def test_wake_ups_are_settled_and_parts_closed_when_the_server_stops(gateway: Gateway) -> None:
    closed: list[bool] = []

    async def close() -> None:
        closed.append(True)

    app = create_app(gateway.services, gateway.metrics, json_body_bytes=1000, expose_metrics=False, close=close)
    async with app.router.lifespan_context(app):
        await gateway.send()
        assert closed == []
    assert closed == [True]
    assert gateway.world.woken == [gateway.city.record.id]


async def test_a_thousand_faults_are_told_in_part(gateway: Gateway) -> None:
    answer = await gateway.send(to=list(range(1000)))
    assert len(answer.json()["errors"]) == 100


async def test_a_flag_is_true_or_false(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "messages?dry_run=perhaps", json=draft(gateway.city))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/dry_run")
    message = (await gateway.send()).json()["id"]
    assert (await gateway.call("GET", f"messages/{message}/raw?acknowledge_risk=perhaps")).status_code == 422
