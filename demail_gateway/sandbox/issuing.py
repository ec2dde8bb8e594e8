"""The provider's own messages: confirmations, notifications, and the answers of citizens; sealed and addressed.

Steps 36 to 39, 45, 56, 67 to 70 of TR 01201-3.1 and its function 1. Thread-safe: it holds nothing that changes.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from demail_gateway.core.address import Address
from demail_gateway.core.checks import Outcome
from demail_gateway.core.completion import ProviderFacts
from demail_gateway.core.confirmation import build_confirmation, confirmation_addressee, system_address
from demail_gateway.core.eicar import Search, search_message
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.integrity import check_integrity
from demail_gateway.core.message import PartSource, SubmissionFields, assemble, build_entity
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.notification import (
    INTEGRITY_FAILED,
    UNDELIVERABLE,
    build_malware_notification,
    build_notification,
    notification_addressee,
)
from demail_gateway.core.options import SendOptions
from demail_gateway.core.primitives import CertificateStatus, CertificateVerdict
from demail_gateway.core.provider_message import Issuer, Stamp
from demail_gateway.core.recipients import Mailbox, RecipientLists
from demail_gateway.core.vocabulary import AuthLevel, ConfirmationKind, MessageType, NotificationType
from demail_gateway.sandbox.admission import Draft
from demail_gateway.sandbox.configuration import DOMAIN
from demail_gateway.sandbox.effects import Folder, NewMessage
from demail_gateway.sandbox.identity import PROVIDER_NAME, Identity
from demail_gateway.sandbox.letters import holder_of
from demail_gateway.sandbox.procedure import is_local
from demail_gateway.sandbox.sealing import new_message_id, seal_completed, seal_copies
from demail_gateway.trust.pdf import confirmation_pdf, simple_pdf
from demail_gateway.trust.verifier import CryptographyVerifier
from demail_gateway.trust.xmldsig import LxmlSignatures

_ANSWER_TEXT = """Sehr geehrte Damen und Herren,

vielen Dank für Ihre Nachricht. Meine Antwort liegt bei.

Mit freundlichen Grüßen
{name}
"""


class ProviderIssuer:
    """Meets `procedure.Issuer`."""

    def __init__(self, identity: Identity, *, host_name: str) -> None:
        self._identity = identity
        self._host_name = host_name
        self._issuer = Issuer(domain=DOMAIN, name=PROVIDER_NAME, host=host_name)
        self._signatures = LxmlSignatures()
        self._verifier = CryptographyVerifier()

    def confirmation(
        self,
        kind: ConfirmationKind,
        original: Octets,
        recipient: Address | None,
        at: datetime,
        *,
        delivered_at: datetime | None = None,
        forged: bool = False,
    ) -> NewMessage:
        """A signed confirmation to Reply-To, else to the sender; the recipient's own copy goes to his mailbox.

        `forged`: the provider's certificate is shown, and both signatures are made with another key.
        """
        signer = self._identity.impostor() if forged else self._identity.signer
        stamp = _stamp(at)
        message = build_confirmation(
            kind,
            original,
            issuer=self._issuer,
            stamp=stamp,
            recipient=recipient,
            xml_signatures=self._signatures,
            signer=signer,
            pdf=partial(_pdf, at=at),
            delivery_time=delivered_at if kind is ConfirmationKind.RETRIEVE else None,
        )
        purpose = "malware" if kind is ConfirmationKind.MALWARE else kind.value
        addressee = confirmation_addressee(original.header)
        copies = () if recipient is None or forged else (recipient,)
        sealed = seal_completed(message, signer)
        sender = system_address(purpose, self._issuer)
        return _addressed(stamp, MessageType(kind.value), sender, sealed, addressee, copies)

    def notification(
        self,
        kind: NotificationType,
        original: Octets,
        recipient: Address,
        text: str,
        at: datetime,
        *,
        signed: bool = False,
    ) -> NewMessage:
        """A notification about one recipient; signed, and also to the recipient, after a hash mismatch (step 69)."""
        stamp = _stamp(at)
        also_to = (recipient,) if signed else ()
        message = build_notification(
            kind,
            original,
            issuer=self._issuer,
            stamp=stamp,
            recipient=recipient,
            text=text,
            pdf=partial(_pdf, at=at),
            subject=INTEGRITY_FAILED if signed else UNDELIVERABLE,
            also_to=also_to,
        )
        sealed = seal_completed(message, self._identity.signer if signed else None)
        sender = system_address("notification", self._issuer)
        addressee = notification_addressee(original.header)
        return _addressed(stamp, MessageType.NOTIFICATION, sender, sealed, addressee, also_to)

    def malware_notification(self, original: Octets, recipient: Address, at: datetime) -> NewMessage:
        """Schadsoftware-Meldung, where no confirmation was asked for (step 56)."""
        stamp = _stamp(at)
        message = build_malware_notification(
            original, issuer=self._issuer, stamp=stamp, recipient=recipient, pdf=partial(_pdf, at=at)
        )
        sender = system_address("malware", self._issuer)
        addressee = notification_addressee(original.header)
        sealed = seal_completed(message, None)
        return _addressed(stamp, MessageType.MALWARE_NOTIFICATION, sender, sealed, addressee, (recipient,))

    def answer(self, original: Octets, recipient: Address, at: datetime) -> NewMessage:
        """The citizen answers: absenderbestätigt, with an attachment, to Reply-To, else to the sender."""
        metadata = read_metadata(original.header)
        addressee = confirmation_addressee(original.header)
        lists = RecipientLists(to=(Mailbox("", addressee),))
        name = holder_of(recipient)
        text = _ANSWER_TEXT.format(name=name)
        pdf = simple_pdf("Antwort", text.split("\n\n"), at.replace(microsecond=0), author=name)
        attachment = PartSource("antwort.pdf", "application/pdf", pdf)
        fields = SubmissionFields(
            sender=recipient,
            to=lists.to,
            cc=(),
            chosen=lists,
            subject=f"AW: {metadata.subject or ''}".strip(),
            date=at,
            message_id=f"<{secrets.token_hex(12)}@{DOMAIN}>",
            private_id=f"sandbox:{secrets.token_hex(12)}",
            options=SendOptions(authoritative=True),
            account_holder=name,
        )
        entity = build_entity(text, None, (attachment,), secrets.token_hex(12))
        draft = read_message(assemble(fields, entity) + b"\r\n")
        facts = ProviderFacts(AuthLevel.HIGH, "Sandbox-Anmeldung", name, self._host_name, at)
        written = Draft(draft, read_metadata(draft.header), recipient, (addressee,))
        return seal_copies(written, facts, self._identity.signer)[0]

    def is_intact(self, message: Octets, at: datetime) -> bool:
        """Whether the message is as its provider sealed it; all are sealed by this one."""
        result = check_integrity(message, verifier=self._verifier, judge=_OwnJudge(self._identity), at=at)
        return result.verdict is Outcome.PASSED

    def contains_malware(self, message: Octets) -> bool:
        return search_message(message) is Search.FOUND  # what is encrypted end to end passes (SND-70)


class _OwnJudge:
    """Knows one certificate as good: the provider's own. The provider needs no list to know that."""

    def __init__(self, identity: Identity) -> None:
        self._good = identity.signer.certificate_der

    def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict:
        if certificate_der == self._good:
            return CertificateVerdict(status=CertificateStatus.GOOD)
        return CertificateVerdict(findings=("certificate-untrusted",))


def _stamp(at: datetime) -> Stamp:
    return Stamp(
        message_id=new_message_id(at),
        internet_message_id=f"<{secrets.token_hex(12)}@{DOMAIN}>",
        boundary=secrets.token_hex(12),
        at=at,
    )


def _pdf(title: str, rows: Sequence[tuple[str, str]], text: str, xml: bytes, *, at: datetime) -> bytes:
    return confirmation_pdf(title, rows, text, xml, at.replace(microsecond=0))


def _addressed(
    stamp: Stamp,
    message_type: MessageType,
    sender: str,
    sealed: bytes,
    addressee: Address,
    copies: Sequence[Address],
) -> NewMessage:
    """The message on its way to the addressee.

    Those in ``cc`` have their copy in a folder of its own if they are citizens; the gateway gets none of these,
    since its tenants would find proofs there that are not about messages of theirs.
    """
    local = [(str(addressee), Folder.INBOX)] if is_local(addressee) else []
    local += [(str(copy), Folder.COPIES) for copy in copies if is_local(copy) and copy != addressee]
    remote = () if is_local(addressee) else (str(addressee),)
    return NewMessage(stamp.message_id, message_type, sender, sealed, tuple(local), remote)
