"""Table 1 of TR 01201-3.4 §3.1.1 as data: which field belongs into which class of message.

Lay `MATRIX` beside the table: the rows have its numbers and order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from demail_gateway.core.findings import Finding, finding
from demail_gateway.core.header import Header
from demail_gateway.core.vocabulary import MessageClass


class Presence(StrEnum):
    REQUIRED = "M!"
    OPTIONAL = "(o)"
    FORBIDDEN = "–"


class InTransit(StrEnum):
    """What forwarding and re-sending do to a field (column W/F; MF-3, MF-4)."""

    KEPT = "orig"
    REWRITTEN = "rewritten"
    """By forwarding and re-sending."""
    ADDED = "added"
    """By forwarding alone."""
    SET_ANEW = "set anew"
    """At each reception, in any state (TR 01201-3.4 §3.1.22)."""


class SetBy(StrEnum):
    """Who writes a field."""

    SENDER = "S"
    PROVIDER = "P"
    RECIPIENT_PROVIDER = "R"


@dataclass(frozen=True, slots=True)
class Row:
    """One metadatum and its field."""

    number: int
    header: str
    """In lower case."""
    german: str
    n: Presence
    b: Presence
    m: Presence
    i: Presence
    set_by: SetBy
    covered: bool
    """Whether the integrity covers it."""
    required_since: str = "1.0"
    """Version of the guideline from which the row is required (MF-5); before, the field may be there."""

    @property
    def in_transit(self) -> InTransit:
        """Every field but these keeps its octets."""
        return _IN_TRANSIT.get(self.number, InTransit.KEPT)

    def presence(self, message_class: MessageClass, version: str) -> Presence:
        presence = {"N": self.n, "B": self.b, "M": self.m, "I": self.i}[message_class.value]
        if presence is Presence.REQUIRED and _order(version) < _order(self.required_since):
            return Presence.OPTIONAL
        return presence


KNOWN_VERSIONS = ("1.0", "1.1", "1.2", "1.7", "1.8")
"""TR 01201-3.4 tables 17 and 26 (MF-6)."""
LATEST = "1.8"

_R, _O, _F = Presence.REQUIRED, Presence.OPTIONAL, Presence.FORBIDDEN
_S, _P, _T = SetBy.SENDER, SetBy.PROVIDER, SetBy.RECIPIENT_PROVIDER

MATRIX: tuple[Row, ...] = (
    Row(1, "x-de-mail-confirmation-of-dispatch", "Versandbestätigung", _R, _F, _F, _F, _S, True),
    Row(2, "x-de-mail-confirmation-of-receipt", "Eingangsbestätigung", _R, _F, _F, _F, _S, True),
    Row(3, "x-de-mail-confirmation-of-retrieve", "Abholbestätigung", _R, _F, _F, _F, _S, True),
    Row(4, "x-de-mail-authoritative", "Absenderbestätigt", _R, _F, _F, _F, _S, True),
    # class B: as in the confirmed message, so absent or not (MF-2)
    Row(5, "x-de-mail-private", "Persönlich", _R, _O, _F, _R, _S, True),
    Row(6, "x-de-mail-sender", "Absender-Adresse", _R, _R, _R, _R, _S, True),
    Row(7, "x-de-mail-chosen-recipient", "Empfänger-Adresse(n)", _R, _R, _R, _R, _S, True),
    Row(8, "subject", "Betreff", _R, _R, _R, _R, _S, True),
    Row(9, "x-de-mail-private-id", "Nachrichten-Kennung des Absenders", _O, _O, _O, _F, _S, True),
    Row(10, "reply-to", "Antwort-Adresse", _O, _O, _O, _O, _S, True),
    Row(11, "x-de-mail-auth-level", "Authentisierungsniveau", _R, _O, _O, _O, _P, True),
    Row(12, "x-de-mail-auth-mechanism", "Authentisierungs-Mechanismus", _R, _O, _O, _O, _P, True),
    Row(13, "date", "Versanddatum und -zeit", _R, _R, _R, _R, _P, True),
    Row(14, "x-de-mail-message-id", "De-Mail-Message-ID", _R, _R, _R, _R, _P, True),
    Row(15, "x-de-mail-originator-provider", "De-Mail-Server", _R, _R, _R, _R, _P, True),
    Row(16, "x-de-mail-message-type", "Nachrichten-Typ", _R, _R, _R, _R, _P, True),
    # covers itself, without the value of b
    Row(17, "x-de-mail-integrity", "Hashwert / Signatur", _R, _R, _R, _R, _P, False),
    Row(18, "x-de-mail-signature-certificate", "Signaturzertifikat des DMDA", _O, _R, _O, _R, _P, False),
    Row(19, "x-de-mail-actual-recipient", "Empfänger-Adressen für den Transport", _R, _R, _R, _R, _P, False),
    Row(20, "resent-to", "Weiterleitungs-Absender", _O, _O, _O, _O, _T, False),
    Row(20, "resent-from", "Weiterleitungs-Absender", _O, _O, _O, _O, _T, False),
    Row(20, "resent-date", "Weiterleitungs-Absender", _O, _O, _O, _O, _T, False),
    Row(20, "resent-message-id", "Weiterleitungs-Absender", _O, _O, _O, _O, _T, False),
    Row(21, "envelope-to", "Weiterleitungsnachrichten", _O, _O, _O, _O, _T, False),
    Row(22, "x-de-mail-version", "Version der X-Header", _R, _R, _R, _R, _P, True),
    Row(23, "x-de-mail-account-holder", "Vollständiger Name", _R, _F, _F, _F, _P, True, "1.1"),
    Row(24, "x-de-mail-notification-type", "Meldungsnachrichtentyp", _F, _F, _R, _F, _P, False, "1.2"),
    Row(25, "from", "Absender", _R, _R, _R, _R, _S, True),
    Row(26, "message-id", "Message-ID", _R, _R, _R, _R, _S, True),
)

_IN_TRANSIT = {19: InTransit.REWRITTEN, 20: InTransit.ADDED, 21: InTransit.SET_ANEW}

RESENT = tuple(row.header for row in MATRIX if row.number == 20)

SUBMISSION_REQUIRED = (
    "from",
    "subject",
    "date",
    "message-id",
    "x-de-mail-confirmation-of-dispatch",
    "x-de-mail-confirmation-of-receipt",
    "x-de-mail-confirmation-of-retrieve",
    "x-de-mail-authoritative",
    "x-de-mail-private",
    "x-de-mail-sender",
    "x-de-mail-chosen-recipient",
)
"""Column one of MF-27, without what is optional there."""

SUBMISSION_FORBIDDEN = (
    "x-de-mail-auth-level",
    "x-de-mail-auth-mechanism",
    "x-de-mail-message-id",
    "x-de-mail-originator-provider",
    "x-de-mail-message-type",
    "x-de-mail-version",
    "x-de-mail-account-holder",
    "x-de-mail-integrity",
    "x-de-mail-signature-certificate",
    "x-de-mail-actual-recipient",
    "x-de-mail-notification-type",
    "envelope-to",
    *RESENT,
)
"""Column two of MF-27: the provider sets them."""


def matrix_findings(header: Header, message_class: MessageClass, version: str) -> Iterator[Finding]:
    """What is missing or forbidden in this class (``header-missing``, ``header-forbidden``), doubled or half there.

    An unknown version has the rules of 1.8 (MF-5).
    """
    rules = version if version in KNOWN_VERSIONS else LATEST
    for name, presence in _column(message_class, rules):
        found = header.first(name)
        if presence is Presence.REQUIRED and found is None:
            yield finding("header-missing", name)
        elif presence is Presence.FORBIDDEN and found is not None:
            yield finding("header-forbidden", name)
    for name in header.duplicates(_ONCE):
        yield finding("duplicate-header", name)
    # each forwarding adds a block of all four (MF-3)
    if len({len(header.all(name)) for name in RESENT}) > 1:
        yield finding("resent-incomplete")


def submission_findings(header: Header) -> Iterator[Finding]:
    """The same for a draft (MF-27)."""
    for name in SUBMISSION_REQUIRED:
        if header.first(name) is None:
            yield finding("header-missing", name)
    for name in SUBMISSION_FORBIDDEN:
        if header.first(name) is not None:
            yield finding("header-forbidden", name)
    for name in header.duplicates((*SUBMISSION_REQUIRED, "reply-to", "x-de-mail-private-id")):
        yield finding("duplicate-header", name)


_ONCE = tuple(row.header for row in MATRIX if row.header not in RESENT)


@cache
def _column(message_class: MessageClass, version: str) -> tuple[tuple[str, Presence], ...]:
    """What the table says of each field for one class and one known version."""
    return tuple((row.header, row.presence(message_class, version)) for row in MATRIX)


def _order(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)
