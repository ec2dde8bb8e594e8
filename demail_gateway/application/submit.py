"""Taking a De-Mail from a client (TR 01201-3.1 steps 1 to 9): examined whole, stored whole, or refused whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from demail_gateway.application.forecast import transmitted_bytes
from demail_gateway.application.once import Answer, first_answer
from demail_gateway.application.ports.answers import AcceptResult, IdempotencyKey, StoredAnswer
from demail_gateway.application.ports.installation import Installation
from demail_gateway.application.ports.providers import Provider
from demail_gateway.application.ports.reading import MessageView
from demail_gateway.application.ports.submissions import (
    NewAttachment,
    NewCopy,
    NewMessage,
    NewRecipient,
    SenderContext,
    Submissions,
    UploadFacts,
)
from demail_gateway.application.ports.surroundings import Clock, Randomness
from demail_gateway.application.ports.trust import CertificateObjection
from demail_gateway.application.recipient_certificates import usable_certificates
from demail_gateway.application.scan import ScanOutbound
from demail_gateway.application.situation import Situations
from demail_gateway.application.submission import (
    Submission,
    Uploaded,
    facts_of,
    first_view,
    missing_uploads,
    new_attachment,
)
from demail_gateway.application.wake import WakeUps
from demail_gateway.core.draft import Plan, SenderSituation, examine
from demail_gateway.core.errors import Conflict, DemailError, NotFound, RuleViolation, Violation
from demail_gateway.core.vocabulary import RecipientKind
from demail_gateway.tenancy.identifiers import uuid7
from demail_gateway.tenancy.scope import TenantScope

TRIES = 3
"""How often a submission is examined anew because the configuration changed between reading and accepting."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would happen to a submission."""

    plan: Plan
    context: SenderContext
    size_bytes: int
    """Of its largest copy after encoding; see `transmitted_bytes`."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    context: SenderContext
    plan: Plan
    attachments: tuple[NewAttachment, ...]
    certificates: Mapping[str, Sequence[bytes]]


class Submit:
    """Send: examine, resolve certificates, accept in one transaction, wake the workers."""

    def __init__(
        self,
        submissions: Submissions,
        installation: Installation,
        provider: Provider,
        scan: ScanOutbound,
        objection: CertificateObjection,
        wake_ups: WakeUps,
        clock: Clock,
        randomness: Randomness,
        message_id_domain: str,
        remembered: int = 10_000,
    ) -> None:
        self._submissions = submissions
        self.situations = Situations(submissions, remembered)
        self._installation = installation
        self._provider = provider
        self._scan = scan
        self._objection = objection
        self._wake_ups = wake_ups
        self._clock = clock
        self._randomness = randomness
        self._domain = message_id_domain

    async def __call__(
        self,
        scope: TenantScope,
        submission: Submission,
        key: IdempotencyKey,
        render: Callable[[MessageView], StoredAnswer],
    ) -> Answer:
        """The answer for the accepted message, durable; or the first answer to this key.

        Raises:
            RuleViolation: with every broken rule; nothing was stored.
            NotFound: an upload that does not exist.
            Conflict: ``idempotency-key-reused``; ``state-changed`` when the configuration would not stand still.
            ProviderUnavailable: the directory was needed for encryption and did not answer.
        """
        try:
            return await self._accepted(scope, submission, key, render)
        except DemailError as error:
            # a repetition gets its first answer, also where the same draft would be refused today
            known = await self._submissions.replay(scope, key)
            if known is not None:
                return first_answer(known)
            if isinstance(error, RuleViolation):
                rules = list(dict.fromkeys(violation.rule for violation in error.violations))
                await self._submissions.note_refusal(scope, rules, submission.trace_id, self._clock())
            raise

    async def forecast(self, scope: TenantScope, submission: Submission) -> Forecast:
        """What `__call__` would do, by the same checks, without any effect. Raises as it does."""
        now = self._clock()
        scanned = await self._scan.submission(submission)
        context, situation = await self.situations.read(scope, submission.draft.sender, now)
        prepared = await self._prepared(scope, submission, scanned, context, situation)
        message = self._new_message(scope, prepared, submission, now)
        size_bytes = await asyncio.to_thread(transmitted_bytes, message, context.account_holder)
        return Forecast(prepared.plan, context, size_bytes)

    async def cancel(self, scope: TenantScope, message_id: UUID) -> MessageView:
        """The message, withdrawn before hand-over (SND-40). Raises NotFound, Conflict('not-cancellable')."""
        return await self._submissions.cancel(scope, message_id, self._clock())

    async def settle(self) -> None:
        """Returns when no wake-up is under way."""
        await self._wake_ups.settle()

    async def _accepted(
        self,
        scope: TenantScope,
        submission: Submission,
        key: IdempotencyKey,
        render: Callable[[MessageView], StoredAnswer],
    ) -> Answer:
        now = self._clock()
        scanned = await self._scan.submission(submission)
        prepared = await self._examined(scope, submission, scanned, now)
        for _ in range(TRIES):
            message = self._new_message(scope, prepared, submission, now)
            stored = render(first_view(message))
            version = prepared.context.config_version
            accepted = await self._submissions.accept(scope, message, key, stored, version)
            if accepted.result is AcceptResult.ACCEPTED:
                self._wake_ups.soon(scope.tenant_id)
                return Answer(stored, replayed=False)
            if accepted.result is not AcceptResult.STALE:
                return first_answer(accepted)
            known = await self.situations.read(scope, submission.draft.sender, now)
            prepared = await self._prepared(scope, submission, scanned, *known)
        raise Conflict("state-changed")

    async def _examined(
        self, scope: TenantScope, submission: Submission, scanned: Sequence[Violation], now: datetime
    ) -> _Prepared:
        """Examined with what is remembered of the sender, and refused only with what was just read."""
        known = self.situations.remembered(scope, submission.draft.sender)
        if known is not None:
            try:
                return await self._prepared(scope, submission, scanned, *known)
            except RuleViolation:
                pass  # perhaps permitted meanwhile
        known = await self.situations.read(scope, submission.draft.sender, now)
        return await self._prepared(scope, submission, scanned, *known)

    async def _prepared(
        self,
        scope: TenantScope,
        submission: Submission,
        scanned: Sequence[Violation],
        context: SenderContext,
        situation: SenderSituation,
    ) -> _Prepared:
        uploads = await self._uploads(scope, submission)
        facts = tuple(facts_of(attachment, uploads) for attachment in submission.attachments)
        plan = examine(replace(submission.draft, attachments=facts), situation, scanned)
        if context.account_id is None or context.connection_id is None:
            raise RuleViolation([_no_account()])
        if missing := tuple(missing_uploads(submission.attachments, uploads)):
            raise NotFound(*missing)
        attachments = tuple(new_attachment(n, a, uploads) for n, a in enumerate(submission.attachments, 1))
        certificates = await self._certificates(plan, context.connection_id) if plan.encrypt else {}
        return _Prepared(context, plan, attachments, certificates)

    async def _uploads(self, scope: TenantScope, submission: Submission) -> Mapping[UUID, UploadFacts]:
        ids = [each.upload_id for each in submission.attachments if isinstance(each, Uploaded)]
        return await self._submissions.uploads(scope, ids) if ids else {}

    async def _certificates(self, plan: Plan, connection_id: UUID) -> Mapping[str, Sequence[bytes]]:
        """The usable certificates of every recipient (TR 01201-3.1 step 8); also of those of bcc."""
        recipients = [recipient for copy in plan.copies for recipient in copy.envelope]
        connection = await self._installation.connection(connection_id)
        addresses = [str(recipient.address) for recipient in recipients]
        found = await self._provider.recipient_certificates(connection, addresses)
        return await asyncio.to_thread(usable_certificates, recipients, found, self._objection, self._clock())

    def _new_message(
        self, scope: TenantScope, prepared: _Prepared, submission: Submission, now: datetime
    ) -> NewMessage:
        plan, context, draft = prepared.plan, prepared.context, submission.draft
        assert scope.client_id is not None, "only requests of a client are submitted"
        assert context.account_id is not None, "checked when prepared"
        assert context.connection_id is not None, "checked when prepared"
        copies, recipients = self._copies(plan, now)
        service = draft.formal_service
        return NewMessage(
            id=self._id(now),
            client_id=scope.client_id,
            account_id=context.account_id,
            connection_id=context.connection_id,
            sender=str(plan.sender),
            reply_to=None if plan.reply_to is None else str(plan.reply_to),
            subject=plan.subject,
            text=plan.text,
            html=plan.html,
            reference=draft.reference,
            options=plan.options,
            profile=plan.profile,
            formal_service=None
            if service is None
            else {name: getattr(service, name) for name in service.__dataclass_fields__},
            sign=plan.sign,
            encrypt=plan.encrypt,
            split=plan.split,
            recipient_certificates=prepared.certificates,
            size_bytes=plan.net_size_bytes,
            created_at=now,
            copies=copies,
            recipients=recipients,
            attachments=prepared.attachments,
            trace_id=submission.trace_id,
        )

    def _copies(self, plan: Plan, now: datetime) -> tuple[tuple[NewCopy, ...], tuple[NewRecipient, ...]]:
        copies: list[NewCopy] = []
        recipients: list[NewRecipient] = []
        for position, planned in enumerate(plan.copies):
            private_id = UUID(bytes=self._randomness(16), version=4).urn
            message_id = f"<{self._randomness(16).hex()}@{self._domain}>"
            copies.append(NewCopy(self._id(now), position, private_id, message_id))
            recipients += [
                NewRecipient(self._id(now), copies[-1].id, each.kind, each.position, str(each.address))
                for each in planned.envelope
            ]
        return tuple(copies), tuple(sorted(recipients, key=_submitted_order))

    def _id(self, now: datetime) -> UUID:
        return uuid7(now, self._randomness(10))


_KINDS = tuple(RecipientKind)


def _submitted_order(recipient: NewRecipient) -> tuple[int, int]:
    return _KINDS.index(recipient.kind), recipient.position


def _no_account() -> Violation:
    return Violation(
        "account-state",
        "SND-20",
        "/from",
        "Zu dieser Absenderadresse gehört kein De-Mail-Konto mit einer Verbindung zum Anbieter.",
        "No De-Mail account with a connection to a provider belongs to this sender address.",
    )
