"""The OpenAPI document, the interactive reference and the pages that problems' `type` leads to; nothing foreign."""

from __future__ import annotations

import html
from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from demail_gateway.api.catalogue import CATALOGUE, Entry
from demail_gateway.api.problems import TYPE_BASE
from demail_gateway.api.render import json_bytes
from demail_gateway.core.errors import NotFound

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'"
)
_MEDIA_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript"}
_ASSETS = ("reference.html", "reference.css", "reference.js")


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    return Response(json_bytes(request.app.openapi()), media_type="application/json")


@router.get("/")
async def begin() -> Response:
    """To the reference; relative, so that it holds behind a proxy's prefix, too."""
    return RedirectResponse("docs")


@router.get("/docs")
async def docs() -> Response:
    return _asset("reference.html")


@router.get("/docs/{name}")
async def docs_asset(name: str) -> Response:
    if name not in _ASSETS:
        raise NotFound
    return _asset(name)


@router.get(TYPE_BASE)
async def problems() -> Response:
    items = "".join(f'<li><a href="{TYPE_BASE}{code}"><code>{code}</code></a>: {_title(e)}' for code, e in _CATALOGUED)
    return _page("Fehler / problems", f"<ul>{items}</ul>")


@router.get(TYPE_BASE + "{code}")
async def problem(code: str) -> Response:
    entry = CATALOGUE.get(code)
    if entry is None:
        raise NotFound
    rule = f"<p>{entry.rule}</p>" if entry.rule else ""
    german, english = html.escape(entry.detail_de), html.escape(entry.detail_en)
    body = f'<p>HTTP {entry.status}</p>{rule}<p>{german}</p><p lang="en">{english}</p>'
    return _page(f"{code}: {entry.title_de} / {entry.title_en}", body)


_CATALOGUED = sorted(CATALOGUE.items())


def _title(entry: Entry) -> str:
    return html.escape(f"{entry.title_de} / {entry.title_en}")


def _page(title: str, body: str) -> Response:
    text = (
        f'<!DOCTYPE html><html lang="de"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<link rel="stylesheet" href="/docs/reference.css"><h1>{html.escape(title)}</h1>{body}'
    )
    return _answer(text.encode("utf-8"), "html")


def _asset(name: str) -> Response:
    return _answer(_read(name), name.rpartition(".")[2])


@cache
def _read(name: str) -> bytes:
    return files("demail_gateway.api").joinpath("assets", name).read_bytes()


def _answer(octets: bytes, kind: str) -> Response:
    return Response(octets, headers={"Content-Security-Policy": _POLICY}, media_type=_MEDIA_TYPES[kind])
