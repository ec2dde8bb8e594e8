"""CMS (RFC 5652) as S/MIME uses it: signing, verifying, encrypting, decrypting."""

from demail_gateway.trust.cms.signing import sign_detached, sign_digest_detached
from demail_gateway.trust.cms.verification import CmsSignature, CmsSigner, verify_detached, verify_enveloping

__all__ = [
    "CmsSignature",
    "CmsSigner",
    "sign_detached",
    "sign_digest_detached",
    "verify_detached",
    "verify_enveloping",
]
