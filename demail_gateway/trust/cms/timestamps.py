"""Timestamps over signatures (RFC 3161): asking a service for one, and reading the tokens that come along.

A token is itself a CMS signature, over a TSTInfo. Whether its certificate is valid a Judge decides, as for any signer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from demail_gateway.core.errors import CmsInvalid, ComposeFailed
from demail_gateway.trust.certificates import parse_certificate
from demail_gateway.trust.cms.algorithms import TST_INFO, read_hash
from demail_gateway.trust.cms.der import (
    BOOLEAN,
    CONTEXT_CONSTRUCTED,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    DerError,
    Element,
    Fields,
    parse,
    read_integer,
)
from demail_gateway.trust.cms.verification import verify_enveloping
from demail_gateway.trust.policy import Mechanism


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A token whose signature holds and which is over the octets in question."""

    time: datetime
    """They existed then, says the holder of the certificate."""
    certificate_der: bytes
    certificates: tuple[bytes, ...]
    """All that came along, for path building; nothing vouches for them."""
    mechanisms: tuple[Mechanism, ...]
    nonce: int | None = None


def read_token(token: bytes, stamped: bytes) -> Timestamp:
    """The timestamp of a TimeStampToken (DER or BER) over `stamped`, the value of a signature.

    Raises:
        CmsInvalid: it cannot be read, does not hold, is over something else, or its certificate is not for timestamps
            alone (RFC 3161 §2.3).
    """
    signed, info = verify_enveloping(token, content_type=TST_INFO)
    if len(signed.signers) != 1:
        raise CmsInvalid("timestamp of several signers")
    signer = signed.signers[0]
    if not _is_for_timestamps(parse_certificate(signer.certificate_der)):
        raise CmsInvalid("certificate is not for timestamps")
    try:
        time, nonce = _read_info(Fields(parse(info)), stamped)
    except DerError as error:
        raise CmsInvalid(str(error)) from error
    return Timestamp(time, signer.certificate_der, signed.certificates, signer.mechanisms, nonce)


def timestamp_from(post: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """What signing takes as `timestamp`, from a service: `post` hands it a TimeStampReq and gives its TimeStampResp.

    The result raises ComposeFailed where the service grants nothing, or something else than what was asked for.
    """

    def timestamp(signature: bytes) -> bytes:
        request = TimestampRequestBuilder(data=signature, hash_algorithm=HashAlgorithm.SHA256).build()
        try:
            token = _granted(post(request.as_bytes()))
            if read_token(token, signature).nonce != request.nonce:
                raise CmsInvalid("timestamp of another request")
        except (CmsInvalid, DerError) as error:
            raise ComposeFailed("no timestamp") from error
        return token

    return timestamp


def _granted(response: bytes) -> bytes:
    """The token of a TimeStampResp whose status is granted or grantedWithMods (RFC 3161 §2.4.2)."""
    fields = Fields(parse(response))
    status = Fields(fields.take(SEQUENCE))
    if read_integer(status.take(INTEGER)) not in (0, 1):
        raise DerError("not granted")
    return fields.take(SEQUENCE).raw


def _read_info(fields: Fields, stamped: bytes) -> tuple[datetime, int | None]:
    """Time and nonce of a TSTInfo that is over `stamped`. Raises DerError, CmsInvalid."""
    if read_integer(fields.take(INTEGER)) != 1:
        raise DerError("version of the timestamp")
    fields.take(OID)
    imprint = Fields(fields.take(SEQUENCE))
    name = read_hash(imprint.take(SEQUENCE))
    if not hmac.compare_digest(imprint.take(OCTET_STRING).value, hashlib.new(name, stamped).digest()):
        raise CmsInvalid("timestamp is over something else")
    fields.take(INTEGER)
    time = _read_time(fields.take(GENERALIZED_TIME))
    fields.maybe(SEQUENCE)
    fields.maybe(BOOLEAN)
    nonce = fields.maybe(INTEGER)
    fields.maybe(CONTEXT_CONSTRUCTED)
    fields.maybe(CONTEXT_CONSTRUCTED | 1)
    fields.done()
    return time, None if nonce is None else read_integer(nonce)


def _read_time(element: Element) -> datetime:
    """GeneralizedTime in UTC, with or without fractions of a second (RFC 3161 §2.4.2)."""
    match = _TIME.fullmatch(element.value)
    if match is None:
        raise DerError("not a time")
    micros = match["fraction"][:6].ljust(6, b"0") if match["fraction"] else b"0"
    try:
        seconds = datetime.strptime(f"{match['seconds'].decode('ascii')}+0000", "%Y%m%d%H%M%S%z")
    except ValueError as error:
        raise DerError("not a time") from error
    return seconds.replace(microsecond=int(micros), tzinfo=UTC)


_TIME = re.compile(rb"(?P<seconds>[0-9]{14})(?:\.(?P<fraction>[0-9]{1,9}))?Z")


def _is_for_timestamps(certificate: x509.Certificate) -> bool:
    usages = [each for each in certificate.extensions if isinstance(each.value, x509.ExtendedKeyUsage)]
    return bool(usages) and all(each.critical and list(each.value) == [_PURPOSE] for each in usages)


_PURPOSE = ExtendedKeyUsageOID.TIME_STAMPING
