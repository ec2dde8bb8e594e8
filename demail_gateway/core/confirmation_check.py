"""The fifteen steps of checking a received confirmation (`confirmations.md` §8; TR 01201-3.1 steps 61 and 83).

Decided here, where the texts are silent or disagree:

- A wrong system address (step 3, ``system-sender``) rejects, as SND-42 and ADR-32 demand; only ``issuer-unconfirmed``
  is a remark (CO-2).
- Without readable XML there is no XML signature: step 6 fails, so the confirmation is rejected. A missing Hash is a
  Hash that does not agree (step 8).
- Warnings of the message checker (severity W) and notes on a valid integrity field are shown and are no remarks.
- A step that could not be made is indeterminate; in steps 1 and 6 that leaves the whole undecided, elsewhere it is a
  remark. Steps that need the sent message are not applicable when a confirmation stands alone.
- Five minutes are granted to clocks in both directions (step 14): the gateway learns of a hand-over after the provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from demail_gateway.core.address import Address, TrustedDomains
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.confirmation_reading import Confirmation
from demail_gateway.core.confirmation_report import ConfirmationReport, SentCopy, Verdict
from demail_gateway.core.confirmation_situation import Result, Situation
from demail_gateway.core.confirmation_steps import STEPS
from demail_gateway.core.correlation import Correlation
from demail_gateway.core.metadata_proof import MISMATCH
from demail_gateway.core.primitives import CertificateVerdict, Judge, Verifier
from demail_gateway.core.trust_verdict import validation_of

__all__ = ["ConfirmationReport", "SentCopy", "Verdict", "check_confirmation"]


def check_confirmation(
    confirmation: Confirmation,
    *,
    correlation: Correlation | None,
    sent: SentCopy | None,
    verifier: Verifier,
    judge: Judge,
    trusted: TrustedDomains | None,
    at: datetime,
) -> ConfirmationReport:
    """The report on a confirmation; never raises for anything it contains.

    `correlation` None: it stands alone (offline), and what needs the sent message does not count. Else `sent` is the
    copy that `correlation` names, None if it names none. `at` is the moment of first reception (IN-26).
    """
    situation = Situation(confirmation, correlation, sent, verifier, _Once(judge), trusted, at)
    results = {name: step(situation) for name, step, _ in STEPS}
    verdict = _verdict(results, correlation)
    contents, original = confirmation.contents, confirmation.original
    return ConfirmationReport(
        kind=confirmation.kind,
        standing=situation.standing,
        verdict=verdict,
        outcome=verdict.outcome,
        checks=tuple(Check(name, results[name].outcome, results[name].detail, source) for name, _, source in STEPS),
        findings=tuple(dict.fromkeys(code for result in results.values() for code in result.findings)),
        issuer=confirmation.octets.header.value("x-de-mail-sender") or "",
        issued_at=None if contents is None else contents.time,
        delivery_time=None if contents is None else contents.delivery_time,
        private_id=confirmation.keys.private_id,
        demail_message_id=None if original is None else original.message_id,
        original_integrity=confirmation.keys.integrity_value,
        recipient=situation.recipient,
        concerns=_concerns(situation.recipient, sent),
        validation=validation_of(situation.verdicts),
    )


class _Once:
    """A judge that is asked once about each certificate: seal and XML mostly have the same, and the moment is one."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._verdicts: dict[bytes, CertificateVerdict] = {}

    def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict:
        if certificate_der not in self._verdicts:
            self._verdicts[certificate_der] = self._judge.judge(certificate_der, at)
        return self._verdicts[certificate_der]


_DECISIVE = ("confirmation.01-integrity", "confirmation.06-xml-signature")
_PROOF = "confirmation.09-metadata-proof"
_REJECTING = (*_DECISIVE, "confirmation.03-issuer", "confirmation.08-hash")
_CONFIRMING = (*_REJECTING, "confirmation.05-schema", "confirmation.07-sender", _PROOF)


def _verdict(results: Mapping[str, Result], correlation: Correlation | None) -> Verdict:
    """CO-18."""
    outcomes = {step: result.outcome for step, result in results.items()}
    if any(outcomes[step] is Outcome.FAILED for step in _REJECTING) or MISMATCH in results[_PROOF].findings:
        return Verdict.REJECTED
    if any(outcomes[step] is not Outcome.PASSED for step in _DECISIVE):
        return Verdict.INDETERMINATE
    if correlation is not None and correlation.copy_id is None:
        return Verdict.UNASSIGNED
    is_clean = all(outcomes[step] is Outcome.PASSED for step in _CONFIRMING)
    has_remarks = any(result.remarks for result in results.values())
    return Verdict.CONFIRMED if is_clean and not has_remarks else Verdict.CONFIRMED_WITH_REMARKS


def _concerns(recipient: Address | None, sent: SentCopy | None) -> Address | None:
    """The recipient's own row; after a Nachsendung that of the only recipient there was (CO-15)."""
    if recipient is None or sent is None:
        return None
    if recipient in sent.served:
        return recipient
    return sent.served[0] if len(sent.served) == 1 else None
