from __future__ import annotations

from collections.abc import Callable

import pytest

from demail_gateway.core.primitives import HashName, SignatureScheme
from demail_gateway.trust.cms import der
from demail_gateway.trust.cms.algorithms import (
    HASH_OIDS,
    MGF1,
    RSASSA_PSS,
    algorithm,
    read_algorithm,
    read_hash,
    read_signature_algorithm,
    signature_algorithm,
)
from demail_gateway.trust.cms.der import CONTEXT_CONSTRUCTED, DerError, parse, tlv

NULL = tlv(der.NULL)
SHA256 = algorithm(HASH_OIDS[HashName.SHA256], NULL)
SHA384 = algorithm(HASH_OIDS[HashName.SHA384])


@pytest.mark.parametrize("name", list(HashName))
@pytest.mark.parametrize("scheme", list(SignatureScheme))
def test_what_is_written_is_read(scheme: SignatureScheme, name: HashName) -> None:
    assert read_signature_algorithm(parse(signature_algorithm(scheme, name)), name) is scheme


@pytest.mark.parametrize(
    ("dotted", "scheme"),
    [("1.2.840.113549.1.1.11", SignatureScheme.RSA), ("1.2.840.10045.4.3.2", SignatureScheme.EC_DSA)],
)
def test_identifier_with_a_hash_must_name_that_of_the_digest(dotted: str, scheme: SignatureScheme) -> None:
    identifier = parse(algorithm(der.oid(dotted)))
    assert read_signature_algorithm(identifier, HashName.SHA256) is scheme
    with pytest.raises(DerError):
        read_signature_algorithm(identifier, HashName.SHA384)


@pytest.mark.parametrize(
    "dotted",
    [
        "1.2.840.113549.1.1.5",  # sha1WithRSAEncryption
        "1.2.840.113549.1.1.4",  # md5WithRSAEncryption
        "1.2.840.10040.4.3",  # DSA
        "1.3.101.112",  # Ed25519
        "1.2.840.10045.2.1",  # a key, no signature
    ],
)
def test_other_signature_algorithms_are_refused(dotted: str) -> None:
    with pytest.raises(DerError, match="not permitted"):
        read_signature_algorithm(parse(algorithm(der.oid(dotted))), HashName.SHA256)


def test_parameters_where_none_belong_are_refused() -> None:
    with pytest.raises(DerError, match="parameters"):
        read_signature_algorithm(parse(algorithm(der.oid("1.2.840.10045.4.3.2"), tlv(der.SEQUENCE))), HashName.SHA256)
    with pytest.raises(DerError):
        read_hash(parse(algorithm(HASH_OIDS[HashName.SHA256], tlv(der.SEQUENCE))))
    with pytest.raises(DerError):
        read_algorithm(parse(algorithm(HASH_OIDS[HashName.SHA256], NULL, NULL)))


def _pss(hashed: bytes | None, masked: bytes | None, *more: bytes) -> bytes:
    parts = [tlv(CONTEXT_CONSTRUCTED | number, part) for number, part in ((0, hashed), (1, masked)) if part is not None]
    return tlv(der.SEQUENCE, *parts, *more)


def _mask(*parameters: bytes) -> bytes:
    return algorithm(MGF1, *parameters)


def test_pss_may_name_salt_and_trailer() -> None:
    salt, trailer = tlv(0xA2, der.integer(20)), tlv(0xA3, der.integer(1))
    written = algorithm(RSASSA_PSS, _pss(SHA256, _mask(SHA256), salt, trailer))
    assert read_signature_algorithm(parse(written), HashName.SHA256) is SignatureScheme.RSASSA_PSS


@pytest.mark.parametrize(
    "parameters",
    [
        lambda: None,
        lambda: NULL,
        lambda: _pss(None, None),  # SHA-1 by default
        lambda: _pss(SHA256, None),
        lambda: _pss(None, _mask(SHA256)),
        lambda: _pss(SHA384, _mask(SHA256)),
        lambda: _pss(SHA256, _mask(SHA384)),
        lambda: _pss(SHA256, _mask()),
        lambda: _pss(SHA256, algorithm(der.oid("1.2.3"), SHA256)),
        lambda: _pss(SHA256, _mask(SHA256), tlv(0xA3, der.integer(2))),
        lambda: _pss(SHA256, _mask(SHA256), tlv(0xA4, NULL)),
    ],
)
def test_pss_with_anything_else_than_the_digests_hash_is_refused(parameters: Callable[[], bytes | None]) -> None:
    given = parameters()
    written = algorithm(RSASSA_PSS) if given is None else algorithm(RSASSA_PSS, given)
    with pytest.raises(DerError):
        read_signature_algorithm(parse(written), HashName.SHA256)
