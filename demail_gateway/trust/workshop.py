"""Makes tenants' keys and checks the certificates that come back for them (ports.KeyWorkshop)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from demail_gateway.application.ports.trust import CertifiedKey
from demail_gateway.core.errors import Conflict, KeyUnavailable
from demail_gateway.trust.certificates import make_csr, pem_to_der, read_certificate
from demail_gateway.trust.keys import SoftwareSigner, generate_key, load_pkcs8, to_pkcs8

MAX_COMMON_NAME = 64
"""Upper bound of a common name (RFC 5280 appendix A)."""


class SoftwareWorkshop:
    """ports.KeyWorkshop with keys in software. Production keys belong into an HSM (GWT-11): see docs/deviations.md."""

    def make(self, algorithm: str) -> bytes:
        return to_pkcs8(generate_key(algorithm))

    def request(self, pkcs8: bytes, common_name: str, address: str) -> str:
        return make_csr(load_pkcs8(pkcs8), common_name[:MAX_COMMON_NAME], email=address).decode("ascii")

    def match(self, pkcs8: bytes, certificate_pem: str, chain_pem: Sequence[str], now: datetime) -> CertifiedKey:
        certificate = pem_to_der(certificate_pem.encode())
        chain = tuple(pem_to_der(pem.encode()) for pem in chain_pem)
        facts = read_certificate(certificate)
        try:
            SoftwareSigner.for_certificate(load_pkcs8(pkcs8), certificate, chain)
        except KeyUnavailable as error:
            raise Conflict("certificate-key-mismatch") from error
        if facts.not_after <= now:
            raise Conflict("certificate-expired")
        return CertifiedKey(certificate, chain, facts.not_after)
