"""Messages as submitted: MF-9 to MF-13, MF-19, MF-26, MF-27."""

from __future__ import annotations

import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from demail_gateway.core.address import Address
from demail_gateway.core.encoded_words import decode_words
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.header import read_message
from demail_gateway.core.message import (
    PartSource,
    SubmissionFields,
    assemble,
    attachment_entity,
    build_entity,
    enveloped,
    multipart_signed,
)
from demail_gateway.core.metadata import read_metadata
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


@pytest.mark.clause("TR 01201-3.4 §3.1.21 crlf")
@given(TEXT | LONG_TEXT.map("".join))
@example("0" * 170 + "=\x80\x80\x80\x80\u0800\u0800\u0800 \n")
def test_any_text_arrives_with_crlf_line_ends(text: str) -> None:
    entity = build_entity(text, None, (), "b1")
    assert is_clean(entity)
    assert entity.endswith(b"\r\n")
    assert all(len(line) <= 76 for line in entity.split(b"\r\n\r\n", 1)[1].split(b"\r\n"))
    assert content(parsed(entity)) == crlf(text)


@pytest.mark.clause("TR 01201-3.1 step 4", "TR 01201-3.4 §2.1.2", "TR 01201-3.4 §3.4")
@given(TEXT, TEXT, st.binary(max_size=300), FILENAMES)
def test_text_markup_and_attachment_arrive_in_their_order(text: str, html: str, octets: bytes, name: str) -> None:
    entity = build_entity(text, html, (PartSource(name, "application/pdf", octets),), "b1")
    assert is_clean(entity)
    message = parsed(entity)
    body, attachment = message.iter_parts()
    assert message.get_content_type() == "multipart/mixed"
    assert body.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in body.iter_parts()] == ["text/plain", "text/html"]
    assert [content(part) for part in body.iter_parts()] == [crlf(text), crlf(html)]
    assert attachment.get_payload(decode=True) == octets
    assert attachment.get_content_disposition() == "attachment"


@pytest.mark.clause("TR 01201-3.4 §3.1.21 mime")
@given(VISIBLE)
def test_any_file_name_arrives(name: str) -> None:
    entity = attachment_entity(PartSource(name, "application/octet-stream", b"x"))
    assert is_clean(entity)
    assert parsed(entity).get_filename() == name


@pytest.mark.parametrize(
    "name",
    [
        "Bescheid.pdf",
        'a "b" \\c.pdf',
        "Größenübersicht.pdf",
        "x" * 255,
        "ü" * 255,
        "😀" * 255,
        "Anlage 1; b=c.txt",
        "a'b%20.pdf",
    ],
)
def test_file_name_arrives_with_blanks_and_quotes(name: str) -> None:
    entity = attachment_entity(PartSource(name, "application/pdf", b"x"))
    assert all(len(line) <= 100 for line in entity.split(b"\r\n"))
    assert parsed(entity).get_filename() == name


def test_old_programs_see_a_name_in_ascii() -> None:
    entity = attachment_entity(PartSource("Größe ж.pdf", "application/pdf", b"x"))
    assert b'name="Groesse _.pdf"' in entity
    assert b"filename*=utf-8''Gr%C3%B6%C3%9Fe%20%D0%B6.pdf" in entity
    assert b'name="abc"' in attachment_entity(PartSource("abc", "application/pdf", b"x"))


def test_the_shorter_encoding_is_taken() -> None:
    assert b"quoted-printable\r\n\r\nHallo\r\n" in build_entity("Hallo\n", None, (), "b")
    assert b"quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe aus M=C3=BCnchen und der Umgebung\r\n" in build_entity(
        "Grüße aus München und der Umgebung\n", None, (), "b"
    )
    assert b"base64" in build_entity("Καλημέρα", None, (), "b")
    assert b"base64" in build_entity("üääää" + "x" * 9, None, (), "b")


def test_line_that_leaves_no_room_for_a_soft_end_is_not_lengthened() -> None:
    for length in (75, 76, 77):
        entity = build_entity("x" * length, None, (), "b")
        assert content(parsed(entity)) == "x" * length
        assert max(map(len, entity.split(b"\r\n\r\n")[1].split(b"\r\n"))) <= 76


def test_message_without_content_is_an_empty_text() -> None:
    message = parsed(build_entity(None, None, (), "b"))
    assert message.get_content_type() == "text/plain"
    assert content(message) == ""


def test_attachments_alone_need_no_text() -> None:
    message = parsed(build_entity(None, None, (PartSource("a.bin", "application/octet-stream", b""),), "b"))
    assert [part.get_filename() for part in message.iter_parts()] == ["a.bin"]
    assert next(iter(message.iter_parts())).get_payload(decode=True) == b""


def test_markup_alone_is_html() -> None:
    assert parsed(build_entity(None, "<p>Hallo</p>", (), "b")).get_content_type() == "text/html"


def test_parameters_of_a_content_type_are_kept() -> None:
    entity = attachment_entity(PartSource("a.csv", 'text/csv; charset=iso-8859-1; header="present"', b"x"))
    assert parsed(entity).get_content_charset() == "iso-8859-1"
    assert parsed(entity).get_param("header") == "present"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a\r\nb.pdf", "application/pdf"),
        ("a\0.pdf", "application/pdf"),
        ("a\x85.pdf", "application/pdf"),
        ("", "application/pdf"),
        ("x" * 256, "application/pdf"),
        ("\ud800" * 3, "application/pdf"),
        ("a.pdf", "application"),
        ("a.pdf", "application/pdf\r\nX: y"),
        ("a.pdf", 'application/pdf; a="b\r\nX: y"'),
        ("a.pdf", "multipart/mixed; boundary=x"),
        ("a.eml", "message/rfc822"),
        ("a.pdf", "application/" + "x" * 300),
        ("a.pdf", "application/pdf;"),
        ("a.pdf", ""),
    ],
)
def test_what_would_break_the_part_is_refused(name: str, content_type: str) -> None:
    with pytest.raises(ComposeFailed):
        build_entity("x", None, (PartSource(name, content_type, b""),), "b")


@pytest.mark.parametrize("boundary", ["", "a b", 'a"', "a\r\n", "x" * 61])
def test_boundary_is_a_token(boundary: str) -> None:
    with pytest.raises(ComposeFailed):
        build_entity("x", None, (), boundary)


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(ComposeFailed):
        build_entity("\ud800", None, (), "b")


@pytest.mark.clause("TR 01201-3.1 step 6")
@given(st.binary(max_size=400))
def test_signed_entity_keeps_its_octets(signature: bytes) -> None:
    entity = build_entity("Grüße", "<p>Grüße</p>", (PartSource("a.pdf", "application/pdf", b"x"),), "b")
    signed = multipart_signed(entity, signature, "sha-256", "b")
    assert signed.count(entity) == 1
    start = signed.index(entity)
    assert signed[:start].endswith(b"\r\n--=_sb\r\n")
    assert signed[start + len(entity) :].startswith(b"\r\n--=_sb\r\n")
    message = parsed(signed)
    assert message.get_content_type() == "multipart/signed"
    assert message.get_param("protocol") == "application/pkcs7-signature"
    assert message.get_param("micalg") == "sha-256"
    first, second = message.iter_parts()
    assert first.get_content_type() == "multipart/mixed"
    assert second.get_payload(decode=True) == signature


def test_encrypted_content_is_pkcs7_mime() -> None:
    message = parsed(enveloped(b"\x30\x03abc" * 50, "authEnveloped-data"))
    assert message.get_content_type() == "application/pkcs7-mime"
    assert message.get_param("smime-type") == "authEnveloped-data"
    assert message.get_payload(decode=True) == b"\x30\x03abc" * 50


def test_wrapping_parameters_cannot_break_out() -> None:
    with pytest.raises(ComposeFailed):
        enveloped(b"", 'x"\r\n')
    with pytest.raises(ComposeFailed):
        multipart_signed(b"", b"", "sha-256\r\n", "b")


@pytest.mark.clause(
    "TR 01201-3.1 steps 1, 3",
    "TR 01201-3.4 §2.1",
    "TR 01201-3.4 §3.1 fields",
    "TR 01201-3.4 §3.1 lower",
    "TR 01201-3.4 §3.1.2",
    "TR 01201-3.4 §3.1.3",
    "TR 01201-3.4 §3.1.4",
    "TR 01201-3.4 §3.1.5",
    "TR 01201-3.4 §3.1.6",
)
def test_exactly_the_fields_of_column_one_are_written() -> None:
    message = assemble(
        fields(cc=(ARCHIVE,), reply_to=Address("antwort", "stadt.a.example"), account_holder="Stadt Köln"),
        build_entity("x", None, (), "b"),
    )
    assert [item.name for item in read_message(message).header.fields] == [
        "From", "To", "Cc", "Reply-To", "Date", "Message-ID", "Subject",
        "x-de-mail-confirmation-of-dispatch", "x-de-mail-confirmation-of-receipt",
        "x-de-mail-confirmation-of-retrieve", "x-de-mail-authoritative", "x-de-mail-private",
        "x-de-mail-sender", "x-de-mail-chosen-recipient", "x-de-mail-private-id",
        "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    ]  # fmt: skip


def test_optional_fields_are_left_out() -> None:
    names = [item.lower for item in read_message(assemble(fields(to=()), b"Content-Type: x\r\n\r\n")).header.fields]
    assert not {"to", "cc", "reply-to", "bcc"} & set(names)


@pytest.mark.clause("TR 01201-3.1 step 4", "TR 01201-3.4 §3.1.7", "TR 01201-3.4 §3.1.17 copied")
def test_metadata_are_read_back_as_written() -> None:
    options = SendOptions(confirmation_of_dispatch=True, private=True)
    chosen = RecipientLists(to=(Mailbox("", ERIKA.address),), bcc=(ARCHIVE,))
    message = assemble(
        fields(options=options, chosen=chosen, account_holder="Köln; Amt", subject="Grüße " * 30),
        b"Content-Type: x\r\n\r\n",
    )
    metadata = read_metadata(read_message(message).header)
    assert str(metadata.sender) == "poststelle@stadt.a.example"
    assert metadata.from_mailbox == Mailbox("Köln; Amt", Address("poststelle", "stadt.a.example"))
    assert metadata.chosen_recipients == chosen
    assert metadata.subject == "Grüße " * 30
    assert metadata.private_id == "urn:uuid:3b7d6a52-0f0c-4d1e-9a55-5d0c6b0e3a11"
    assert (metadata.confirmation_of_dispatch, metadata.private, metadata.authoritative) == (True, True, False)
    assert metadata.date == datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC)
    assert metadata.internet_message_id == "<1@gateway.example>"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200), st.text(max_size=60))
def test_no_subject_or_name_adds_a_field(subject: str, holder: str) -> None:
    plain = read_message(assemble(fields(account_holder="x"), b"Content-Type: x\r\n\r\n")).header
    try:
        message = assemble(fields(subject=subject, account_holder=holder), b"Content-Type: x\r\n\r\n")
    except ComposeFailed:
        return
    header = read_message(message).header
    assert [item.name for item in header.fields] == [item.name for item in plain.fields]
    assert decode_words(header.value("Subject") or "") == subject
    assert header.raw.isascii()


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "a\r\nBcc: x@y.example"},
        {"subject": "a\nb"},
        {"account_holder": "a\r\nb"},
        {"account_holder": "a\0b"},
        {"to": (Mailbox("a\r\nb", ERIKA.address),)},
        {"message_id": "<1@gateway.example>\r\nBcc: x"},
        {"message_id": "1@gateway.example"},
        {"message_id": "<1 2@gateway.example>"},
        {"private_id": "a\r\nb"},
        {"private_id": ""},
        {"private_id": "x " * 600},
        {"chosen": RecipientLists()},
    ],
)
def test_what_would_break_the_header_section_is_refused_without_being_quoted(changes: dict[str, object]) -> None:
    with pytest.raises(ComposeFailed) as caught:
        assemble(fields(**changes), b"Content-Type: x\r\n\r\n")
    assert "Bcc" not in str(caught.value)


def test_only_an_entity_can_follow_the_fields() -> None:
    with pytest.raises(ComposeFailed):
        assemble(fields(), b"\r\nbody")


@pytest.mark.clause("TR 01201-3.4 §3.1.21 folding")
def test_thousand_recipients_are_folded() -> None:
    many = tuple(Mailbox("", Address(f"empfaenger{n:04}", "amt.b.example")) for n in range(1000))
    message = assemble(fields(to=many, chosen=RecipientLists(to=many)), b"Content-Type: x\r\n\r\n")
    assert all(len(line) <= 78 for line in message.split(b"\r\n"))
    assert len(read_metadata(read_message(message).header).chosen_recipients.to) == 1000
