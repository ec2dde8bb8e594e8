"""A timestamping service below a test authority: real tokens (RFC 3161), at a time that the caller sets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from demail_gateway.core.primitives import HashName
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.cms import der, sign_enveloping
from demail_gateway.trust.cms.algorithms import HASH_OIDS, TST_INFO, algorithm
from demail_gateway.trust.keys import SoftwareSigner, generate_key

_POLICY = der.oid("1.2.3.4.1")


@dataclass(frozen=True, slots=True)
class Timestamper:
    signer: SoftwareSigner
    time: datetime

    @classmethod
    def below(cls, authority: TestAuthority, time: datetime, profile: Profile = Profile.TIMESTAMPS) -> Timestamper:
        key = generate_key("p256")
        begin, end = time - timedelta(days=1), time + timedelta(days=30)
        certificate = authority.issue(key.public_key(), profile, "TEST TSA", not_before=begin, not_after=end)
        return cls(SoftwareSigner.for_certificate(key, certificate), time)

    def token(self, stamped: bytes) -> bytes:
        """A TimeStampToken over octets."""
        return self._token(_imprint(hashlib.sha256(stamped).digest()), ())

    def answer(self, request: bytes) -> bytes:
        """TimeStampResp to a TimeStampReq, granted, with the request's imprint and nonce."""
        fields = der.Fields(der.parse(request))
        fields.take(der.INTEGER)
        imprint = fields.take(der.SEQUENCE).raw
        fields.maybe(der.OID)
        nonce = fields.maybe(der.INTEGER)
        token = self._token(imprint, () if nonce is None else (nonce.raw,))
        return der.tlv(der.SEQUENCE, der.tlv(der.SEQUENCE, der.integer(0)), token)

    def _token(self, imprint: bytes, nonce: tuple[bytes, ...]) -> bytes:
        time = der.tlv(der.GENERALIZED_TIME, self.time.strftime("%Y%m%d%H%M%SZ").encode())
        info = der.tlv(der.SEQUENCE, der.integer(1), _POLICY, imprint, der.integer(7), time, *nonce)
        return sign_enveloping(info, self.signer, at=self.time, content_type=TST_INFO)


def refusal() -> bytes:
    """TimeStampResp of a service that does not want to."""
    return der.tlv(der.SEQUENCE, der.tlv(der.SEQUENCE, der.integer(2)))


def _imprint(digest: bytes) -> bytes:
    return der.tlv(der.SEQUENCE, algorithm(HASH_OIDS[HashName.SHA256]), der.tlv(der.OCTET_STRING, digest))
