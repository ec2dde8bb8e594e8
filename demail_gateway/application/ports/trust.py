"""Keys, seals and certificates; `trust` meets these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from demail_gateway.application.ports.installation import SigningMaterial
from demail_gateway.tenancy.client_authentication import PinnedCertificate


class Sealer(Protocol):
    """S/MIME of a tenant: signs and encrypts MIME entities. CPU work; run it in a thread."""

    def sign(self, entity: bytes, material: SigningMaterial, at: datetime) -> tuple[bytes, str]:
        """Detached CMS signature (DER) and its micalg, e.g. ``sha-256``. Raises ComposeFailed, KeyUnavailable."""
        ...

    def encrypt(
        self, entity: Sequence[bytes | memoryview], certificates: Sequence[bytes], at: datetime
    ) -> tuple[Iterable[bytes], str]:
        """CMS (DER) and the smime-type, ``enveloped-data`` or ``authEnveloped-data``; entity and CMS in pieces.

        `at` is the moment for which the algorithm policy is asked. Raises ComposeFailed, also while the pieces come.
        """
        ...

    def objection(self, certificate_der: bytes, at: datetime) -> str | None:
        """What forbids to encrypt for this certificate at `at` (DIR-51): a code; None: nothing. CPU work.

        ``certificate-expired``, ``certificate-not-yet-valid``, ``certificate-key-usage``, ``certificate-malformed``, a
        code of the algorithm policy (``key-size-outdated``), or another that is as short.
        """
        ...


CertificateObjection = Callable[[bytes, datetime], str | None]
"""`Sealer.objection` alone."""


@dataclass(frozen=True, slots=True)
class CertifiedKey:
    """A certificate that fits a key, as the operator handed it in."""

    certificate_der: bytes
    chain: tuple[bytes, ...]
    not_after: datetime


class KeyWorkshop(Protocol):
    """Makes tenants' keys and their certificate requests. CPU work; run it in a thread."""

    def make(self, algorithm: str) -> bytes:
        """A new private key (PKCS#8 DER) of ``rsa-3072`` or ``p256``."""
        ...

    def request(self, pkcs8: bytes, common_name: str, address: str) -> str:
        """PKCS#10 request (PEM) for an S/MIME certificate of `address`."""
        ...

    def match(self, pkcs8: bytes, certificate_pem: str, chain_pem: Sequence[str], now: datetime) -> CertifiedKey:
        """Raises CertificateMalformed, Conflict('certificate-key-mismatch'), Conflict('certificate-expired')."""
        ...


class PackageSigner(Protocol):
    """The installation's own signature (`contract.md` §5, Evidence)."""

    def sign(self, manifest: bytes, at: datetime) -> bytes:
        """Detached CMS signature, DER. Raises KeyUnavailable. CPU work; run it in a thread."""
        ...

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """DER, own certificate first."""
        ...

    @property
    def status_answers(self) -> tuple[bytes, ...]:
        """Status answers that cover `certificates`, as last fetched."""
        ...


ReadPinnedCertificate = Callable[[str], PinnedCertificate]
"""Reads a client's certificate in PEM. Raises CertificateMalformed."""
