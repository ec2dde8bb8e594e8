"""The port `Provider` for SMTP with mutual TLS, with the provider's look-up and directory over HTTPS beside it."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.providers import HandOverReceipt, HandOverRequest
from demail_gateway.application.ports.surroundings import Observe
from demail_gateway.core.errors import ProviderRefused, ProviderUnavailable, RuleViolation, StoreUnavailable
from demail_gateway.providers.profile import ProviderProfile, Tls, parse_profile
from demail_gateway.providers.provider_http import ProviderHttp
from demail_gateway.providers.smtp_pool import Pool

TlsContexts = Callable[[ProviderProfile], ssl.SSLContext]
"""Client context of a profile: its anchors, its certificate and key, TLS 1.2 or newer, names checked."""
IsPeerRevoked = Callable[[bytes, bytes], Awaitable[bool]]
"""Whether a TLS certificate (DER) below anchors (PEM) is known to be revoked; raises StoreUnavailable."""


class SmtpProvider:
    """One for a whole process and all connections; belongs to the event loop that first uses it.

    `tls_contexts` makes the context of a profile (trust's `client_context`); it may raise OSError, CertificateMalformed
    or KeyUnavailable. No SMTP line is kept to a certificate that `is_revoked`. `local_name` is what EHLO says.
    `allow_plain` permits profiles without TLS (bench alone).
    With `tests_alone` no live provider is spoken to, whatever the database says: it may be a copy (GWT-25).
    """

    def __init__(
        self,
        tls_contexts: TlsContexts,
        is_revoked: IsPeerRevoked,
        observe: Observe,
        *,
        local_name: str = "localhost",
        allow_plain: bool = False,
        tests_alone: bool = False,
    ) -> None:
        self._tls_contexts = tls_contexts
        self._is_revoked = is_revoked
        self._observe = observe
        self._local_name = local_name
        self._allow_plain = allow_plain
        self._tests_alone = tests_alone
        self._access: dict[UUID, _Access] = {}

    async def hand_over(self, request: HandOverRequest) -> HandOverReceipt:
        """Hands one copy over. Raises ProviderRefused, ProviderUnavailable or ProviderOutcomeUnknown."""
        if not _canonical(request.octets):
            raise ProviderRefused("content has line ends other than CR LF")
        access = await self._access_to(request.connection)
        taken = await access.pool.transact(request.envelope_sender, request.envelope_recipients, request.octets)
        return HandOverReceipt(taken.reply, taken.refused)

    async def look_up(self, connection: Connection, private_id: str) -> bool | None:
        """Whether the provider took a submission; None where it offers no look-up. Raises ProviderUnavailable."""
        return await (await self._access_to(connection)).http.look_up(private_id)

    async def recipient_certificates(
        self, connection: Connection, addresses: Sequence[str]
    ) -> Mapping[str, Sequence[bytes]]:
        """S/MIME certificates (DER) from the directory, for those that have one. Raises ProviderUnavailable."""
        return await (await self._access_to(connection)).http.certificates(addresses)

    async def close(self) -> None:
        for access in self._access.values():
            await access.close()
        self._access.clear()

    async def _access_to(self, connection: Connection) -> _Access:
        """What is open towards a connection; made anew when its profile has changed."""
        access = self._access.get(connection.id)
        if access is not None and access.raw == connection.profile:
            return access
        fresh = self._connect(connection)
        self._access[connection.id] = fresh
        if access is not None:
            await access.close()
        return fresh

    def _connect(self, connection: Connection) -> _Access:
        """Raises ProviderUnavailable when the installation is not set up for it: no draft is to blame for that."""
        try:
            profile = parse_profile(connection.profile, allow_plain=self._allow_plain)
            if self._tests_alone and not profile.test:
                raise ProviderUnavailable("a live provider is not reached from a test installation (GWT-25)")
            tls = None if profile.smtp.tls is Tls.NONE else self._tls_contexts(profile)
            is_revoked = partial(self._ask_revoked, profile.tls_anchor_pem())
        except RuleViolation as error:
            raise ProviderUnavailable(f"connection profile: {error.violations[0].pointer}") from error
        except OSError as error:
            raise ProviderUnavailable("tls: certificate, key or anchors cannot be read") from error
        if profile.test:
            self._observe("provider_for_tests", connection=connection.name)
        pool = Pool(connection.name, profile, tls, self._local_name, is_revoked, self._observe)
        return _Access(dict(connection.profile), pool, ProviderHttp(profile, tls))

    async def _ask_revoked(self, anchors_pem: bytes, certificate_der: bytes) -> bool:
        """Raises ProviderUnavailable: what cannot be told now forbids the connection (DIR-35)."""
        try:
            return await self._is_revoked(certificate_der, anchors_pem)
        except StoreUnavailable as error:
            raise ProviderUnavailable("tls: the status of the certificate cannot be told now") from error


class _Access:
    """Everything that is open towards one connection."""

    def __init__(self, raw: Mapping[str, object], pool: Pool, http: ProviderHttp) -> None:
        self.raw = raw
        self.pool = pool
        self.http = http

    async def close(self) -> None:
        await self.pool.close()
        await self.http.close()


def _canonical(octets: bytes) -> bool:
    """Line ends are CR LF alone: a lone one would be repaired differently by every hop, or smuggle a second message."""
    pairs = octets.count(b"\r\n")
    return octets.count(b"\n") == pairs and octets.count(b"\r") == pairs
