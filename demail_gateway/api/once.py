"""Requests that create or move something: carried out once per Idempotency-Key (decision 0070)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api import render
from demail_gateway.api.problems import Problem
from demail_gateway.api.requests import parse_json, read_json_body, services_of
from demail_gateway.application.once import Answer
from demail_gateway.application.ports.answers import IdempotencyKey, StoredAnswer
from demail_gateway.tenancy.scope import OperatorScope, TenantScope

M = TypeVar("M", bound=BaseModel)

_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)


async def answer_once(
    request: Request,
    scope: TenantScope | OperatorScope,
    model: type[M],
    make: Callable[[M], Awaitable[StoredAnswer]],
) -> Response:
    """Reads the body as `model` and answers with what `make` does with it, or with the first answer again.

    A key stands for method, path and octets of its request.

    Raises:
        Problem: as `read_json_body`, idempotency-key-invalid, invalid-request with every fault.
    """
    octets = await read_json_body(request)
    key = idempotency_key(request, f"{request.method} {request.scope['path']}", octets)
    body = parse_json(model, octets)
    return answer_response(await services_of(request).once(scope, key, lambda: make(body)))


def created(request: Request, document: Mapping[str, Any]) -> StoredAnswer:
    """201 with a `Location` below the list that `request` went to."""
    return StoredAnswer(201, render.json_bytes(document), f"{request.scope['path']}/{document['id']}")


def done(document: Mapping[str, Any]) -> StoredAnswer:
    """200: something that was there has moved."""
    return StoredAnswer(200, render.json_bytes(document), None)


def idempotency_key(request: Request, operation: str, content: bytes) -> IdempotencyKey | None:
    """The request's key, bound to `operation` and `content`; None without the header.

    Raises:
        Problem: idempotency-key-invalid.
    """
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise Problem("idempotency-key-invalid")
    digest = hashlib.sha256(operation.encode("utf-8") + b"\n")
    digest.update(content)
    return IdempotencyKey(values[0], digest.digest())


def answer_response(answer: Answer) -> Response:
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    if answer.stored.location is not None:
        headers["Location"] = answer.stored.location
    return Response(answer.stored.body, answer.stored.status, headers, "application/json")
