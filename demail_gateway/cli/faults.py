"""What went wrong with a command, in a sentence for the operator."""

from __future__ import annotations

from demail_gateway.core.errors import Conflict, DemailError, NotFound, NothingNamed, StoreUnavailable

_KINDS = {"tenant": "Mandant", "connection": "Anbieter-Verbindung", "cli": "Client", "key": "Schlüssel", "cpy": "Kopie"}
_REASONS = {
    "address-reserved": "Diese Adresse ist dem System vorbehalten.",
    "attempts-differ": "Es gab inzwischen weitere Übergaben; die Zahl steht in queue list.",
    "certificate-expired": "Das Zertifikat ist zurzeit nicht gültig.",
    "certificate-key-mismatch": "Das Zertifikat gehört zu einem anderen Schlüssel.",
    "connection-name-taken": "Eine Anbieter-Verbindung dieses Namens gibt es schon.",
    "connection-not-for-tests": "Eine Testinstallation spricht nur mit Testanbietern (Profil mit test: true).",
    "decision-not-fitting": "Diese Entscheidung passt nicht zum Zustand der Kopie.",
    "hand-over-in-progress": "Ein Worker übergibt diese Kopie gerade; sein Ergebnis geht vor.",
    "no-decision-needed": "Diese Kopie wartet auf keine Entscheidung.",
    "schema-newer": "Das Datenbankschema ist neuer als dieses Programm.",
    "slug-taken": "Dieses Kürzel ist vergeben.",
    "state-changed": "Der Zustand hat sich inzwischen geändert.",
}


def sentence(error: DemailError) -> str:
    """German, with the stable code behind it."""
    match error:
        case NothingNamed(kind=kind, named=named):
            return f"{_KINDS.get(kind, kind)} „{named}“ nicht gefunden ({error.code})"
        case NotFound():
            return f"Nicht gefunden: Namen und Kennungen prüfen ({error.code})"
        case Conflict(reason=reason):
            return f"{_REASONS.get(reason, 'Der jetzige Zustand lässt das nicht zu.')} ({reason})"
        case StoreUnavailable():
            return (
                f"Datenbank nicht erreichbar: DEMAIL_DATABASE_URL prüfen, demail-gateway doctor ({error.code}: {error})"
            )
    return f"{error.code}: {error}".rstrip(": ")
