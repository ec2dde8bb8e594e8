"""An inspection in words that a clerk can read, German or English: what was checked, what it means, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from demail_gateway.application.explain.check_titles import TITLES
from demail_gateway.application.explain.conclusions import conclusion
from demail_gateway.application.explain.file_findings import FILE_FINDINGS
from demail_gateway.application.explain.header_findings import HEADER_FINDINGS
from demail_gateway.application.explain.proof_findings import (
    ALGORITHM_FINDINGS,
    CERTIFICATE_FINDINGS,
    CONFIRMATION_FINDINGS,
    IDENT_FINDINGS,
    SEAL_FINDINGS,
)
from demail_gateway.application.explain.wording import Language, Text
from demail_gateway.application.inspect import Inspection, Kind
from demail_gateway.core.checks import Check, Outcome

FINDINGS: dict[str, Text] = {
    **FILE_FINDINGS,
    **IDENT_FINDINGS,
    **CONFIRMATION_FINDINGS,
    **HEADER_FINDINGS,
    **ALGORITHM_FINDINGS,
    **CERTIFICATE_FINDINGS,
    **SEAL_FINDINGS,
}
"""What a check's `detail` may name, by code."""

OUTCOMES = {
    Outcome.PASSED: Text("bestanden", "passed"),
    Outcome.FAILED: Text("durchgefallen", "failed"),
    Outcome.INDETERMINATE: Text("unbestimmt", "undecided"),
    Outcome.NOT_APPLICABLE: Text("Hinweis", "remark"),
}
KINDS = {
    Kind.MESSAGE: Text("De-Mail-Nachricht", "De-Mail message"),
    Kind.CONFIRMATION: Text("Bestätigung", "Confirmation"),
    Kind.NOTIFICATION: Text("Meldung", "Notification"),
    Kind.EVIDENCE_PACKAGE: Text("Nachweispaket", "Evidence package"),
    Kind.JOURNAL: Text("Journal", "Journal"),
}
_BY_CHECK = {
    "mailbox.": Text("Postfachdatei", "Mailbox file"),
    "ident.": Text("Ident-Bestätigung", "Ident confirmation"),
}
_UNREMARKABLE = frozenset({"with-sent-message"})
"""What every proof says that is as it should be."""
_MATRIX = "header.matrix"
_PLACE = re.compile(r"([A-Za-z0-9_./-]{1,220}): ")
"""What a detail may begin with: a member of a package, the number of a message."""


@dataclass(frozen=True, slots=True)
class Line:
    """One check in words."""

    title: str
    outcome: Outcome
    word: str
    finding: str
    """Sentences; empty where there is nothing to say."""
    name: str
    """Stable name of the check, for enquiries."""
    source: str
    place: str = ""
    """Which member of the package, or message of the mailbox file, the check is about."""
    remarks: bool = False
    """Whether it says more than that the check passed, and who signed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the reader gets."""

    kind: str
    outcome: Outcome
    word: str
    meaning: str
    advice: str
    lines: tuple[Line, ...]
    """Checks with something to say: failed ones first, then undecided ones, passed ones, remarks."""
    passed: tuple[str, ...]
    """Titles of the checks that passed and say no more."""
    not_reached: tuple[str, ...]
    """Titles of the checks that were not made because an earlier one had decided."""


def explain(inspection: Inspection, language: Language) -> Report:
    """The whole inspection in one language."""
    concluded = conclusion(inspection)
    told = [check for check in inspection.checks if check.detail or check.outcome is Outcome.FAILED]
    lines = sorted((_line(check, language) for check in told), key=lambda line: _ORDER.index(line.outcome))
    return Report(
        kind=_kind(inspection).in_language(language),
        outcome=inspection.outcome,
        word=OUTCOMES[inspection.outcome].in_language(language),
        meaning=concluded.meaning.in_language(language),
        advice=concluded.advice.in_language(language),
        lines=tuple(lines),
        passed=_silent(inspection, Outcome.PASSED, language),
        not_reached=_silent(inspection, Outcome.INDETERMINATE, language),
    )


_ORDER = (Outcome.FAILED, Outcome.INDETERMINATE, Outcome.PASSED, Outcome.NOT_APPLICABLE)


def _kind(inspection: Inspection) -> Text:
    """What the reader calls it; more exact than the kind where that stands for several."""
    named = (text for name, text in _BY_CHECK.items() if any(c.name.startswith(name) for c in inspection.checks))
    return next(named, KINDS[inspection.kind])


def title_of(name: str) -> Text:
    """What the check of this name looks at; the name itself where there is no title."""
    found = TITLES.get(_MATRIX if name.startswith(f"{_MATRIX}.") else name)
    return found or Text(name, name)


def _silent(inspection: Inspection, outcome: Outcome, language: Language) -> tuple[str, ...]:
    """Titles of the checks with this outcome that say nothing else, each once."""
    silent = (check for check in inspection.checks if check.outcome is outcome and not check.detail)
    return tuple(dict.fromkeys(title_of(check.name).in_language(language) for check in silent))


def _line(check: Check, language: Language) -> Line:
    return Line(
        title=title_of(check.name).in_language(language),
        outcome=check.outcome,
        word=OUTCOMES[check.outcome].in_language(language),
        finding=_finding(check, language),
        name=check.name,
        source=check.source,
        place=place[1] if (place := _PLACE.match(check.detail)) else "",
        remarks=any(code in FINDINGS and code not in _UNREMARKABLE for code in _codes(check.detail)),
    )


def _codes(detail: str) -> Iterator[str]:
    return (token.rstrip(",;").partition(":")[0] for token in re.split(r"(?<=[,;:]) ", detail))


def _finding(check: Check, language: Language) -> str:
    code = check.name.removeprefix(f"{_MATRIX}.")
    if code != check.name and code in FINDINGS:
        return _sentence(FINDINGS[code], code, check.detail, language)
    place = _PLACE.match(check.detail)
    rest = check.detail[place.end() :] if place else check.detail
    return (place[0] if place else "") + " ".join(_sentences(rest, language))


def _sentences(detail: str, language: Language) -> Iterator[str]:
    """Each code of the detail as its sentence; the rest, as the name of a signer, as it is."""
    plain: list[str] = []
    for token in re.split(r"(?<=[,;]) ", detail):
        code, _, argument = token.rstrip(",;").partition(":")
        if code in FINDINGS:
            yield _sentence(FINDINGS[code], code, argument, language)
        elif token:
            plain.append(token)
    if plain:
        yield " ".join(plain)


def _sentence(text: Text, code: str, argument: str, language: Language) -> str:
    """The sentence with what it is about and the code, which documents and support know it by."""
    return f"{text.in_language(language)} [{code}{f': {argument}' if argument else ''}]"
