"""The only place where an error meets a status (RFC 9457); total over the tree of `core.errors`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api.catalogue import CATALOGUE, Entry
from demail_gateway.api.languages import Language, language_of
from demail_gateway.core.errors import (
    Conflict,
    DemailError,
    Forbidden,
    GateNotMet,
    NotFound,
    ProviderUnavailable,
    RuleViolation,
    StoreUnavailable,
    TooManyRequests,
    Unauthenticated,
    Violation,
)

PROBLEM_JSON = "application/problem+json"
TYPE_BASE = "/problems/"
"""Relative to the host, with its full path (RFC 9457 §3.1.1): behind a proxy no other is certain to lead here."""
RETRY_AFTER_S = 5
"""For 503: a database that is away is usually back after a fail-over of seconds."""
QUOTA_RETRY_AFTER_S = 3600
"""For SND-17: both a calendar day and a moving window of 24 h are counted, so each hour may free something."""


class Problem(Exception):
    """A refusal made at the edge itself. `errors` as in `core`, with both languages.

    `detail` holds German and English where the catalogue's text is too general.
    """

    def __init__(
        self,
        code: str,
        errors: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
        detail: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.errors = tuple(errors)
        self.headers = headers
        self.detail = detail


def invalid(code: str, pointer: str, german: str, english: str) -> Problem:
    """One fault in the request at `pointer`, under a code of the catalogue."""
    return Problem(code, (Violation(code, CATALOGUE[code].rule or "", pointer, german, english),))


def problem_response(error: BaseException, request: Request) -> Response:
    """The answer for any error at all; what nobody foresaw is a 500 without text."""
    problem = problem_of(error)
    language = language_of(request.headers.get("accept-language"))
    headers = {"Content-Language": language, "Vary": "Accept-Language", **(problem.headers or {})}
    body = problem_body(problem, language, request.scope.get("demail.trace_id", ""))
    status = CATALOGUE[problem.code].status
    return Response(json.dumps(body, ensure_ascii=False), status, headers=headers, media_type=PROBLEM_JSON)


def problem_body(problem: Problem, language: Language, trace_id: str) -> dict[str, Any]:
    """Members of RFC 9457 and ours (`contract.md` §3)."""
    entry = CATALOGUE[problem.code]
    head = problem.errors[0] if problem.errors and problem.errors[0].code == problem.code else None
    title, detail = _texts(entry, problem, head, language)
    body: dict[str, Any] = {
        "type": TYPE_BASE + problem.code,
        "title": title,
        "status": entry.status,
        "detail": detail,
        "code": problem.code,
        "rule": (head.rule if head else None) or entry.rule,
        "errors": [_item(violation, language) for violation in problem.errors],
        "retryable": entry.retryable,
        "trace_id": trace_id,
    }
    return body


def problem_of(error: BaseException) -> Problem:
    """The problem that an error is for the client. Total: what only workers meet, or nobody foresaw, is internal."""
    match error:
        case Problem():
            return error
        case RuleViolation():
            return _rules(error.violations)
        case Unauthenticated():
            return Problem("unauthenticated", headers={"WWW-Authenticate": 'Bearer realm="demail"'})
        case Forbidden():
            # RFC 6750 §3.1; a right that is no scope (persönlich) is named the same way
            challenge = f'Bearer realm="demail", error="insufficient_scope", scope="{error.needed}"'
            return Problem("forbidden", headers={"WWW-Authenticate": challenge}, detail=_lacks(error.needed))
        case TooManyRequests():
            return Problem(error.code, headers=retry_after(error.retry_after))
        case GateNotMet():
            return Problem(error.code, tuple(_missing(item) for item in error.missing))
        case Conflict():
            return Problem(error.reason if error.reason in CATALOGUE else "conflict")
        case StoreUnavailable():
            return Problem(error.code, headers=retry_after(timedelta(seconds=RETRY_AFTER_S)))
        case ProviderUnavailable():
            wait = error.retry_after or timedelta(seconds=RETRY_AFTER_S)
            return Problem(error.code, headers=retry_after(wait))
        case NotFound():
            return Problem(error.code, error.missing)
        case DemailError() if error.code in _PLAIN:
            return Problem(error.code)
        case _:
            return Problem("internal")


def retry_after(wait: timedelta) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(wait.total_seconds())))}


_PLAIN = ("cursor-invalid", "certificate-malformed", "key-unavailable")
"""Errors that carry nothing but their code. AddressInvalid reaches the edge as a Violation only."""


def _rules(violations: Sequence[Violation]) -> Problem:
    code = violations[0].code if violations and violations[0].code in CATALOGUE else "rule-violation"
    headers = retry_after(timedelta(seconds=QUOTA_RETRY_AFTER_S)) if code == "quota-exceeded" else None
    return Problem(code, tuple(violations), headers)


def _texts(entry: Entry, problem: Problem, head: Violation | None, language: Language) -> tuple[str, str]:
    german = language == "de"
    title = entry.title_de if german else entry.title_en
    if problem.detail is not None:
        return title, problem.detail[0 if german else 1]
    if head is not None:
        return title, head.detail_de if german else head.detail_en
    return title, entry.detail_de if german else entry.detail_en


def _item(violation: Violation, language: Language) -> dict[str, str | None]:
    return {
        "pointer": violation.pointer,
        "code": violation.code,
        "rule": violation.rule or None,
        "detail": violation.detail_de if language == "de" else violation.detail_en,
    }


def _lacks(needed: str) -> tuple[str, str]:
    return (
        f"Dem Zugriffstoken fehlt das Recht (Scope) „{needed}“, das dieser Aufruf verlangt.",
        f"The access token lacks the scope {needed} that this call needs.",
    )


def _missing(item: str) -> Violation:
    return Violation(
        "gate-not-met",
        "GWT-60",
        f"/evidence/{item}",
        f"Es fehlt der Nachweis „{item}“.",
        f"The item {item} is missing.",
    )
