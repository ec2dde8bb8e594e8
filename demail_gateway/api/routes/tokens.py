"""POST /oauth2/token: client credentials by HTTP Basic (RFC 6749 §4.4), errors in the form of RFC 6749.

Secrets in the body (`client_secret_post`) are refused: bodies end up in logs of proxies more easily than headers do.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api.documents import TokenDocument, TokenErrorDocument
from demail_gateway.api.edge import note
from demail_gateway.api.problems import Problem, retry_after
from demail_gateway.api.render import json_response
from demail_gateway.api.requests import read_body, require_media_type, services_of
from demail_gateway.core.errors import Forbidden, TooManyRequests, Unauthenticated

router = APIRouter(tags=["token"])

FORM = "application/x-www-form-urlencoded"
_FORM_BYTES = 8192
_FORM_SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "const": "client_credentials"},
                        "scope": {"type": "string", "examples": ["messages:send messages:read"]},
                    },
                }
            }
        },
    },
    "security": [{"client": []}],
}


class _Refused(Exception):
    def __init__(self, status: int, error: str, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.response = json_response({"error": error, "error_description": text}, status, headers)


@router.post(
    "/oauth2/token",
    summary="Access token by client credentials",
    openapi_extra=_FORM_SCHEMA,
    responses={
        200: {"model": TokenDocument},
        400: {"model": TokenErrorDocument},
        401: {"model": TokenErrorDocument},
        429: {"model": TokenErrorDocument},
    },
)
async def token(request: Request) -> Response:
    try:
        return await _issued(request)
    except _Refused as refusal:
        return refusal.response


async def _issued(request: Request) -> Response:
    form = await _form(request)
    client_id, secret = _credentials(request)
    note(request, client=client_id[:64] if client_id.isascii() and client_id.isprintable() else "malformed")
    source = request.client.host if request.client else "unknown"
    try:
        issued = await services_of(request).issue_token(client_id, secret, form.get("scope"), source)
    except Unauthenticated:
        raise _invalid_client("Client unknown, or its secret is wrong.") from None
    except Forbidden:
        raise _Refused(400, "invalid_scope", "A scope is unknown or not permitted to this client.") from None
    except TooManyRequests as error:
        text = "Too many wrong secrets; Retry-After tells how long the client is locked."
        raise _Refused(429, "invalid_client", text, retry_after(error.retry_after)) from None
    body = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in_s,
        "scope": " ".join(sorted(issued.scopes)),
    }
    return json_response(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


async def _form(request: Request) -> dict[str, str]:
    try:
        require_media_type(request, FORM)
        body = await read_body(request, _FORM_BYTES)
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=20)
    except (Problem, ValueError):
        raise _Refused(400, "invalid_request", f"A form ({FORM}) in UTF-8 is expected.") from None
    names = [name for name, _ in fields]
    if len(names) != len(set(names)):
        raise _Refused(400, "invalid_request", "A parameter is repeated.")
    form = dict(fields)
    if "grant_type" not in form:
        raise _Refused(400, "invalid_request", "grant_type is missing.")
    if form["grant_type"] != "client_credentials":
        raise _Refused(400, "unsupported_grant_type", "Only client_credentials is supported.")
    return form


def _credentials(request: Request) -> tuple[str, str]:
    """Client id and secret of HTTP Basic, each form-encoded inside (RFC 6749 §2.3.1)."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise _invalid_client("Client authentication by HTTP Basic is needed.")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise _invalid_client("The HTTP Basic credentials are malformed.") from None
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _invalid_client(text: str) -> _Refused:
    return _Refused(401, "invalid_client", text, {"WWW-Authenticate": 'Basic realm="demail", charset="UTF-8"'})
