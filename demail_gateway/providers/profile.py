"""What makes one provider differ from another, as data: the profile of a connection (`docs/connection-profile.md`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from demail_gateway.providers.profile_reading import Reader

_PEM_MARK = "-----BEGIN"
VERSIONS = frozenset({"1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8"})


class Tls(StrEnum):
    IMPLICIT = "implicit"
    """Mutual, from the first octet (DIR-32)."""
    NONE = "none"
    """For the bench alone; refused unless the installation permits it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int
    server_name: str
    """Name that the provider's certificate must carry."""
    tls: Tls


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each phase of a hand-over."""

    connect_s: float = 10.0
    """TCP, TLS handshake and greeting, each."""
    command_s: float = 30.0
    """Answer to EHLO, MAIL, RCPT, DATA, RSET."""
    data_s: float = 60.0
    """Sending the content."""
    final_s: float = 60.0
    """Answer after the content."""


@dataclass(frozen=True, slots=True)
class ProviderProfile:
    """Validated profile of a connection (GWT-10)."""

    smtp: Endpoint
    domains: frozenset[str]
    provider_domains: frozenset[str] = frozenset()
    """Domains of the provider's own system addresses (CO-2); empty: not known."""
    signature_certificates: frozenset[str] = frozenset()
    """SHA-256 of the only certificates that may seal and confirm, lower-case hex; empty with
    `signature_subjects`: whatever stands below `signature_anchors`."""
    signature_subjects: frozenset[str] = frozenset()
    """Subjects (RFC 4514) of such certificates; either list lets in."""
    connections: int = 8
    """Simultaneous SMTP connections of one worker process."""
    messages_per_connection: int = 500
    idle_s: float = 30.0
    max_age_s: float = 3600.0
    """A connection is rebuilt after that, so that a withdrawn certificate ends it (DIR-35)."""
    timeouts: Timeouts = Timeouts()
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None
    tls_anchors: str = ""
    """PEM text or the path of a PEM file."""
    signature_anchors: str = ""
    """Likewise; they judge the provider's seals and confirmations."""
    crl_urls: tuple[str, ...] = ()
    ocsp_urls: tuple[str, ...] = ()
    """OCSP responders that may be asked about the signers' certificates."""
    lookup_url: str | None = None
    """Asked as ``{lookup_url}/{private_id}`` whether a submission was taken; None: there is no look-up."""
    directory_url: str | None = None
    """Asked as ``{directory_url}?address=…``."""
    system_local_parts: frozenset[str] = frozenset()
    """In addition to those of the guideline."""
    peers: tuple[str, ...] = ()
    """Who may deliver to us on this connection: SHA-256 fingerprints of certificates, or names in them."""
    limits: Mapping[str, int] | None = None
    version: str = "1.8"
    test: bool = False

    def tls_anchor_pem(self) -> bytes:
        """Anchors for the provider's TLS certificates. Raises OSError when the file cannot be read."""
        return _pem(self.tls_anchors)

    def signature_anchor_pem(self) -> bytes:
        """Anchors for the provider's signatures; those for TLS where none are named. Raises OSError."""
        return _pem(self.signature_anchors or self.tls_anchors)


def parse_profile(raw: Mapping[str, Any], *, allow_plain: bool = False) -> ProviderProfile:
    """The typed profile.

    Raises:
        RuleViolation: with all faults, code ``connection-profile``, pointers below ``/profile``.
    """
    reader = Reader(raw)
    smtp = reader.section("smtp")
    waits = reader.section("timeouts_s", optional=True)
    profile = ProviderProfile(
        smtp=_endpoint(smtp, allow_plain=allow_plain),
        domains=reader.names("domains"),
        provider_domains=reader.names("provider_domains", optional=True),
        signature_certificates=reader.fingerprints("signature_certificates"),
        signature_subjects=reader.texts("signature_subjects"),
        connections=reader.integer("connections", 8, 1, 64),
        messages_per_connection=reader.integer("messages_per_connection", 500, 1, 1_000_000),
        idle_s=reader.seconds("idle_s", 30.0),
        max_age_s=reader.seconds("max_age_s", 3600.0, 24 * 3600.0),
        timeouts=_timeouts(waits),
        client_certificate_file=reader.path("client_certificate_file"),
        client_key_file=reader.path("client_key_file"),
        tls_anchors=reader.text("tls_anchors", ""),
        signature_anchors=reader.text("signature_anchors", ""),
        crl_urls=reader.urls("crl_urls"),
        ocsp_urls=reader.urls("ocsp_urls"),
        lookup_url=reader.url("lookup_url", plain=allow_plain),
        directory_url=reader.url("directory_url", plain=allow_plain),
        system_local_parts=reader.names("system_local_parts", optional=True),
        peers=reader.peers("peers"),
        limits=reader.counts("limits"),
        version=reader.choice("version", "1.8", VERSIONS),
        test=reader.flag("test", default=False),
    )
    _needs_for_tls(reader, profile)
    reader.finish()
    return profile


def _endpoint(smtp: Reader, *, allow_plain: bool) -> Endpoint:
    host = smtp.text("host", None)
    tls = Tls(smtp.choice("tls", Tls.IMPLICIT, frozenset(Tls)))
    if tls is Tls.NONE and not allow_plain:
        smtp.fault("tls", "ohne TLS nur für Messungen erlaubt", "without TLS is for measurements alone")
    port = smtp.integer("port", 1465, 1, 65535)
    return Endpoint(host, port, smtp.text("server_name", host), tls)


def _timeouts(waits: Reader) -> Timeouts:
    default = Timeouts()
    return Timeouts(
        connect_s=waits.seconds("connect", default.connect_s),
        command_s=waits.seconds("command", default.command_s),
        data_s=waits.seconds("data", default.data_s),
        final_s=waits.seconds("final", default.final_s),
    )


def _needs_for_tls(reader: Reader, profile: ProviderProfile) -> None:
    """TLS to providers is mutual (DIR-32): without these three there is no connection."""
    if profile.smtp.tls is Tls.NONE:
        return
    for name in ("client_certificate_file", "client_key_file", "tls_anchors"):
        if reader.absent(name):
            reader.fault(name, "fehlt; TLS ist gegenseitig", "is missing; TLS is mutual")


def _pem(text_or_path: str) -> bytes:
    if _PEM_MARK in text_or_path or not text_or_path:
        return text_or_path.encode("ascii", "replace")
    return Path(text_or_path).read_bytes()
