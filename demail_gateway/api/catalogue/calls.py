"""The caller and the request as such, and what is not the caller's fault."""

from __future__ import annotations

from demail_gateway.api.catalogue.entry import Entry

CALLS: dict[str, Entry] = {
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
