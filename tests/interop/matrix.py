"""The table of `docs/interoperability.md`, as it is measured."""

from __future__ import annotations

from pathlib import Path

from demail_gateway.core.errors import CmsInvalid, DecryptionFailed
from tests.interop.bouncy_castle import BouncyCastle
from tests.interop.cases import (
    CASES,
    CHANGED,
    CONTENT,
    Case,
    Encrypting,
    Signing,
    own_encryption,
    own_signature,
    we_decrypt,
    we_verify,
)
from tests.interop.mail_programs import Gpgsm, Nss
from tests.interop.partners import NotAsked, OpenSsl, Partner
from tests.interop.py_hanko import PyHanko

BEGIN, END = "<!-- measured -->", "<!-- end -->"

PARTNERS = {each.name: each for each in (OpenSsl, BouncyCastle, Gpgsm, Nss, PyHanko)}

YES, NO, NEVER = "yes", "no", "–"
"""Understood; refused or not possible; not asked, because one of the two never makes it."""


class Inconsistent(AssertionError):
    """Something passed that must not: a changed content, or another content than was protected."""


def measured(name: str, directory: Path) -> dict[str, str]:
    """The column of one partner: for each case what it makes of ours, and we of its."""
    partner: Partner = PARTNERS[name](directory)
    try:
        return {case.title: " / ".join(_cell(partner, case)) for case in CASES}
    finally:
        partner.close()


def documented(text: str) -> dict[str, dict[str, str]]:
    """The columns of the page's table."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table_of(text).splitlines() if line]
    names, body = rows[0][1:], rows[2:]
    return {name: {row[0]: row[number + 1] for row in body} for number, name in enumerate(names)}


def table_of(text: str) -> str:
    """What stands between the two marks of the page."""
    return text.split(BEGIN)[1].split(END)[0].strip() + "\n"


def table(columns: dict[str, dict[str, str]]) -> str:
    """The table in Markdown."""
    lines = [f"| | {' | '.join(columns)} |", f"|---{'|---' * len(columns)}|"]
    lines += [f"| {case.title} | {' | '.join(each[case.title] for each in columns.values())} |" for case in CASES]
    return "\n".join(lines) + "\n"


def _cell(partner: Partner, case: Case) -> tuple[str, str]:
    if isinstance(case, Signing):
        return _partner_verifies(partner, case), _we_verify(partner, case)
    return _partner_decrypts(partner, case), _we_decrypt(partner, case)


def _partner_verifies(partner: Partner, case: Signing) -> str:
    own = own_signature(case)
    if not partner.verifies(own, CONTENT, case):
        return NO
    if partner.verifies(own, CHANGED, case):
        raise Inconsistent(f"{partner.name} passes a changed content: {case.title}")
    return YES


def _we_verify(partner: Partner, case: Signing) -> str:
    made = partner.signs(case)
    if made is None:
        return NEVER
    try:
        we_verify(made, case)
    except CmsInvalid:
        return NO
    try:
        we_verify(made, case, CHANGED)
    except CmsInvalid:
        return YES
    raise Inconsistent(f"we pass a changed content: {case.title}")


def _partner_decrypts(partner: Partner, case: Encrypting) -> str:
    if case.is_read_only:
        return NEVER
    try:
        opened = partner.decrypts(own_encryption(case), case)
    except NotAsked:
        return NEVER
    if opened is None:
        return NO
    if opened != CONTENT:
        raise Inconsistent(f"{partner.name} decrypts something else: {case.title}")
    return YES


def _we_decrypt(partner: Partner, case: Encrypting) -> str:
    made = partner.encrypts(case)
    if made is None:
        return NEVER
    try:
        opened = we_decrypt(made, case)
    except (CmsInvalid, DecryptionFailed):
        return NO
    if opened != CONTENT:
        raise Inconsistent(f"we decrypt something else: {case.title}")
    return YES
