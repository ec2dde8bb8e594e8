"""States of objects."""

from __future__ import annotations

from demail_gateway.api.catalogue.entry import Entry

STATES: dict[str, Entry] = {
    "conflict": Entry(
        409, "Konflikt", "Conflict", "Der Zustand des Objekts lässt das nicht zu.", "The object's state forbids this."
    ),
    "not-cancellable": Entry(
        409,
        "Nicht mehr zurückziehbar",
        "No longer cancellable",
        "Die Übergabe an den Anbieter hat begonnen. Einen Rückruf gibt es bei De-Mail nicht.",
        "The hand-over to the provider has begun. There is no recall in De-Mail.",
        rule="SND-40",
    ),
    "hand-over-in-progress": Entry(
        409,
        "Übergabe läuft",
        "Hand-over in progress",
        "Ein Worker übergibt diese Kopie gerade oder fragt nach ihr. Sein Ergebnis geht vor; danach erneut ansehen.",
        "A worker is handing this copy over or asking about it. Its end comes first; look again afterwards.",
        rule="SND-43",
        retryable=True,
    ),
    "attempts-differ": Entry(
        409,
        "Es gab weitere Übergaben",
        "There were further hand-overs",
        "attempts nennt nicht die Zahl der Übergaben. Was über frühere herausgefunden wurde, gilt nicht für spätere.",
        "attempts is not the number of hand-overs. What was found out about earlier ones does not hold for later ones.",
        rule="SND-43",
    ),
    "decision-not-fitting": Entry(
        409,
        "Entscheidung passt nicht",
        "Decision does not fit",
        "Ist der Ausgang unbekannt: taken oder not-taken. Ist die Kopie held: freigeben, oder aufgeben mit given-up.",
        "Where the outcome is unknown: taken or not-taken. Where the copy is held: release it, or given-up.",
        rule="SND-43",
    ),
    "no-decision-needed": Entry(
        409,
        "Nichts zu entscheiden",
        "No decision needed",
        "Diese Kopie wartet nicht auf einen Menschen: Sie geht von selbst weiter, oder ihr Ausgang steht fest.",
        "This copy waits for nobody: it goes on by itself, or its end is known.",
        rule="SND-43",
    ),
    "quarantined": Entry(
        409,
        "In Quarantäne",
        "Quarantined",
        "Der Inhalt steht in Quarantäne und wird nur mit acknowledge_risk=true herausgegeben.",
        "The content is quarantined and handed out with acknowledge_risk=true alone.",
        rule="SND-73",
    ),
    "slug-taken": Entry(
        409, "Kurzname vergeben", "Slug taken", "Diesen Kurznamen gibt es schon.", "This slug exists already."
    ),
    "address-taken": Entry(
        409,
        "Adresse vergeben",
        "Address taken",
        "Diese Adresse ist schon zugeordnet.",
        "This address is assigned already.",
    ),
    "connection-name-taken": Entry(
        409, "Name vergeben", "Name taken", "Diesen Namen gibt es schon.", "This name exists already."
    ),
    "entitlement-needs-public-body": Entry(
        409,
        "Nur für öffentliche Stellen",
        "For public bodies alone",
        "Zu Abholbestätigungen ist nur ein Konto berechtigt, dessen Mandant eine öffentliche Stelle ist (public_body).",
        "Only an account whose tenant is a public body (public_body) can be entitled to confirmations of retrieval.",
        rule="SND-16",
    ),
    "connection-not-for-tests": Entry(
        409,
        "Kein Testanbieter",
        "Not a test provider",
        "Eine Testinstallation nimmt nur Verbindungen zu Testanbietern an (profile.test ist true).",
        "A test installation takes connections to test providers alone (profile.test is true).",
        rule="GWT-25",
    ),
    "address-reserved": Entry(
        409,
        "Adresse nicht zulässig",
        "Address not permitted",
        "System-Adressen und Namen, die mit pn_ beginnen, werden nicht vergeben.",
        "System addresses and local parts that begin with pn_ are not assigned.",
        rule="ADR-33",
    ),
    "gate-not-met": Entry(
        409,
        "Voraussetzungen fehlen",
        "Gate not met",
        "Für diesen Schritt fehlen Nachweise; errors nennt sie.",
        "Evidence for this step is missing; errors names it.",
        rule="GWT-60",
    ),
    "transition-not-allowed": Entry(
        409,
        "Schritt nicht möglich",
        "Transition not allowed",
        "Aus dem jetzigen Zustand führt kein Schritt dorthin.",
        "No step leads there from the present state.",
        rule="GWT-60",
    ),
    "transition-reason": Entry(
        409,
        "Begründung passt nicht",
        "Reason does not fit",
        "Eine Sperre verlangt einen der Gründe contract-breach, security, wish, unclear-entitlement.",
        "A suspension needs one of contract-breach, security, wish, unclear-entitlement.",
        rule="GWT-61",
    ),
    "state-changed": Entry(
        409,
        "Zustand hat sich geändert",
        "State has changed",
        "Jemand anderes hat den Zustand inzwischen geändert.",
        "Somebody else has changed the state meanwhile.",
        retryable=True,
    ),
    "account-ambiguous": Entry(
        409,
        "Konto nicht eindeutig",
        "Account ambiguous",
        "Der Mandant hat nicht genau ein Konto; account_id muss angegeben werden.",
        "The tenant does not have exactly one account; account_id must be given.",
    ),
    "certificate-key-mismatch": Entry(
        409,
        "Zertifikat passt nicht zum Schlüssel",
        "Certificate does not fit the key",
        "Das Zertifikat gehört zu einem anderen Schlüssel.",
        "The certificate belongs to another key.",
    ),
    "certificate-expired": Entry(
        409,
        "Zertifikat abgelaufen",
        "Certificate expired",
        "Das Zertifikat ist zurzeit nicht gültig.",
        "The certificate is not valid at present.",
    ),
    "certificate-malformed": Entry(
        422,
        "Kein Zertifikat",
        "Not a certificate",
        "Die Angabe ist kein lesbares X.509-Zertifikat.",
        "This is no readable X.509 certificate.",
    ),
}
