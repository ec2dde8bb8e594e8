"""Every check and finding that the code can name has a sentence in German and English."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from demail_gateway.application.explain.check_titles import TITLES
from demail_gateway.application.explain.report import FINDINGS
from demail_gateway.core.confirmation_report import Verdict
from demail_gateway.core.findings import SEVERITIES
from demail_gateway.trust.policy import Use

CODE = Path(__file__).parents[3] / "demail_gateway"
_NAME = re.compile(
    r"(?:message|header|content|proof|integrity|certificate|confirmation|notification|ident|evidence|package|journal|mailbox)"
    r"\.[0-9a-z-]+"
)
_FINDING = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+(?::.*)?")
# where checks and findings are made
SOURCES = (
    *(CODE / "core").glob("confirmation_*.py"),
    *(CODE / "core").glob("notification_check.py"),
    *(CODE / "core").glob("ident*.py"),
    *(CODE / "core").glob("integrity*.py"),
    *(
        CODE / "core" / f"{name}.py"
        for name in (
            "correlation",
            "issuer_check",
            "journal",
            "metadata_proof",
            "package",
            "proof_parts",
            "xml_tree",
            "embedded_xml",
        )
    ),
    CODE / "core" / "trust_verdict.py",
    CODE / "trust" / "paths.py",
    *(CODE / "application").glob("inspect*.py"),
    CODE / "application" / "package_members.py",
)
STEPS = {name.partition(".")[2] for name in TITLES if name.startswith("confirmation.")}
# words of that form that are no findings: fields, encodings, roles and kinds, names of steps without their beginning
OTHERS = {
    *STEPS,
    *("utf-8", "message-type", "reply-to", "message-id", "de-mail-address", "not-applicable", "confirmed-with-remarks"),
    *("smime-type", "signed-data", "evidence-package", "message-record", "message-sealed", "message-submitted"),
    *("verification-report", "content-type", "latin-1"),
    "prev-hash-mismatch",  # of a journal; told as journal-prev-hash-mismatch
}


def constants() -> Iterator[tuple[Path, str]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path, node.value


CHECKS = sorted({value for _, value in constants() if _NAME.fullmatch(value)})
CODES = sorted(
    {
        value.split(":")[0]
        for _, value in constants()
        if _FINDING.fullmatch(value) and not value.startswith("x-de-mail-") and "-" in value.split(":")[0]
    }
    - OTHERS
)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_has_a_title(name: str) -> None:
    assert name in TITLES


@pytest.mark.parametrize("code", CODES)
def test_every_finding_has_a_sentence(code: str) -> None:
    assert code in FINDINGS


def test_every_code_of_the_message_checker_has_a_sentence() -> None:
    assert set(SEVERITIES) - set(FINDINGS) == set()


def test_composed_codes_have_sentences() -> None:
    outdated = {f"{use}-outdated" for use in Use} | {"key-size-outdated"}
    journal = {f"journal-{finding}" for finding in ("malformed", "changed", "gap", "prev-hash-mismatch")}
    assert (outdated | journal | set(Verdict)) - set(FINDINGS) == set()


def test_the_search_finds_what_is_known() -> None:
    """Else the two tests above would pass over nothing."""
    steps = {name for name in TITLES if re.fullmatch(r"confirmation\.\d\d-[a-z0-9-]+", name)}
    assert len(steps) == 15
    assert set(CHECKS) >= steps | {"integrity.hash", "certificate.status", "package.signer", "notification.xml"}
    assert set(CODES) >= {"body-hash-mismatch", "certificate-revoked", "time-implausible", "journal-malformed"}


def test_both_languages_are_there_and_differ() -> None:
    for name, text in (*TITLES.items(), *FINDINGS.items()):
        assert text.de == text.de.strip() != ""
        assert text.en == text.en.strip() != ""
        assert text.de != text.en, name


def test_findings_are_whole_sentences() -> None:
    assert all(text.de.endswith(".") and text.en.endswith(".") for text in FINDINGS.values())
