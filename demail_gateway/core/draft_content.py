"""What can be wrong with a draft by itself: syntax, header injection, sizes, the fields of formal service."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from demail_gateway.core.draft_facts import AttachmentFacts, DraftInput
from demail_gateway.core.errors import Violation
from demail_gateway.core.limits import Limits, base64_size
from demail_gateway.core.options import FORMAL_SERVICE
from demail_gateway.core.plan import net_size

MAX_SUBJECT_CHARS = 1000
"""Ours: the guideline sets none; readable lists end long before."""
MAX_FILENAME_CHARS = 255
"""What common file systems take."""
MAX_ATTACHMENTS = 500
"""Ours: bounds the parts of a message, here and at everybody who has to read it."""


def content_violations(draft: DraftInput) -> Iterator[Violation]:
    """Syntax (SND-23), the reference (SND-22 is in `size_violations`) and formal service (SND-7)."""
    yield from _head(draft)
    yield from _body(draft)
    for index, attachment in enumerate(draft.attachments):
        yield from _attachment(index, attachment)
    yield from _formal_service(draft)


def malware_found(pointer: str) -> Violation:
    """SND-18: a scanner found malware in the part at `pointer`."""
    return Violation(
        "malware-found",
        "SND-18",
        pointer,
        "Hier wurde Schadsoftware gefunden; nichts wurde gespeichert oder gesendet.",
        "Malware was found here; nothing was stored or sent.",
    )


def not_scannable(pointer: str) -> Violation:
    """SND-74: a scanner could not look at the part at `pointer` to its end."""
    return Violation(
        "not-scannable",
        "SND-74",
        pointer,
        "Nicht auf Schadsoftware prüfbar, etwa ein verschlüsseltes oder beschädigtes Archiv; nichts wurde gesendet.",
        "Cannot be scanned for malware, e.g. an encrypted or damaged archive; nothing was sent.",
    )


def size_violations(draft: DraftInput, limits: Limits) -> Iterator[Violation]:
    """SND-19 and SND-22.

    The size as transmitted is judged exactly when the message is composed; what must exceed it anyhow is refused here.
    """
    for size_bytes, limit in (
        (net_size(draft), limits.net_bytes),
        (_least_gross_size(draft), limits.gross_bytes),
    ):
        if limit is not None and size_bytes > limit:
            yield _too_large(
                "",
                f"Die Nachricht hat {size_bytes} Bytes; zulässig sind {limit}.",
                f"The message has {size_bytes} bytes; {limit} are allowed.",
            )
            break
    recipients = len(draft.to) + len(draft.cc) + len(draft.bcc)
    if limits.recipients is not None and recipients > limits.recipients:
        yield _too_large(
            "/to",
            f"Die Nachricht hat {recipients} Empfänger; zulässig sind {limits.recipients}.",
            f"The message has {recipients} recipients; {limits.recipients} are allowed.",
        )
    if len(draft.attachments) > MAX_ATTACHMENTS:
        yield _too_large(
            "/attachments", f"Zulässig sind {MAX_ATTACHMENTS} Anlagen.", f"{MAX_ATTACHMENTS} attachments are allowed."
        )
    chars = len(draft.reference or "")
    if limits.reference_chars is not None and chars > limits.reference_chars:
        yield Violation(
            "reference-too-long",
            "SND-22",
            "/reference",
            f"Das eigene Kennzeichen hat {chars} Zeichen; zulässig sind {limits.reference_chars} "
            "(TR 01201-3.4 §3.1.17).",
            f"The reference has {chars} characters; {limits.reference_chars} are allowed (TR 01201-3.4 §3.1.17).",
        )


def invalid(pointer: str, de: str, en: str) -> Violation:
    """An `invalid-message` (SND-23) at `pointer`."""
    return Violation("invalid-message", "SND-23", pointer, de, en)


def has_controls(text: str) -> bool:
    """Whether the text could break out of a header line or cannot be written at all.

    Control characters (C0, DEL, C1), line and paragraph separators, lone surrogates.
    """
    return not text.isprintable() and any(unicodedata.category(char) in _UNFIT for char in text)


_UNFIT = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ATOM = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]++"
# no possessive groups: Python 3.11 before .5 backtracks into them and takes "text/plain;"
_CONTENT_TYPE = re.compile(rf"({_ATOM})/{_ATOM}(?: *; *{_ATOM}=(?:{_ATOM}|\"(?:[ !#-\[\]-~]|\\[ -~])*\"))*", re.ASCII)
_MAX_CONTENT_TYPE_CHARS = 255


def _head(draft: DraftInput) -> Iterator[Violation]:
    if not (draft.to or draft.cc or draft.bcc):
        yield invalid("/to", "Die Nachricht hat keinen Empfänger.", "The message has no recipient.")
    if not draft.subject.strip():
        yield invalid("/subject", "Der Betreff fehlt.", "The subject is missing.")
    elif len(draft.subject) > MAX_SUBJECT_CHARS:
        yield invalid(
            "/subject",
            f"Der Betreff ist länger als {MAX_SUBJECT_CHARS} Zeichen.",
            f"The subject is longer than {MAX_SUBJECT_CHARS} characters.",
        )
    for pointer, value in (("/subject", draft.subject), ("/reference", draft.reference)):
        if value is not None and has_controls(value):
            yield _controls(pointer)


def _body(draft: DraftInput) -> Iterator[Violation]:
    if not (draft.text or draft.html or draft.attachments or draft.formal_service):
        yield invalid(
            "/text", "Die Nachricht hat weder Text noch Anlagen.", "The message has neither text nor attachments."
        )
    for pointer, value in (("/text", draft.text), ("/html", draft.html)):
        if value is not None and _unwritable(value):
            yield _controls(pointer)


def _unwritable(text: str) -> bool:
    """Whether `text` has NUL or lone surrogates. By codec, because a pattern takes ten times as long on long texts."""
    if text.isascii():
        return "\0" in text
    try:
        return b"\0" in text.encode()
    except UnicodeEncodeError:
        return True


def _attachment(index: int, attachment: AttachmentFacts) -> Iterator[Violation]:
    name, here = attachment.filename, f"/attachments/{index}"
    if not name.strip(". ") or len(name) > MAX_FILENAME_CHARS:
        yield invalid(
            f"{here}/filename",
            f"Der Dateiname fehlt oder ist länger als {MAX_FILENAME_CHARS} Zeichen.",
            f"The file name is missing or longer than {MAX_FILENAME_CHARS} characters.",
        )
    elif has_controls(name):
        yield _controls(f"{here}/filename")
    elif "/" in name or "\\" in name or _DIRECTION.search(name):
        yield invalid(
            f"{here}/filename",
            "Der Dateiname enthält Pfadtrenner oder Zeichen, die die Leserichtung ändern.",
            "The file name has path separators or characters that change the reading direction.",
        )
    if attachment.size_bytes < 0:
        yield invalid(here, "Die Größe der Anlage ist negativ.", "The size of the attachment is negative.")
    if not _fit_for_attachment(attachment.content_type):
        yield invalid(
            f"{here}/content_type",
            "Das ist kein Medientyp, den eine Anlage haben kann (RFC 2045, 2046).",
            "This is no media type that an attachment can have (RFC 2045, 2046).",
        )


def _fit_for_attachment(content_type: str) -> bool:
    match = _CONTENT_TYPE.fullmatch(content_type) if len(content_type) <= _MAX_CONTENT_TYPE_CHARS else None
    return match is not None and match[1].lower() not in ("multipart", "message")


def _formal_service(draft: DraftInput) -> Iterator[Violation]:
    if draft.profile != FORMAL_SERVICE:
        if draft.formal_service is not None:
            yield invalid(
                "/formal_service",
                "formal_service gehört zum Profil „formal-service“.",
                "formal_service belongs to the profile formal-service.",
            )
        return
    given = draft.formal_service
    for pointer, name in _SERVICE_FIELDS.items():
        value = getattr(given, name) if given is not None else None
        if value is not True and not (isinstance(value, str) and value.strip()):
            yield _incomplete(f"/formal_service/{pointer}")
        elif isinstance(value, str) and has_controls(_without_line_ends(value) if name == _LINES else value):
            yield _controls(f"/formal_service/{pointer}")


_LINES = "addressee_postal_address"
_SERVICE_FIELDS = {
    "authority": "authority",
    "addressee/name": "addressee_name",
    "addressee/postal_address": _LINES,
    "official": "official",
    "notice": "notice",
}


def _without_line_ends(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")


def _incomplete(pointer: str) -> Violation:
    return Violation(
        "formal-service-incomplete",
        "SND-7",
        pointer,
        "Förmliche Zustellung braucht Hinweis, Behörde, Name und Anschrift des Empfängers und den Namen der "
        "übergebenden Person (VwZG § 5a Abs. 1, § 5 Abs. 6).",
        "Formal service needs the notice, the authority, the addressee's name and postal address and the official's "
        "name (VwZG §5a(1), §5(6)).",
    )


def _controls(pointer: str) -> Violation:
    return invalid(
        pointer,
        "Unzulässige Steuerzeichen (etwa CR, LF oder NUL).",
        "Control characters such as CR, LF or NUL are not allowed.",
    )


def _too_large(pointer: str, de: str, en: str) -> Violation:
    return Violation("too-large", "SND-19", pointer, de, en)


def _least_gross_size(draft: DraftInput) -> int:
    """Octets that the message has at the least when transmitted: attachments are base64, encryption encodes again."""
    parts = sum(base64_size(max(attachment.size_bytes, 0)) for attachment in draft.attachments)
    entity = parts + len(draft.text or "") + len(draft.html or "")
    return base64_size(entity) if draft.encrypt else entity
