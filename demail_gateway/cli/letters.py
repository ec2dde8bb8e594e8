"""The De-Mails of the demonstration: a PDF made on the spot, a binary file with an umlaut in its name."""

from __future__ import annotations

import base64
import random
from typing import Any

from demail_gateway.bootstrap.samples import sample_pdf

BINARY_BYTES = 2 * 1024 * 1024
BINARY_NAME = "Flurstücke.bin"
PDF_NAME = "bescheid.pdf"

DISPATCH, RECEIPT, RETRIEVE = "confirmation of dispatch", "confirmation of receipt", "confirmation of retrieve"


def notice_pdf() -> bytes:
    """A tax notice as PDF."""
    paragraphs = (
        "Aktenzeichen: 22.3-1234/2026",
        "Festgesetzter Betrag: 1.240,00 EUR, fällig am 15.12.2026",
        "Muster der Vorführung, kein Verwaltungsakt.",
    )
    return sample_pdf("Gewerbesteuerbescheid 2026", paragraphs, "Stadt Elbtal")


def binary_file() -> bytes:
    """2 MiB that nothing compresses; the same in every run."""
    return random.Random("De-Mail").randbytes(BINARY_BYTES)  # noqa: S311  no secret


def tax_notice(sender: str, upload_id: str) -> dict[str, Any]:
    """With Versand- and Eingangsbestätigung; the PDF inline, the binary file uploaded before."""
    return {
        "from": sender,
        "to": ["buergerin@sandbox.de-mail.de"],
        "subject": "Gewerbesteuerbescheid 2026 – Grüße aus Elbtal",
        "text": "Sehr geehrte Frau Mustermann,\n\nanbei erhalten Sie Ihren Bescheid.\n\nIhre Stadt Elbtal\n",
        "reference": "AZ 22.3-1234/2026",
        "options": {"confirmation_of_dispatch": True, "confirmation_of_receipt": True},
        "attachments": [
            {
                "filename": PDF_NAME,
                "content_type": "application/pdf",
                "content": base64.b64encode(notice_pdf()).decode("ascii"),
            },
            {"attachment_id": upload_id},
        ],
    }


def formal_letter(sender: str) -> dict[str, Any]:
    """With Versand- and Abholbestätigung, hence persönlich."""
    return {
        "from": sender,
        "to": ["buerger@sandbox.de-mail.de"],
        "subject": "Anhörung nach § 28 VwVfG",
        "text": "Sehr geehrter Herr Muster,\n\nSie erhalten Gelegenheit zur Stellungnahme.\n",
        "reference": "LA-MB 7/2026",
        "options": {"confirmation_of_dispatch": True, "confirmation_of_retrieve": True},
    }


def encrypted_letter(sender: str) -> dict[str, Any]:
    """Signed and encrypted for the recipient, with Versand- and Eingangsbestätigung."""
    return {
        "from": sender,
        "to": ["verschluesselt@sandbox.de-mail.de"],
        "subject": "Vertrauliche Auskunft",
        "text": "Nur für Sie lesbar.\n",
        "reference": "LA-MB 8/2026",
        "options": {"confirmation_of_dispatch": True, "confirmation_of_receipt": True},
        "encrypt": True,
    }
