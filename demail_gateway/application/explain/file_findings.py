"""What may be wrong with evidence packages, journals and mailbox files, as sentences."""

from __future__ import annotations

from demail_gateway.application.explain.wording import Text, texts

FILE_FINDINGS: dict[str, Text] = texts(
    {
        "package-damaged": ("Das Paket ist beschädigt.", "The package is damaged."),
        "package-oversized": (
            "Zu viele oder zu große Bestandteile, oder einer doppelt.",
            "Too many or too large members, or one of them twice.",
        ),
        "manifest-malformed": ("Das Verzeichnis ist unlesbar.", "The manifest cannot be read."),
        "manifest-format": ("Kein Nachweispaket dieses Programms.", "No evidence package of this program."),
        "member-missing": ("Ein verzeichneter Bestandteil fehlt.", "A listed member is missing."),
        "member-changed": ("Ein Bestandteil wurde verändert.", "A member was changed."),
        "member-unlisted": ("Ein Bestandteil ist nicht verzeichnet.", "A member is not listed."),
        "and-more": ("Und weitere.", "And more."),
        "package-signature-missing": ("Die Signatur des Pakets fehlt.", "The signature of the package is missing."),
        "package-signature-mismatch": (
            "Die Signatur passt nicht zum Verzeichnis.",
            "The signature does not fit the manifest.",
        ),
        "package-several-signers": ("Nicht von genau einem unterzeichnet.", "Not signed by exactly one."),
        "proofs-none": ("Das Paket enthält keinen Nachweis.", "The package holds no proof."),
        "proofs-not-requested": ("Es waren keine Nachweise verlangt.", "No proofs were requested."),
        "proof-of-another-message": ("Gehört zu einer anderen Nachricht.", "Belongs to another message."),
        "confirmed": ("Bestätigt.", "Confirmed."),
        "confirmed-with-remarks": ("Bestätigt, mit Bemerkungen.", "Confirmed, with remarks."),
        "rejected": ("Zurückgewiesen: beweist nichts.", "Rejected: proves nothing."),
        "unassigned": (
            "Echt, gehört aber zu keiner Nachricht in diesem Paket.",
            "Genuine, but of no message in this package.",
        ),
        "indeterminate": ("Unentschieden.", "Undecided."),
        "journal-malformed": ("Ein Eintrag ist unlesbar.", "An entry cannot be read."),
        "journal-changed": ("Ein Eintrag wurde verändert.", "An entry was changed."),
        "journal-gap": ("Hier fehlen Einträge.", "Entries are missing here."),
        "journal-prev-hash-mismatch": (
            "Ein Eintrag schließt nicht an den vorigen an.",
            "An entry does not follow the one before.",
        ),
        "journal-starts-late": (
            "Die Kette beginnt nicht mit dem ersten Eintrag; davor ist nichts bewiesen.",
            "The chain does not begin with its first entry; before that nothing is proven.",
        ),
        "check-failed": (
            "Die Prüfung war wegen einer Störung nicht möglich.",
            "The check was impossible because of a fault.",
        ),
    }
)
