"""S/MIME of a tenant (ports.Sealer): signs and encrypts MIME entities with cached keys.

Loading a key with its checks costs up to 217 ms, loading it without them 0.01 ms and a signature 0.65 ms: keys were
checked when they were imported, and signers are kept per process (docs/decisions/0001).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from demail_gateway.application.ports.installation import SigningMaterial
from demail_gateway.core.errors import KeyUnavailable
from demail_gateway.core.primitives import HashName
from demail_gateway.trust.certificates import read_certificate
from demail_gateway.trust.cms import ContentCipher, encrypt, sign_detached
from demail_gateway.trust.keys import SoftwareSigner, load_pkcs8

KEPT_SIGNERS = 512
"""Signers kept in memory: more tenants than an installation of the design load has (500)."""


class SmimeSealer:
    """ports.Sealer. Safe to use from several threads."""

    def __init__(self) -> None:
        self._signers: OrderedDict[tuple[UUID, bytes], SoftwareSigner] = OrderedDict()
        self._lock = threading.Lock()

    def sign(self, entity: bytes, material: SigningMaterial, at: datetime) -> tuple[bytes, str]:
        """Raises KeyUnavailable, too, outside the certificate's validity: no recipient could trust such a signature."""
        _check_valid(material.certificate_der, at)
        return sign_detached(entity, self._signer(material), at=at, hash_name=HashName.SHA256), "sha-256"

    def encrypt(self, entity: bytes, certificates: Sequence[bytes]) -> tuple[bytes, str]:
        cipher = ContentCipher.AES_256_GCM
        return encrypt(entity, certificates, cipher), cipher.smime_type

    def _signer(self, material: SigningMaterial) -> SoftwareSigner:
        name = (material.key_id, material.certificate_der)
        with self._lock:
            if name in self._signers:
                self._signers.move_to_end(name)
                return self._signers[name]
        key = load_pkcs8(material.pkcs8)
        signer = SoftwareSigner.for_certificate(key, material.certificate_der, material.chain)
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
