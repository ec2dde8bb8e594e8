"""What a certificate must be for, by its key usage and extended key usage (RFC 5280 §4.2.1.3, §4.2.1.12).

Which certificate is asked for what is decided where it is used; this is the table that everybody asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from demail_gateway.core.primitives import CertificateFacts

KEY_USAGE = "certificate-key-usage"


class Purpose(StrEnum):
    """TLS is judged by OpenSSL in the handshake, timestamps where tokens are read (RFC 3161 §2.3)."""

    ANY_SIGNATURE = "any-signature"
    """Whoever signs what: `integrity.md` §5, row 14."""
    SEAL = "seal"
    """Integrity fields, XML signatures of confirmations, manifests of packages (TR 01201-3.4 §3.1.14)."""
    SMIME_SIGNATURE = "smime-signature"
    """RFC 8550 §4.4.2, §4.4.4."""
    SMIME_ENCRYPTION = "smime-encryption"
    """RFC 8550 §4.4.2, §4.4.4; TR 01201-1.4 §4."""
    OCSP = "ocsp"
    """RFC 6960 §4.2.2.2."""


_ANY, _SERVER, _CLIENT = "2.5.29.37.0", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
_CODE, _EMAIL, _TIME, _OCSP = (f"1.3.6.1.5.5.7.3.{number}" for number in (3, 4, 8, 9))
_SIGNING = frozenset({"digitalSignature", "contentCommitment"})
_RECEIVING = frozenset({"keyEncipherment", "keyAgreement"})


@dataclass(frozen=True, slots=True)
class _Rule:
    usages: frozenset[str]
    """One of them, where the extension exists."""
    one_of: frozenset[str] = frozenset()
    """One of these extended usages, where the extension exists."""
    named: str | None = None
    """This extended usage must be named; any usage is not enough."""
    foreign: frozenset[str] = frozenset()
    """A certificate for nothing but these is somebody else's."""


_RULES = {
    Purpose.ANY_SIGNATURE: _Rule(_SIGNING),
    # Subscribers and machines have such certificates from the same authorities: they prove no provider.
    Purpose.SEAL: _Rule(_SIGNING, foreign=frozenset({_SERVER, _CLIENT, _CODE, _EMAIL, _TIME, _OCSP})),
    Purpose.SMIME_SIGNATURE: _Rule(_SIGNING, one_of=frozenset({_EMAIL, _ANY})),
    Purpose.SMIME_ENCRYPTION: _Rule(_RECEIVING, one_of=frozenset({_EMAIL, _ANY})),
    Purpose.OCSP: _Rule(_SIGNING, named=_OCSP),
}


def usage_findings(facts: CertificateFacts, purpose: Purpose) -> tuple[str, ...]:
    """``certificate-key-usage`` if the certificate is not for this purpose; empty if it is."""
    rule, extended = _RULES[purpose], facts.purposes
    holds = (
        (facts.usages is None or bool(facts.usages & rule.usages))
        and (not rule.one_of or not extended or bool(extended & rule.one_of))
        and (rule.named is None or rule.named in extended)
        and not (extended and extended <= rule.foreign)
    )
    return () if holds else (KEY_USAGE,)
