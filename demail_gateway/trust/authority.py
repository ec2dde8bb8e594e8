"""A certificate authority for the sandbox provider and the tests; never for production.

It issues what a provider, a tenant and an installation need, and publishes the revocation list that decides their
status (row 15 of `integrity.md` §5); `responder` answers for it by OCSP. Its private key lies unencrypted beside it:
that is why its name says TEST.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from demail_gateway.trust.authority_forms import (
    Usage,
    authority_builder,
    certificate_builder,
    german_name,
    read_request,
    revoked_entry,
    with_usage,
)
from demail_gateway.trust.certificates import der_to_pem, general_names, natural_hash, parse_certificate, pem_to_der
from demail_gateway.trust.keys import KeyKind, PrivateKey, PublicKey, generate_key, load_pkcs8, to_pkcs8
from demail_gateway.trust.revoked import Revocation

_CERTIFICATE_FILE, _KEY_FILE, _STATE_FILE = "ca.pem", "ca.key.der", "state.json"
_CA_LIFETIME = timedelta(days=3650)


class Profile(StrEnum):
    """What a certificate is for; decides key usage and extended key usage."""

    TLS_SERVER = "tls-server"
    TLS_CLIENT = "tls-client"
    SMIME = "smime"
    PROVIDER_SIGNATURE = "provider-signature"
    """Seals integrity fields and confirmations: digitalSignature and contentCommitment (TR 01201-3.4 §3.1.14)."""
    INSTALLATION = "installation"
    """Signs the manifests of evidence packages."""
    OCSP_RESPONDER = "ocsp-responder"
    """Tells the status of other certificates, and needs none itself (RFC 6960 §4.2.2.2)."""
    TIMESTAMPS = "timestamps"
    """Signs timestamps and nothing else (RFC 3161 §2.3)."""


_USAGES: dict[Profile, Usage] = {
    Profile.TLS_SERVER: Usage(encipherment=True, extended=(ExtendedKeyUsageOID.SERVER_AUTH,)),
    Profile.TLS_CLIENT: Usage(extended=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
    Profile.SMIME: Usage(encipherment=True, extended=(ExtendedKeyUsageOID.EMAIL_PROTECTION,)),
    Profile.PROVIDER_SIGNATURE: Usage(content_commitment=True),
    Profile.INSTALLATION: Usage(),
    Profile.OCSP_RESPONDER: Usage(extended=(ExtendedKeyUsageOID.OCSP_SIGNING,)),
    Profile.TIMESTAMPS: Usage(extended=(ExtendedKeyUsageOID.TIME_STAMPING,), exclusive=True),
}


class TestAuthority:
    """Issues, revokes, publishes. Not safe for use from several threads or processes at once."""

    __test__: ClassVar[bool] = False
    """Not a test case, whatever its name says."""

    def __init__(
        self,
        key: PrivateKey,
        certificate_der: bytes,
        *,
        chain: Sequence[bytes] = (),
        crl_url: str | None = None,
        ocsp_url: str | None = None,
        revoked: Mapping[int, Revocation] | None = None,
        crl_number: int = 0,
    ) -> None:
        self.key = key
        self.certificate_der = certificate_der
        self.chain = tuple(chain)
        """Certificates above this authority, without the root; empty for a root."""
        self.crl_url = crl_url
        self.ocsp_url = ocsp_url
        self._revoked = dict(revoked or {})
        self._crl_number = crl_number

    @classmethod
    def create(
        cls, name: str, at: datetime, *, key_kind: KeyKind | str = KeyKind.RSA_3072, crl_url: str | None = None
    ) -> Self:
        """A new root, valid for ten years from `at`. `crl_url` goes into every certificate that it issues."""
        key = generate_key(key_kind)
        subject = german_name(name)
        builder = authority_builder(subject, subject, key.public_key(), at, at + _CA_LIFETIME, path_length=1)
        certificate = builder.sign(key, natural_hash(key.public_key()))
        return cls(key, certificate.public_bytes(Encoding.DER), crl_url=crl_url)

    def subordinate(self, name: str, at: datetime, *, key_kind: KeyKind | str = KeyKind.P256) -> TestAuthority:
        """An intermediate authority below this one, as real trust centres have them."""
        key = generate_key(key_kind)
        issuer = parse_certificate(self.certificate_der)
        until = min(at + _CA_LIFETIME, issuer.not_valid_after_utc)
        builder = authority_builder(german_name(name), issuer.subject, key.public_key(), at, until, path_length=0)
        der = self._sign(self._with_issuer_extensions(builder))
        chain = (der, *self.chain)
        return TestAuthority(key, der, chain=chain, crl_url=self.crl_url)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """What `save` wrote. Raises OSError, CertificateMalformed, KeyUnavailable."""
        state = json.loads((directory / _STATE_FILE).read_text())
        return cls(
            load_pkcs8((directory / _KEY_FILE).read_bytes()),
            pem_to_der((directory / _CERTIFICATE_FILE).read_bytes()),
            chain=tuple(bytes.fromhex(der) for der in state["chain"]),
            crl_url=state["crl_url"],
            ocsp_url=state.get("ocsp_url"),
            revoked={
                int(serial): Revocation(datetime.fromisoformat(at), state.get("reasons", {}).get(serial))
                for serial, at in state["revoked"].items()
            },
            crl_number=state["crl_number"],
        )

    def save(self, directory: Path) -> None:
        """Writes key (mode 0600), certificate and list of revocations; each file whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        state = {
            "chain": [der.hex() for der in self.chain],
            "crl_url": self.crl_url,
            "ocsp_url": self.ocsp_url,
            "crl_number": self._crl_number,
            "revoked": {str(serial): each.at.isoformat() for serial, each in self._revoked.items()},
            "reasons": {str(serial): each.reason for serial, each in self._revoked.items() if each.reason},
        }
        _write(directory / _KEY_FILE, to_pkcs8(self.key))
        _write(directory / _CERTIFICATE_FILE, self.certificate_pem)
        _write(directory / _STATE_FILE, json.dumps(state).encode())

    @property
    def certificate_pem(self) -> bytes:
        return der_to_pem(self.certificate_der)

    def issue(
        self,
        request: bytes | PublicKey,
        profile: Profile | str,
        subject: str | None = None,
        *,
        not_before: datetime,
        not_after: datetime,
        dns: Sequence[str] = (),
        ips: Sequence[str] = (),
        email: str | None = None,
    ) -> bytes:
        """DER certificate for a PEM request (PKCS #10) or a public key.

        Subject and alternative names come from the request where the arguments leave them out.

        Raises:
            CertificateMalformed: the request cannot be read or its own signature does not hold.
            ValueError: neither the request nor the arguments name a subject.
        """
        key, wanted, names = read_request(request)
        name = german_name(subject) if subject is not None else wanted
        if name is None:
            raise ValueError("no subject")
        names = general_names(dns=dns, ips=ips, email=email) or names
        issuer = parse_certificate(self.certificate_der).subject
        builder = certificate_builder(name, issuer, key, not_before, not_after)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = with_usage(builder, _USAGES[Profile(profile)], is_rsa=isinstance(key, rsa.RSAPublicKey))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if profile == Profile.OCSP_RESPONDER:
            builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
        return self._sign(self._with_issuer_extensions(builder))

    def revoke(self, serial_number: int, at: datetime, reason: str | None = None) -> None:
        """Revokes from `at`, for a reason of RFC 5280 §5.3.1; an earlier revocation of the same certificate stays."""
        self._revoked.setdefault(serial_number, Revocation(at, reason))

    def revocation_of(self, serial_number: int, at: datetime) -> Revocation | None:
        """The revocation of a certificate that holds at `at`."""
        found = self._revoked.get(serial_number)
        return found if found is not None and found.at <= at else None

    def crl(self, at: datetime, valid_for: timedelta) -> bytes:
        """DER revocation list as of `at`, with every revocation up to then."""
        self._crl_number += 1
        issuer = parse_certificate(self.certificate_der)
        builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
        builder = builder.last_update(at).next_update(at + valid_for)
        builder = builder.add_extension(x509.CRLNumber(self._crl_number), critical=False)
        builder = builder.add_extension(self._key_identifier(), critical=False)
        for serial in self._revoked:
            if (revocation := self.revocation_of(serial, at)) is not None:
                builder = builder.add_revoked_certificate(revoked_entry(serial, revocation))
        return builder.sign(self.key, natural_hash(self.key.public_key())).public_bytes(Encoding.DER)

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    def _with_issuer_extensions(self, builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder = builder.add_extension(self._key_identifier(), critical=False)
        if self.ocsp_url is not None:
            where = x509.UniformResourceIdentifier(self.ocsp_url)
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        if self.crl_url is None:
            return builder
        place = x509.DistributionPoint([x509.UniformResourceIdentifier(self.crl_url)], None, None, None)
        return builder.add_extension(x509.CRLDistributionPoints([place]), critical=False)

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        certificate = builder.sign(self.key, natural_hash(self.key.public_key()))
        return certificate.public_bytes(Encoding.DER)


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    part.replace(path)
