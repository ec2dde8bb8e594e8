"""The way of a message after the provider took it: TR 01201-3.1 steps 32 to 76 and function 1.

Each step is a pure function of the message, the moment and the issuer of proofs; what it brings about is a value
(`Effects`) that the dispatcher makes durable.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from demail_gateway.core.address import Address, is_system_local_part, parse_address
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.metadata import Metadata, TransportState, read_metadata
from demail_gateway.core.vocabulary import ConfirmationKind, NotificationType
from demail_gateway.sandbox.configuration import DOMAIN
from demail_gateway.sandbox.effects import Action, Effects, NewAction, NewMessage, Step, StoredMessage
from demail_gateway.sandbox.scripts import ScriptedRecipient, scripted

_DOUBLES_APART = timedelta(milliseconds=50)
"""Between doubled confirmations, so that they leave in the order that is wanted."""


class Issuer(Protocol):
    """Makes the provider's own messages, sealed and addressed. CPU work."""

    def confirmation(
        self,
        kind: ConfirmationKind,
        original: Octets,
        recipient: Address | None,
        at: datetime,
        *,
        delivered_at: datetime | None = None,
        forged: bool = False,
    ) -> NewMessage: ...

    def notification(
        self,
        kind: NotificationType,
        original: Octets,
        recipient: Address,
        text: str,
        at: datetime,
        *,
        signed: bool = False,
    ) -> NewMessage: ...

    def malware_notification(self, original: Octets, recipient: Address, at: datetime) -> NewMessage: ...

    def answer(self, original: Octets, recipient: Address, at: datetime) -> NewMessage:
        """A citizen's own De-Mail in reply, on its way."""
        ...

    def is_intact(self, message: Octets, at: datetime) -> bool:
        """Steps 47 and 48: hash or signature hold."""
        ...

    def contains_malware(self, message: Octets) -> bool: ...


class Procedure:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def perform(self, action: Action, message: StoredMessage, now: datetime) -> Effects:
        """What this step brings about."""
        case = _Case(self._issuer, message, action, now)
        return _STEPS[action.step](case)


class _Case:
    """One message at one step."""

    def __init__(self, issuer: Issuer, message: StoredMessage, action: Action, now: datetime) -> None:
        self.issuer = issuer
        self.id = message.id
        self.octets = read_message(message.sealed)
        self.metadata: Metadata = read_metadata(self.octets.header)
        self.action = action
        self.now = now

    @property
    def recipient(self) -> Address:
        return parse_address(self.action.recipient)

    @property
    def script(self) -> ScriptedRecipient:
        return scripted(self.recipient.local)

    @property
    def delivered_at(self) -> datetime:
        return datetime.fromisoformat(self.action.details["delivered_at"])

    @property
    def is_original(self) -> bool:
        """Neither forwarded nor re-sent: those get no Versandbestätigung again (steps 36, 67)."""
        return self.metadata.transport is TransportState.ORIGINAL

    def confirm(self, kind: ConfirmationKind, delivered_at: datetime | None = None) -> Effects:
        recipient = None if kind is ConfirmationKind.DISPATCH else self.recipient
        made = self.issuer.confirmation(kind, self.octets, recipient, self.now, delivered_at=delivered_at)
        return Effects(messages=(made,))

    def notify(self, kind: NotificationType, text: str, *, signed: bool = False) -> Effects:
        sender = self.metadata.sender
        if sender is None or is_system_local_part(sender.local):
            return Effects()  # step 45: an undeliverable message of a system address is dropped in silence
        made = self.issuer.notification(kind, self.octets, self.recipient, text, self.now, signed=signed)
        return Effects(messages=(made,))

    def later(self, step: Step, delay_s: float, **details: str) -> NewAction:
        due = self.now + timedelta(seconds=delay_s)
        return NewAction(due, step, self.action.recipient, details, self.id)

    def wants_confirmation(self) -> bool:
        m = self.metadata
        return m.confirmation_of_dispatch or m.confirmation_of_receipt or m.confirmation_of_retrieve


def is_local(address: Address) -> bool:
    """Whether the mailbox is one of the sandbox itself; every other De-Mail address is reached at the gateway."""
    return address.domain == DOMAIN


def _dispatch(case: _Case) -> Effects:
    """Steps 32 to 41: mark as sent, Versandbestätigung, transport."""
    recipients = [parse_address(text) for text in case.action.details["recipients"]]
    effects = [Effects(remote=tuple((case.id, str(a)) for a in recipients if not is_local(a)))]
    local = [(address, scripted(address.local)) for address in recipients if is_local(address)]
    is_doubled = any(script.behaviour.doubles for _, script in local)
    if case.metadata.confirmation_of_dispatch and case.is_original and not is_doubled:
        effects.append(case.confirm(ConfirmationKind.DISPATCH))
    for address, script in local:
        delay_s = script.arrival_delay_s(waits_for_login=_waits_for_login(case.metadata, script))
        due = case.now + timedelta(seconds=delay_s)
        effects.append(Effects(actions=(NewAction(due, Step.ARRIVE, str(address), {}, case.id),)))
    return _together(effects)


def _arrive(case: _Case) -> Effects:
    """Steps 42 to 70 for one citizen."""
    behaviour = case.script.behaviour
    if behaviour.undeliverable is not None:  # steps 42 to 45
        return case.notify(behaviour.undeliverable, UNDELIVERABLE_TEXTS[behaviour.undeliverable])
    if (case.metadata.private or case.metadata.confirmation_of_retrieve) and not behaviour.reaches_high:
        return case.notify(NotificationType.OTHER, NEEDS_HIGH_TEXT)
    if not case.issuer.is_intact(case.octets, case.now):  # step 69 FC-01, CO-22
        return case.notify(NotificationType.OTHER, INTEGRITY_TEXT, signed=True)
    if behaviour.malware or case.issuer.contains_malware(case.octets):  # steps 54 to 57
        return _malware_found(case)
    delivered = Effects(deliveries=((case.id, case.action.recipient),))  # step 66
    if behaviour.forges:
        kind = ConfirmationKind.RETRIEVE if _only_retrieve(case.metadata) else ConfirmationKind.RECEIPT
        forged = case.issuer.confirmation(
            kind, case.octets, case.recipient, case.now, delivered_at=case.now, forged=True
        )
        return _together([delivered, Effects(messages=(forged,))])
    return _together([delivered, *_after_delivery(case)])


def _after_delivery(case: _Case) -> Iterable[Effects]:
    """Steps 67 to 70, and what the citizen does then."""
    behaviour = case.script.behaviour
    if case.metadata.confirmation_of_receipt and not behaviour.doubles:
        yield case.confirm(ConfirmationKind.RECEIPT)
    if _waits_for_login(case.metadata, case.script):
        login = case.later(Step.LOG_IN, case.script.login_delay_s, delivered_at=case.now.isoformat())
        yield Effects(actions=(login,))
    elif behaviour.doubles:
        yield _doubled(case, case.now)
    if behaviour.replies:
        yield Effects(messages=(case.issuer.answer(case.octets, case.recipient, case.now),))


def _stored(case: _Case) -> Effects:
    """Steps 66 to 70 where the mailbox is the gateway's: it logs in at *high* and fetches at once (SND-90)."""
    effects = []
    if case.metadata.confirmation_of_receipt:
        effects.append(case.confirm(ConfirmationKind.RECEIPT))
    if case.metadata.confirmation_of_retrieve:
        effects.append(case.confirm(ConfirmationKind.RETRIEVE, case.now))
    return _together(effects)


def _refused(case: _Case) -> Effects:
    """Step 45 where the gateway knows no such mailbox."""
    kind = NotificationType.UNKNOWN_RECIPIENT
    return case.notify(kind, UNDELIVERABLE_TEXTS[kind])


def _log_in(case: _Case) -> Effects:
    """Function 1: the first login at *high* after storing."""
    if case.script.behaviour.doubles:
        return _doubled(case, case.delivered_at)
    return case.confirm(ConfirmationKind.RETRIEVE, case.delivered_at)


def _confirm(case: _Case) -> Effects:
    """One of the doubled confirmations."""
    kind = ConfirmationKind(case.action.details["kind"])
    return case.confirm(kind, case.delivered_at if kind is ConfirmationKind.RETRIEVE else None)


def _doubled(case: _Case, delivered_at: datetime) -> Effects:
    """Every confirmation that was asked for, the last first, and then all of them again."""
    m = case.metadata
    wanted = [
        (m.confirmation_of_retrieve, ConfirmationKind.RETRIEVE),
        (m.confirmation_of_receipt, ConfirmationKind.RECEIPT),
        (m.confirmation_of_dispatch, ConfirmationKind.DISPATCH),
    ]
    kinds = [kind for is_wanted, kind in wanted if is_wanted]
    details = {"delivered_at": delivered_at.isoformat()}
    return Effects(
        actions=tuple(
            NewAction(
                case.now + number * _DOUBLES_APART,
                Step.CONFIRM,
                case.action.recipient,
                {**details, "kind": kind},
                case.id,
            )
            for number, kind in enumerate(kinds * 2)
        )
    )


def _malware_found(case: _Case) -> Effects:
    """Step 56: signed proof where a confirmation was asked for, else a notification. The message is deleted (57)."""
    if case.wants_confirmation():
        return case.confirm(ConfirmationKind.MALWARE)
    return Effects(messages=(case.issuer.malware_notification(case.octets, case.recipient, case.now),))


def _waits_for_login(metadata: Metadata, script: ScriptedRecipient) -> bool:
    return metadata.confirmation_of_retrieve and script.behaviour.logs_in


def _only_retrieve(metadata: Metadata) -> bool:
    return metadata.confirmation_of_retrieve and not metadata.confirmation_of_receipt


def _together(effects: Iterable[Effects]) -> Effects:
    parts = list(effects)
    return Effects(
        messages=tuple(message for part in parts for message in part.messages),
        deliveries=tuple(delivery for part in parts for delivery in part.deliveries),
        remote=tuple(remote for part in parts for remote in part.remote),
        actions=tuple(action for part in parts for action in part.actions),
    )


UNDELIVERABLE_TEXTS = {
    NotificationType.UNKNOWN_RECIPIENT: "Die Nachricht konnte nicht zugestellt werden: Der Empfänger ist unbekannt.",
    NotificationType.CLOSED_ACCOUNT: "Die Nachricht konnte nicht zugestellt werden: Das Konto des Empfängers ist"
    " vollständig gesperrt.",
}
NEEDS_HIGH_TEXT = (
    "Die Nachricht konnte nicht zugestellt werden: Der Empfänger kann sich nicht mit dem Authentisierungsniveau"
    " „hoch“ anmelden."
)
INTEGRITY_TEXT = (
    "Die Nachricht wurde nicht zugestellt: Der Hashwert der Nachricht stimmt nicht mit dem Hashwert in ihren Metadaten"
    " überein."
)

_STEPS = {
    Step.DISPATCH: _dispatch,
    Step.ARRIVE: _arrive,
    Step.STORED: _stored,
    Step.REFUSED: _refused,
    Step.LOG_IN: _log_in,
    Step.CONFIRM: _confirm,
}
