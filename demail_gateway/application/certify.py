"""A tenant's S/MIME key: made here, certified elsewhere, installed here; the private key stays inside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from demail_gateway.application.ports.administration import Administration, KeyRecord
from demail_gateway.application.ports.surroundings import Clock, Randomness
from demail_gateway.application.ports.trust import KeyWorkshop
from demail_gateway.core.errors import Conflict, NotFound, RuleViolation, Violation
from demail_gateway.tenancy.identifiers import uuid7
from demail_gateway.tenancy.scope import OperatorScope

PURPOSE = "smime"
ALGORITHMS = ("rsa-3072", "p256")


class Certify:
    def __init__(
        self, administration: Administration, workshop: KeyWorkshop, clock: Clock, randomness: Randomness
    ) -> None:
        self._administration = administration
        self._workshop = workshop
        self._clock = clock
        self._randomness = randomness

    async def request(self, scope: OperatorScope, tenant_id: UUID, algorithm: str, address: str | None) -> KeyRecord:
        """A new key with its certificate request (PKCS#10) for one of the tenant's addresses, the first by default.

        Raises:
            NotFound: tenant, or the address is not the tenant's.
            RuleViolation: the tenant has no address yet.
        """
        tenant = await self._administration.tenant(scope, tenant_id)
        addresses = [record.address for record in await self._administration.addresses(scope, tenant_id)]
        if not addresses:
            raise RuleViolation([_no_address()])
        if address is not None and address.lower() not in addresses:
            raise NotFound
        named = address.lower() if address is not None else addresses[0]
        # keys take CPU time; other requests go on meanwhile
        pkcs8 = await asyncio.to_thread(self._workshop.make, algorithm)
        csr = await asyncio.to_thread(self._workshop.request, pkcs8, tenant.name, named)
        now = self._clock()
        key_id = uuid7(now, self._randomness(10))
        key = KeyRecord(key_id, tenant_id, PURPOSE, "requested", csr, None, (), None, now)
        return await self._administration.create_key(scope, key, pkcs8)

    async def install(
        self, scope: OperatorScope, tenant_id: UUID, key_id: UUID, certificate_pem: str, chain_pem: Sequence[str]
    ) -> KeyRecord:
        """Makes the key the active one, the former one retired: it goes on decrypting.

        Raises:
            NotFound: tenant or key.
            Conflict: ``certificate-key-mismatch``, ``certificate-expired``; ``state-changed`` for a retired key.
            CertificateMalformed: no certificate.
        """
        if (await self._key(scope, tenant_id, key_id)).state == "retired":
            raise Conflict("state-changed")
        pkcs8 = await self._administration.key_material(scope, tenant_id, key_id)
        now = self._clock()
        fit = await asyncio.to_thread(self._workshop.match, pkcs8, certificate_pem, chain_pem, now)
        return await self._administration.install_certificate(
            scope, tenant_id, key_id, fit.certificate_der, fit.chain, fit.not_after, now
        )

    async def keys(self, scope: OperatorScope, tenant_id: UUID) -> tuple[KeyRecord, ...]:
        """Raises NotFound."""
        await self._administration.tenant(scope, tenant_id)
        return await self._administration.keys(scope, tenant_id)

    async def _key(self, scope: OperatorScope, tenant_id: UUID, key_id: UUID) -> KeyRecord:
        for key in await self.keys(scope, tenant_id):
            if key.id == key_id:
                return key
        raise NotFound


def _no_address() -> Violation:
    return Violation(
        "invalid-request",
        "",
        "/address",
        "Der Mandant hat noch keine Adresse, für die ein Zertifikat gelten könnte.",
        "The tenant has no address yet that a certificate could be for.",
    )
