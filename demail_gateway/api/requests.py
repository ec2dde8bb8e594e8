"""Reading a request: who calls, its body within a limit and in one pass, its language-neutral faults."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from demail_gateway.api.faults import faults_of
from demail_gateway.api.problems import Problem
from demail_gateway.api.proxies import Proxies
from demail_gateway.application.authenticate import Caller
from demail_gateway.application.services import Services

M = TypeVar("M", bound=BaseModel)

ADMIN_BODY_BYTES = 256 * 1024
"""For everything but sending and uploading; a certificate chain is the largest thing that comes."""


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
        raise Problem("unsupported-media-type", headers={"Accept": ", ".join(accepted)}, detail=_expected(accepted))
    return media_type


def _expected(accepted: tuple[str, ...]) -> tuple[str, str]:
    return (
        f"Der Inhaltstyp der Anfrage wird hier nicht angenommen; erwartet: {' oder '.join(accepted)}.",
        f"The content type of the request is not accepted here; expected: {' or '.join(accepted)}.",
    )


async def read_json(request: Request, model: type[M]) -> M:
    """The body as `model`.

    Raises:
        Problem: as `read_json_body`, invalid-request with every fault.
    """
    return parse_json(model, await read_json_body(request))


async def read_json_body(request: Request) -> bytes:
    """Raises Problem(unsupported-media-type), Problem(too-large)."""
    require_media_type(request, *(_PATCHES if request.method == "PATCH" else _JSON))
    return await read_body(request, ADMIN_BODY_BYTES)


def parse_json(model: type[M], body: bytes, code: str = "invalid-request") -> M:
    """Raises Problem under `code` with every fault."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = faults_of(error.errors(include_url=False, include_input=False), code)
        raise Problem(code, found) from None


def too_large(limit_bytes: int) -> Problem:
    return Problem(
        "too-large",
        detail=(
            f"Die Anfrage ist größer als {limit_bytes} Bytes. Größere Dateien nimmt POST …/attachments an.",
            f"The request is larger than {limit_bytes} bytes. Larger files go to POST …/attachments.",
        ),
    )


_JSON = ("application/json",)
_PATCHES = (*_JSON, "application/merge-patch+json")
