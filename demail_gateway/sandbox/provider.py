"""The provider's desk: takes drafts, answers for what it took, shows the citizens' mailboxes.

Whatever changes here is durable before anybody is told. The rest of a message's way is the dispatcher's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from demail_gateway.core.completion import ProviderFacts
from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.vocabulary import AuthLevel, MessageType
from demail_gateway.observability.logs import get_logger
from demail_gateway.sandbox import tables
from demail_gateway.sandbox.admission import (
    Draft,
    DraftRefused,
    Situation,
    check_recipient_address,
    check_sender_address,
    examine,
    read_draft,
)
from demail_gateway.sandbox.clock import Clock
from demail_gateway.sandbox.dispatcher import Dispatcher
from demail_gateway.sandbox.effects import (
    Account,
    Effects,
    NewAction,
    NewMessage,
    NewSubmission,
    Outgoing,
    Step,
    StoredMessage,
)
from demail_gateway.sandbox.identity import Identity
from demail_gateway.sandbox.procedure import is_local
from demail_gateway.sandbox.scripts import Behaviour, scripted
from demail_gateway.sandbox.sealing import seal_copies
from demail_gateway.sandbox.smtp_client import Verdict
from demail_gateway.sandbox.smtp_server import Client, Reply
from demail_gateway.sandbox.store import Store
from demail_gateway.trust.certificates import read_certificate

_log = get_logger(__name__)

AUTH_MECHANISM = "TLS-Client-Zertifikat"
"""x-de-mail-auth-mechanism of what a gateway submits; free text that nobody evaluates (TR 01201-3.4 §3.1.10)."""

_OK = Reply("250 2.1.0 OK")
_INLINE_BYTES = 256 * 1024
"""Up to here a submission is worked on in the event loop (about 1 ms); larger ones go to a thread."""
_DAY = timedelta(hours=24)


@dataclass(slots=True)
class Books:
    """What the provider knows of its clients, kept in memory beside the store."""

    levels: dict[str, str]
    """Authentication level per client certificate; *high* where none was set."""
    accounts: dict[str, Account]

    def level(self, fingerprint: str) -> AuthLevel:
        return AuthLevel(self.levels.get(fingerprint, AuthLevel.HIGH))


class Desk:
    """Implements `Reception` for the SMTP listener and the use cases of the control surface."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        identity: Identity,
        dispatcher: Dispatcher,
        books: Books,
        *,
        host_name: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._identity = identity
        self._dispatcher = dispatcher
        self._books = books
        self._host_name = host_name

    # --- submission ---------------------------------------------------------------------------------------------------

    def client(self, certificate_der: bytes) -> Client | None:
        """The handshake proved that the authority issued it as a client certificate; here it must not be revoked."""
        try:
            facts = read_certificate(certificate_der)
        except CertificateMalformed:
            return None
        if facts.serial_number in self._identity.revoked:
            return None
        return Client(certificate_der, facts.fingerprint_sha256)

    def sender(self, client: Client, address: str) -> Reply:
        return _answer(partial(check_sender_address, address))

    def recipient(self, client: Client, address: str) -> Reply:
        try:
            recipient = check_recipient_address(address)
        except DraftRefused as refused:
            return Reply(refused.reply)
        if is_local(recipient) and scripted(recipient.local).behaviour.rejects:
            return Reply("550 5.7.1 Empfaenger vom Anbieter abgewiesen")
        return _OK

    async def submission(self, client: Client, sender: str, recipients: list[str], octets: bytes) -> Reply:
        """Steps 10 to 31. A positive answer means that the draft, and every message made of it, is on disk."""
        now = self._clock.now()
        try:
            draft = read_draft(octets, sender, recipients)
            scripts = [scripted(a.local).behaviour for a in draft.envelope_recipients if is_local(a)]
            if await self._refuses_for_now(draft, scripts):
                return Reply("451 4.3.0 Voruebergehend nicht moeglich, bitte spaeter erneut")
            situation = await self._situation(client, draft, now)
            copies = await _near_or_in_thread(len(octets), partial(self._complete, draft, situation, now))
        except DraftRefused as refused:
            _log.info("submission_refused", reply=refused.reply)
            return Reply(refused.reply)
        submission = NewSubmission(
            accepted_at=now,
            private_id=draft.metadata.private_id,
            fingerprint=client.fingerprint,
            auth_level=situation.auth_level,
            sender=str(draft.sender),
            recipients=len(draft.envelope_recipients),
            raw=octets,
        )
        record = partial(tables.record_submission, submission=submission, copies=copies)
        await self._store.run(record, then=self._dispatcher.add)
        return Reply(f"250 2.0.0 OK {copies[0].demail_message_id}", cut=any(script.drops for script in scripts))

    async def _refuses_for_now(self, draft: Draft, scripts: Sequence[Behaviour]) -> bool:
        """Counted by the private id, which a sender keeps when it tries again."""
        limit = max((script.temporary_refusals for script in scripts), default=0)
        if limit == 0:
            return False
        reference = draft.metadata.private_id or draft.metadata.internet_message_id or str(draft.sender)
        return await self._store.run(partial(tables.refuse_once_more, reference=reference, limit=limit))

    async def _situation(self, client: Client, draft: Draft, now: datetime) -> Situation:
        level = self._books.level(client.fingerprint)
        sent = (0, 0)
        if level is AuthLevel.NORMAL:
            sent = await self._store.run(partial(tables.sent_since, sender=str(draft.sender), since=now - _DAY))
        return Situation(client.fingerprint, level, self._books.accounts.get(str(draft.sender)), sent)

    def _complete(self, draft: Draft, situation: Situation, now: datetime) -> list[NewMessage]:
        """Steps 12 to 31: checked, split, completed, sealed; signed if absenderbestätigt. Raises DraftRefused."""
        examine(draft, situation)
        facts = ProviderFacts(
            auth_level=situation.auth_level,
            auth_mechanism=AUTH_MECHANISM,
            account_holder=_holder(draft, situation.account),
            originator_provider=self._host_name,
            at=now,
        )
        signer = self._identity.signer if draft.metadata.authoritative else None
        return seal_copies(draft, facts, signer)

    # --- what others ask ----------------------------------------------------------------------------------------------

    async def submitted(self, private_id: str) -> tuple[str, str] | None:
        """When a submission was taken, and the De-Mail message id it got; None if it never was."""
        return await self._store.run(partial(tables.submission_by_private_id, private_id=private_id))

    async def send(self, messages: Sequence[NewMessage]) -> None:
        """Puts citizens' messages on their way."""
        effects = Effects(messages=tuple(messages))
        record = partial(tables.record, effects=effects, at=self._clock.now())
        await self._store.run(record, then=self._dispatcher.add)

    async def settle(self, outgoing: Outgoing, message: StoredMessage, verdict: Verdict) -> None:
        """The gateway took a message for one of its mailboxes, or knows no such mailbox."""
        step = Step.STORED if verdict is Verdict.TAKEN else Step.REFUSED
        is_demail = message.message_type == MessageType.NORMAL
        then = NewAction(self._clock.now(), step, outgoing.recipient) if is_demail else None
        record = partial(tables.settle_outgoing, outgoing=outgoing, then=then)
        await self._store.run(record, then=self._dispatcher.add)

    # --- registration -------------------------------------------------------------------------------------------------

    async def set_level(self, fingerprint: str, level: AuthLevel) -> None:
        """Effective at once for new submissions (ADR-62: the level of the moment of sending counts)."""
        await self._store.run(partial(tables.set_connection, fingerprint=fingerprint, auth_level=level))
        self._books.levels[fingerprint] = level

    async def set_account(self, account: Account) -> None:
        await self._store.run(partial(tables.set_account, account=account))
        self._books.accounts[account.address] = account

    async def advance(self, seconds: float) -> datetime:
        """Moves the clock, also for the next start. Raises ValueError. Returns the new time."""
        self._clock.advance(seconds)
        offset = self._clock.offset_s
        await self._store.run(partial(tables.set_setting, name="clock-offset", value=offset))
        self._dispatcher.clock_moved()
        return self._clock.now()


def _holder(draft: Draft, account: Account | None) -> str:
    """Vollständiger Name des Kontoinhabers (Nr. 23): as registered, else as the sender calls itself."""
    if account is not None:
        return account.holder
    shown = draft.metadata.from_mailbox
    return (shown.display if shown is not None else "") or draft.sender.domain


def _answer(check: Callable[[], object]) -> Reply:
    try:
        check()
    except DraftRefused as refused:
        return Reply(refused.reply)
    return _OK


async def _near_or_in_thread(size_bytes: int, work: Callable[[], list[NewMessage]]) -> list[NewMessage]:
    if size_bytes <= _INLINE_BYTES:
        return work()
    return await asyncio.to_thread(work)
