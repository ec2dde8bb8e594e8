"""Findings of the message checker: the codes of MF-31 with their severities."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is not as the guideline wants it."""

    code: str
    header: str
    """Field in lower case, ``body``, or empty for the message."""
    severity: Severity


_E, _W = Severity.ERROR, Severity.WARNING

SEVERITIES: dict[str, Severity] = {
    "message-unparsable": _E,
    "newline": _W,
    "no-body-separator": _W,
    "bare-newline": _E,
    "nul-octet": _E,
    "line-too-long": _E,
    "line-over-78": _W,
    "header-8bit": _E,
    "size": _W,
    "header-missing": _E,
    "header-forbidden": _E,
    "duplicate-header": _W,
    "resent-incomplete": _E,
    "message-type": _E,
    "value-case": _W,
    "option-value": _E,
    "sender-syntax": _E,
    "from-syntax": _E,
    "from-multiple": _E,
    "from-sender-mismatch": _W,
    "recipient-syntax": _E,
    "recipient-duplicate-element": _E,
    "recipient-empty": _E,
    "recipient-multiple-bcc": _E,
    "recipient-semicolon-list": _W,
    "recipient-trailing-semicolon": _W,
    "address-local-too-long": _E,
    "address-domain-too-long": _E,
    "address-too-long": _E,
    "address-case": _W,
    "reply-to-syntax": _E,
    "envelope-to-syntax": _E,
    "date-syntax": _E,
    "originator-provider-syntax": _E,
    "message-id-syntax": _W,
    "auth-level-value": _E,
    "version-syntax": _E,
    "version-unknown": _W,
    "private-id-too-long": _E,
    "empty-value": _E,
    "notification-type-value": _W,
    "auth-level-insufficient": _E,
    "retrieve-requires-private": _E,
    "pseudonym-authoritative": _W,
    "system-sender": _E,
    "retrieve-private": _E,
    "ident-private": _E,
    "ident-subject": _W,
    "integrity-malformed": _E,
    "integrity-algorithm": _E,
    "integrity-tag-c": _E,
    "integrity-tag-l": _E,
    "integrity-tag-q": _E,
    "certificate-missing": _E,
    "signature-required": _E,
    "certificate-unexpected": _W,
    "mime-version-missing": _W,
    "structure-not-multipart-mixed": _E,
    "structure-xml-missing": _E,
    "structure-pdf-missing": _E,
}

SUBMISSION_ERRORS = frozenset({"from-sender-mismatch", "pseudonym-authoritative"})
"""Warnings on reception, errors in a draft: the gateway writes both itself (MF-7, MF-16)."""

WARNING_IF_MISSING = "x-de-mail-notification-type"
"""Missing, this field is only a warning (MF-12)."""


def finding(code: str, header: str = "", *, submission: bool = False) -> Finding:
    """The finding of this code with the severity of MF-31."""
    severity = SEVERITIES[code]
    if submission and code in SUBMISSION_ERRORS:
        severity = Severity.ERROR
    if code == "header-missing" and header == WARNING_IF_MISSING:
        severity = Severity.WARNING
    return Finding(code, header, severity)
