"""The five delivery options (Versandoptionen) and the rules that bind them (TR 01201-3.1 §3.3).

The combination table of `sending-and-receiving.md` §2 stands in `RULES`, a row for each ✗ of the table and for each
condition on the sender; the single → of the table (Abholbestätigung implies persönlich) is `expand`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from demail_gateway.core.vocabulary import AuthLevel


@dataclass(frozen=True, slots=True)
class SendOptions:
    """The options a message carries, decided one by one."""

    confirmation_of_dispatch: bool = False
    """Versandbestätigung (TR 01201-3.4 §3.1.2)."""
    confirmation_of_receipt: bool = False
    """Eingangsbestätigung (§3.1.3)."""
    confirmation_of_retrieve: bool = False
    """Abholbestätigung (§3.1.4): proves a login, not that anybody read the message (SND-3)."""
    authoritative: bool = False
    """Absenderbestätigt (§3.1.5)."""
    private: bool = False
    """Persönlich (§3.1.6)."""

    @property
    def any_confirmation(self) -> bool:
        """Whether any of the three proofs is requested."""
        return self.confirmation_of_dispatch or self.confirmation_of_receipt or self.confirmation_of_retrieve

    def chosen(self) -> frozenset[str]:
        """Names of the options that are set."""
        return frozenset(name for name in OPTION_NAMES if getattr(self, name))


@dataclass(frozen=True, slots=True)
class RequestedOptions:
    """The options as a client asked for them; None: left open, so the gateway may decide (SND-4)."""

    confirmation_of_dispatch: bool | None = None
    confirmation_of_receipt: bool | None = None
    confirmation_of_retrieve: bool | None = None
    authoritative: bool | None = None
    private: bool | None = None

    def chosen(self) -> frozenset[str]:
        """Names of the options asked for in so many words."""
        return frozenset(name for name in OPTION_NAMES if getattr(self, name))


OPTION_NAMES: tuple[str, ...] = tuple(f.name for f in fields(SendOptions))
"""The five names, in the order of TR 01201-3.4 §3.1.2 to §3.1.6."""

GERMAN: Mapping[str, str] = MappingProxyType(
    {
        "confirmation_of_dispatch": "Versandbestätigung",
        "confirmation_of_receipt": "Eingangsbestätigung",
        "confirmation_of_retrieve": "Abholbestätigung",
        "authoritative": "absenderbestätigt",
        "private": "persönlich",
    }
)
"""The guideline's German name of each option."""

PROFILES: Mapping[str, RequestedOptions] = MappingProxyType(
    {
        "standard": RequestedOptions(),
        "dispatch-proof": RequestedOptions(confirmation_of_dispatch=True),
        "receipt-proof": RequestedOptions(confirmation_of_dispatch=True, confirmation_of_receipt=True),
        "written-form": RequestedOptions(authoritative=True, confirmation_of_receipt=True),
        "formal-service": RequestedOptions(confirmation_of_retrieve=True, private=True, confirmation_of_dispatch=True),
    }
)
"""Named profiles (SND-6). A tenant may have a table of its own, with absenderbestätigt added to formal service."""

FORMAL_SERVICE = "formal-service"
"""The profile that needs the fields of SND-7."""


@dataclass(frozen=True, slots=True)
class OptionSituation:
    """What the rules must know of the sender."""

    auth_level: AuthLevel
    pseudonym: bool
    """A natural person's `pn_` address (ADR-18)."""
    retrieval_entitlement: bool
    """Public body that may serve formally (TR 01201-2.1 §2.2.2 table 3)."""
    permitted: frozenset[str] | None = None
    """Options that the client may use with this address (GWT-30); None: all."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: the option it speaks of, and when it is broken."""

    code: str
    rule: str
    option: str
    source: str
    de: str
    en: str
    broken_by: Callable[[RequestedOptions, OptionSituation], bool]


def expand(requested: RequestedOptions) -> SendOptions:
    """The options as they are stored and sent: open ones are off, Abholbestätigung sets persönlich (SND-4)."""
    decided = {name: bool(getattr(requested, name)) for name in OPTION_NAMES}
    decided["private"] |= decided["confirmation_of_retrieve"]
    return SendOptions(**decided)


def option_violations(requested: RequestedOptions, situation: OptionSituation) -> tuple[Rule, ...]:
    """All rules that these options break for this sender, in the order of the table; empty: permitted.

    An implied persönlich is not reported beside the Abholbestätigung that implies it.
    """
    return tuple(rule for rule in RULES if rule.broken_by(requested, situation))


def _not_permitted(name: str) -> Rule:
    return Rule(
        "sender-not-authorised",
        "SND-10",
        name,
        "TR 01201-6.1 §10.2.1; GWT-30",
        f"Diese Anwendung darf von dieser Absenderadresse die Option „{GERMAN[name]}“ nicht verwenden.",
        f"This client may not use the option {name} with this sender address.",
        lambda o, s: s.permitted is not None and name in o.chosen() - s.permitted,
    )


def _needs_high(name: str, source: str) -> Rule:
    return Rule(
        "auth-level-too-low",
        "SND-14",
        name,
        source,
        f"„{GERMAN[name]}“ verlangt das Authentisierungsniveau „hoch“; die Verbindung zum Anbieter hat nur „normal“.",
        f"{name} needs authentication level high; the connection to the provider is only normal.",
        lambda o, s: name in o.chosen() and s.auth_level is not AuthLevel.HIGH,
    )


RULES: tuple[Rule, ...] = (
    *(_not_permitted(name) for name in OPTION_NAMES),
    Rule(
        "private-required",
        "SND-4",
        "private",
        "TR 01201-3.1 §3.3.5",
        "Eine Abholbestätigung setzt „persönlich“ voraus; private=false ist zusammen mit ihr nicht möglich.",
        "A confirmation of retrieval implies private; private=false cannot be combined with it.",
        lambda o, s: bool(o.confirmation_of_retrieve) and o.private is False,
    ),
    _needs_high("private", "TR 01201-3.1 §3.3.1, steps 18–20"),
    _needs_high("authoritative", "TR 01201-3.1 §3.3.2, steps 18–20"),
    _needs_high("confirmation_of_retrieve", "TR 01201-3.1 §3.3.5, steps 18–20"),
    Rule(
        "pseudonym-not-allowed",
        "SND-15",
        "authoritative",
        "TR 01201-3.1 §3.3.2, steps 21–22; De-MailG §5(5)",
        "„Absenderbestätigt“ ist mit einer Pseudonym-Adresse (pn_…) nicht zulässig.",
        "authoritative is not allowed with a pseudonym address (pn_…).",
        lambda o, s: bool(o.authoritative) and s.pseudonym,
    ),
    Rule(
        "retrieval-proof-not-permitted",
        "SND-16",
        "confirmation_of_retrieve",
        "TR 01201-3.1 §3.3.5, steps 23–25; TR 01201-2.1 §2.2.2 table 3, §3",
        "Eine Abholbestätigung dürfen nur öffentliche Stellen anfordern, die förmlich zustellen dürfen.",
        "Only public bodies that may serve formally may request a confirmation of retrieval.",
        lambda o, s: bool(o.confirmation_of_retrieve) and (s.pseudonym or not s.retrieval_entitlement),
    ),
)
