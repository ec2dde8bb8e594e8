"""How the sandbox's HTTP surfaces refuse: one shape, ``{"detail": {"code": …}}``, whatever was wrong."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse


def refuse_alike(app: FastAPI) -> None:
    """Gives `app` the handlers. A faulty request gets ``invalid-request`` and ``errors``: pointer and message of each.

    What was sent is not quoted: it may hold addresses and content (GWT-51).
    """

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"pointer": _pointer(each["loc"]), "message": each["msg"]} for each in error.errors()]
        return JSONResponse({"detail": {"code": "invalid-request", "errors": errors}}, 422)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        given: object = error.detail
        # routing itself refuses with a phrase only
        told = given if isinstance(given, dict) else {"code": _code(error.status_code)}
        return JSONResponse({"detail": told}, error.status_code, error.headers)


def _code(status: int) -> str:
    return HTTPStatus(status).phrase.lower().replace(" ", "-")


def _pointer(place: tuple[int | str, ...]) -> str:
    """JSON pointer into the body, or ``/address`` for a parameter of that name."""
    return "".join(f"/{part}" for part in place[1:])
