"""How a client proves who it is, and which proofs are taken of it (GWT-20, GWT-21, GWT-25)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

POLICY_ENTRY = "client_authentication"
"""Where a tenant's policy names the methods that its clients may use."""


class ClientAuthentication(StrEnum):
    """By the names of the OAuth registry (RFC 7591 §2, RFC 8705 §2)."""

    SECRET = "client_secret_basic"  # noqa: S105 – the name of a method
    ASSERTION = "private_key_jwt"
    CERTIFICATE = "tls_client_auth"


EVERY_METHOD: frozenset[ClientAuthentication] = frozenset(ClientAuthentication)
BY_KEY_ALONE: frozenset[ClientAuthentication] = EVERY_METHOD - {ClientAuthentication.SECRET}
"""Methods by which nothing that opens the gateway goes over the line."""


@dataclass(frozen=True, slots=True)
class PinnedCertificate:
    """A client's certificate as it is registered: the pin, and what a person needs to renew it in time (GWT-21)."""

    sha256: bytes
    """Over the DER, 32 octets: the `x5t#S256` of RFC 8705."""
    issuer: str
    serial: str
    """Lower-case hex."""
    not_before: datetime
    not_after: datetime

    def holds(self, at: datetime) -> bool:
        return self.not_before <= at < self.not_after


def default_methods(environment: str) -> frozenset[ClientAuthentication]:
    """What an installation takes where nothing else is said: secrets are for dev and test installations (GWT-25)."""
    return BY_KEY_ALONE if environment == "production" else EVERY_METHOD


def read_methods(names: Iterable[object]) -> frozenset[ClientAuthentication]:
    """The methods among `names`; a name that is none is left out, so that it can permit nothing."""
    known = {str(method): method for method in ClientAuthentication}
    return frozenset(known[name] for name in names if isinstance(name, str) and name in known)


def pinned(certificates: Iterable[PinnedCertificate], sha256: bytes | None, at: datetime) -> PinnedCertificate | None:
    """The certificate with this fingerprint, if it is registered and in its time."""
    return next((each for each in certificates if each.sha256 == sha256 and each.holds(at)), None)
