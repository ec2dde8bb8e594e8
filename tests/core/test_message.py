"""Messages as submitted: MF-9 to MF-13, MF-19, MF-26, MF-27."""

from __future__ import annotations

import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser

from hypothesis import strategies as st

from demail_gateway.core.address import Address
from demail_gateway.core.message import (
    SubmissionFields,
)
from demail_gateway.core.options import SendOptions
from demail_gateway.core.recipients import Mailbox, RecipientLists

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
LONG_TEXT = st.lists(
    st.sampled_from(["ä", "=", "x" * 80, " ", "\n", "\r", ".", "From ", "\t", "€", "abc"]), max_size=80
)
FILENAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=255)
VISIBLE = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="'%"), min_size=1, max_size=200)
ERIKA = Mailbox("Erika Mustermann", Address("erika.mustermann", "b.example"))
ARCHIVE = Mailbox("", Address("archiv", "a.example"))


def fields(**changes: object) -> SubmissionFields:
    values: dict[str, object] = {
        "sender": Address("poststelle", "stadt.a.example"),
        "to": (ERIKA,),
        "cc": (),
        "chosen": RecipientLists(to=(Mailbox("", ERIKA.address),)),
        "subject": "Bescheid",
        "date": datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC),
        "message_id": "<1@gateway.example>",
        "private_id": "urn:uuid:3b7d6a52-0f0c-4d1e-9a55-5d0c6b0e3a11",
        "options": SendOptions(),
    }
    return SubmissionFields(**{**values, **changes})  # type: ignore[arg-type]


def parsed(octets: bytes) -> EmailMessage:
    message = BytesParser(policy=email.policy.default).parsebytes(octets)
    assert isinstance(message, EmailMessage)
    return message


def content(part: MIMEPart) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode("utf-8")


def crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def is_clean(octets: bytes) -> bool:
    lines = octets.split(b"\r\n")
    return octets.isascii() and all(len(line) <= 998 and not {13, 10, 0} & set(line) for line in lines)
