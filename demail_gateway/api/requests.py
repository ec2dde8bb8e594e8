"""Reading a request: its body within a limit and in one pass, its Idempotency-Key, its language-neutral faults."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api.faults import faults_of
from demail_gateway.api.problems import Problem
from demail_gateway.api.proxies import Proxies
from demail_gateway.application.authenticate import Caller
from demail_gateway.application.once import Answer
from demail_gateway.application.ports.answers import IdempotencyKey, StoredAnswer
from demail_gateway.application.services import Services
from demail_gateway.tenancy.scope import OperatorScope, TenantScope

M = TypeVar("M", bound=BaseModel)

ADMIN_BODY_BYTES = 256 * 1024
"""For everything but sending and uploading; a certificate chain is the largest thing that comes."""

_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def proxies_of(request: Request) -> Proxies:
    proxies: Proxies = request.app.state.proxies
    return proxies


def caller_of(request: Request) -> Caller:
    """The bearer token (RFC 6750 §2.1), and the certificate that it may be bound to."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else None
    return Caller(bearer, proxies_of(request).certificate_sha256(request))


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body. Raises Problem(too-large) as soon as the limit is passed."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit_bytes:
        raise too_large(limit_bytes)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def require_media_type(request: Request, *accepted: str) -> str:
    """The request's media type without parameters. Raises Problem(unsupported-media-type)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in accepted:
        raise Problem("unsupported-media-type", headers={"Accept": ", ".join(accepted)})
    return media_type


async def read_json(
    request: Request, model: type[M], limit_bytes: int = ADMIN_BODY_BYTES, code: str = "invalid-request"
) -> tuple[M, bytes]:
    """The body as `model`, and its octets.

    Raises:
        Problem: unsupported-media-type, too-large, or `code` with every fault.
    """
    media_types = ("application/json", "application/merge-patch+json") if request.method == "PATCH" else _JSON
    require_media_type(request, *media_types)
    body = await read_body(request, limit_bytes)
    return parse_json(model, body, code), body


def parse_json(model: type[M], body: bytes, code: str = "invalid-request") -> M:
    """Raises Problem under `code` with every fault."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = faults_of(error.errors(include_url=False, include_input=False), code)
        raise Problem(code, found) from None


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
    digest = hashlib.sha256(operation.encode("ascii") + b"\n")
    digest.update(content)
    return IdempotencyKey(values[0], digest.digest())


async def answer_once(
    request: Request,
    scope: TenantScope | OperatorScope,
    operation: str,
    content: bytes,
    make: Callable[[], Awaitable[StoredAnswer]],
) -> Response:
    """Carries out a creating request under its Idempotency-Key, if it has one."""
    key = idempotency_key(request, operation, content)
    return answer_response(await services_of(request).once(scope, key, make))


def answer_response(answer: Answer) -> Response:
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    if answer.stored.location is not None:
        headers["Location"] = answer.stored.location
    return Response(answer.stored.body, answer.stored.status, headers, "application/json")


def too_large(limit_bytes: int) -> Problem:
    return Problem(
        "too-large",
        detail=(
            f"Die Anfrage ist größer als {limit_bytes} Bytes. Größere Dateien nimmt POST …/attachments an.",
            f"The request is larger than {limit_bytes} bytes. Larger files go to POST …/attachments.",
        ),
    )


_JSON = ("application/json",)
