"""CMS (RFC 5652) as S/MIME uses it: signing, verifying, encrypting, decrypting."""

from demail_gateway.trust.cms.ciphers import ContentCipher, RsaTransport
from demail_gateway.trust.cms.decryption import EncryptionFacts, Opened, decrypt, open_enveloped
from demail_gateway.trust.cms.encryption import encrypt, encrypted
from demail_gateway.trust.cms.signer_infos import CmsSigner
from demail_gateway.trust.cms.signing import (
    certs_only,
    sign_detached,
    sign_digest_detached,
    sign_digest_enveloping,
    sign_enveloping,
)
from demail_gateway.trust.cms.streaming import decrypt_file, verify_enveloping_file
from demail_gateway.trust.cms.verification import (
    CmsSignature,
    read_certs_only,
    verify_detached,
    verify_enveloping,
)

__all__ = [
    "CmsSignature",
    "CmsSigner",
    "ContentCipher",
    "EncryptionFacts",
    "Opened",
    "RsaTransport",
    "certs_only",
    "decrypt",
    "decrypt_file",
    "encrypt",
    "encrypted",
    "open_enveloped",
    "read_certs_only",
    "sign_detached",
    "sign_digest_detached",
    "sign_digest_enveloping",
    "sign_enveloping",
    "verify_detached",
    "verify_enveloping",
    "verify_enveloping_file",
]
