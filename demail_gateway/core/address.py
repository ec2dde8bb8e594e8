"""De-Mail addresses (De-Mail-Adressen): their form, the trusted domains, the reserved names (TR 01201-2.1 §2.1)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from demail_gateway.core.errors import AddressInvalid
from demail_gateway.core.vocabulary import SYSTEM_LOCAL_PARTS

MAX_LOCAL_CHARS = 64
MAX_DOMAIN_CHARS = 189
MAX_ADDRESS_CHARS = 253
"""All three hold (ADR-2): 64 + 1 + 189 is already one too long."""

PSEUDONYM_PREFIX = "pn_"
"""Local part of a natural person's pseudonym (ADR-16); of an institution it means nothing (ADR-18)."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A De-Mail address in lower case; made by `parse_address`."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def is_pseudonym_form(self) -> bool:
        """Whether the local part looks like a pseudonym; only a natural person's account makes it one (ADR-18)."""
        return self.local.startswith(PSEUDONYM_PREFIX)


# the rules of a draft read each of its addresses several times, and senders are always the same few
@lru_cache(maxsize=1024)
def parse_address(text: str) -> Address:
    """The address in lower case (ADR-1).

    An addr-spec with a dot-atom as local part: no display name, brackets, comments, quotes or blanks, ASCII only.
    Underscores in domain labels are accepted (MF-22). Whether the domain is De-Mail is not looked at.

    Raises:
        AddressInvalid: with reason ``address-syntax``, ``address-local-too-long``, ``address-domain-too-long`` or
            ``address-too-long``.
    """
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise AddressInvalid("address-syntax")
    if len(local) > MAX_LOCAL_CHARS:
        raise AddressInvalid("address-local-too-long")
    if len(domain) > MAX_DOMAIN_CHARS:
        raise AddressInvalid("address-domain-too-long")
    if len(text) > MAX_ADDRESS_CHARS:
        raise AddressInvalid("address-too-long")
    return Address(local.lower(), domain.lower())


def is_domain(text: str) -> bool:
    """Whether this is the name of a domain or host, of one label too; underscores are accepted (MF-22)."""
    return _NAME.fullmatch(text) is not None


def same_address(one: Address | str, other: Address | str) -> bool:
    """Whether both are the same address, without regard to case in both parts (MF-22)."""
    return str(one).lower() == str(other).lower()


@dataclass(frozen=True, slots=True)
class TrustedDomains:
    """The provider domains that are De-Mail (ADR-4): a list, never a guess from the string ``de-mail``."""

    domains: frozenset[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "domains", frozenset(name.lower().strip(".") for name in self.domains))

    def is_demail(self, address: Address) -> bool:
        """Whether the address lies in a trusted domain or below one, at a label boundary."""
        return self.provider_domain(address) is not None

    def provider_domain(self, address: Address) -> str | None:
        """The longest trusted domain that holds the address."""
        domain = address.domain
        while domain:
            if domain in self.domains:
                return domain
            domain = domain.partition(".")[2]
        return None


def is_system_local_part(local: str, extra: Iterable[str] = ()) -> bool:
    """Whether the local part is reserved for providers, compared without case (ADR-30).

    `extra` are the further names of a provider (ADR-31).
    """
    return local.lower() in _SYSTEM or any(local.lower() == name.lower() for name in extra)


def suggestion(text: str) -> str | None:
    """The address that `text` may have meant, by the transliteration of ICAO Doc 9303; None if there is none.

    Only ever shown to a person: the suggested address can belong to somebody else (ADR-40).
    """
    candidate = transliterated(unicodedata.normalize("NFC", text.strip()).lower())
    if candidate == text:
        return None
    try:
        return str(parse_address(candidate))
    except AddressInvalid:
        return None


def transliterated(text: str) -> str:
    """`text` with the special letters of German names spelt in ASCII (ADR-3); other characters stay."""
    return "".join(_TRANSLITERATION.get(char, char) for char in text)


_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SYSTEM = frozenset(name.lower() for name in SYSTEM_LOCAL_PARTS.values())

# ADR-3, `addresses-and-accounts.md` §5. A letter outside of it gives no suggestion rather than a wrong one.
_TRANSLITERATION = {
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ç": "c", "š": "s", "ł": "l",
    "å": "aa", "æ": "ae", "ø": "oe", "œ": "oe", "ñ": "n", "ž": "z", "ő": "o",
    "é": "e", "è": "e", "ê": "e", "ë": "e", "á": "a", "à": "a", "â": "a", "ã": "a",
    "Ä": "Ae", "Ö": "Oe", "Ü": "Ue",
}  # fmt: skip
