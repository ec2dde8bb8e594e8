"""What may be wrong with seals, certificates, confirmations, notifications and identities, as sentences."""

from __future__ import annotations

from demail_gateway.application.explain.wording import Text, texts

SEAL_FINDINGS: dict[str, Text] = texts(
    {
        "message-malformed": ("Die Datei ist keine lesbare Nachricht.", "The file is no readable message."),
        "integrity-missing": (
            "Die Nachricht hat keine Versiegelung: so verschickt sie kein De-Mail-Anbieter.",
            "The message has no seal: no De-Mail provider sends it so.",
        ),
        "algorithm-unsupported": (
            "Das Verfahren der Versiegelung ist nicht zugelassen.",
            "The method of the seal is not permitted.",
        ),
        "header-coverage": (
            "Die Versiegelung lässt eine Angabe aus, die sie schützen muss.",
            "The seal leaves out a field that it must protect.",
        ),
        "body-hash-mismatch": (
            "Der Inhalt ist nicht der, der versiegelt wurde.",
            "The content is not the one that was sealed.",
        ),
        "header-hash-mismatch": (
            "Absender, Empfänger, Betreff oder eine andere Angabe im Kopf wurde nach dem Versiegeln geändert.",
            "Sender, recipients, subject or another field was changed after sealing.",
        ),
        "signature-missing": (
            "Eine Signatur ist angekündigt und fehlt.",
            "A signature is announced and missing.",
        ),
        "signature-parts": (
            "Neben dem signierten Teil und der Signatur stehen weitere Teile, die niemand signiert hat.",
            "Beside the signed part and the signature stand further parts that nobody signed.",
        ),
        "signature-type": (
            "Der Teil, in dem die Signatur stehen soll, ist nicht als Signatur bezeichnet; sie wurde nicht geprüft.",
            "The part that should hold the signature is not marked as one; it was not checked.",
        ),
        "signature-unreadable": (
            "Ob der Inhalt signiert ist, lässt sich nicht erkennen.",
            "Whether the content is signed cannot be told.",
        ),
        "signature-mismatch": ("Die Signatur passt nicht zum Inhalt.", "The signature does not fit the content."),
        "key-mismatch": (
            "Schlüssel und Signaturverfahren passen nicht zusammen.",
            "Key and method of signature do not fit.",
        ),
        "key-not-permitted": (
            "Der Schlüssel ist zu schwach oder nicht zugelassen.",
            "The key is too weak or not permitted.",
        ),
        "key-size-deprecated": (
            "Der Schlüssel ist kürzer, als heute empfohlen wird.",
            "The key is shorter than recommended today.",
        ),
        "timestamp-mismatch": (
            "Der Zeitstempel gehört nicht zu dieser Signatur oder nennt eine spätere Zeit.",
            "The timestamp is not about this signature, or names a later time.",
        ),
        "tag-missing": (
            "In der Versiegelung fehlt eine Angabe, die nicht zählt.",
            "The seal lacks a tag that does not count.",
        ),
        "tag-ignored": ("In der Versiegelung steht etwas, das nicht zählt.", "The seal has a tag that is ignored."),
        "tag-q": (
            "Die Versiegelung nennt nicht, wo das Zertifikat steht.",
            "The seal does not say where the certificate is.",
        ),
        "h-order": ("Die Reihenfolge der geschützten Angaben weicht ab.", "The order of protected fields differs."),
        "h-repeated": ("Eine Angabe ist mehrfach als geschützt genannt.", "A field is named as protected repeatedly."),
        "h-incomplete": ("Diese Angabe ist nicht geschützt.", "This field is not protected."),
    }
)

ALGORITHM_FINDINGS: dict[str, Text] = texts(
    {
        "key-size-outdated": (
            "Ein Schlüssel war zu diesem Zeitpunkt schon zu kurz.",
            "A key was too short at that moment already.",
        ),
        "hash-outdated": (
            "Die Hashfunktion war zu diesem Zeitpunkt nicht mehr zugelassen.",
            "The hash function was no longer permitted at that moment.",
        ),
        "signature-algorithm-outdated": (
            "Das Signaturverfahren war zu diesem Zeitpunkt nicht mehr zugelassen.",
            "The method of signature was no longer permitted at that moment.",
        ),
        "cipher-outdated": (
            "Die Verschlüsselung war zu diesem Zeitpunkt nicht mehr zugelassen.",
            "The cipher was no longer permitted at that moment.",
        ),
        "key-encryption-outdated": (
            "Die Verschlüsselung des Schlüssels war zu diesem Zeitpunkt nicht mehr zugelassen.",
            "The encryption of the key was no longer permitted at that moment.",
        ),
        "key-wrap-outdated": (
            "Das Einpacken des Schlüssels war zu diesem Zeitpunkt nicht mehr zugelassen.",
            "The wrapping of the key was no longer permitted at that moment.",
        ),
        "curve-outdated": (
            "Die elliptische Kurve war zu diesem Zeitpunkt nicht mehr zugelassen.",
            "The elliptic curve was no longer permitted at that moment.",
        ),
    }
)

CERTIFICATE_FINDINGS: dict[str, Text] = texts(
    {
        "certificate-invalid": ("Das Zertifikat ist nicht gültig.", "The certificate is not valid."),
        "certificate-malformed": ("Das Zertifikat ist unlesbar.", "The certificate cannot be read."),
        "certificate-expired": ("Das Zertifikat war abgelaufen.", "The certificate had expired."),
        "certificate-not-yet-valid": ("Das Zertifikat galt noch nicht.", "The certificate was not valid yet."),
        "certificate-key-usage": (
            "Das Zertifikat ist für diesen Zweck nicht ausgestellt.",
            "The certificate was not issued for this purpose.",
        ),
        "certificate-untrusted": (
            "Das Zertifikat führt zu keinem Vertrauensanker.",
            "The certificate leads to no trust anchor.",
        ),
        "certificate-revoked": ("Das Zertifikat ist gesperrt.", "The certificate is revoked."),
        "certificate-status-unknown": (
            "Ob das Zertifikat gesperrt ist, sagt keine vorliegende Sperrliste.",
            "No revocation list at hand says whether the certificate is revoked.",
        ),
        "trust-anchor-missing": (
            "Es ist kein Vertrauensanker angegeben; ohne ihn lässt sich das Zertifikat nicht beurteilen.",
            "No trust anchor is named; without one the certificate cannot be judged.",
        ),
        "signer-unknown": (
            "Dieses Zertifikat gehört zu keinem der benannten Unterzeichner.",
            "The certificate is none of the named signers'.",
        ),
    }
)

CONFIRMATION_FINDINGS: dict[str, Text] = texts(
    {
        "issuer-unconfirmed": (
            "Ob dieser Anbieter zuständig ist, lässt sich hier nicht feststellen.",
            "Whether this provider is the responsible one cannot be told here.",
        ),
        "issuer-mismatch": ("Ein anderer Anbieter hat sie ausgestellt.", "Another provider issued it."),
        "xml-missing": ("Lesbare XML-Daten fehlen.", "Readable XML data are missing."),
        "xml-schema": ("Die XML-Daten haben nicht den vorgeschriebenen Aufbau.", "The XML data do not fit the schema."),
        "xml-signature-invalid": (
            "Die Signatur der XML-Daten hält nicht.",
            "The signature of the XML data does not hold.",
        ),
        "xml-sender-mismatch": (
            "Die XML-Daten nennen einen anderen Aussteller.",
            "The XML data name another issuer.",
        ),
        "hash-metadata-mismatch": (
            "Die genannte Prüfsumme ist nicht die der bestätigten Nachricht.",
            "The checksum is not that of the confirmed message.",
        ),
        "metadata-proof-mismatch": (
            "Die wiedergegebenen Angaben ergeben eine andere Prüfsumme.",
            "The fields that it repeats give another checksum.",
        ),
        "metadata-proof-impossible": (
            "Die Prüfsumme konnte nicht nachgerechnet werden.",
            "The checksum could not be computed again.",
        ),
        "metadata-value-mismatch": (
            "Der lesbare Wert ist nicht der des wiedergegebenen Feldes.",
            "The readable value is not that of the field it repeats.",
        ),
        "original-header-unusable": (
            "Eine wiedergegebene Angabe ist nicht verwendbar.",
            "A field that it repeats cannot be used.",
        ),
        "structure-pdf-differs": (
            "Die XML-Daten in der PDF-Datei sagen etwas anderes als die der Nachricht.",
            "The XML data inside the PDF say something else than those of the message.",
        ),
        "standing-alone": (
            "Für sich allein geprüft, ohne die gesendete Nachricht.",
            "Checked by itself, without the sent message.",
        ),
        "with-sent-message": (
            "Mit der gesendeten Nachricht verglichen.",
            "Compared with the sent message.",
        ),
        "no-sent-message": ("Keine gesendete Nachricht zum Vergleichen.", "No sent message to compare with."),
        "correlation-none": ("Keine gesendete Nachricht passt dazu.", "No sent message fits."),
        "correlation-conflict": (
            "Die Angaben weisen auf verschiedene Nachrichten.",
            "What it names points to different messages.",
        ),
        "recipient-unknown": ("Der Empfänger ist nicht zu erkennen.", "The recipient cannot be told."),
        "recipient-redirected": (
            "Sie nennt eine andere Adresse als die angeschriebene (Nachsendung).",
            "It names another address than the one written to (re-sending).",
        ),
        "body-proof-mismatch": (
            "Der Inhalt ist nicht Byte für Byte der gesendete.",
            "The content is not the sent one byte by byte.",
        ),
        "body-proof-impossible": (
            "Der gesendete Inhalt liegt zum Vergleich nicht vor.",
            "The sent content is not there to compare.",
        ),
        "metadata-changed": ("Diese Angabe ist anders als eingereicht.", "This field is not as submitted."),
        "private-id-mismatch": ("Die Kennung des Absenders stimmt nicht überein.", "The sender's reference differs."),
        "time-implausible": ("Eine Zeitangabe kann nicht stimmen.", "A time cannot be right."),
        "time-without-zone": (
            "Eine Zeitangabe nennt keine Zeitzone; gelesen wurde sie als deutsche Zeit.",
            "A time names no zone; it was read as German time.",
        ),
        "delivery-time-missing": ("Der Zeitpunkt des Eingangs fehlt.", "The time of reception is missing."),
        "delivery-time-unexpected": (
            "Ein Zeitpunkt des Eingangs steht da, wo er nicht hingehört.",
            "A time of reception stands where it does not belong.",
        ),
        "confirmation-unrequested": (
            "Diese Bestätigung war für die Nachricht nicht verlangt.",
            "This confirmation was not requested for the message.",
        ),
        "unreadable": ("Diese Angabe ist nicht lesbar.", "This field cannot be read."),
        "proof-too-large": (
            "Sie ist größer als jede echte Bestätigung oder Meldung; ihr Inhalt wurde nicht ausgewertet.",
            "It is larger than any real confirmation or notification; its content was not evaluated.",
        ),
    }
)

IDENT_FINDINGS: dict[str, Text] = texts(
    {
        "assertion-version": (
            "Die Version der Identitätsdaten ist falsch.",
            "The version of the identity data is wrong.",
        ),
        "assertion-id": ("Die Kennung der Identitätsdaten fehlt.", "The identity data have no id."),
        "assertion-issue-instant": ("Der Zeitpunkt der Ausstellung fehlt.", "The moment of issue is missing."),
        "assertion-issuer": ("Der Aussteller fehlt.", "The issuer is missing."),
        "assertion-subject": ("Die Person ist nicht genannt.", "The person is not named."),
        "assertion-name-format": ("Eine Adresse hat nicht die vorgeschriebene Form.", "An address has another format."),
        "assertion-conditions": (
            "Für wen oder wie lange die Bestätigung gilt, ist nicht eindeutig gesagt.",
            "For whom it was issued, or how long it is valid, is not clearly said.",
        ),
        "assertion-authn-statement": ("Die Angabe zur Anmeldung fehlt.", "The statement about the login is missing."),
        "assertion-attribute-statement": ("Die Identitätsangaben fehlen.", "The identity attributes are missing."),
        "assertion-unused": (
            "Enthält etwas, das nicht vorgesehen ist.",
            "Contains something that is not provided for.",
        ),
        "assertion-issuer-mismatch": (
            "Aussteller und Absender sind verschieden.",
            "Issuer and sender differ.",
        ),
        "assertion-expired": ("Die Gültigkeit der Bestätigung ist vorüber.", "Its validity is over."),
        "audience-mismatch": ("Ausgestellt für einen anderen Empfänger.", "Issued for another recipient."),
        "audience-elsewhere": (
            "Sie lag in einem anderen Postfach als dem, für das sie gilt.",
            "It lay in another mailbox than the one it is for.",
        ),
        "subject-mismatch": (
            "Die Person ist nicht die, die in der Nachricht genannt ist.",
            "The person is not the one named in the message.",
        ),
        "card-missing": ("Die Ident-Karte fehlt.", "There is no card."),
        "card-several": ("Mehrere Ident-Karten.", "There are several cards."),
        "card-address-mismatch": (
            "Die Ident-Karte gehört zu einer anderen Adresse.",
            "The card belongs to another address.",
        ),
        "validation-time-missing": (
            "Wann eine Angabe zuletzt geprüft wurde, ist nicht gesagt.",
            "When an attribute was last verified is not said.",
        ),
        "validation-time-unreadable": (
            "Wann eine Angabe zuletzt geprüft wurde, ist nicht lesbar.",
            "When an attribute was last verified cannot be read.",
        ),
    }
)
