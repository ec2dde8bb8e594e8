"""Every error of the gateway, in one tree.

    DemailError
    ├── RuleViolation            the tenant's draft breaks rules (SND-10 … SND-24); carries all of them
    ├── AddressInvalid           no De-Mail address (ADR-1, ADR-2)
    ├── MalformedMessage         octets of the other side cannot be read
    ├── ComposeFailed            a message cannot be composed, signed or encrypted
    ├── CertificateMalformed     not an X.509 certificate
    ├── XmlRefused               XML that is not read at all: DOCTYPE, entities, not well-formed
    ├── XmlSignatureInvalid      the XML signature does not hold, or its profile is refused (CO-14)
    ├── CmsInvalid               a CMS structure cannot be read, or its signature does not hold
    ├── DecryptionFailed         not for this key, or changed on the way; never says which
    ├── KeyUnavailable           key material is missing or cannot be unwrapped
    ├── ProviderError
    │   ├── ProviderRefused          permanent; nothing was taken
    │   ├── ProviderUnavailable      temporary; certainly nothing was taken
    │   └── ProviderOutcomeUnknown   the line broke after the content went out (SND-43)
    ├── NotFound                 does not exist, or belongs to another tenant (GWT-39)
    │   └── NothingNamed             the operator's command names nothing; says what
    ├── Conflict                 the object's state does not allow it
    │   └── GateNotMet               a tenant may not go on to the next step yet (GWT-60); carries what is missing
    ├── CursorInvalid            not a cursor that this list gave out
    ├── Unauthenticated          no valid credentials
    │   └── AuthenticationRefused    a client that can prove itself, in a way that is not taken; says why
    ├── Forbidden                valid credentials without the needed scope
    ├── TooManyRequests          a quota or a lock against guessing (GWT-23)
    └── StoreUnavailable         the database is away

Instances carry facts, not prose: texts for people are made at the edge (`api/problems.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule, where it is broken, in both languages."""

    code: str
    """Stable code, e.g. ``recipient-not-demail``."""
    rule: str
    """Number of the rule, e.g. ``SND-11``."""
    pointer: str
    """JSON pointer into the request, e.g. ``/to/0``; empty for the whole."""
    detail_de: str
    detail_en: str


class DemailError(Exception):
    """Root of the tree."""

    code: ClassVar[str] = "internal"


class RuleViolation(DemailError):
    """The draft breaks rules; `violations` holds all of them, in the order of `contract.md` §3."""

    code = "rule-violation"

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(", ".join(sorted({v.code for v in violations})))
        self.violations = tuple(violations)


class AddressInvalid(DemailError):
    """`reason` is one of the address codes of `message-format.md` §13."""

    code = "recipient-invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MalformedMessage(DemailError):
    """`reason` is a checker code of `message-format.md` §13."""

    code = "message-unparsable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ComposeFailed(DemailError):
    code = "compose-failed"


class CertificateMalformed(DemailError):
    code = "certificate-malformed"


class XmlRefused(DemailError):
    code = "xml-missing"


class XmlSignatureInvalid(DemailError):
    code = "xml-signature-invalid"


class CmsInvalid(DemailError):
    code = "cms-invalid"


class DecryptionFailed(DemailError):
    code = "decryption-failed"


class KeyUnavailable(DemailError):
    code = "key-unavailable"


class ProviderError(DemailError):
    """What a provider did; `reply` is its answer, e.g. ``550 5.1.1 …``, never shown to other tenants."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


class ProviderRefused(ProviderError):
    """Permanent refusal. `recipients` names those refused; empty: the whole transaction."""

    code = "provider-refused"

    def __init__(self, reply: str, recipients: Sequence[str] = ()) -> None:
        super().__init__(reply)
        self.recipients = tuple(recipients)


class ProviderUnavailable(ProviderError):
    """Temporary and certainly nothing taken: may be tried again."""

    code = "provider-unavailable"

    def __init__(self, reply: str, retry_after: timedelta | None = None) -> None:
        super().__init__(reply)
        self.retry_after = retry_after


class ProviderOutcomeUnknown(ProviderError):
    """The line broke after the content and before the answer: look up before anything is sent again (SND-43)."""

    code = "provider-outcome-unknown"


class NotFound(DemailError):
    """`missing`: the fields of the request that name what does not exist; empty: its address does."""

    code = "not-found"

    def __init__(self, *missing: Violation) -> None:
        super().__init__()
        self.missing = missing


class NothingNamed(NotFound):
    """No object of this kind is called so; `kind` is ``tenant``, ``connection`` or the prefix of an id (``key``)."""

    def __init__(self, kind: str, named: str) -> None:
        super().__init__()
        self.kind = kind
        self.named = named


class Conflict(DemailError):
    """`reason` is the stable code shown to the client, e.g. ``not-cancellable``."""

    code = "conflict"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class GateNotMet(Conflict):
    """`missing` names the items that the step asks for (`gateway-and-tenancy.md` §8)."""

    code = "gate-not-met"

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__("gate-not-met")
        self.missing = tuple(missing)


class CursorInvalid(DemailError):
    code = "cursor-invalid"


class Unauthenticated(DemailError):
    code = "unauthenticated"


class AuthenticationRefused(Unauthenticated):
    """`reason` is a stable code, e.g. ``method-not-permitted``; `permitted` names the methods that are (GWT-20).

    Raised only after the client has shown its secret or key, so that nobody else learns anything by it.
    """

    def __init__(self, reason: str, permitted: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permitted = tuple(permitted)


class Forbidden(DemailError):
    """`needed` is the missing scope or right."""

    code = "forbidden"

    def __init__(self, needed: str) -> None:
        super().__init__(needed)
        self.needed = needed


class TooManyRequests(DemailError):
    code = "too-many-requests"

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(str(retry_after))
        self.retry_after = retry_after


class StoreUnavailable(DemailError):
    code = "store-unavailable"
