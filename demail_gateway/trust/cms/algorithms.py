"""Object identifiers and AlgorithmIdentifiers of CMS (RFC 5652, 5753, 5754, 4056, 3560, 5084, 8551)."""

from __future__ import annotations

from dataclasses import dataclass

from demail_gateway.core.primitives import HashName, SignatureScheme
from demail_gateway.trust.cms.der import (
    CONTEXT_CONSTRUCTED,
    NULL,
    SEQUENCE,
    DerError,
    Element,
    Fields,
    integer,
    oid,
    parse,
    read_integer,
    tlv,
)
from demail_gateway.trust.cms.der import OID as OID_TAG

DATA = oid("1.2.840.113549.1.7.1")
SIGNED_DATA = oid("1.2.840.113549.1.7.2")
ENVELOPED_DATA = oid("1.2.840.113549.1.7.3")
AUTH_ENVELOPED_DATA = oid("1.2.840.113549.1.9.16.1.23")

CONTENT_TYPE = oid("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = oid("1.2.840.113549.1.9.4")
SIGNING_TIME = oid("1.2.840.113549.1.9.5")
SIGNING_CERTIFICATE_V2 = oid("1.2.840.113549.1.9.16.2.47")
SMIME_CAPABILITIES = oid("1.2.840.113549.1.9.15")
SIGNATURE_TIMESTAMP = oid("1.2.840.113549.1.9.16.2.14")
"""id-aa-timeStampToken (RFC 3161 appendix A)."""
TST_INFO = oid("1.2.840.113549.1.9.16.1.4")

RSA_ENCRYPTION = oid("1.2.840.113549.1.1.1")
RSASSA_PSS = oid("1.2.840.113549.1.1.10")
RSAES_OAEP = oid("1.2.840.113549.1.1.7")
MGF1 = oid("1.2.840.113549.1.1.8")
P_SPECIFIED = oid("1.2.840.113549.1.1.9")
EC_PUBLIC_KEY = oid("1.2.840.10045.2.1")

DER_NULL = tlv(NULL)

HASH_OIDS: dict[HashName, bytes] = {
    HashName.SHA256: oid("2.16.840.1.101.3.4.2.1"),
    HashName.SHA384: oid("2.16.840.1.101.3.4.2.2"),
    HashName.SHA512: oid("2.16.840.1.101.3.4.2.3"),
}
_ECDSA_OIDS: dict[HashName, bytes] = {
    HashName.SHA256: oid("1.2.840.10045.4.3.2"),
    HashName.SHA384: oid("1.2.840.10045.4.3.3"),
    HashName.SHA512: oid("1.2.840.10045.4.3.4"),
}
_RSA_OIDS: dict[HashName, bytes] = {
    HashName.SHA256: oid("1.2.840.113549.1.1.11"),
    HashName.SHA384: oid("1.2.840.113549.1.1.12"),
    HashName.SHA512: oid("1.2.840.113549.1.1.13"),
}
HASH_SIZES: dict[HashName, int] = {HashName.SHA256: 32, HashName.SHA384: 48, HashName.SHA512: 64}

_HASH_BY_OID = {identifier: name for name, identifier in HASH_OIDS.items()}
_SCHEME_BY_OID: dict[bytes, tuple[SignatureScheme, HashName]] = {
    **{identifier: (SignatureScheme.EC_DSA, name) for name, identifier in _ECDSA_OIDS.items()},
    **{identifier: (SignatureScheme.RSA, name) for name, identifier in _RSA_OIDS.items()},
}


@dataclass(frozen=True, slots=True)
class AlgorithmIdentifier:
    """Identifier (DER, with tag) and parameters (None: absent)."""

    identifier: bytes
    parameters: Element | None

    @property
    def is_plain(self) -> bool:
        """No parameters, or NULL."""
        return self.parameters is None or self.parameters.raw == DER_NULL


def read_algorithm(element: Element, tag: int = SEQUENCE) -> AlgorithmIdentifier:
    """Raises DerError."""
    fields = Fields(element, tag)
    identifier = fields.take(OID_TAG).raw
    parameters = fields.maybe()
    fields.done()
    return AlgorithmIdentifier(identifier, parameters)


def algorithm(identifier: bytes, *parameters: bytes) -> bytes:
    """DER AlgorithmIdentifier."""
    return tlv(SEQUENCE, identifier, *parameters)


def read_hash(element: Element) -> HashName:
    """The hash that an AlgorithmIdentifier names.

    Raises:
        DerError: none of SHA-256, SHA-384, SHA-512; SHA-1 and MD5 are refused.
    """
    read = read_algorithm(element)
    name = _HASH_BY_OID.get(read.identifier)
    if name is None or not read.is_plain:
        raise DerError("hash is not permitted")
    return name


def signature_algorithm(scheme: SignatureScheme, name: HashName) -> bytes:
    """AlgorithmIdentifier of a SignerInfo: rsaEncryption (RFC 3370 §3.2), RSASSA-PSS (RFC 4056), ECDSA (RFC 5754)."""
    if scheme is SignatureScheme.EC_DSA:
        return algorithm(_ECDSA_OIDS[name])
    if scheme is SignatureScheme.RSA:
        return algorithm(RSA_ENCRYPTION, DER_NULL)
    hash_algorithm = algorithm(HASH_OIDS[name], DER_NULL)
    return algorithm(
        RSASSA_PSS,
        tlv(
            SEQUENCE,
            tlv(CONTEXT_CONSTRUCTED, hash_algorithm),
            tlv(CONTEXT_CONSTRUCTED | 1, algorithm(MGF1, hash_algorithm)),
            tlv(CONTEXT_CONSTRUCTED | 2, integer(HASH_SIZES[name])),
        ),
    )


def read_signature_algorithm(element: Element, digest: HashName) -> SignatureScheme:
    """The scheme of a SignerInfo whose digestAlgorithm is `digest`.

    Raises:
        DerError: unknown, or it names another hash than `digest` (so that no weaker one can be slipped in).
    """
    read = read_algorithm(element)
    if read.identifier == RSASSA_PSS:
        _check_pss(read.parameters, digest)
        return SignatureScheme.RSASSA_PSS
    if not read.is_plain:
        raise DerError("signature algorithm with parameters")
    if read.identifier == RSA_ENCRYPTION:
        return SignatureScheme.RSA
    scheme, name = _SCHEME_BY_OID.get(read.identifier, (None, None))
    if scheme is None or name is not digest:
        raise DerError("signature algorithm is not permitted")
    return scheme


def _check_pss(parameters: Element | None, digest: HashName) -> None:
    """RSASSA-PSS-params (RFC 4055 §3.1): both hashes must be `digest`; their default, SHA-1, is refused."""
    if parameters is None:
        raise DerError("PSS without parameters")
    fields = Fields(parameters)
    hashes = Fields(fields.take(CONTEXT_CONSTRUCTED), CONTEXT_CONSTRUCTED)
    mask = Fields(fields.take(CONTEXT_CONSTRUCTED | 1), CONTEXT_CONSTRUCTED | 1)
    mask_function = read_algorithm(mask.take(SEQUENCE))
    if read_hash(hashes.take(SEQUENCE)) is not digest or mask_function.identifier != MGF1:
        raise DerError("PSS with another hash")
    if mask_function.parameters is None or read_hash(mask_function.parameters) is not digest:
        raise DerError("PSS with another hash")
    fields.maybe(CONTEXT_CONSTRUCTED | 2)
    trailer = fields.maybe(CONTEXT_CONSTRUCTED | 3)
    if trailer is not None and read_integer(parse(trailer.value)) != 1:
        raise DerError("PSS with another trailer")
    fields.done()
