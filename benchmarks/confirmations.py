"""A confirmation as it arrives, and its check as the gateway makes it: path, status and all steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation import Pdf
from demail_gateway.core.confirmation_check import ConfirmationReport, check_confirmation
from demail_gateway.core.confirmation_reading import read_confirmation
from demail_gateway.core.header import read_message
from demail_gateway.core.integrity import seal
from demail_gateway.core.primitives import HashName
from demail_gateway.core.vocabulary import ConfirmationKind
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.keys import SoftwareSigner, generate_key
from demail_gateway.trust.paths import PathJudge
from demail_gateway.trust.pdf import confirmation_pdf
from demail_gateway.trust.verifier import CryptographyVerifier
from demail_gateway.trust.xmldsig import LxmlSignatures
from tests.core import proofs
from tests.core.proofs import ASSIGNED, AT, RECEIVED_AT, SENT, TRUSTED, unsealed


def whole_pdf(title: str, rows: Sequence[tuple[str, str]], text: str, xml: bytes) -> bytes:
    """As the sandbox makes it: some 45 KiB with fonts and the XML inside, which is compared."""
    return confirmation_pdf(title, rows, text, xml, AT)


def confirmation_check(pdf: Pdf = proofs.pdf) -> Callable[[], ConfirmationReport]:
    """Reads and checks a Versandbestätigung with an RSA-3072 seal and XML signature, below a root and a subordinate.

    `pdf` makes its PDF, without it one of a few octets.
    """
    day = timedelta(days=1)
    root = TestAuthority.create("TEST Root", AT - day)
    below = root.subordinate("TEST Sub", AT - day, key_kind="rsa-3072")
    key = generate_key("rsa-3072")
    certificate = below.issue(
        key.public_key(), Profile.PROVIDER_SIGNATURE, "DMDA A", not_before=AT - day, not_after=AT + day
    )
    signer = SoftwareSigner.for_certificate(key, certificate)
    octets = seal(
        unsealed(ConfirmationKind.DISPATCH, signer=signer, pdf=pdf),
        hash_name=HashName.SHA256,
        domain="dmda-a.example",
        signer=signer,
    )
    judge = PathJudge([root.certificate_der], below.chain, [root.crl(AT, day), below.crl(AT, day)])
    verifier, signatures = CryptographyVerifier(), LxmlSignatures()

    def check() -> ConfirmationReport:
        return check_confirmation(
            read_confirmation(read_message(octets), signatures),
            correlation=ASSIGNED,
            sent=SENT,
            verifier=verifier,
            judge=judge,
            trusted=TRUSTED,
            at=RECEIVED_AT,
        )

    report = check()
    if report.outcome is not Outcome.PASSED:
        raise RuntimeError(f"what is measured does not pass: {report.checks}")
    return check
