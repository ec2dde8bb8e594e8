"""A fetched revocation list as the scheduler stores it."""

from __future__ import annotations

import hashlib

from cryptography import x509

from demail_gateway.application.ports.installation import FetchedAnswer
from demail_gateway.trust.crls import read_crls


def read_revocation_list(data: bytes) -> FetchedAnswer:
    """The one list in `data` (DER or PEM) with its issuer and times; its signature is not looked at here.

    Raises:
        CertificateMalformed: it cannot be read.
    """
    der = read_crls(data)[0]
    crl = x509.load_der_x509_crl(der)
    issuer = hashlib.sha256(crl.issuer.public_bytes()).hexdigest()
    return FetchedAnswer(der, issuer, crl.last_update_utc, crl.next_update_utc)
