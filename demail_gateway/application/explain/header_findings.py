"""The findings of the message checker (MF-31) as sentences."""

from __future__ import annotations

from demail_gateway.application.explain.wording import Text, texts

HEADER_FINDINGS: dict[str, Text] = texts(
    {
        "message-unparsable": (
            "Der Nachrichtenkopf kann nicht gelesen werden.",
            "The header section cannot be read.",
        ),
        "newline": ("Die Zeilen enden mit LF statt CR LF.", "Lines end with LF instead of CR LF."),
        "newline-normalised": (
            "Die Datei hatte Zeilenenden eines anderen Systems; geprüft wurde mit CR LF.",
            "The file had line ends of another system; it was checked with CR LF.",
        ),
        "no-body-separator": (
            "Zwischen Kopf und Inhalt fehlt die Leerzeile.",
            "No empty line between header and body.",
        ),
        "bare-newline": ("Einzelnes CR oder LF in einer Zeile.", "A lone CR or LF inside a line."),
        "nul-octet": ("Die Nachricht enthält Nullbytes.", "The message contains NUL octets."),
        "line-too-long": ("Eine Zeile ist länger als 998 Zeichen.", "A line is longer than 998 octets."),
        "line-over-78": ("Eine Zeile ist länger als 78 Zeichen.", "A line is longer than 78 octets."),
        "header-8bit": (
            "Umlaute oder andere Sonderzeichen stehen unverschlüsselt im Kopf.",
            "Raw characters outside ASCII stand in the header.",
        ),
        "size": ("Die Nachricht ist größer als 45 MiB.", "The message is larger than 45 MiB."),
        "header-missing": ("Eine vorgeschriebene Angabe fehlt.", "A required field is missing."),
        "header-forbidden": (
            "Eine Angabe ist bei dieser Art von Nachricht nicht erlaubt.",
            "A field is not allowed in this type of message.",
        ),
        "duplicate-header": (
            "Eine Angabe steht mehrfach da; die oberste gilt.",
            "A field is repeated; the first counts.",
        ),
        "resent-incomplete": (
            "Die Angaben zur Weiterleitung sind unvollständig.",
            "The fields about forwarding are incomplete.",
        ),
        "sent-on-forwarded": (
            "Die Nachricht wurde automatisch weitergeleitet; was der Absender wählte, blieb unverändert.",
            "The message was forwarded automatically; what the sender chose was left unchanged.",
        ),
        "sent-on-redirected": (
            "Die Nachricht ging an eine andere Adresse, als der Absender wählte: ein Nachsendeauftrag.",
            "The message went to another address than the sender chose: by a redirection order.",
        ),
        "message-type": ("Die Art der Nachricht ist unbekannt.", "The type of the message is unknown."),
        "value-case": ("Groß- und Kleinschreibung weicht ab.", "A value differs in letter case."),
        "option-value": (
            "Eine Versandoption ist weder „yes“ noch „no“.",
            "A sending option is neither “yes” nor “no”.",
        ),
        "sender-syntax": ("Die Absenderadresse ist keine Adresse.", "The sender's address is no address."),
        "from-syntax": ("Die Angabe „From“ ist keine Adresse.", "From is no address."),
        "from-multiple": ("„From“ nennt mehrere Adressen.", "From names several addresses."),
        "from-sender-mismatch": (
            "„From“ und die De-Mail-Absenderadresse sind verschieden.",
            "From and the De-Mail sender's address differ.",
        ),
        "recipient-syntax": ("Die Empfängerangabe ist nicht lesbar.", "The list of recipients cannot be read."),
        "recipient-duplicate-element": ("„to“, „cc“ oder „bcc“ steht doppelt.", "to, cc or bcc occurs twice."),
        "recipient-empty": ("Eine Empfängerangabe ist leer.", "An entry for recipients is empty."),
        "recipient-multiple-bcc": (
            "Mehrere verdeckte Empfänger sind sichtbar.",
            "Several hidden recipients are visible.",
        ),
        "recipient-semicolon-list": (
            "Empfänger sind durch Semikolon statt Komma getrennt.",
            "Recipients are separated by semicolons instead of commas.",
        ),
        "recipient-trailing-semicolon": (
            "Hinter den Empfängern steht ein überzähliges Semikolon.",
            "A semicolon too many behind the recipients.",
        ),
        "address-local-too-long": (
            "Eine Adresse hat mehr als 64 Zeichen vor dem @.",
            "An address has more than 64 characters before the @.",
        ),
        "address-domain-too-long": (
            "Eine Adresse hat mehr als 189 Zeichen hinter dem @.",
            "An address has more than 189 characters behind the @.",
        ),
        "address-too-long": (
            "Eine Adresse ist länger als 253 Zeichen.",
            "An address is longer than 253 characters.",
        ),
        "address-case": ("Eine Adresse enthält Großbuchstaben.", "An address contains capital letters."),
        "reply-to-syntax": ("Die Antwortadresse ist keine Adresse.", "The address for answers is no address."),
        "envelope-to-syntax": ("„Envelope-to“ ist keine Adresse.", "Envelope-to is no address."),
        "date-syntax": ("Das Versanddatum ist nicht lesbar.", "The date cannot be read."),
        "originator-provider-syntax": ("Der Name des Anbieter-Servers ist keiner.", "The server's name is none."),
        "message-id-syntax": ("Die Message-ID hat nicht die übliche Form.", "Message-ID has an unusual form."),
        "auth-level-value": (
            "Das Authentisierungsniveau ist weder „normal“ noch „hoch“.",
            "The level of authentication is neither normal nor high.",
        ),
        "version-syntax": ("Die Versionsangabe ist keine.", "The version is none."),
        "version-unknown": ("Die Version der Richtlinie ist unbekannt.", "The version of the guideline is unknown."),
        "private-id-too-long": (
            "Die Kennung des Absenders hat mehr als 1024 Zeichen.",
            "The sender's reference has more than 1024 characters.",
        ),
        "empty-value": ("Eine Angabe ist leer.", "A field is empty."),
        "notification-type-value": ("Die Art der Meldung ist unbekannt.", "The type of notification is unknown."),
        "auth-level-insufficient": (
            "Eine Versandoption verlangt das Authentisierungsniveau „hoch“.",
            "A sending option demands authentication at level high.",
        ),
        "retrieve-requires-private": (
            "Abholbestätigung ohne die Option „persönlich“.",
            "Confirmation of retrieval without the option private.",
        ),
        "pseudonym-authoritative": (
            "Absenderbestätigt, obwohl die Adresse wie ein Pseudonym aussieht.",
            "Authoritative although the address looks like a pseudonym.",
        ),
        "system-sender": (
            "Der Absender ist nicht die Systemadresse, die solche Nachrichten verschickt.",
            "The sender is not the system address that sends such messages.",
        ),
        "retrieve-private": (
            "Eine Abholbestätigung muss „persönlich“ sein.",
            "A confirmation of retrieval must be private.",
        ),
        "ident-private": ("Eine Ident-Bestätigung muss „persönlich“ sein.", "An Ident confirmation must be private."),
        "ident-subject": (
            "Der Betreff der Ident-Bestätigung ist nicht der vorgeschriebene.",
            "The subject is not that of an Ident confirmation.",
        ),
        "integrity-malformed": ("Die Versiegelung ist unlesbar.", "The seal cannot be read."),
        "integrity-algorithm": ("Das Verfahren der Versiegelung ist unbekannt.", "The method of the seal is unknown."),
        "integrity-tag-c": ("In der Versiegelung fehlt „c=simple/simple“.", "The seal lacks c=simple/simple."),
        "integrity-tag-l": (
            "Die Versiegelung enthält ein „l“; es zählt nicht.",
            "The seal has a tag l; it is ignored.",
        ),
        "integrity-tag-q": (
            "Die Versiegelung nennt nicht, wo das Zertifikat steht.",
            "The seal does not say where the certificate is.",
        ),
        "certificate-missing": ("Das Zertifikat zur Signatur fehlt.", "The certificate of the signature is missing."),
        "signature-required": (
            "Eine Signatur ist vorgeschrieben, vorhanden ist nur eine Prüfsumme.",
            "A signature is required, there is only a checksum.",
        ),
        "certificate-unexpected": (
            "Ein Zertifikat liegt bei, obwohl nichts signiert ist.",
            "There is a certificate although nothing is signed.",
        ),
        "mime-version-missing": ("„MIME-Version“ fehlt.", "MIME-Version is missing."),
        "structure-not-multipart-mixed": (
            "Der Inhalt hat nicht den vorgeschriebenen Aufbau.",
            "The body does not have the prescribed structure.",
        ),
        "structure-xml-missing": ("Die XML-Daten fehlen.", "The XML data are missing."),
        "structure-pdf-missing": ("Das PDF fehlt.", "The PDF is missing."),
    }
)
