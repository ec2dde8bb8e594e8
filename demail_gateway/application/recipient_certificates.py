"""Which of the recipients' certificates a De-Mail is encrypted for (TR 01201-3.1 step 8; DIR-50, DIR-51)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from demail_gateway.application.ports.trust import CertificateObjection
from demail_gateway.core.errors import RuleViolation, Violation
from demail_gateway.core.plan import PlannedRecipient


def usable_certificates(
    recipients: Sequence[PlannedRecipient],
    found: Mapping[str, Sequence[bytes]],
    objection: CertificateObjection,
    at: datetime,
) -> Mapping[str, Sequence[bytes]]:
    """Address → every certificate of `found` that nothing speaks against at `at`. CPU work: run it in a thread.

    Raises:
        RuleViolation: for each recipient without a certificate, or with none that can be used.
    """
    usable: dict[str, Sequence[bytes]] = {}
    violations = []
    for recipient in recipients:
        address = str(recipient.address)
        objections = {der: objection(der, at) for der in found.get(address, ())}
        usable[address] = tuple(der for der, against in objections.items() if against is None)
        if not usable[address]:
            violations.append(_violation(f"/{recipient.kind}/{recipient.position}", [*objections.values()]))
    if violations:
        raise RuleViolation(violations)
    return usable


def _violation(pointer: str, objections: Sequence[str | None]) -> Violation:
    """Of several certificates the one that comes first is told about."""
    if not objections or objections[0] is None:
        return Violation(
            "recipient-certificate-missing",
            "DIR-50",
            pointer,
            "Für diesen Empfänger steht kein Zertifikat zum Verschlüsseln im Verzeichnis.",
            "The directory has no certificate of this recipient to encrypt for.",
        )
    german, english = _REASONS.get(objections[0], _WEAK)
    return Violation(
        "recipient-certificate-unusable",
        "DIR-51",
        pointer,
        f"Für diesen Empfänger kann nicht verschlüsselt werden: Sein Zertifikat {german}.",
        f"Nothing can be encrypted for this recipient: the certificate {english}.",
    )


_REASONS = {
    "certificate-expired": ("ist abgelaufen", "has expired"),
    "certificate-not-yet-valid": ("ist noch nicht gültig", "is not yet valid"),
    "certificate-key-usage": ("ist nicht zum Verschlüsseln ausgestellt", "was not issued for encryption"),
    "certificate-malformed": ("ist nicht lesbar", "cannot be read"),
}
_WEAK = (
    "hat einen zu kurzen oder nicht mehr zugelassenen Schlüssel (BSI TR-03116-4)",
    "has a key that is too short or no longer permitted (BSI TR-03116-4)",
)
