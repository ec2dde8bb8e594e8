"""Who the provider is: its certificate authority, its seal, its TLS certificates, and what it issues to others.

The authority stands for the trust centres of the real world. It is made at the first start and kept with everything
it issued to the provider itself, so that a restart changes no certificate that a gateway knows.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from demail_gateway.core.primitives import CertificateFacts
from demail_gateway.sandbox.configuration import DOMAIN
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import der_to_pem, pem_to_der, read_certificate
from demail_gateway.trust.keys import KeyKind, PrivateKey, SoftwareSigner, generate_key, load_pkcs8, to_pkcs8
from demail_gateway.trust.responder import TestResponder
from demail_gateway.trust.tls import TlsIdentity

PROVIDER_NAME = "Sandbox-Diensteanbieter (TEST)"

_SKEW = timedelta(hours=1)
"""Certificates begin so much earlier: clocks of test machines differ."""
_LIFETIME = timedelta(days=730)
_CRL_VALID_FOR = timedelta(hours=24)
_CRL_RENEWED_AFTER = timedelta(hours=1)
_OCSP_VALID_FOR = timedelta(hours=1)
_RESPONDER_RENEWED_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Issued:
    certificate_der: bytes
    chain: tuple[bytes, ...]
    facts: CertificateFacts


@dataclass(slots=True)
class Identity:
    """Used from one thread: the authority is not made for several."""

    directory: Path
    authority: TestAuthority
    signer: SoftwareSigner
    """Seals messages that need a signature, and signs confirmations (RSA-3072)."""
    expired_signer: SoftwareSigner
    """The same key with a certificate that ended yesterday."""
    tls_server: TlsIdentity
    tls_client: TlsIdentity
    revoked: set[int] = field(default_factory=set)
    """Serial numbers that this authority revoked."""
    _crl: tuple[datetime, bytes] | None = None
    _responder: tuple[datetime, TestResponder] | None = None
    _impostor: SoftwareSigner | None = None

    @property
    def trust_anchor(self) -> Path:
        return self.directory / "ca.pem"

    def impostor(self) -> SoftwareSigner:
        """Shows the provider's certificate and signs with another key. Takes a second when first asked."""
        if self._impostor is None:
            key = generate_key(KeyKind.RSA_3072)
            self._impostor = SoftwareSigner(key, self.signer.certificate_der, self.signer.chain)
        return self._impostor

    def issue(self, csr_pem: bytes, profile: Profile, at: datetime, lifetime: timedelta = _LIFETIME) -> Issued:
        """A certificate for a request of somebody else. Raises CertificateMalformed."""
        der = self.authority.issue(csr_pem, profile, not_before=at - _SKEW, not_after=at + lifetime)
        return Issued(der, self.authority.chain, read_certificate(der))

    def issue_smime(self, key: PrivateKey, address: str, holder: str, at: datetime) -> bytes:
        """S/MIME certificate (DER) of a citizen."""
        # RFC 5280 allows 64 characters in a common name; the address stands in full in the alternative name.
        name = holder[:64]
        public = key.public_key()
        return self.authority.issue(
            public, Profile.SMIME, name, not_before=at - _SKEW, not_after=at + _LIFETIME, email=address
        )

    def revoke(self, serial_number: int, at: datetime, reason: str | None = None) -> None:
        """Revokes at once; the next list and the next OCSP answer say so."""
        self.authority.revoke(serial_number, at, reason)
        self.revoked.add(serial_number)
        self.authority.save(self.directory)
        self._crl = None

    def crl(self, at: datetime) -> bytes:
        """Current revocation list (DER), valid for 24 h, renewed every hour and after each revocation (DIR-35)."""
        if self._crl is None or at - self._crl[0] > _CRL_RENEWED_AFTER:
            # X.509 times have whole seconds: a revocation of this very second is in the list.
            self._crl = (at, self.authority.crl(at, _CRL_VALID_FOR))
            self.authority.save(self.directory)
        return self._crl[1]

    def ocsp(self, request: bytes, at: datetime) -> bytes:
        """What the authority's responder answers to a request (RFC 6960), valid for an hour."""
        if self._responder is None or at - self._responder[0] > _RESPONDER_RENEWED_AFTER:
            self._responder = (at, TestResponder(self.authority, at))
        # whole seconds, as with the list: a revocation of this very second counts
        return self._responder[1].answer(request, at.replace(microsecond=0), _OCSP_VALID_FOR)


async def open_identity(
    directory: Path, *, host_name: str, alternative_names: Sequence[str], url: str, revoked: set[int], at: datetime
) -> Identity:
    """Loads the identity from `directory`, or makes what is missing there (about a second).

    `url` is the sandbox's: below it list and responder of the authority are found.
    """
    return await asyncio.to_thread(_open, directory, host_name, tuple(alternative_names), url, revoked, at)


def _open(
    directory: Path, host_name: str, names: tuple[str, ...], url: str, revoked: set[int], at: datetime
) -> Identity:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (directory / "ca.pem").exists():
        authority = TestAuthority.load(directory)
    else:
        authority = TestAuthority.create("TEST Sandbox De-Mail CA", at - _SKEW, key_kind=KeyKind.P256)
    authority.crl_url, authority.ocsp_url = f"{url}/crl.der", f"{url}/ocsp"
    authority.save(directory)
    dns, ips = _split([host_name, *names])
    maker = _Maker(directory, authority, at)
    signature = maker.pair("signature", Profile.PROVIDER_SIGNATURE, PROVIDER_NAME, KeyKind.RSA_3072)
    server = maker.pair("tls-server", Profile.TLS_SERVER, host_name, KeyKind.P256, dns=dns, ips=ips)
    client = maker.pair("tls-client", Profile.TLS_CLIENT, DOMAIN, KeyKind.P256, dns=[DOMAIN])
    return Identity(
        directory,
        authority,
        SoftwareSigner.for_certificate(signature.key, signature.certificate, authority.chain),
        SoftwareSigner.for_certificate(signature.key, maker.expired(signature.key), authority.chain),
        server.tls(authority),
        client.tls(authority),
        revoked,
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    key: PrivateKey
    certificate: bytes

    def tls(self, authority: TestAuthority) -> TlsIdentity:
        chain = b"".join(der_to_pem(der) for der in (self.certificate, *authority.chain))
        return TlsIdentity(chain, _pem(to_pkcs8(self.key)))


@dataclass(frozen=True, slots=True)
class _Maker:
    directory: Path
    authority: TestAuthority
    at: datetime

    def pair(
        self,
        name: str,
        profile: Profile,
        subject: str,
        kind: KeyKind,
        *,
        dns: Sequence[str] = (),
        ips: Sequence[str] = (),
    ) -> _Pair:
        """The kept key and certificate; the certificate anew when it ends soon or other host names are wanted."""
        key = self._key(name, kind)
        path = self.directory / f"{name}.pem"
        wanted = "\n".join([*dns, *ips])
        names = self.directory / f"{name}.names"
        if path.exists() and names.exists() and names.read_text() == wanted:
            certificate = pem_to_der(path.read_bytes())
            if read_certificate(certificate).not_after - self.at > timedelta(days=30):
                return _Pair(key, certificate)
        certificate = self._issue(key, profile, subject, self.at + _LIFETIME, dns, ips)
        path.write_bytes(der_to_pem(certificate))
        names.write_text(wanted)
        return _Pair(key, certificate)

    def expired(self, key: PrivateKey) -> bytes:
        path = self.directory / "signature-expired.pem"
        if not path.exists():
            ended = self.at - timedelta(days=1)
            der = self.authority.issue(
                key.public_key(),
                Profile.PROVIDER_SIGNATURE,
                PROVIDER_NAME,
                not_before=ended - timedelta(days=365),
                not_after=ended,
            )
            path.write_bytes(der_to_pem(der))
        return pem_to_der(path.read_bytes())

    def _key(self, name: str, kind: KeyKind) -> PrivateKey:
        path = self.directory / f"{name}.key.der"
        if not path.exists():
            _write_private(path, to_pkcs8(generate_key(kind)))
        return load_pkcs8(path.read_bytes())

    def _issue(
        self,
        key: PrivateKey,
        profile: Profile,
        subject: str,
        until: datetime,
        dns: Sequence[str],
        ips: Sequence[str],
    ) -> bytes:
        return self.authority.issue(
            key.public_key(), profile, subject, not_before=self.at - _SKEW, not_after=until, dns=dns, ips=ips
        )


def _split(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """DNS names and IP addresses apart."""
    dns: list[str] = []
    ips: list[str] = []
    for name in names:
        try:
            ips.append(str(ipaddress.ip_address(name)))
        except ValueError:
            dns.append(name)
    return dns, ips


def _pem(pkcs8: bytes) -> bytes:
    return b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(pkcs8) + b"-----END PRIVATE KEY-----\n"


def _write_private(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    part.replace(path)
