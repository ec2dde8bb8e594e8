"""What tenants, clients and connections may be called, and what else operators write.

The same over REST and at the command line.
"""

from __future__ import annotations

import re
from enum import StrEnum

from demail_gateway.core.draft_content import has_controls
from demail_gateway.core.errors import RuleViolation, Violation

SLUG_PATTERN = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""Of a tenant: part of addresses (`/v1/tenants/{slug}`), and never an id, which has an underscore."""
SLUG_FORM = (
    "Ein Kurzname hat 1 bis 63 Zeichen a–z, 0–9 und Bindestrich, außen keinen Bindestrich.",
    "A slug has 1 to 63 characters a–z, 0–9 and hyphen, with no hyphen at either end.",
)
NAME_CHARS = 200
REASON_CHARS = 500
CONTROLS = ("Unzulässige Steuerzeichen.", "Control characters are not allowed.")


class TenantKind(StrEnum):
    """What a tenant is."""

    AUTHORITY = "authority"
    MUNICIPALITY = "municipality"
    OTHER = "other"


def is_slug(text: str) -> bool:
    return re.fullmatch(SLUG_PATTERN.strip("^$"), text) is not None


def check_slug(slug: str) -> None:
    """Raises RuleViolation: no slug of a tenant."""
    if not is_slug(slug):
        raise _violation("/slug", *SLUG_FORM)


def check_name(name: str) -> None:
    """Raises RuleViolation: not one line of 1 to `NAME_CHARS` characters."""
    _check_line("/name", name, NAME_CHARS)


def check_reason(reason: str) -> None:
    """Why an operator decides something; raises RuleViolation: not one line of 1 to `REASON_CHARS` characters."""
    _check_line("/reason", reason, REASON_CHARS)


def _check_line(pointer: str, text: str, most: int) -> None:
    if not text:
        raise _violation(pointer, "Mindestens 1 Zeichen.", "1 characters at least.")
    if len(text) > most:
        raise _violation(pointer, f"Höchstens {most} Zeichen.", f"{most} characters at most.")
    if has_controls(text):
        raise _violation(pointer, *CONTROLS)


def _violation(pointer: str, german: str, english: str) -> RuleViolation:
    return RuleViolation([Violation("invalid-request", "", pointer, german, english)])
