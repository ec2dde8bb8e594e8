"""POST /oauth2/token: client credentials (RFC 6749 §4.4), errors in the form of RFC 6749.

A client proves itself by HTTP Basic, by a signed assertion (RFC 7523) or by its certificate (RFC 8705), by one of them
in a request (RFC 6749 §2.3). Secrets in the body (`client_secret_post`) are refused: bodies end up in logs of proxies
more easily than headers do. Descriptions of errors are ASCII (RFC 6749 §5.2), hence German without umlauts.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api.documents import TokenDocument, TokenErrorDocument
from demail_gateway.api.edge import note
from demail_gateway.api.languages import Language, language_of
from demail_gateway.api.problems import Problem, retry_after
from demail_gateway.api.render import json_response
from demail_gateway.api.requests import proxies_of, read_body, require_media_type, services_of
from demail_gateway.application.client_assertion import ASSERTION_TYPE
from demail_gateway.application.issue_token import ByAssertion, ByCertificate, BySecret, Credentials
from demail_gateway.core.errors import AuthenticationRefused, Forbidden, TooManyRequests, Unauthenticated

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
                        "client_id": {"type": "string", "description": "With a certificate or an assertion"},
                        "client_assertion_type": {"type": "string", "const": ASSERTION_TYPE},
                        "client_assertion": {"type": "string", "description": "JWT by PS256, ES256 or RS256"},
                    },
                }
            }
        },
    },
    "security": [{"client": []}, {"certificate": []}, {}],
}


class _Refused(Exception):
    def __init__(self, status: int, error: str, reason: str, headers: dict[str, str] | None = None, **facts: str):
        super().__init__(error)
        self.status = status
        self.error = error
        self.reason = reason
        self.headers = headers or {}
        self.facts = facts

    def response(self, language: Language) -> Response:
        text = TEXTS[self.reason][0 if language == "de" else 1].format(**self.facts)
        headers = {"Content-Language": language, "Vary": "Accept-Language", **self.headers}
        return json_response({"error": self.error, "error_description": text}, self.status, headers)


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
        return refusal.response(language_of(request.headers.get("accept-language")))


async def _issued(request: Request) -> Response:
    form = await _form(request)
    credentials = _credentials(request, form)
    proxies = proxies_of(request)
    try:
        issued = await services_of(request).issue_token(
            credentials, form.get("scope"), proxies.source(request), proxies.certificate_sha256(request)
        )
    except AuthenticationRefused as error:
        raise _invalid_client(error.reason, permitted=", ".join(error.permitted)) from None
    except Unauthenticated:
        raise _invalid_client("not-proven") from None
    except Forbidden:
        raise _Refused(400, "invalid_scope", "scope") from None
    except TooManyRequests as error:
        raise _Refused(429, "invalid_client", "locked", retry_after(error.retry_after)) from None
    note(request, client=issued.client_id)
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
        raise _Refused(400, "invalid_request", "form", form=FORM) from None
    names = [name for name, _ in fields]
    if len(names) != len(set(names)):
        raise _Refused(400, "invalid_request", "repeated")
    form = dict(fields)
    if "grant_type" not in form:
        raise _Refused(400, "invalid_request", "grant-missing")
    if form["grant_type"] != "client_credentials":
        raise _Refused(400, "unsupported_grant_type", "grant-unknown")
    return form


def _credentials(request: Request, form: Mapping[str, str]) -> Credentials:
    """The one way in which the client proves itself."""
    by_header = "authorization" in request.headers
    by_assertion = "client_assertion" in form or "client_assertion_type" in form
    if by_header and by_assertion:
        raise _Refused(400, "invalid_request", "two-methods")
    found: Credentials
    if by_assertion:
        if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
            raise _Refused(400, "invalid_request", "assertion-type", type=ASSERTION_TYPE)
        found = ByAssertion(form["client_assertion"], form.get("client_id"))
    elif by_header:
        found = _basic(request)
        _note_client(request, found.client_id)
    elif "client_id" in form and "client_secret" not in form:
        found = ByCertificate(form["client_id"])
        _note_client(request, found.client_id)
    else:
        raise _invalid_client("no-method")
    return found


def _basic(request: Request) -> BySecret:
    """Client id and secret of HTTP Basic, each form-encoded inside (RFC 6749 §2.3.1)."""
    scheme, _, encoded = request.headers["authorization"].partition(" ")
    if scheme.lower() != "basic":
        raise _invalid_client("no-method")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise _invalid_client("basic-malformed") from None
    client_id, _, secret = text.partition(":")
    return BySecret(unquote_plus(client_id), unquote_plus(secret))


def _note_client(request: Request, client_id: str) -> None:
    note(request, client=client_id[:64] if client_id.isascii() and client_id.isprintable() else "malformed")


def _invalid_client(reason: str, **facts: str) -> _Refused:
    challenge = {"WWW-Authenticate": 'Basic realm="demail", charset="UTF-8"'}
    return _Refused(401, "invalid_client", reason, challenge, **facts)


TEXTS: dict[str, tuple[str, str]] = {
    "not-proven": (
        "Client unbekannt, oder Geheimnis, Signatur oder Zertifikat passen nicht.",
        "Client unknown, or its secret, signature or certificate is wrong.",
    ),
    "no-method": (
        "Es fehlt die Anmeldung: HTTP Basic, client_assertion, oder client_id mit Client-Zertifikat.",
        "Client authentication is needed: HTTP Basic, client_assertion, or client_id with a client certificate.",
    ),
    "basic-malformed": ("Die Angaben in HTTP Basic sind nicht lesbar.", "The HTTP Basic credentials are malformed."),
    "method-not-permitted": (
        "Dieses Anmeldeverfahren ist hier nicht zugelassen (GWT-20). Zugelassen: {permitted}.",
        "This method of client authentication is not permitted here (GWT-20). Permitted: {permitted}.",
    ),
    "assertion-claims": (
        "client_assertion: iss und sub sind die client_id; exp und jti sind noetig (RFC 7523).",
        "client_assertion: iss and sub are the client_id; exp and jti are needed (RFC 7523).",
    ),
    "assertion-audience": (
        "client_assertion: aud ist allein die Adresse dieses Endpunkts oder der Aussteller der Token.",
        "client_assertion: aud is the URL of this endpoint or the issuer of the tokens alone.",
    ),
    "assertion-expired": (
        "client_assertion: abgelaufen oder noch nicht gueltig. Bitte die Uhr pruefen.",
        "client_assertion: expired or not valid yet. Check the clock.",
    ),
    "assertion-too-long": (
        "client_assertion: exp liegt mehr als fuenf Minuten in der Zukunft.",
        "client_assertion: exp is more than five minutes ahead.",
    ),
    "assertion-replayed": (
        "client_assertion: diese jti wurde schon benutzt.",
        "client_assertion: this jti has been used before.",
    ),
    "scope": (
        "Ein Recht ist unbekannt oder diesem Client nicht erteilt.",
        "A scope is unknown or not permitted to this client.",
    ),
    "locked": (
        "Zu viele falsche Anmeldungen. Retry-After nennt, wie lange der Client gesperrt ist.",
        "Too many wrong attempts; Retry-After tells how long the client is locked.",
    ),
    "form": ("Erwartet wird ein Formular ({form}) in UTF-8.", "A form ({form}) in UTF-8 is expected."),
    "repeated": ("Ein Parameter steht zweimal da.", "A parameter is repeated."),
    "grant-missing": ("grant_type fehlt.", "grant_type is missing."),
    "grant-unknown": ("Moeglich ist nur client_credentials.", "Only client_credentials is supported."),
    "two-methods": ("Bitte nur ein Anmeldeverfahren benutzen.", "Use one method of client authentication only."),
    "assertion-type": (
        "client_assertion verlangt client_assertion_type={type}.",
        "client_assertion needs client_assertion_type={type}.",
    ),
}
"""Descriptions of errors, German and English."""
