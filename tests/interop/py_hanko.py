"""pyHanko, a library for long-term signatures: asked for CMS alone. It encrypts nothing."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path

from asn1crypto import cms, x509
from asn1crypto.keys import PrivateKeyInfo
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import SimpleSigner
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import async_validate_detached_cms
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from demail_gateway.trust.keys import to_pkcs8
from tests.interop.cases import CONTENT, Encrypting, Signing, authority, holder
from tests.interop.partners import NotAsked


class PyHanko:
    name = "pyHanko"

    def __init__(self, directory: Path) -> None:
        pass

    def verifies(self, signature: bytes, content: bytes, case: Signing) -> bool:
        signed = cms.ContentInfo.load(signature)["content"]
        root = x509.Certificate.load(authority().certificate_der)
        context = ValidationContext(trust_roots=[root], allow_fetching=False)
        try:
            status = asyncio.run(
                async_validate_detached_cms(
                    BytesIO(content),
                    signed,
                    signer_validation_context=context,
                    key_usage_settings=KeyUsageConstraints(key_usage={"digital_signature"}),
                )
            )
        except SignatureValidationError:
            return False
        return bool(status.intact and status.valid and status.trusted)

    def signs(self, case: Signing) -> bytes | None:
        own = holder(case.kind)
        signer = SimpleSigner(
            signing_cert=x509.Certificate.load(own.certificate_der),
            signing_key=PrivateKeyInfo.load(to_pkcs8(own.key)),
            cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]
            prefer_pss=case.pss,
        )
        try:
            made = asyncio.run(signer.async_sign_general_data(CONTENT, "sha256", detached=True, use_cades=True))
        except SigningError:
            return None
        return bytes(made.dump())

    def decrypts(self, sealed: bytes, case: Encrypting) -> bytes | None:
        raise NotAsked

    def encrypts(self, case: Encrypting) -> bytes | None:
        return None

    def close(self) -> None:
        pass
