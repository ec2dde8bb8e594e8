"""TLS contexts between gateway and providers: TLS 1.2 or newer, certificates on both sides (TR DM IT-BInfra IO §2)."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from demail_gateway.trust.certificates import read_pem_bundle

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and an AEAD. TLS 1.3 has nothing else."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """One's own certificate (PEM, with the chain above it) and its private key (PEM), as files or as octets."""

    certificate: Path | bytes
    key: Path | bytes = field(repr=False)


def server_context(identity: TlsIdentity, *, client_anchors: bytes | None) -> ssl.SSLContext:
    """For a listener. With `client_anchors` (PEM) a client needs a certificate below one of them.

    The handshake proves only that; which client it is, the caller reads from the peer certificate.

    Raises:
        OSError: a file is missing; as ssl.SSLError where certificate and key cannot be read or do not fit.
        CertificateMalformed: an anchor cannot be read, or there is none.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, identity)
    if client_anchors is not None:
        context.load_verify_locations(cadata=b"".join(read_pem_bundle(client_anchors)))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(anchors: bytes, identity: TlsIdentity | None) -> ssl.SSLContext:
    """For connecting: the server's certificate must lead to `anchors` (PEM) and fit the name that is called.

    The system's trust store plays no part. Raises like `server_context`.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, identity)
    context.load_verify_locations(cadata=b"".join(read_pem_bundle(anchors)))
    return context


def _context(protocol: int, identity: TlsIdentity | None) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # RFC 5280 to the letter; the default of newer Pythons.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if identity is not None:
        _load(context, identity)
    return context


def _load(context: ssl.SSLContext, identity: TlsIdentity) -> None:
    """OpenSSL's Python binding reads files only: octets pass through a directory that is private and short-lived."""
    with tempfile.TemporaryDirectory(prefix="demail-tls-") as directory:
        certificate = _as_file(identity.certificate, Path(directory, "certificate"))
        context.load_cert_chain(certificate, _as_file(identity.key, Path(directory, "key")))


def _as_file(part: Path | bytes, path: Path) -> Path:
    if isinstance(part, Path):
        return part
    path.touch(mode=0o600)
    path.write_bytes(part)
    return path
