"""What the reverse proxy says of a client: its address and its certificate, believed of known proxies alone.

TLS ends at the proxy, which has seen the handshake and so knows that the client holds the certificate's key. Whoever
reaches this port directly could write the same headers; so they count only when the connection itself comes from an
address that the operator has named (RFC 8705 §6.5, RFC 9440 §2.4).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

from starlette.requests import Request

LONGEST_HEADER = 32_768
"""Real certificates stay below 8 KiB; escaped they grow."""

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Proxies:
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    certificate_header: str | None = None

    def source(self, request: Request) -> str:
        """Network address that the request comes from, as far back as known proxies tell (`X-Forwarded-For`)."""
        peer = request.client.host if request.client else "unknown"
        hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",") if self.networks else []
        source = peer
        # from the near end: what stands before the first unknown hop is that hop's own word
        while _is_among(self.networks, source) and hops:
            hop = _address(hops.pop().strip())
            if hop is None:
                break
            source = str(hop)
        return source

    def certificate_sha256(self, request: Request) -> bytes | None:
        """Fingerprint of the client's certificate; None when none was shown, or nobody who may say so says it."""
        if self.certificate_header is None:
            return None
        values = request.headers.getlist(self.certificate_header)
        peer = request.client.host if request.client else ""
        # two of them: one is the client's own, and which one cannot be told
        if len(values) != 1 or not _is_among(self.networks, peer):
            return None
        return fingerprint_in(values[0])


DIRECT = Proxies()
"""No proxy is believed."""


def fingerprint_in(header: str) -> bytes | None:
    """SHA-256 of the one certificate in a header, in any form that proxies use; None when it cannot be read.

    PEM, percent-encoded (nginx `$ssl_client_escaped_cert`) or with blanks for line ends; base64 of the DER, bare
    (HAProxy, Traefik) or between colons (`Client-Cert`, RFC 9440 §2.2).
    """
    if not header or len(header) > LONGEST_HEADER:
        return None
    text = unquote(header).strip()
    if text.startswith(_BEGIN) and text.endswith(_END):
        text = text[len(_BEGIN) : -len(_END)]
    elif len(text) > 2 and text.startswith(":") and text.endswith(":"):
        text = text[1:-1]
    try:
        der = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return hashlib.sha256(der).digest() if _is_one_sequence(der) else None


def _is_one_sequence(der: bytes) -> bool:
    """As every certificate is: tag, two octets of length, and nothing behind them."""
    return der[:2] == b"\x30\x82" and int.from_bytes(der[2:4]) + 4 == len(der)


@lru_cache(maxsize=4096)
def _is_among(networks: tuple[IPv4Network | IPv6Network, ...], host: str) -> bool:
    address = _address(host)
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # a socket for both families shows IPv4 peers in this form
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
