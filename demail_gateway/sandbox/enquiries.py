"""The providers' port: HTTPS for gateways, with the connection's client certificate.

Like a provider's folder of sent items it tells whether a submission was taken, and like its access to the public
directory (ÖVD) it gives recipients' certificates.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel

from demail_gateway.sandbox.refusals import refuse_alike


class DirectoryEntry(BaseModel):
    """What the public directory (ÖVD) says of one address (TR 01201-1.4 §6)."""

    address: str
    display_name: str
    demail_max_auth_level: Literal["NORMAL", "HIGH"]
    demail_access_opening: bool
    certificates: list[str]
    """S/MIME certificates (``userCertificate``), DER in Base64."""


class Enquiries(Protocol):
    """What the providers' port answers."""

    async def submitted(self, private_id: str) -> tuple[str, str] | None: ...

    async def directory_entry(self, address: str) -> DirectoryEntry | None: ...


def provider_app(enquiries: Enquiries) -> FastAPI:
    """The application behind the providers' port (HTTPS with client certificate)."""
    app = FastAPI(title="De-Mail Sandbox, providers' port", openapi_url=None, docs_url=None, redoc_url=None)
    refuse_alike(app)

    @app.get("/submissions/{private_id:path}")
    async def submission(private_id: str) -> dict[str, str]:
        """Whether a submission was taken (SND-43); 404 proves that it was not."""
        found = await enquiries.submitted(private_id)
        if found is None:
            raise HTTPException(404, {"code": "not-found"})
        return {"accepted_at": found[0], "demail_message_id": found[1]}

    @app.get("/directory")
    async def directory(address: Annotated[str, Query(max_length=253)]) -> dict[str, list[DirectoryEntry]]:
        """Public directory by address; no entry proves nothing (DIR-3)."""
        entry = await enquiries.directory_entry(address.strip().lower())
        return {"items": [] if entry is None else [entry]}

    return app
