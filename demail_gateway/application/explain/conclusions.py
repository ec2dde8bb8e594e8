"""What the result of an inspection means, and what to do: one conclusion for the whole file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from demail_gateway.application.explain.wording import Text
from demail_gateway.application.inspect import Inspection, Kind
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.vocabulary import Protection


@dataclass(frozen=True, slots=True)
class Conclusion:
    """For the reader who wants to know only this."""

    meaning: Text
    advice: Text


def conclusion(inspection: Inspection) -> Conclusion:
    """The first row that fits the kind, the outcome and one of the checks that brought it about."""
    decisive = [check for check in inspection.checks if check.outcome is inspection.outcome]
    return next(row.conclusion for row in _ROWS if row.fits(inspection, decisive))


@dataclass(frozen=True, slots=True)
class _Row:
    kinds: frozenset[Kind]
    outcome: Outcome
    because: str | None
    """Beginning of the name of a check that has this outcome; ``name=code`` asks for a code in its detail."""
    protection: Protection | None
    conclusion: Conclusion

    def fits(self, inspection: Inspection, decisive: Iterable[Check]) -> bool:
        return (
            inspection.kind in self.kinds
            and self.outcome is inspection.outcome
            and self.protection in (None, inspection.mode)
            and (self.because is None or any(_is_meant(check, self.because) for check in decisive))
        )


def _is_meant(check: Check, because: str) -> bool:
    name, _, code = because.partition("=")
    return check.name.startswith(name) and code in check.detail


_FETCH_ANEW = Text(
    "Prüfen Sie, ob Ihnen die Originaldatei vorliegt: Viele Mailprogramme ändern beim Speichern. Holen Sie sie erneut"
    " ab; bleibt das Ergebnis gleich, bitten Sie den Absender um erneute Zusendung.",
    "Make sure that you have the original file: many mail programs change it on saving. Fetch it again; if the result"
    " stays, ask the sender to send it anew.",
)
_NOTHING = Text("Nichts. Bewahren Sie die Datei unverändert auf.", "Nothing. Keep the file as it is.")
_TELL_OPERATOR = Text(
    "Melden Sie das der Stelle, die das Gateway betreibt, und bewahren Sie die Datei unverändert auf.",
    "Tell those who operate the gateway, and keep the file as it is.",
)
_NAME_TRUST = Text(
    "Geben Sie den Vertrauensanker des Anbieters (--trust-anchor) und eine aktuelle Sperrliste (--crl) an und prüfen"
    " Sie erneut.",
    "Name the provider's trust anchor (--trust-anchor) and a current revocation list (--crl), and check again.",
)
_NAME_ANCHOR = Text(
    "Geben Sie den Vertrauensanker des Anbieters an (--trust-anchor), den Sie von ihm selbst oder vom Betreiber haben,"
    " und prüfen Sie erneut. Sperrlisten, die ein Nachweispaket enthält, werden dann mit ausgewertet.",
    "Name the provider's trust anchor (--trust-anchor), as you have it from the provider or the operator, and check"
    " again. Revocation lists that an evidence package holds are then evaluated, too.",
)
_WRONG_ANCHOR = Text(
    "Vergewissern Sie sich, dass --trust-anchor die Stelle nennt, der Sie vertrauen. Wenn ja, ist die Signatur nicht"
    " die eines zugelassenen Anbieters: Verlassen Sie sich nicht auf den Inhalt.",
    "Make sure that --trust-anchor names the authority that you trust. If so, the signature is not that of an"
    " accredited provider: do not rely on the content.",
)
_DO_NOT_RELY = Text(
    "Verlassen Sie sich nicht auf den Inhalt. Fragen Sie auf anderem Weg beim Absender oder beim Anbieter nach.",
    "Do not rely on the content. Ask the sender or the provider another way.",
)
_READ_ON = Text("Lesen Sie die Befunde unten.", "See the findings below.")

_MESSAGE, _PROOFS = frozenset({Kind.MESSAGE}), frozenset({Kind.CONFIRMATION, Kind.NOTIFICATION})
_CONFIRMATION, _NOTIFICATION = frozenset({Kind.CONFIRMATION}), frozenset({Kind.NOTIFICATION})
_PACKAGE, _JOURNAL, _ANY = frozenset({Kind.EVIDENCE_PACKAGE}), frozenset({Kind.JOURNAL}), frozenset(Kind)
_FAILED, _PASSED, _OPEN = Outcome.FAILED, Outcome.PASSED, Outcome.INDETERMINATE


def _row(
    kinds: frozenset[Kind],
    outcome: Outcome,
    because: str | None,
    meaning: tuple[str, str],
    advice: Text,
    protection: Protection | None = None,
) -> _Row:
    return _Row(kinds, outcome, because, protection, Conclusion(Text(*meaning), advice))


_ROWS = (
    _row(
        _ANY,
        _FAILED,
        "mailbox.",
        (
            "In der Postfachdatei ist mindestens eine Nachricht durchgefallen.",
            "At least one message of the mailbox file failed.",
        ),
        _READ_ON,
    ),
    _row(
        _ANY,
        _OPEN,
        "mailbox.",
        (
            "Für mindestens eine Nachricht der Postfachdatei konnte nicht alles entschieden werden.",
            "For at least one message of the mailbox file not everything could be decided.",
        ),
        _NAME_TRUST,
    ),
    _row(
        _ANY,
        _PASSED,
        "mailbox.",
        ("Alle Nachrichten der Postfachdatei haben bestanden.", "All messages of the mailbox file passed."),
        _NOTHING,
    ),
    _row(
        _MESSAGE,
        _PASSED,
        "ident.",
        (
            "Die Ident-Bestätigung ist echt und unverändert: Der Anbieter bestätigt die Angaben zur Person.",
            "The Ident confirmation is genuine and unchanged: the provider confirms what it says of the person.",
        ),
        _NOTHING,
    ),
    _row(
        _MESSAGE,
        _FAILED,
        "ident.",
        (
            "Die Ident-Bestätigung beweist keine Identität.",
            "The Ident confirmation proves no identity.",
        ),
        _DO_NOT_RELY,
    ),
    _row(
        _MESSAGE,
        _PASSED,
        None,
        (
            "Die Nachricht ist unverändert. Der Anbieter des Absenders hat sie signiert.",
            "The message is unchanged. The sender's provider signed it.",
        ),
        _NOTHING,
        Protection.SIGNATURE,
    ),
    _row(
        _MESSAGE,
        _PASSED,
        None,
        (
            "Die Nachricht ist unverändert, soweit eine Prüfsumme das zeigt. Von wem sie stammt, beweist das nicht.",
            "The message is unchanged as far as a checksum shows. Whose message it is, that does not prove.",
        ),
        _NOTHING,
    ),
    _row(
        _MESSAGE,
        _FAILED,
        "integrity.present",
        (
            "Die Nachricht trägt keine Versiegelung. Sie ist ein Entwurf oder keine De-Mail.",
            "The message carries no seal. It is a draft or no De-Mail.",
        ),
        _DO_NOT_RELY,
    ),
    _row(
        _MESSAGE,
        _FAILED,
        "integrity.signature-required",
        (
            "Für diese Nachricht ist eine Signatur des Anbieters vorgeschrieben; sie fehlt.",
            "The provider must have signed this message; there is no signature.",
        ),
        _DO_NOT_RELY,
    ),
    _row(
        _MESSAGE,
        _FAILED,
        "integrity.",
        (
            "Die Nachricht wurde nach dem Versiegeln verändert oder beschädigt. Sie beweist nichts.",
            "The message was changed or damaged after sealing. It proves nothing.",
        ),
        _FETCH_ANEW,
    ),
    _row(
        _MESSAGE,
        _FAILED,
        "certificate.",
        (
            "Die Nachricht ist unverändert, aber dem Zertifikat der Signatur ist nicht zu trauen.",
            "The message is unchanged, but the certificate of its signature is not to be trusted.",
        ),
        _WRONG_ANCHOR,
    ),
    _row(
        _MESSAGE,
        _FAILED,
        "message.readable",
        ("Die Datei ist keine lesbare De-Mail.", "The file is no readable De-Mail."),
        _FETCH_ANEW,
    ),
    _row(
        _MESSAGE,
        _FAILED,
        None,
        (
            "Die Versiegelung hält, aber die Nachricht hat nicht die vorgeschriebene Form.",
            "The seal holds, but the message does not have the prescribed form.",
        ),
        _TELL_OPERATOR,
    ),
    _row(
        _CONFIRMATION,
        _PASSED,
        None,
        (
            "Die Bestätigung ist echt und unverändert. Ob sie zu Ihrer Nachricht gehört, zeigt das Nachweispaket.",
            "The confirmation is genuine and unchanged. Whether it is about your message, the evidence package shows.",
        ),
        _NOTHING,
    ),
    _row(
        _CONFIRMATION,
        _FAILED,
        None,
        (
            "Die Bestätigung ist nicht echt oder wurde verändert. Sie beweist nichts.",
            "The confirmation is not genuine or was changed. It proves nothing.",
        ),
        _WRONG_ANCHOR,
    ),
    _row(
        _NOTIFICATION,
        _PASSED,
        None,
        (
            "Die Meldung ist unverändert und kommt von der Systemadresse eines Anbieters.",
            "The notification is unchanged and comes from a provider's system address.",
        ),
        _NOTHING,
    ),
    _row(
        _NOTIFICATION,
        _FAILED,
        None,
        (
            "Die Meldung wurde verändert oder kommt nicht von der Systemadresse eines Anbieters.",
            "The notification was changed, or does not come from a provider's system address.",
        ),
        _DO_NOT_RELY,
    ),
    _row(
        _PROOFS | _MESSAGE,
        _OPEN,
        "proof.size",
        (
            "Sie ist größer als jede echte Bestätigung oder Meldung und wurde nicht ausgewertet.",
            "It is larger than any real confirmation or notification and was not evaluated.",
        ),
        _DO_NOT_RELY,
    ),
    _row(
        _PROOFS | _MESSAGE,
        _OPEN,
        "=trust-anchor-missing",
        (
            "Es wurde nichts Falsches gefunden, aber ohne Vertrauensanker lässt sich das Zertifikat nicht beurteilen.",
            "Nothing wrong was found, but without a trust anchor the certificate cannot be judged.",
        ),
        _NAME_ANCHOR,
    ),
    _row(
        _PROOFS | _MESSAGE,
        _OPEN,
        None,
        (
            "Es wurde nichts Falsches gefunden, aber ob das Zertifikat gilt, ließ sich nicht entscheiden.",
            "Nothing wrong was found, but whether the certificate is valid could not be decided.",
        ),
        _NAME_TRUST,
    ),
    _row(
        _PACKAGE,
        _PASSED,
        "package.proofs",
        (
            "Das Paket ist vollständig und unverändert, und alle Nachweise darin halten.",
            "The package is complete and unchanged, and all proofs in it hold.",
        ),
        _NOTHING,
    ),
    _row(
        _PACKAGE,
        _PASSED,
        None,
        (
            "Das Paket ist vollständig und unverändert. Nachweise waren nicht verlangt; es enthält keine.",
            "The package is complete and unchanged. No proofs were requested; it holds none.",
        ),
        _NOTHING,
    ),
    _row(
        _PACKAGE,
        _FAILED,
        "evidence.",
        ("Ein Nachweis im Paket hält nicht.", "A proof in the package does not hold."),
        _READ_ON,
    ),
    _row(
        _PACKAGE,
        _FAILED,
        "package.signer",
        (
            "Das Paket ist unverändert, aber dem Zertifikat seines Unterzeichners ist nicht zu trauen.",
            "The package is unchanged, but its signer's certificate is not to be trusted.",
        ),
        _WRONG_ANCHOR,
    ),
    _row(
        _PACKAGE,
        _FAILED,
        None,
        (
            "Das Paket ist beschädigt, unvollständig oder wurde verändert.",
            "The package is damaged, incomplete or was changed.",
        ),
        Text(
            "Laden Sie das Nachweispaket beim Gateway neu herunter.",
            "Download the evidence package from the gateway again.",
        ),
    ),
    _row(
        _PACKAGE,
        _OPEN,
        "package.proofs",
        ("Das Paket enthält keinen Nachweis.", "The package holds no proof."),
        Text(
            "Warten Sie, bis der Anbieter die verlangten Bestätigungen geschickt hat, und laden Sie es neu herunter.",
            "Wait until the provider has sent the requested confirmations, and download it again.",
        ),
    ),
    _row(
        _PACKAGE,
        _OPEN,
        "=trust-anchor-missing",
        (
            "Das Paket ist unverändert, aber ohne Vertrauensanker lassen sich seine Zertifikate nicht beurteilen.",
            "The package is unchanged, but without a trust anchor its certificates cannot be judged.",
        ),
        _NAME_ANCHOR,
    ),
    _row(
        _PACKAGE,
        _OPEN,
        None,
        (
            "Das Paket ist unverändert, aber nicht alles konnte entschieden werden.",
            "The package is unchanged, but not everything could be decided.",
        ),
        _NAME_TRUST,
    ),
    _row(
        _JOURNAL,
        _PASSED,
        None,
        (
            "Die Einträge sind lückenlos und unverändert. Ob danach weitere folgen, zeigt die Datei nicht.",
            "The entries are complete and unchanged. Whether more follow, the file does not show.",
        ),
        _NOTHING,
    ),
    _row(
        _JOURNAL,
        _OPEN,
        None,
        (
            "Die Einträge schließen aneinander an; was vor dem ersten stand, ist nicht bewiesen.",
            "The entries follow each other; what stood before the first is not proven.",
        ),
        Text("Exportieren Sie das Journal von Anfang an.", "Export the journal from its beginning."),
    ),
    _row(
        _JOURNAL,
        _FAILED,
        None,
        (
            "Im Journal fehlen Einträge, oder es wurde verändert.",
            "Entries of the journal are missing, or it was changed.",
        ),
        _TELL_OPERATOR,
    ),
)
