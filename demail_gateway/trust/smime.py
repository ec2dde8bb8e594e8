"""S/MIME of a tenant (ports.Sealer): signs and encrypts MIME entities with cached keys.

Loading a key with its checks costs up to 217 ms, loading it without them 0.01 ms and a signature 0.65 ms: keys were
checked when they were imported, and signers are kept per process (docs/decisions/0001).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from demail_gateway.application.ports.installation import SigningMaterial
from demail_gateway.core.errors import CertificateMalformed, ComposeFailed, KeyUnavailable
from demail_gateway.trust.certificates import read_certificate
from demail_gateway.trust.cms import ContentCipher, RsaTransport, encrypted, sign_detached
from demail_gateway.trust.cms.capabilities import common_choice
from demail_gateway.trust.cms.recipient_infos import recipient_key
from demail_gateway.trust.cms.signing import Timestamp
from demail_gateway.trust.keys import SoftwareSigner, load_pkcs8
from demail_gateway.trust.policy import SMIME, Policy

KEPT_SIGNERS = 512
"""Signers kept in memory: more tenants than an installation of the design load has (500)."""


class SmimeSealer:
    """ports.Sealer. Safe to use from several threads."""

    def __init__(self, policy: Policy = SMIME, timestamp: Timestamp | None = None) -> None:
        """`timestamp` makes signatures CAdES-B-T; without it they are CAdES-B-B."""
        self._policy = policy
        self._timestamp = timestamp
        self._signers: OrderedDict[tuple[UUID, bytes], SoftwareSigner] = OrderedDict()
        self._lock = threading.Lock()

    def sign(self, entity: bytes, material: SigningMaterial, at: datetime) -> tuple[bytes, str]:
        """Raises KeyUnavailable, too, outside the certificate's validity: no recipient could trust such a signature."""
        _check_valid(material.certificate_der, at)
        signer = self._signer(material)
        return sign_detached(entity, signer, at=at, policy=self._policy, timestamp=self._timestamp), "sha-256"

    def encrypt(
        self, entity: Sequence[bytes | memoryview], certificates: Sequence[bytes], at: datetime
    ) -> tuple[Iterable[bytes], str]:
        cipher, transport = self._choice(certificates, at)
        size = sum(map(len, entity))
        pieces = encrypted(entity, size, certificates, cipher, at=at, rsa_transport=transport, policy=self._policy)
        return pieces, cipher.smime_type

    def objection(self, certificate_der: bytes, at: datetime) -> str | None:
        """Path and revocation are not asked: who may have self-signed ones, the directory vouches for (DIR-50)."""
        try:
            _, transport = self._choice([certificate_der], at)
            recipient_key(certificate_der, transport, self._policy, at)
        except ComposeFailed as error:
            return str(error)
        facts = read_certificate(certificate_der)
        if at > facts.not_after:
            return "certificate-expired"
        return "certificate-not-yet-valid" if at < facts.not_before else None

    def _choice(self, certificates: Sequence[bytes], at: datetime) -> tuple[ContentCipher, RsaTransport]:
        try:
            return common_choice(certificates, self._policy, at)
        except CertificateMalformed as error:
            raise ComposeFailed(CertificateMalformed.code) from error

    def _signer(self, material: SigningMaterial) -> SoftwareSigner:
        name = (material.key_id, material.certificate_der)
        with self._lock:
            if name in self._signers:
                self._signers.move_to_end(name)
                return self._signers[name]
        key = load_pkcs8(material.pkcs8)
        # TR-03116-4 §4.3: RSASSA-PSS; PKCS #1 v1.5 ended with 2023 (§4.8)
        signer = SoftwareSigner.for_certificate(key, material.certificate_der, material.chain, pss=True)
        with self._lock:
            self._signers[name] = signer
            if len(self._signers) > KEPT_SIGNERS:
                self._signers.popitem(last=False)
        return signer


def _check_valid(certificate_der: bytes, at: datetime) -> None:
    own = read_certificate(certificate_der)
    if at > own.not_after:
        raise KeyUnavailable(f"S/MIME certificate expired on {own.not_after:%Y-%m-%d}")
    if at < own.not_before:
        raise KeyUnavailable(f"S/MIME certificate not valid before {own.not_before:%Y-%m-%d}")
