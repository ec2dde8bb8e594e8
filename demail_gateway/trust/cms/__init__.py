"""CMS (RFC 5652) as S/MIME uses it: signing, verifying, encrypting, decrypting."""

from demail_gateway.trust.cms.ciphers import ContentCipher, RsaTransport
from demail_gateway.trust.cms.decryption import decrypt
from demail_gateway.trust.cms.encryption import encrypt
from demail_gateway.trust.cms.signing import sign_detached, sign_digest_detached
from demail_gateway.trust.cms.verification import CmsSignature, CmsSigner, verify_detached, verify_enveloping

__all__ = [
    "CmsSignature",
    "CmsSigner",
    "ContentCipher",
    "RsaTransport",
    "decrypt",
    "encrypt",
    "sign_detached",
    "sign_digest_detached",
    "verify_detached",
    "verify_enveloping",
]
