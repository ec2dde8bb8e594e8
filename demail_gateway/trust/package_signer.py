"""The installation's own signature under evidence packages (ports.PackageSigner)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from demail_gateway.trust.certificates import read_pem_bundle
from demail_gateway.trust.cms import sign_detached
from demail_gateway.trust.keys import SoftwareSigner, import_pkcs8
from demail_gateway.trust.revocation import answers_about


class InstallationSigner:
    """ports.PackageSigner with a key from a file."""

    def __init__(self, key_pem: bytes, certificate_pem: bytes, answers: Callable[[], tuple[bytes, ...]]) -> None:
        """`certificate_pem`: the installation's certificate, then its chain; `answers`: all lists and OCSP answers now.

        Raises:
            KeyUnavailable: the key cannot be read or does not belong to the certificate.
            CertificateMalformed
        """
        own, *chain = read_pem_bundle(certificate_pem)
        self._signer = SoftwareSigner.for_certificate(import_pkcs8(key_pem), own, chain, pss=True)
        self._answers = answers

    def sign(self, manifest: bytes, at: datetime) -> bytes:
        return sign_detached(manifest, self._signer, at=at)

    @property
    def certificates(self) -> tuple[bytes, ...]:
        return (self._signer.certificate_der, *self._signer.chain)

    @property
    def status_answers(self) -> tuple[bytes, ...]:
        """Those about its own certificate and its chain; others' have no place in its packages."""
        return answers_about(self.certificates, self._answers())
