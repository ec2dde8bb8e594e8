"""POST attachments: one file, streamed into storage with constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api import render
from demail_gateway.api.access import Sender
from demail_gateway.api.digest_header import sha256_of
from demail_gateway.api.documents import UploadDocument
from demail_gateway.api.fields import id_in_path
from demail_gateway.api.multipart import FilePart
from demail_gateway.api.once import answer_response, idempotency_key
from demail_gateway.api.paths import TENANT
from demail_gateway.api.problems import invalid
from demail_gateway.api.requests import services_of as services
from demail_gateway.api.requests import too_large
from demail_gateway.application.ports.answers import StoredAnswer
from demail_gateway.application.ports.submissions import UploadFacts
from demail_gateway.core.errors import Conflict
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import TenantScope

router = APIRouter(prefix=TENANT, tags=["attachments"])

MULTIPART = "multipart/form-data"
_FORM_OVERHEAD_BYTES = 16 * 1024
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    },
    "parameters": [
        {
            "name": "Repr-Digest",
            "in": "header",
            "required": False,
            "description": "With a plain body: `sha-256=:<base64>:` (RFC 9530), checked before anything is kept",
            "schema": {"type": "string"},
        }
    ],
    "x-impact": "write",
    "x-idempotency": "optional",
}


@router.post(
    "/attachments",
    status_code=201,
    summary="Upload one file",
    openapi_extra=_BODY,
    responses={201: {"model": UploadDocument}},
)
async def upload(
    request: Request, scope: Sender, tenant: str, filename: Annotated[str, Query(max_length=1024)] | None = None
) -> Response:
    """Either multipart/form-data with one part `file`, or a plain body with `?filename=`; the answer's id goes into a
    message as `attachment_id`, as often as wanted."""
    idempotency_key(request, "", b"")  # a malformed key is told before anything is taken
    media_type = request.headers.get("content-type", "")
    is_form = media_type.partition(";")[0].strip().lower() == MULTIPART
    attach = services(request).attach
    _check_announced(request, attach.limit_bytes + (_FORM_OVERHEAD_BYTES if is_form else 0))
    if is_form:
        facts = await _from_form(request, scope, media_type)
    else:
        facts = await _from_body(request, scope, filename, media_type)

    async def answer() -> StoredAnswer:
        location = f"/v1/tenants/{tenant}/attachments/{format_id(Prefix.ATTACHMENT, facts.id)}"
        return StoredAnswer(201, render.json_bytes(render.upload(facts)), location)

    # only now is the content's digest known that the key stands for
    key = idempotency_key(request, "POST attachments", _identity(facts))
    try:
        answered = await services(request).once(scope, key, answer)
    except Conflict:
        await attach.discard(scope, facts.id)
        raise
    if answered.replayed:
        await attach.discard(scope, facts.id)
    return answer_response(answered)


@router.get("/attachments/{attachment_id}", summary="What was uploaded", responses={200: {"model": UploadDocument}})
async def read_upload(request: Request, scope: Sender, attachment_id: str) -> Response:
    facts = await services(request).attach.facts(scope, id_in_path(Prefix.ATTACHMENT, attachment_id))
    return render.json_response(render.upload(facts))


def _identity(facts: UploadFacts) -> bytes:
    """What makes two uploads the same: name, media type and content."""
    names = [facts.filename.encode("utf-8", "replace"), facts.content_type.encode("utf-8", "replace")]
    return b"".join(hashlib.sha256(name).digest() for name in names) + facts.sha256


async def _from_form(request: Request, scope: TenantScope, media_type: str) -> UploadFacts:
    if "repr-digest" in request.headers:
        # it would speak of the whole form, not of the file; a digest that was given must not go unchecked
        raise invalid(
            "invalid-request",
            "/repr-digest",
            "Repr-Digest gibt es nur bei einem Inhalt ohne Formular.",
            "Repr-Digest is taken with a plain body alone.",
        )
    part = FilePart(media_type, request.stream())
    await part.begin()
    return await services(request).attach(scope, part.filename, part.content_type, part.chunks(), None)


async def _from_body(request: Request, scope: TenantScope, filename: str | None, media_type: str) -> UploadFacts:
    if filename is None:
        raise invalid(
            "invalid-request", "/filename", "Der Parameter filename fehlt.", "The parameter filename is missing."
        )
    expected = sha256_of(request.headers.get("repr-digest"))
    content_type = media_type or "application/octet-stream"
    return await services(request).attach(scope, filename, content_type, _pieces(request), expected)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


def _check_announced(request: Request, limit_bytes: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit_bytes:
        raise too_large(limit_bytes)
