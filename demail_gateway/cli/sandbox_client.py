"""What `dev` and `demo` ask of the sandbox provider: certificates, as from a certification authority, and mailboxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class SandboxFacts:
    """The sandbox's ready file."""

    url: str
    host: str
    server_name: str
    smtp_port: int
    provider_url: str
    trust_anchor: Path
    crl_url: str
    ocsp_url: str
    peer_certificate: Path
    """Certificate that the sandbox shows when it delivers to the gateway."""
    signature_certificate: Path
    """Of its seals and confirmations."""
    domain: str
    """Of its system addresses."""

    @classmethod
    def read(cls, document: dict[str, Any]) -> SandboxFacts:
        return cls(
            url=document["url"],
            host=document["host"],
            server_name=document["server_name"],
            smtp_port=document["smtp_port"],
            provider_url=document["provider_url"],
            trust_anchor=Path(document["trust_anchor"]),
            crl_url=document["crl_url"],
            ocsp_url=document["ocsp_url"],
            peer_certificate=Path(document["certificates"]["tls_client"]),
            signature_certificate=Path(document["certificates"]["signature"]),
            domain=document["domain"],
        )


async def certificate_for(sandbox_url: str, csr_pem: str, profile: str) -> tuple[str, list[str]]:
    """Certificate and chain (PEM). `profile`: ``tls-client``, ``tls-server``, ``smime`` or ``installation``."""
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        answer = await client.post("/certificates", json={"csr": csr_pem, "profile": profile})
        answer.raise_for_status()
        document = answer.json()
    return document["certificate"], document["chain"]


async def mailbox(sandbox_url: str, address: str) -> list[dict[str, Any]]:
    """Copies in a citizen's mailbox."""
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        answer = await client.get(f"/mailbox/{address}")
        answer.raise_for_status()
        items: list[dict[str, Any]] = answer.json()["items"]
    return items
