"""What is wrong with a request's shape, told field by field in both languages and never echoing its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from demail_gateway.api.catalogue import CATALOGUE
from demail_gateway.core.errors import Violation
from demail_gateway.tenancy.naming import CONTROLS, SLUG_FORM

MOST = 100
"""So many faults are told at most."""
_LONGEST_POINTER = 300

_TEXTS: dict[str, tuple[str, str]] = {
    "json_invalid": ("Das ist kein gültiges JSON.", "This is not valid JSON."),
    "missing": ("Diese Angabe fehlt.", "This field is missing."),
    "extra_forbidden": ("Diese Angabe kennt die Schnittstelle nicht.", "This field is not known."),
    "string_type": ("Erwartet wird Text.", "Text is expected."),
    "string_unicode": ("Erwartet wird Text in UTF-8.", "Text in UTF-8 is expected."),
    "bool_type": ("Erwartet wird true oder false.", "true or false is expected."),
    "bool_parsing": ("Erwartet wird true oder false.", "true or false is expected."),
    "list_type": ("Erwartet wird eine Liste.", "A list is expected."),
    "tuple_type": ("Erwartet wird eine Liste.", "A list is expected."),
    "dict_type": ("Erwartet wird ein Objekt.", "An object is expected."),
    "model_type": ("Erwartet wird ein Objekt.", "An object is expected."),
    "model_attributes_type": ("Erwartet wird ein Objekt.", "An object is expected."),
    "int_type": ("Erwartet wird eine ganze Zahl.", "A whole number is expected."),
    "int_parsing": ("Erwartet wird eine ganze Zahl.", "A whole number is expected."),
    "int_parsing_size": ("Die Zahl ist zu groß.", "The number is too large."),
    "literal_error": ("Erlaubt ist {expected}.", "Allowed is {expected}."),
    "enum": ("Erlaubt ist {expected}.", "Allowed is {expected}."),
    "string_too_long": ("Höchstens {max_length} Zeichen.", "{max_length} characters at most."),
    "string_too_short": ("Mindestens {min_length} Zeichen.", "{min_length} characters at least."),
    "string_pattern_mismatch": ("Die Angabe hat nicht die verlangte Form.", "The value is not of the required form."),
    "too_long": ("Höchstens {max_length} Einträge.", "{max_length} entries at most."),
    "too_short": ("Mindestens {min_length} Einträge.", "{min_length} entries at least."),
    "greater_than_equal": ("Mindestens {ge}.", "{ge} at least."),
    "less_than_equal": ("Höchstens {le}.", "{le} at most."),
    "datetime_from_date_parsing": ("Das ist kein Zeitpunkt nach RFC 3339.", "This is no RFC 3339 date-time."),
    "datetime_parsing": ("Das ist kein Zeitpunkt nach RFC 3339.", "This is no RFC 3339 date-time."),
    "datetime_type": ("Das ist kein Zeitpunkt nach RFC 3339.", "This is no RFC 3339 date-time."),
    "timezone_aware": ("Dem Zeitpunkt fehlt die Zeitzone.", "The date-time lacks its time zone."),
    "moment_out_of_range": ("Dieser Zeitpunkt ist nicht darstellbar.", "This date-time cannot be represented."),
    "control_characters": CONTROLS,
    "no_slug": SLUG_FORM,
    "not_an_id": ("Das ist keine Kennung dieser Art.", "This is no id of this kind."),
    "not_a_certificate": ("Erwartet wird ein Zertifikat in PEM.", "A certificate in PEM is expected."),
    "not_storable": ("Diese Angabe lässt sich nicht speichern.", "This value cannot be stored."),
    "one_content": (
        "Entweder content mit filename und content_type oder attachment_id.",
        "Either content with filename and content_type, or attachment_id.",
    ),
    "nothing_to_change": ("Es ist keine Änderung angegeben.", "No change is given."),
}
_OTHER = ("Diese Angabe ist ungültig.", "This value is invalid.")


def faults_of(errors: Iterable[Mapping[str, Any]], code: str, *, skip: int = 0) -> tuple[Violation, ...]:
    """pydantic's errors as violations under `code`; `skip` drops the first parts of their place."""
    rule = CATALOGUE[code].rule or ""
    found = []
    for error in errors:
        german, english = _text(error)
        found.append(Violation(code, rule, pointer_of(error["loc"][skip:]), german, english))
        if len(found) == MOST:
            break
    return tuple(found)


def pointer_of(place: Sequence[object]) -> str:
    """JSON pointer (RFC 6901) of a place in the request."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in place)
    pointer = "".join(f"/{part}" for part in parts)
    return pointer.encode("utf-8", "replace").decode("utf-8")[:_LONGEST_POINTER]


def _text(error: Mapping[str, Any]) -> tuple[str, str]:
    german, english = _TEXTS.get(str(error["type"]), _OTHER)
    facts = error.get("ctx") or {}
    try:
        return german.format(**facts), english.format(**facts)
    except KeyError:
        return _OTHER
