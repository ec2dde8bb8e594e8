"""What a dry run says of the size is what composing makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.application.compose import compose
from demail_gateway.application.forecast import transmitted_bytes
from demail_gateway.application.ports.dispatches import CopyContent
from demail_gateway.application.ports.submissions import NewAttachment, NewCopy, NewMessage, NewRecipient
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import RecipientKind
from tests.application.outbox_fake import FakeSealer

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OPEN, SECRET, LONGER = UUID(int=1), UUID(int=2), UUID(int=3)
HOLDER = "Stadt Elbtal"


def recipient(number: int, copy_id: UUID, kind: RecipientKind, name: str) -> NewRecipient:
    return NewRecipient(UUID(int=number), copy_id, kind, number, f"{name}@sandbox.de-mail.de")


def message(*files: bytes, text: str | None = "Guten Tag", bcc: bool = False, html: str | None = None) -> NewMessage:
    copies = [OPEN, SECRET, LONGER] if bcc else [OPEN]
    recipients = [recipient(10, OPEN, RecipientKind.TO, "erika"), recipient(11, OPEN, RecipientKind.CC, "max")]
    if bcc:
        recipients.append(recipient(12, SECRET, RecipientKind.BCC, "b"))
        recipients.append(recipient(13, LONGER, RecipientKind.BCC, "b" * 60))
    return NewMessage(
        id=UUID(int=4),
        client_id=UUID(int=5),
        account_id=UUID(int=6),
        connection_id=UUID(int=7),
        sender="post@elbtal.de-mail.de",
        reply_to=None,
        subject="Bescheid für Sie",
        text=text,
        html=html,
        reference=None,
        options=SendOptions(private=True),
        profile=None,
        formal_service=None,
        sign=False,
        encrypt=False,
        split=False,
        recipient_certificates={},
        size_bytes=0,
        created_at=NOW,
        copies=tuple(NewCopy(each, n, f"urn:uuid:{each}", f"<{each}@g.test>") for n, each in enumerate(copies)),
        recipients=tuple(recipients),
        attachments=tuple(
            NewAttachment(n, f"anlage-{n}.pdf", "application/pdf", len(octets), octets, None)
            for n, octets in enumerate(files, 1)
        ),
    )


def composed(made: NewMessage, copy: NewCopy) -> int:
    content = CopyContent(
        tenant_id=made.id,
        message_id=made.id,
        copy_id=copy.id,
        connection_id=made.connection_id,
        account_id=made.account_id,
        sender=made.sender,
        account_holder=HOLDER,
        reply_to=made.reply_to,
        subject=made.subject,
        text=made.text,
        html=made.html,
        options=made.options,
        sign=False,
        encrypt=False,
        split=made.split,
        recipient_certificates={},
        created_at=made.created_at,
        private_id=copy.private_id,
        internet_message_id=copy.internet_message_id,
        recipients=made.recipients,
        refused=frozenset(),
        attachments=tuple((each.filename, each.content_type, each.octets or b"") for each in made.attachments),
        octets=None,
    )
    return len(compose(content, None, FakeSealer(), NOW, "f" * 32))


@given(st.lists(st.binary(max_size=400), max_size=3), st.text(max_size=200, alphabet="aä €\n="), st.booleans())
def test_the_forecast_is_the_size_of_the_largest_copy(files: list[bytes], text: str, bcc: bool) -> None:
    made = message(*files, text=text, bcc=bcc)
    assert transmitted_bytes(made, HOLDER) == max(composed(made, copy) for copy in made.copies)


def test_files_of_any_size_are_measured_without_their_octets() -> None:
    made = message(b"x" * 100_000, html="<p>Guten Tag</p>")
    unread = replace(made, attachments=tuple(replace(each, octets=None) for each in made.attachments))
    assert transmitted_bytes(unread, HOLDER) == composed(made, made.copies[0])


@pytest.mark.parametrize("changes", [{"sign": True}, {"sign": True, "encrypt": True}])
def test_smime_is_estimated_on_top(changes: dict[str, bool]) -> None:
    plain = message(b"x" * 10_000)
    more = transmitted_bytes(replace(plain, **changes), HOLDER) - transmitted_bytes(plain, HOLDER)  # type: ignore[arg-type]
    assert 4_000 < more < 30_000
