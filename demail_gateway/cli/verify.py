"""`verify`: checks files offline and says what was found, for clerks in German or English or as JSON."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from demail_gateway.application.explain.report import Line, explain
from demail_gateway.application.explain.wording import Language
from demail_gateway.application.explain.wording import Text as Bilingual
from demail_gateway.application.inspect import Inspection, Tools
from demail_gateway.application.inspect_file import Unreadable, inspect_file
from demail_gateway.bootstrap.offline import inspection_tools, temporary_room
from demail_gateway.core.checks import Outcome
from demail_gateway.core.dates import read_moment
from demail_gateway.core.errors import DemailError

EXIT = {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.INDETERMINATE: 2, Outcome.NOT_APPLICABLE: 2}
UNUSABLE = 3
_SEVERITY = (UNUSABLE, 1, 2, 0)
"""3 wins over 1, 1 over 2, 2 over 0."""
_WIDTH = 160
_COLOURS = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.INDETERMINATE: "yellow"}
_HEADINGS = (Bilingual("Prüfung", "Check"), Bilingual("Ergebnis", "Result"), Bilingual("Befund", "Finding"))
_ADVICE = Bilingual("Zu tun", "What to do")
_PASSED = Bilingual("Bestanden", "Passed")
_NOT_REACHED = Bilingual("Nicht mehr geprüft", "Not checked any more")
_UNREADABLE = Bilingual(
    "nicht lesbar: weder De-Mail noch Nachweispaket noch Journal",
    "unreadable: neither De-Mail nor evidence package nor journal",
)

_NO_CERTIFICATE = Bilingual(
    "kein Vertrauensanker: erwartet werden Zertifikate in PEM (-----BEGIN CERTIFICATE-----)",
    "no trust anchor: certificates in PEM are expected (-----BEGIN CERTIFICATE-----)",
)
_FOLDED = Bilingual(
    "{} bestandene Prüfschritte der Nachweise: einzeln mit --verbose.",
    "{} steps of the proofs that passed: each with --verbose.",
)
_NO_CRL = Bilingual("keine Sperrliste (DER oder PEM)", "no revocation list (DER or PEM)")
_NO_MOMENT = Bilingual(
    "Zeitpunkt mit Zeitzone nötig, z. B. 2026-03-02T12:00:00Z", "a time with zone is needed, e.g. 2026-03-02T12:00:00Z"
)
_FAULTS = {
    errno.ENOENT: Bilingual("nicht gefunden", "not found"),
    errno.EISDIR: Bilingual("ist ein Verzeichnis", "is a directory"),
    errno.EACCES: Bilingual("kein Leserecht", "may not be read"),
}


def run_verify(
    files: Sequence[Path],
    anchors: Sequence[Path],
    crls: Sequence[Path],
    at: str | None,
    *,
    as_json: bool,
    language: Language = Language.GERMAN,
    verbose: bool = False,
) -> int:
    """Exit code: 0 all passed, 1 one failed, 2 one indeterminate and none failed, 3 unusable (3 wins over 1 over 2)."""
    try:
        moment = _moment(at, language)
        tools = _tools(anchors or _default_anchors(), crls, language)
    except ValueError as error:
        print(f"verify: {error}", file=sys.stderr)
        return UNUSABLE
    codes = []
    for path in files:
        try:
            with _opened(path) as source:
                inspection = inspect_file(source, tools, datetime.now(UTC), moment)
        except Unreadable:
            print(f"{printable(str(path))}: {_UNREADABLE.in_language(language)}", file=sys.stderr)
            codes.append(UNUSABLE)
            continue
        except OSError as error:
            print(f"{printable(str(path))}: {_fault(error, language)}", file=sys.stderr)
            codes.append(UNUSABLE)
            continue
        _show(path, inspection, language, as_json=as_json, verbose=verbose)
        codes.append(EXIT[inspection.outcome])
    return next((code for code in _SEVERITY if code in codes), UNUSABLE)


def as_document(path: Path, inspection: Inspection) -> dict[str, Any]:
    """One object of `verify --json`."""
    return {
        "file": str(path),
        "kind": str(inspection.kind),
        "outcome": str(inspection.outcome),
        "checks": [
            {"name": c.name, "outcome": str(c.outcome), "detail": c.detail, "source": c.source}
            for c in inspection.checks
        ],
        "message_id": inspection.message_id,
        "integrity": {"mode": _mode(inspection), "algorithm": inspection.algorithm},
    }


def printable(text: str) -> str:
    """As it is, but for what would steer a terminal: that is shown as replacement characters."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


def without_steps(lines: Sequence[Line]) -> tuple[tuple[Line, ...], int]:
    """Without the steps of each proof of a package that just passed: its verdict speaks for them; and how many."""
    kept = tuple(line for line in lines if line.outcome is not Outcome.PASSED or line.remarks or not _is_step(line))
    return kept, len(lines) - len(kept)


def _mode(inspection: Inspection) -> str:
    return "signed" if inspection.mode == "signature" else str(inspection.mode)


def _tools(anchors: Sequence[Path], crls: Sequence[Path], language: Language) -> Tools:
    """Raises ValueError with the name of the file that is of no use."""
    anchor_files = [_octets(path, language) for path in anchors]
    crl_files = [_octets(path, language) for path in crls]
    for path, octets in zip(anchors, anchor_files, strict=True):
        _need(path, [octets], [], _NO_CERTIFICATE.in_language(language))
    for path, octets in zip(crls, crl_files, strict=True):
        _need(path, [], [octets], _NO_CRL.in_language(language))
    return inspection_tools(anchor_files, crl_files)


def _need(path: Path, anchor_files: Sequence[bytes], crl_files: Sequence[bytes], otherwise: str) -> None:
    try:
        inspection_tools(anchor_files, crl_files)
    except (ValueError, DemailError) as error:
        raise ValueError(f"{printable(str(path))}: {otherwise}") from error


def _octets(path: Path, language: Language) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{printable(str(path))}: {_fault(error, language)}") from error


def _fault(error: OSError, language: Language) -> str:
    known = _FAULTS.get(error.errno or 0)
    return known.in_language(language) if known else error.strerror or type(error).__name__


def _is_step(line: Line) -> bool:
    """Whether the verdict on a proof sums the line up."""
    return line.place.startswith("evidence/") and not line.name.startswith("evidence.")


def _moment(text: str | None, language: Language) -> datetime | None:
    if text is None:
        return None
    try:
        return read_moment(text)
    except ValueError as error:
        raise ValueError(f"--at: {_NO_MOMENT.in_language(language)}") from error


def _default_anchors() -> list[Path]:
    return [Path(name) for name in os.environ.get("DEMAIL_TRUST_ANCHORS", "").split(os.pathsep) if name]


def _opened(path: Path) -> BinaryIO:
    """The file, or a copy of what a pipe holds: checking moves to and fro."""
    source = path.open("rb")
    if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
        return source
    with source:
        room = temporary_room()
        shutil.copyfileobj(source, room)
    room.seek(0)
    return room


def _show(path: Path, inspection: Inspection, language: Language, *, as_json: bool, verbose: bool) -> None:
    if as_json:
        print(json.dumps(as_document(path, inspection), ensure_ascii=False))
        return
    report = explain(inspection, language)
    # lines for a file or another program are not broken at a terminal's width
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    verdict = Text(report.word, style=_COLOURS[report.outcome])
    console.print(Text.assemble(_plain(f"{path}: {report.kind}: "), verdict))
    sentences = [report.meaning, f"{_ADVICE.in_language(language)}: {report.advice}"]
    for heading, titles in ((_PASSED, report.passed), (_NOT_REACHED, report.not_reached)):
        sentences += [f"{heading.in_language(language)}: {', '.join(titles)}."] if titles else []
    for sentence in sentences:
        console.print(Padding(_plain(sentence), (0, 0, 0, 2), expand=False))
    lines, folded = (report.lines, 0) if verbose else without_steps(report.lines)
    if lines:
        console.print(_table(lines, language))
    if folded:
        console.print(_plain(_FOLDED.in_language(language).format(folded)))


def _table(lines: Sequence[Line], language: Language) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    for heading in _HEADINGS:
        table.add_column(heading.in_language(language), overflow="fold")
    for line in lines:
        about = f"{line.name} · {line.source}" if line.source else line.name
        told = Text.assemble(_plain(line.finding), "\n" if line.finding else "", (printable(about), "dim"))
        word = Text(line.word, style=_COLOURS.get(line.outcome, ""))
        table.add_row(_plain(line.title), word, told)
    return table


def _plain(text: str) -> Text:
    """No markup in it counts."""
    return Text(printable(text))
