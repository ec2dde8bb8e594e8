"""The OpenAPI 3.1 document: what the framework sees of the routes, and what the contract says beyond it.

Bodies are read by hand (one pass, own order of checks), so their schemas are added here, as are the problems in both
languages, the scopes and the headers that many operations share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from demail_gateway.api.catalogue import CATALOGUE
from demail_gateway.api.documents import ProblemDocument
from demail_gateway.api.languages import Language
from demail_gateway.api.problems import PROBLEM_JSON, Problem, problem_body
from demail_gateway.tenancy.scope import Scope

F = TypeVar("F", bound=Callable[..., Any])
Json = dict[str, Any]

_REF = "#/components/schemas/{model}"
_MODEL = "__demail_request_model__"

DESCRIPTION = """\
De-Mail für Fachverfahren (BSI TR 01201). Zeiten nach RFC 3339 in UTC; Fehler nach RFC 9457, deutsch oder englisch nach
`Accept-Language`. Unbekannte Felder einer Anfrage werden abgewiesen; unbekannte Felder einer Antwort sind zu überlesen,
Aufzählungen sind offen.

De-Mail for specialist applications (BSI TR 01201). Times by RFC 3339 in UTC; errors by RFC 9457, in German or English
by `Accept-Language`. Unknown fields of a request are refused; unknown fields of an answer must be ignored, enumerations
are open.
"""

SCOPES: Mapping[Scope, str] = {
    Scope.MESSAGES_SEND: "Send, upload, cancel",
    Scope.MESSAGES_READ: "Read outbound messages and limits",
    Scope.INBOX_READ: "Read inbound messages",
    Scope.INBOX_ACK: "Take and acknowledge inbound messages",
    Scope.INBOX_PRIVATE: "See persönlich inbound messages",
    Scope.EVIDENCE_READ: "Read proofs and evidence packages",
    Scope.DIRECTORY_READ: "Query the public directory",
    Scope.WEBHOOKS_MANAGE: "Manage subscriptions",
    Scope.TENANT_ADMIN: "Administer the tenant",
    Scope.OPERATOR: "Administer the installation, without content",
}


def takes(model: type[BaseModel]) -> Callable[[F], F]:
    """States which body an endpoint reads."""

    def mark(endpoint: F) -> F:
        setattr(endpoint, _MODEL, model)
        return endpoint

    return mark


def build_openapi(app: FastAPI) -> Json:
    routes = list(_routes(app.routes))
    document = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update(_schemas([model for route in routes if (model := _model_of(route))]))
    components["securitySchemes"] = _security_schemes()
    components["responses"] = _problem_responses()
    components["parameters"] = _PARAMETERS
    for route in routes:
        for method in route.methods or ():
            if operation := document["paths"].get(route.path_format, {}).get(method.lower()):
                _complete(operation, route, method)
    return document


def _routes(routes: Iterable[Any]) -> Iterable[APIRoute]:
    return (route for route in routes if isinstance(route, APIRoute) and route.include_in_schema)


def _model_of(route: APIRoute) -> type[BaseModel] | None:
    model: type[BaseModel] | None = getattr(route.endpoint, _MODEL, None)
    return model


def _scopes_of(route: APIRoute) -> tuple[Scope, ...]:
    for dependency in route.dependant.dependencies:
        scopes: tuple[Scope, ...] = getattr(dependency.call, "scopes", ())
        if scopes:
            return scopes
    return ()


def _complete(operation: Json, route: APIRoute, method: str) -> None:
    scopes, model = _scopes_of(route), _model_of(route)
    responses = operation["responses"]
    responses.pop("422", None)
    if scopes:
        # any one of them will do
        operation["security"] = [{"token": [str(scope)]} for scope in scopes]
    if model is not None:
        media_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        schema = {"$ref": _REF.format(model=model.__name__)}
        operation["requestBody"] = {"required": True, "content": {media_type: {"schema": schema}}}
    parameters = operation.setdefault("parameters", [])
    if "x-idempotency" in operation:
        name = "IdempotencyKeyRequired" if operation["x-idempotency"] == "required" else "IdempotencyKey"
        parameters.append({"$ref": f"#/components/parameters/{name}"})
    parameters.append({"$ref": "#/components/parameters/AcceptLanguage"})
    for status in _statuses(operation, has_scopes=bool(scopes), has_body="requestBody" in operation):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})


def _statuses(operation: Json, *, has_scopes: bool, has_body: bool) -> list[int]:
    if not has_scopes:
        return [500, 503]
    statuses = [401, 403, 404, 422, 500, 503]
    if has_body:
        statuses += [409, 413, 415]
    if operation.get("x-impact") == "destructive":
        statuses += [409]
    if operation.get("x-idempotency"):
        statuses += [400]
    if operation.get("x-impact") == "sends":
        statuses += [429]
    if "206" in operation["responses"]:
        statuses += [409, 416]
    return sorted(set(statuses))


def _schemas(models: list[type[BaseModel]]) -> Json:
    _, definitions = models_json_schema(
        [*((model, "validation") for model in models), (ProblemDocument, "serialization")], ref_template=_REF
    )
    found: Json = definitions["$defs"]
    return found


def _problem_responses() -> Json:
    return {f"Problem{status}": _problem_response(status) for status in sorted({e.status for e in CATALOGUE.values()})}


def _problem_response(status: int) -> Json:
    entries = {code: entry for code, entry in CATALOGUE.items() if entry.status == status}
    examples = {
        f"{code} ({language})": {"value": problem_body(Problem(code), language, "4bf92f3577b34da6a3ce929d0e0e4736")}
        for code in entries
        for language in _LANGUAGES
    }
    titles = [f"{entry.title_de} / {entry.title_en} (`{code}`)" for code, entry in entries.items()]
    headers = {"Retry-After": {"schema": {"type": "integer"}}} if status in (429, 503) else {}
    if status == 401:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
    schema = {"$ref": _REF.format(model=ProblemDocument.__name__)}
    return {
        "description": "; ".join(titles),
        "headers": headers,
        "content": {PROBLEM_JSON: {"schema": schema, "examples": examples}},
    }


def _security_schemes() -> Json:
    flow = {"tokenUrl": "/oauth2/token", "scopes": {str(scope): text for scope, text in SCOPES.items()}}
    return {
        "token": {
            "type": "oauth2",
            "description": "Bearer token, 15 minutes at most",
            "flows": {"clientCredentials": flow},
        },
        "client": {"type": "http", "scheme": "basic", "description": "client_id and client_secret"},
        "certificate": {"type": "mutualTLS", "description": "A registered certificate, and client_id in the form"},
    }


_LANGUAGES: tuple[Language, ...] = ("de", "en")


def _idempotency(*, required: bool) -> Json:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": required,
        "description": "Same key and body: the first answer again, with `Idempotency-Replayed: true`. Kept for 72 h.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$", "examples": ["5f1c6a0e-0b5e-4d0c-8a5e-6f3f2a9c1b7d"]},
    }


_PARAMETERS: Json = {
    "IdempotencyKey": _idempotency(required=False),
    "IdempotencyKeyRequired": _idempotency(required=True),
    "AcceptLanguage": {
        "name": "Accept-Language",
        "in": "header",
        "required": False,
        "description": "`de` (default) or `en`: language of title and detail of problems",
        "schema": {"type": "string", "examples": ["de", "en"]},
    },
}
