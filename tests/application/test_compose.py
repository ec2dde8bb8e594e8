"""What one copy says: its own recipients, its signature, its encryption; read back with the standard parser."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest

from demail_gateway.application.compose import compose, served
from demail_gateway.application.ports.dispatches import CopyContent
from demail_gateway.application.ports.installation import SigningMaterial
from demail_gateway.application.ports.submissions import NewRecipient
from demail_gateway.core.errors import ComposeFailed, KeyUnavailable
from demail_gateway.core.vocabulary import RecipientKind
from tests.application.outbox_fake import START, FakeSealer, copy_content

MAIN, SECRET_ONE, SECRET_TWO = UUID(int=1), UUID(int=2), UUID(int=3)
MATERIAL = SigningMaterial(UUID(int=9), b"key", b"own certificate", ())


def person(number: int, copy_id: UUID, kind: RecipientKind, name: str) -> NewRecipient:
    return NewRecipient(UUID(int=number), copy_id, kind, number, f"{name}@sandbox.de-mail.de")


PEOPLE = (
    person(10, MAIN, RecipientKind.TO, "to-one"),
    person(11, MAIN, RecipientKind.TO, "to-two"),
    person(12, MAIN, RecipientKind.CC, "cc-one"),
    person(13, SECRET_ONE, RecipientKind.BCC, "bcc-one"),
    person(14, SECRET_TWO, RecipientKind.BCC, "bcc-two"),
)


def content(copy_id: UUID, people: tuple[NewRecipient, ...] = PEOPLE, **changes: object) -> CopyContent:
    return replace(copy_content(1), copy_id=copy_id, recipients=people, **changes)  # type: ignore[arg-type]


def written(copy: CopyContent, material: SigningMaterial | None = None) -> bytes:
    return compose(copy, material, FakeSealer(), START, "boundary")


def read(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.clause("MF-19")
def test_open_copy_names_to_and_cc_and_no_bcc() -> None:
    octets = written(content(MAIN))
    message = read(octets)
    assert message["to"] == "to-one@sandbox.de-mail.de, to-two@sandbox.de-mail.de"
    assert message["cc"] == "cc-one@sandbox.de-mail.de"
    assert b"bcc" not in octets.lower()
    assert len(served(content(MAIN))) == 3


@pytest.mark.clause("MF-19", "TR 01201-3.4 §3.1.8 bcc", "TR 01201-3.4 §3.1.21 bcc")
def test_bcc_copy_names_only_its_own_bcc_recipient() -> None:
    octets = written(content(SECRET_ONE))
    chosen = read(octets)["x-de-mail-chosen-recipient"]
    assert "bcc=bcc-one@sandbox.de-mail.de" in chosen.replace(" ", "")
    assert b"bcc-two" not in octets
    assert [r.address for r in served(content(SECRET_ONE))] == ["bcc-one@sandbox.de-mail.de"]


@pytest.mark.clause("SND-48")
def test_split_copy_names_only_its_own_recipient() -> None:
    people = (
        person(10, MAIN, RecipientKind.TO, "to-one"),
        person(12, SECRET_ONE, RecipientKind.CC, "cc-one"),
    )
    first, second = (written(content(copy_id, people, split=True)) for copy_id in (MAIN, SECRET_ONE))
    assert b"cc-one" not in first
    assert b"to-one" not in second
    assert read(second)["cc"] == "cc-one@sandbox.de-mail.de"
    assert read(second)["to"] is None


def test_content_comes_back_from_the_standard_parser() -> None:
    pdf = bytes(range(256)) * 20
    octets = written(
        content(MAIN, text="Grüße\n.\nEnde", attachments=(("Bescheid für Ü.pdf", "application/pdf", pdf),))
    )
    message = read(octets)
    body = message.get_body()
    assert body is not None
    assert body.get_content().splitlines() == ["Grüße", ".", "Ende"]
    (attachment,) = message.iter_attachments()
    assert attachment.get_filename() == "Bescheid für Ü.pdf"
    assert attachment.get_payload(decode=True) == pdf
    assert octets.count(b"\n") == octets.count(b"\r\n")


def test_account_holder_private_id_and_message_id_are_those_stored() -> None:
    message = read(written(content(MAIN)))
    assert message["from"] == "Stadt Elbtal <poststelle@stadt.de-mail.de>"
    assert message["message-id"] == "<1@gateway.test>"
    assert message["x-de-mail-private-id"] == copy_content(1).private_id
    assert message["x-de-mail-confirmation-of-dispatch"] == "yes"
    assert message["x-de-mail-authoritative"] == "no"


def test_octets_of_an_earlier_attempt_are_returned_unchanged() -> None:
    assert written(content(MAIN, octets=b"as sent", sign=True)) == b"as sent"


@pytest.mark.clause("TR 01201-3.1 step 6")
def test_signed_entity_is_what_the_signature_covers() -> None:
    plain, signed = written(content(MAIN)), written(content(MAIN, sign=True), MATERIAL)
    entity = plain.partition(b"MIME-Version: 1.0\r\n")[2]
    assert entity in signed
    assert read(signed).get_content_type() == "multipart/signed"
    part = list(read(signed).iter_parts())[1]
    assert part.get_payload(decode=True) == b"signature over %d" % len(entity)


@pytest.mark.clause("DIR-52", "TR 01201-3.1 step 8")
def test_encrypted_copy_is_for_its_recipients_and_the_sender_and_nobody_else() -> None:
    certificates = {recipient.address: [recipient.address.encode()] for recipient in PEOPLE}
    octets = written(content(SECRET_ONE, encrypt=True, recipient_certificates=certificates), MATERIAL)
    message = read(octets)
    assert message.get_content_type() == "application/pkcs7-mime"
    cms = message.get_payload(decode=True)
    assert isinstance(cms, bytes)
    assert cms.startswith(b"bcc-one@sandbox.de-mail.de|own certificate|")
    assert "Grüße".encode() not in octets


@pytest.mark.clause("DIR-51")
def test_copy_is_for_every_certificate_that_still_holds() -> None:
    certificates = {recipient.address: (b"ended", b"first", b"second") for recipient in PEOPLE}
    octets = written(content(SECRET_ONE, encrypt=True, recipient_certificates=certificates), MATERIAL)
    cms = read(octets).get_payload(decode=True)
    assert isinstance(cms, bytes)
    assert cms.startswith(b"first|second|own certificate|")


@pytest.mark.clause("DIR-51", "TR 01201-3.1 step 8 FC-03")
def test_certificate_that_ended_since_acceptance_fails_the_copy() -> None:
    certificates = {recipient.address: (b"ended",) for recipient in PEOPLE}
    with pytest.raises(ComposeFailed, match="recipient-certificate-unusable"):
        written(content(MAIN, encrypt=True, recipient_certificates=certificates), MATERIAL)


@pytest.mark.clause("DIR-52")
def test_own_certificate_that_ended_is_no_fault_of_the_copy() -> None:
    certificates = {recipient.address: (b"good",) for recipient in PEOPLE}
    with pytest.raises(KeyUnavailable, match="certificate-expired"):
        written(
            content(MAIN, encrypt=True, recipient_certificates=certificates),
            replace(MATERIAL, certificate_der=b"ended own"),
        )


@pytest.mark.clause("TR 01201-3.1 step 8 FC-01")
def test_missing_certificate_fails_the_copy() -> None:
    with pytest.raises(ComposeFailed, match="recipient-certificate-missing"):
        written(content(MAIN, encrypt=True), MATERIAL)


@pytest.mark.clause("TR 01201-3.1 step 6 FC-02")
@pytest.mark.parametrize("wish", [{"sign": True}, {"encrypt": True}])
def test_missing_key_is_no_fault_of_the_copy(wish: dict[str, Any]) -> None:
    with pytest.raises(KeyUnavailable):
        written(content(MAIN, **wish))


@pytest.mark.parametrize("field", ["sender", "reply_to"])
def test_address_that_cannot_be_written_fails_the_copy(field: str) -> None:
    changes: dict[str, Any] = {field: "x\r\nBcc: y@z"}
    with pytest.raises(ComposeFailed, match="address"):
        written(content(MAIN, **changes))


def test_header_injection_by_the_subject_is_impossible() -> None:
    with pytest.raises(ComposeFailed, match="control character"):
        written(content(MAIN, subject="a\r\nBcc: x@y.de"))
