"""Takes test tenants on as an operator does: through the operator's REST endpoints, certificates from the sandbox."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from demail_gateway.cli.rest import Rest
from demail_gateway.cli.sandbox_client import certificate_for
from demail_gateway.tenancy.lifecycle import PERMISSIONS, TenantState, gate
from demail_gateway.tenancy.scope import TENANT_SCOPES

_WAY_TO_LIVE = (
    TenantState.INTERESTED,
    TenantState.OFFERED,
    TenantState.CONTRACTED,
    TenantState.ACCOUNT_APPLIED,
    TenantState.ACCOUNT_ACTIVE,
    TenantState.CONFIGURED,
    TenantState.TESTING,
    TenantState.ACCEPTED,
    TenantState.LIVE,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A test tenant to be taken on."""

    slug: str
    name: str
    kind: str
    public_body: bool
    addresses: tuple[str, ...]


STADT = Wanted(
    "stadt-elbtal",
    "Stadt Elbtal",
    "municipality",
    True,
    ("poststelle@stadt-elbtal.de-mail.de", "gewerbeamt@stadt-elbtal.de-mail.de"),
)
AMT = Wanted(
    "landesamt-muster",
    "Landesamt für Muster und Beispiele",
    "authority",
    True,
    ("poststelle@landesamt-muster.de-mail.de",),
)
BETRIEB = Wanted(
    "stadtwerke-elbtal", "Stadtwerke Elbtal GmbH", "other", False, ("service@stadtwerke-elbtal.de-mail.de",)
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """A tenant that was taken on."""

    id: str
    slug: str
    name: str
    client_id: str
    client_secret: str
    addresses: tuple[str, ...]
    public_body: bool

    def ready_entry(self) -> dict[str, Any]:
        """As the ready file of `dev` names it."""
        return {
            "id": self.id,
            "slug": self.slug,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "addresses": list(self.addresses),
            "public_body": self.public_body,
        }


async def take_on(operator: Rest, sandbox_url: str, connection_id: str, wanted: Wanted) -> Seeded:
    """The tenant live, with account, addresses, a client with every scope, and a certified S/MIME key."""
    created = await operator.post(
        "/v1/operator/tenants",
        {"slug": wanted.slug, "name": wanted.name, "kind": wanted.kind, "public_body": wanted.public_body},
    )
    base = f"/v1/operator/tenants/{created['id']}"
    await operator.patch(base, {"permissions": sorted(PERMISSIONS), "policy": {"sign_by_default": True}})
    await operator.post(
        f"{base}/accounts",
        {
            "connection_id": connection_id,
            "holder": wanted.name,
            "state": "active",
            "retrieval_entitlement": wanted.public_body,
        },
    )
    for address in wanted.addresses:
        await operator.post(f"{base}/addresses", {"address": address})
    client, _ = await asyncio.gather(_client(operator, base, wanted), _key(operator, base, sandbox_url))
    await _go_live(operator, base)
    return Seeded(
        id=created["id"],
        slug=wanted.slug,
        name=wanted.name,
        client_id=client["id"],
        client_secret=client["client_secret"],
        addresses=wanted.addresses,
        public_body=wanted.public_body,
    )


async def _client(operator: Rest, base: str, wanted: Wanted) -> Any:
    scopes = sorted(TENANT_SCOPES)
    client = await operator.post(f"{base}/clients", {"name": "Fachverfahren", "scopes": scopes})
    for address in wanted.addresses:
        await operator.put(f"{base}/senders/{client['id']}/{address}", {"options": None, "quota_per_day": None})
    return client


async def _key(operator: Rest, base: str, sandbox_url: str) -> None:
    key = await operator.post(f"{base}/keys", {"algorithm": "rsa-3072"})
    certificate, chain = await certificate_for(sandbox_url, key["csr"], "smime")
    await operator.put(f"{base}/keys/{key['id']}/certificate", {"certificate": certificate, "chain": chain})


async def _go_live(operator: Rest, base: str) -> None:
    for current, to in itertools.pairwise(_WAY_TO_LIVE):
        evidence = dict.fromkeys(gate(current, to), "Testinstallation")
        await operator.post(f"{base}/transitions", {"to": str(to), "reason": "progress", "evidence": evidence})
