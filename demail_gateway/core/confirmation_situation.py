"""What the steps of a confirmation's check see, and what each of them gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial

from demail_gateway.core.address import Address, TrustedDomains, parse_address
from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation_reading import Confirmation
from demail_gateway.core.confirmation_report import SentCopy, SentMessage, Standing
from demail_gateway.core.correlation import Correlation
from demail_gateway.core.digests import body_digest
from demail_gateway.core.errors import AddressInvalid, MalformedMessage
from demail_gateway.core.header import read_message
from demail_gateway.core.integrity_field import IntegrityField
from demail_gateway.core.metadata_proof import original_integrity
from demail_gateway.core.primitives import CertificateVerdict, Judge, Verifier
from demail_gateway.core.vocabulary import ConfirmationKind


@dataclass(frozen=True, slots=True)
class Result:
    """What one step found."""

    outcome: Outcome
    findings: tuple[str, ...] = ()
    notes: frozenset[str] = frozenset()
    """Those of `findings` that are shown and are no remark."""
    told: str = ""
    """What the reader sees besides: the subject of the certificate that was judged (an anchor serves many, and it shows
    whose proof it is), or what the proof was held against."""

    @property
    def detail(self) -> str:
        """Findings, then what is told besides."""
        return "; ".join(filter(None, (", ".join(self.findings), self.told)))

    @property
    def remarks(self) -> bool:
        """Whether this keeps the confirmation from being confirmed without remarks."""
        undecided = self.outcome in (Outcome.FAILED, Outcome.INDETERMINATE)
        return undecided or bool(set(self.findings) - self.notes)


@dataclass
class Situation:
    """All that the steps see; `verdicts` collects the certificates' verdicts to be kept."""

    confirmation: Confirmation
    correlation: Correlation | None
    sent: SentCopy | None
    verifier: Verifier
    judge: Judge
    trusted: TrustedDomains | None
    at: datetime
    verdicts: list[CertificateVerdict] = field(default_factory=list)

    @property
    def standing(self) -> Standing:
        return standing_of(self.correlation)

    @cached_property
    def sent_message(self) -> SentMessage | None:
        """The sent copy read; None if it is not kept or cannot be read."""
        octets = None if self.sent is None else self.sent.octets
        if not isinstance(octets, bytes):
            return octets
        try:
            message = read_message(octets)
        except MalformedMessage:
            return None
        return SentMessage(message.header, partial(body_digest, message.body))

    @cached_property
    def original_integrity(self) -> IntegrityField | None:
        """The original's integrity field as the confirmation carries it; None if it cannot be used."""
        contents = self.confirmation.contents
        return None if contents is None else original_integrity(contents)

    @cached_property
    def recipient(self) -> Address | None:
        """The recipient that the confirmation names (CO-15); None for a dispatch or when none can be told."""
        return None if self.confirmation.kind is ConfirmationKind.DISPATCH else named_recipient(self.confirmation)


def named_recipient(confirmation: Confirmation) -> Address | None:
    """CO-15: the one address in cc of its own chosen-recipient; else the one of the original's; else of its text."""
    copied = confirmation.metadata.chosen_recipients.cc
    if len(copied) == 1:
        return copied[0].address
    chosen = () if confirmation.original is None else confirmation.original.chosen_recipients.addresses
    if len(chosen) == 1:
        return chosen[0]
    return _recipient_in_text((confirmation.contents and confirmation.contents.text) or "")


def standing_of(correlation: Correlation | None) -> Standing:
    """What a proof with this correlation is held against; None: it was not correlated."""
    if correlation is None:
        return Standing.ALONE
    return Standing.UNASSIGNED if correlation.copy_id is None else Standing.WITH_SENT


def passed_or(holds: bool, finding: str) -> Result:
    """Passed, or failed with this finding."""
    return Result(Outcome.PASSED) if holds else Result(Outcome.FAILED, (finding,))


UNREADABLE = Result(Outcome.INDETERMINATE)
"""The step needs what the XML signature covers, and there is nothing."""
NOT_APPLICABLE = Result(Outcome.NOT_APPLICABLE)


def _recipient_in_text(text: str) -> Address | None:
    for line in text.splitlines():
        label, _, value = line.partition(":")
        if label.strip() == "Empfänger":
            try:
                return parse_address(value.strip())
            except AddressInvalid:
                return None
    return None
