"""Every problem the API can answer with: status, rule and texts in both languages, by its stable code.

`/problems/{code}` shows these entries, so that the `type` of a problem leads to an explanation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    status: int
    title_de: str
    title_en: str
    detail_de: str
    detail_en: str
    rule: str | None = None
    retryable: bool = False
    """Whether the same request can succeed later without a change."""


CATALOGUE: dict[str, Entry] = {
    # --- what the caller may do
    "unauthenticated": Entry(
        401,
        "Nicht angemeldet",
        "Not authenticated",
        "Die Anfrage trägt kein gültiges Zugriffstoken. Ein neues gibt es bei POST /oauth2/token.",
        "The request carries no valid access token. Get a new one at POST /oauth2/token.",
    ),
    "forbidden": Entry(
        403,
        "Berechtigung fehlt",
        "Permission missing",
        "Dem Zugriffstoken fehlt ein Recht (Scope), das dieser Aufruf verlangt.",
        "The access token lacks a scope that this call needs.",
    ),
    "not-found": Entry(
        404,
        "Nicht gefunden",
        "Not found",
        "Es gibt hier nichts unter dieser Adresse.",
        "There is nothing here under this address.",
        rule="GWT-39",
    ),
    "method-not-allowed": Entry(
        405,
        "Methode nicht erlaubt",
        "Method not allowed",
        "Diese Adresse kennt die verwendete HTTP-Methode nicht.",
        "This address does not know the HTTP method used.",
    ),
    "too-many-requests": Entry(
        429,
        "Zu viele Versuche",
        "Too many attempts",
        "Der Zugang ist vorübergehend gesperrt. Retry-After nennt die Wartezeit.",
        "Access is locked for a time. Retry-After tells how long.",
        rule="GWT-23",
        retryable=True,
    ),
    # --- the request as such
    "invalid-request": Entry(
        422,
        "Ungültige Anfrage",
        "Invalid request",
        "Die Anfrage ist nicht so aufgebaut, wie es die Schnittstelle verlangt.",
        "The request is not of the form that the interface asks for.",
    ),
    "unsupported-media-type": Entry(
        415,
        "Medientyp nicht unterstützt",
        "Unsupported media type",
        "Der Inhaltstyp der Anfrage wird hier nicht angenommen.",
        "The content type of the request is not accepted here.",
    ),
    "range-not-satisfiable": Entry(
        416,
        "Bereich liegt außerhalb",
        "Range not satisfiable",
        "Der verlangte Bereich beginnt hinter dem Ende des Inhalts.",
        "The requested range begins past the end of the content.",
    ),
    "idempotency-key-missing": Entry(
        400,
        "Idempotency-Key fehlt",
        "Idempotency-Key missing",
        "Der Versand verlangt die Kopfzeile Idempotency-Key, damit eine Wiederholung keine zweite De-Mail erzeugt.",
        "Sending needs the header Idempotency-Key, so that a repetition makes no second De-Mail.",
    ),
    "idempotency-key-invalid": Entry(
        400,
        "Idempotency-Key ungültig",
        "Idempotency-Key invalid",
        "Ein Idempotency-Key hat 1 bis 255 druckbare ASCII-Zeichen.",
        "An Idempotency-Key has 1 to 255 printable ASCII characters.",
    ),
    "idempotency-key-reused": Entry(
        422,
        "Idempotency-Key bereits verwendet",
        "Idempotency-Key reused",
        "Dieser Idempotency-Key gehört zu einer Anfrage mit anderem Inhalt.",
        "This Idempotency-Key belongs to a request with other content.",
    ),
    "idempotency-in-progress": Entry(
        409,
        "Erste Anfrage läuft noch",
        "First request still running",
        "Die erste Anfrage mit diesem Idempotency-Key ist noch nicht beantwortet.",
        "The first request with this Idempotency-Key has not been answered yet.",
        retryable=True,
    ),
    "cursor-invalid": Entry(
        422,
        "Cursor ungültig",
        "Cursor invalid",
        "Der Cursor stammt nicht aus dieser Liste.",
        "The cursor was not given out by this list.",
    ),
    "digest-mismatch": Entry(
        422,
        "Prüfsumme stimmt nicht",
        "Digest mismatch",
        "Der empfangene Inhalt hat eine andere Prüfsumme als in Repr-Digest angegeben; nichts wurde gespeichert.",
        "The content received has another digest than Repr-Digest says; nothing was stored.",
    ),
    # --- sending: the codes of the refusals
    "rule-violation": Entry(
        422,
        "Versandregeln verletzt",
        "Sending rules violated",
        "Die Nachricht verletzt Regeln für den Versand.",
        "The message breaks rules for sending.",
    ),
    "sender-not-authorised": Entry(
        422,
        "Absender nicht zugelassen",
        "Sender not authorised",
        "Diese Anwendung darf unter dieser Absenderadresse nicht so senden.",
        "This client may not send like this with this sender address.",
        rule="SND-10",
    ),
    "recipient-not-demail": Entry(
        422,
        "Empfänger ist keine De-Mail-Adresse",
        "Recipient is not a De-Mail address",
        "Mindestens ein Empfänger hat keine De-Mail-Adresse. Einen Versand als E-Mail gibt es nicht (SND-25).",
        "At least one recipient has no De-Mail address. There is no fallback to e-mail (SND-25).",
        rule="SND-11",
    ),
    "reply-to-not-demail": Entry(
        422,
        "Antwortadresse ist keine De-Mail-Adresse",
        "Reply-To is not a De-Mail address",
        "Die Antwortadresse muss eine De-Mail-Adresse sein.",
        "The reply address must be a De-Mail address.",
        rule="SND-12",
    ),
    "reply-to-not-polled": Entry(
        422,
        "Antwortadresse wird nicht abgeholt",
        "Reply-To is not polled",
        "Bestätigungen gingen an eine Adresse, die das Gateway für Sie nicht abholt, und wären verloren.",
        "Confirmations would go to an address that the gateway does not fetch for you, and would be lost.",
        rule="SND-13",
    ),
    "auth-level-too-low": Entry(
        422,
        "Authentisierungsniveau zu niedrig",
        "Authentication level too low",
        "Eine gewählte Option verlangt das Authentisierungsniveau „hoch“.",
        "A chosen option needs the authentication level high.",
        rule="SND-14",
    ),
    "pseudonym-not-allowed": Entry(
        422,
        "Pseudonym nicht zulässig",
        "Pseudonym not allowed",
        "„Absenderbestätigt“ ist mit einer Pseudonym-Adresse nicht zulässig.",
        "authoritative is not allowed with a pseudonym address.",
        rule="SND-15",
    ),
    "retrieval-proof-not-permitted": Entry(
        422,
        "Abholbestätigung nicht zulässig",
        "Retrieval proof not permitted",
        "Eine Abholbestätigung dürfen nur öffentliche Stellen anfordern, die förmlich zustellen dürfen.",
        "Only public bodies that may serve formally may request a confirmation of retrieval.",
        rule="SND-16",
    ),
    "quota-exceeded": Entry(
        429,
        "Tageskontingent erschöpft",
        "Daily quota used up",
        "Das Tageskontingent dieses Kontos ist erschöpft.",
        "The daily quota of this account is used up.",
        rule="SND-17",
        retryable=True,
    ),
    "malware-found": Entry(
        422,
        "Schadsoftware gefunden",
        "Malware found",
        "In der Nachricht wurde Schadsoftware gefunden.",
        "Malware was found in the message.",
        rule="SND-18",
    ),
    "too-large": Entry(
        413,
        "Zu groß",
        "Too large",
        "Der Inhalt ist größer, als hier erlaubt ist. GET …/limits nennt die Grenzen.",
        "The content is larger than is allowed here. GET …/limits tells the limits.",
        rule="SND-19",
    ),
    "account-state": Entry(
        422,
        "Konto erlaubt keinen Versand",
        "Account does not permit sending",
        "Mandant oder De-Mail-Konto sind in einem Zustand, in dem nicht gesendet werden kann.",
        "The tenant or its De-Mail account is in a state in which nothing can be sent.",
        rule="SND-20",
    ),
    "system-address": Entry(
        422,
        "System-Adresse",
        "System address",
        "System-Adressen senden nur die Anbieter selbst.",
        "System addresses are used by providers alone.",
        rule="SND-21",
    ),
    "reference-too-long": Entry(
        422,
        "Geschäftszeichen zu lang",
        "Reference too long",
        "Das eigene Zeichen hat höchstens 1024 Zeichen.",
        "The own reference has 1024 characters at most.",
        rule="SND-22",
    ),
    "invalid-message": Entry(
        422,
        "Nachricht fehlerhaft",
        "Message not well-formed",
        "Die Nachricht ist nicht richtig aufgebaut.",
        "The message is not well-formed.",
        rule="SND-23",
    ),
    "private-required": Entry(
        422,
        "„Persönlich“ erforderlich",
        "private required",
        "Eine Abholbestätigung setzt „persönlich“ voraus.",
        "A confirmation of retrieval implies private.",
        rule="SND-4",
    ),
    "formal-service-incomplete": Entry(
        422,
        "Angaben zur förmlichen Zustellung fehlen",
        "Formal service incomplete",
        "Die förmliche Zustellung verlangt Behörde, Empfänger mit Anschrift, Bediensteten und Hinweis.",
        "Formal service needs authority, addressee with postal address, official and notice.",
        rule="SND-7",
    ),
    "recipient-invalid": Entry(
        422,
        "Empfängeradresse ungültig",
        "Recipient address invalid",
        "Mindestens eine Empfängeradresse ist keine gültige Adresse.",
        "At least one recipient address is no valid address.",
        rule="ADR-1",
    ),
    "recipient-court": Entry(
        422,
        "Empfänger ist ein Gericht",
        "Recipient is a court",
        "An Gerichte wird nicht mit De-Mail, sondern über das beBPo gesendet.",
        "Courts are written to by beBPo, not by De-Mail.",
        rule="LAW-2",
    ),
    "recipient-certificate-missing": Entry(
        422,
        "Zertifikat des Empfängers fehlt",
        "Recipient certificate missing",
        "Zum Verschlüsseln fehlt das Zertifikat mindestens eines Empfängers.",
        "The certificate of at least one recipient is missing for encryption.",
        rule="DIR-50",
    ),
    # --- states of objects
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
    # --- around
    "provider-unavailable": Entry(
        503,
        "Anbieter nicht erreichbar",
        "Provider unavailable",
        "Der De-Mail-Anbieter antwortet zurzeit nicht.",
        "The De-Mail provider does not answer at present.",
        retryable=True,
    ),
    "store-unavailable": Entry(
        503,
        "Vorübergehend nicht verfügbar",
        "Temporarily unavailable",
        "Die Datenbank ist zurzeit nicht erreichbar. Nichts wurde gespeichert.",
        "The database cannot be reached at present. Nothing was stored.",
        retryable=True,
    ),
    "key-unavailable": Entry(
        503,
        "Schlüssel nicht verfügbar",
        "Key unavailable",
        "Schlüsselmaterial der Installation ist zurzeit nicht verfügbar.",
        "Key material of the installation is not available at present.",
        retryable=True,
    ),
    "internal": Entry(
        500,
        "Interner Fehler",
        "Internal error",
        "Ein unerwarteter Fehler ist aufgetreten. trace_id hilft dem Betrieb, ihn zu finden.",
        "An unexpected error occurred. trace_id helps the operator to find it.",
    ),
}
