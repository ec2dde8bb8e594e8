"""Operator: the work lists, and what a person settles (SND-43, SND-52). Ids, counts and times alone (GWT-37)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api import render
from demail_gateway.api.access import Operator
from demail_gateway.api.documents import DecidedDocument, QueueList, WaitingCopyDocument, WaitingCopyList
from demail_gateway.api.fields import Cursor, id_in_path
from demail_gateway.api.once import answer_once, done
from demail_gateway.api.openapi import takes
from demail_gateway.api.paging import LIMIT, Limit
from demail_gateway.api.paths import OPERATOR
from demail_gateway.api.requests import services_of as services
from demail_gateway.api.schemas import ReleaseRequest, SettleRequest
from demail_gateway.application.ports.answers import StoredAnswer
from demail_gateway.application.ports.queues import Decided, QueueTotals, WaitingCopy, WaitingFilter, WaitsFor
from demail_gateway.core.decision import Decision
from demail_gateway.tenancy.identifiers import Prefix, format_id

router = APIRouter(prefix=OPERATOR, tags=["operator: queues"])


@router.get("/queues", summary="Each tenant's work list in numbers", responses={200: {"model": QueueList}})
async def list_queues(
    request: Request, scope: Operator, limit: Limit = LIMIT, cursor: Cursor | None = None
) -> Response:
    page = await services(request).queues.totals(scope, limit, cursor)
    return render.json_response(render.listed(page, _totals))


@router.get(
    "/queues/copies",
    summary="Copies that wait for a person, the longest first",
    responses={200: {"model": WaitingCopyList}},
)
async def list_waiting(
    request: Request,
    scope: Operator,
    tenant: str | None = None,
    connection: str | None = None,
    message: str | None = None,
    reason: WaitsFor | None = None,
    limit: Limit = LIMIT,
    cursor: Cursor | None = None,
) -> Response:
    """`unsettled`: handed over, and nobody can say how that ended (SND-43). `held`: certainly not transferred, and the
    back-off is used up (SND-52)."""
    where = WaitingFilter(
        tenant_id=None if tenant is None else id_in_path(Prefix.TENANT, tenant),
        connection_id=None if connection is None else id_in_path(Prefix.CONNECTION, connection),
        message_id=None if message is None else id_in_path(Prefix.MESSAGE, message),
        reason=reason,
    )
    page = await services(request).queues.waiting(scope, where, limit, cursor)
    return render.json_response(render.listed(page, _waiting))


@router.get(
    "/queues/{copy_id}", summary="One copy that waits for a person", responses={200: {"model": WaitingCopyDocument}}
)
async def read_waiting(request: Request, scope: Operator, copy_id: str) -> Response:
    found = await services(request).queues.waiting_copy(scope, id_in_path(Prefix.COPY, copy_id))
    return render.json_response(_waiting(found))


@router.post(
    "/queues/{copy_id}/settle",
    summary="Say how a hand-over ended, or give up what is held (SND-43, SND-52)",
    responses={200: {"model": DecidedDocument}},
    openapi_extra={"x-idempotency": "optional", "x-impact": "destructive"},
)
@takes(SettleRequest)
async def settle(request: Request, scope: Operator, copy_id: str) -> Response:
    """`taken`: it becomes `submitted`. `not-taken`: it is handed over again, so be certain. `given-up`, of a held copy:
    `failed`. `attempts` is the number that the list shows: what was found out concerns these hand-overs and no later
    one. Evidence that arrives afterwards counts as always (SND-44)."""
    uuid = id_in_path(Prefix.COPY, copy_id)

    async def make(body: SettleRequest) -> StoredAnswer:
        decision = Decision(body.outcome)
        decided = await services(request).queues.settle(scope, uuid, decision, body.attempts, body.reason)
        return done(_decided(decided))

    return await answer_once(request, scope, SettleRequest, make)


@router.post(
    "/queues/{copy_id}/release",
    summary="Hand a held copy over again, with a fresh back-off (SND-52)",
    responses={200: {"model": DecidedDocument}},
    openapi_extra={"x-idempotency": "optional", "x-impact": "write"},
)
@takes(ReleaseRequest)
async def release(request: Request, scope: Operator, copy_id: str) -> Response:
    uuid = id_in_path(Prefix.COPY, copy_id)

    async def make(body: ReleaseRequest) -> StoredAnswer:
        decided = await services(request).queues.release(scope, uuid, body.reason)
        return done(_decided(decided))

    return await answer_once(request, scope, ReleaseRequest, make)


def _totals(totals: QueueTotals) -> dict[str, Any]:
    return {
        "tenant_id": format_id(Prefix.TENANT, totals.tenant_id),
        "tenant": totals.slug,
        "due": totals.due,
        "leased": totals.leased,
        "held": totals.held,
        "unsettled": totals.unsettled,
        "oldest_due_at": render.moment(totals.oldest_due_at),
        "waiting_since": render.moment(totals.waiting_since),
        "retrying": totals.retrying,
        "retrying_since": render.moment(totals.retrying_since),
        "reply_code": totals.reply_code,
    }


def _waiting(copy: WaitingCopy) -> dict[str, Any]:
    return {
        "id": format_id(Prefix.COPY, copy.id),
        "message_id": format_id(Prefix.MESSAGE, copy.message_id),
        "tenant_id": format_id(Prefix.TENANT, copy.tenant_id),
        "tenant": copy.tenant_slug,
        "connection_id": format_id(Prefix.CONNECTION, copy.connection_id),
        "reason": copy.reason,
        "since": render.moment(copy.since),
        "private_id": copy.private_id,
        "attempts": copy.attempts,
        "last_attempt_at": render.moment(copy.last_attempt_at),
        "reply_code": copy.reply_code,
        "next_look_up_at": render.moment(copy.next_look_up_at),
    }


def _decided(decided: Decided) -> dict[str, Any]:
    return {
        "id": format_id(Prefix.COPY, decided.copy_id),
        "message_id": format_id(Prefix.MESSAGE, decided.message_id),
        "tenant_id": format_id(Prefix.TENANT, decided.tenant_id),
        "hand_over": decided.hand_over,
        "state": decided.state,
    }
