"""What a partner's programs can read, as they say it (RFC 8551 §2.5.2; in certificates RFC 4262), and what ours can."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from demail_gateway.trust.certificates import parse_certificate
from demail_gateway.trust.cms.algorithms import RSA_ENCRYPTION, RSAES_OAEP, algorithm, read_algorithm
from demail_gateway.trust.cms.ciphers import AES_256_WRAP, CIPHER_OIDS, ECDH_SHA256, ContentCipher, RsaTransport
from demail_gateway.trust.cms.der import SEQUENCE, DerError, Element, oid, parse, tlv
from demail_gateway.trust.policy import Mechanism, Policy, Use

MAX_CAPABILITIES = 64

Capabilities = frozenset[bytes]
"""Object identifiers (DER)."""

OWN_CAPABILITIES = tlv(
    SEQUENCE,
    algorithm(CIPHER_OIDS[ContentCipher.AES_256_GCM]),
    algorithm(oid("2.16.840.1.101.3.4.1.6")),  # AES-128-GCM, which RFC 8551 §2.7 makes a must
    algorithm(CIPHER_OIDS[ContentCipher.AES_256_CBC]),
    algorithm(oid("2.16.840.1.101.3.4.1.2")),
    algorithm(RSAES_OAEP),
    algorithm(ECDH_SHA256, algorithm(AES_256_WRAP)),
)
"""SMIMECapabilities of this product, the preferred ones first; written into every signature over data."""


def read_capabilities(element: Element) -> Capabilities:
    """Of an attribute's value or a certificate's extension. Raises DerError."""
    return frozenset(read_algorithm(child).identifier for child in element.children(limit=MAX_CAPABILITIES))


@lru_cache(maxsize=1024)
def capabilities_of(certificate_der: bytes) -> Capabilities | None:
    """What the holder's certificate says (RFC 4262); None if it says nothing that can be read.

    Raises:
        CertificateMalformed
    """
    for extension in parse_certificate(certificate_der).extensions:
        if extension.oid == _EXTENSION and isinstance(extension.value, x509.UnrecognizedExtension):
            try:
                return read_capabilities(parse(extension.value.value))
            except DerError:
                return None
    return None


def common_choice(certificates: Iterable[bytes], policy: Policy, at: datetime) -> tuple[ContentCipher, RsaTransport]:
    """Cipher and key transport for all holders together: the best that `policy` permits and all of them name.

    Without a common one the best permitted: an old statement cannot pull a message below the policy. A certificate
    that is silent, or silent about key transport, is taken for one of S/MIME 4.0 (RFC 8551 §2.7.1.2).

    Raises:
        CertificateMalformed
    """
    stated = [each for each in map(capabilities_of, certificates) if each is not None]
    cbc = Mechanism(Use.CIPHER, "aes-cbc", 256)
    pkcs1 = Mechanism(Use.KEY_ENCRYPTION, "rsaes-pkcs1-v1_5", 3072)
    needs_cbc = any(CIPHER_OIDS[ContentCipher.AES_256_GCM] not in each for each in stated)
    needs_pkcs1 = any(RSA_ENCRYPTION in each and RSAES_OAEP not in each for each in stated)
    return (
        ContentCipher.AES_256_CBC if needs_cbc and not policy.findings((cbc,), at) else ContentCipher.AES_256_GCM,
        RsaTransport.PKCS1 if needs_pkcs1 and not policy.findings((pkcs1,), at) else RsaTransport.OAEP,
    )


_EXTENSION = x509.ObjectIdentifier("1.2.840.113549.1.9.15")
