"""Proofs of a message: list, octets, and the package that is verified offline."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from demail_gateway.api import render
from demail_gateway.api.access import EvidenceReader
from demail_gateway.api.documents import EvidenceList
from demail_gateway.api.fields import Cursor, id_in_path
from demail_gateway.api.paging import LIMIT, Limit, page_response
from demail_gateway.api.paths import TENANT
from demail_gateway.api.ranges import content_response
from demail_gateway.api.requests import services_of as services
from demail_gateway.tenancy.identifiers import Prefix

router = APIRouter(prefix=TENANT, tags=["evidence"])


@router.get("/messages/{message_id}/evidence", summary="Proofs of a message", responses={200: {"model": EvidenceList}})
async def list_evidence(
    request: Request, scope: EvidenceReader, message_id: str, limit: Limit = LIMIT, cursor: Cursor | None = None
) -> Response:
    """Each with kind, recipient, times, verdict and the report of its verification."""
    uuid = id_in_path(Prefix.MESSAGE, message_id)
    found = await services(request).read.evidence(scope, uuid)
    return page_response(request, found, render.evidence, limit, cursor)


@router.get(
    "/messages/{message_id}/evidence/{evidence_id}/raw",
    summary="The provider's confirmation, byte for byte",
    responses={200: {"description": "RFC 5322 message", "content": {"message/rfc822": {}}}},
)
async def read_evidence(request: Request, scope: EvidenceReader, message_id: str, evidence_id: str) -> Response:
    message = id_in_path(Prefix.MESSAGE, message_id)
    evidence = id_in_path(Prefix.EVIDENCE, evidence_id)
    octets = await services(request).read.evidence_octets(scope, message, evidence)
    return content_response(request, octets, "message/rfc822", f"{evidence_id}.eml")


@router.get(
    "/messages/{message_id}/evidence.zip",
    summary="Evidence package, verifiable offline with `demail-gateway verify`",
    responses={200: {"description": "ZIP file (`demail-evidence/1`)", "content": {"application/zip": {}}}},
)
async def read_package(request: Request, scope: EvidenceReader, message_id: str) -> Response:
    package = await services(request).prove(scope, id_in_path(Prefix.MESSAGE, message_id))
    return content_response(request, package, "application/zip", f"{message_id}-evidence.zip")
