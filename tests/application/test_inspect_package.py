"""Evidence packages made by hand, with real certificates: who may sign them, and which proofs belong to them."""

from __future__ import annotations

import io
import json
import re
import tracemalloc
import zipfile
from collections.abc import Mapping
from datetime import timedelta
from functools import cache

import pytest
from cryptography.x509 import ocsp

from demail_gateway.application.inspect import Inspection
from demail_gateway.application.inspect_package import inspect_package
from demail_gateway.bootstrap.offline import inspection_tools
from demail_gateway.core.checks import Outcome
from demail_gateway.core.header import read_message
from demail_gateway.core.limits import MIB
from demail_gateway.core.package import MANIFEST, SIGNATURE, Manifest, Role, entry_of, write_manifest
from demail_gateway.core.vocabulary import ConfirmationKind, NotificationType
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import fingerprint
from demail_gateway.trust.cms import sign_detached
from demail_gateway.trust.keys import SoftwareSigner, generate_key
from tests.core.proofs import AT, ERIKA, ORIGINAL_OCTETS, RECEIVED_AT, notice, sealed, unsealed
from tests.trust.ocsp_answers import by_issuer

DAY = timedelta(days=1)
MADE_AT = RECEIVED_AT + timedelta(hours=1)
ROOT = TestAuthority.create("TEST", AT - DAY, key_kind="p256")
KEY = generate_key("p256")
CRL = ROOT.crl(AT - timedelta(hours=1), DAY)


def signer(profile: Profile, name: str, *, not_after: timedelta = DAY) -> SoftwareSigner:
    der = ROOT.issue(KEY.public_key(), profile, name, not_before=AT - DAY, not_after=AT + not_after)
    return SoftwareSigner.for_certificate(KEY, der)


GATEWAY = signer(Profile.INSTALLATION, "Gateway")
PROVIDER = signer(Profile.PROVIDER_SIGNATURE, "Anbieter")
MALLORY = signer(Profile.SMIME, "Mallory")
RECEIPT = unsealed(ConfirmationKind.RECEIPT, signer=PROVIDER)
REPORT = json.dumps({"received_at": RECEIVED_AT.isoformat(), "checked_at": MADE_AT.isoformat()}).encode()
OTHER = re.sub(
    rb"(?im)^(x-de-mail-private-id|x-de-mail-message-id|message-id):.*\r\n", rb"\1: <other@x>\r\n", ORIGINAL_OCTETS
)
PROOF = {
    "messages/1.eml": (Role.MESSAGE_SUBMITTED, ORIGINAL_OCTETS),
    "evidence/1.eml": (Role.CONFIRMATION, sealed(RECEIPT, PROVIDER)),  # type: ignore[arg-type]
    "reports/1.json": (Role.REPORT, REPORT),
}


def package(
    members: Mapping[str, tuple[Role, bytes]] = PROOF, by: SoftwareSigner = GATEWAY, crl: bytes | None = CRL
) -> bytes:
    files = dict(members) if crl is None else {**members, "crls/1.crl": (Role.CRL, crl)}
    entries = tuple(entry_of(path, role, octets) for path, (role, octets) in files.items())
    manifest = write_manifest(Manifest("msg_1", MADE_AT, entries))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(MANIFEST, manifest)
        archive.writestr(SIGNATURE, sign_detached(manifest, by, at=MADE_AT))
        for path, (_, octets) in files.items():
            archive.writestr(path, octets)
    return target.getvalue()


def inspected(octets: bytes) -> Inspection:
    return inspect_package(io.BytesIO(octets), inspection_tools([ROOT.certificate_pem], []), None)


def found(inspection: Inspection, name: str) -> tuple[Outcome, str]:
    (check,) = (each for each in inspection.checks if each.name == name)
    return check.outcome, check.detail


def test_a_package_of_the_installation_passes_and_says_who_signed_it() -> None:
    inspection = inspected(package())
    assert inspection.outcome is Outcome.PASSED, [c for c in inspection.checks if c.outcome is Outcome.FAILED]
    who = f"CN=Gateway,C=DE, SHA-256 {fingerprint(GATEWAY.certificate_der)}"
    assert found(inspection, "package.signer") == (Outcome.PASSED, who)
    assert found(inspection, "package.proofs") == (Outcome.PASSED, "1")
    for name in ("confirmation.01-integrity", "confirmation.06-xml-signature"):
        assert found(inspection, name) == (Outcome.PASSED, "evidence/1.eml: CN=Anbieter,C=DE")


@pytest.mark.parametrize("profile", [Profile.SMIME, Profile.TLS_CLIENT, Profile.TLS_SERVER])
def test_a_certificate_of_a_person_or_a_machine_signs_no_package(profile: Profile) -> None:
    inspection = inspected(package(by=signer(profile, "Mallory")))
    outcome, detail = found(inspection, "package.signer")
    assert (inspection.outcome, outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert detail.startswith("certificate-key-usage; CN=Mallory")


@pytest.mark.parametrize("both", [True, False])
def test_a_confirmation_made_with_a_subscriber_s_certificate_fails(both: bool) -> None:
    """Steps 01 and 06 of `confirmations.md` §8: below the right anchor is not enough (TR 01201-3.4 §3.1.14)."""
    xml = unsealed(ConfirmationKind.RECEIPT, signer=MALLORY) if both else RECEIPT
    forged = sealed(xml, MALLORY)  # type: ignore[arg-type]
    inspection = inspected(package({**PROOF, "evidence/1.eml": (Role.CONFIRMATION, forged)}))
    assert inspection.outcome is Outcome.FAILED
    outcome, detail = found(inspection, "confirmation.01-integrity")
    assert outcome is Outcome.FAILED
    assert "certificate-key-usage" in detail
    assert (found(inspection, "confirmation.06-xml-signature")[0] is Outcome.FAILED) is both


@pytest.mark.clause("IN-26", "GWT-90")
def test_a_package_is_judged_by_the_ocsp_answers_in_it() -> None:
    """Of the gateway's and the provider's certificate; without one, or with one that accuses, no pass."""
    answers = {
        f"ocsp/{number}.ocsp": (Role.OCSP, by_issuer(ROOT, certificate, AT - timedelta(hours=1)).der())
        for number, certificate in enumerate((GATEWAY.certificate_der, PROVIDER.certificate_der))
    }
    assert inspected(package({**PROOF, **answers}, crl=None)).outcome is Outcome.PASSED
    del answers["ocsp/1.ocsp"]
    assert inspected(package({**PROOF, **answers}, crl=None)).outcome is Outcome.INDETERMINATE
    revoked = by_issuer(ROOT, PROVIDER.certificate_der, AT, status=ocsp.OCSPCertStatus.REVOKED, revoked_at=AT - DAY)
    answers["ocsp/1.ocsp"] = (Role.OCSP, revoked.der())
    inspection = inspected(package({**PROOF, **answers}, crl=None))
    assert found(inspection, "confirmation.06-xml-signature")[0] is Outcome.FAILED
    assert inspection.outcome is Outcome.FAILED


def test_no_proof_is_no_pass() -> None:
    message = {"messages/1.eml": PROOF["messages/1.eml"]}
    for members in (message, {}):
        inspection = inspected(package(members))
        assert found(inspection, "package.proofs") == (Outcome.INDETERMINATE, "proofs-none")
        assert inspection.outcome is Outcome.INDETERMINATE


def test_a_message_that_asked_for_no_proof_needs_none() -> None:
    unasked = ORIGINAL_OCTETS
    for name in (b"dispatch", b"receipt", b"retrieve"):
        unasked = unasked.replace(b"-confirmation-of-" + name + b": yes", b"-confirmation-of-" + name + b": no")
    assert unasked != ORIGINAL_OCTETS
    nothing = {f"confirmation_of_{name}": False for name in ("dispatch", "receipt", "retrieve")}
    record = json.dumps({"options": nothing}).encode()
    members = {
        "messages/1.eml": (Role.MESSAGE_SUBMITTED, unasked),
        "message.json": (Role.MESSAGE_RECORD, record),
    }
    inspection = inspected(package(members))
    assert found(inspection, "package.proofs") == (Outcome.NOT_APPLICABLE, "proofs-not-requested")
    assert inspection.outcome is Outcome.PASSED
    contradiction = {**members, "messages/1.eml": PROOF["messages/1.eml"]}
    assert inspected(package(contradiction)).outcome is Outcome.INDETERMINATE


@cache
def large_original() -> bytes:
    """The message of PROOF with a body of more than is read at once."""
    fields = read_message(ORIGINAL_OCTETS).header.fields
    seal = ("x-de-mail-integrity", "x-de-mail-signature")
    head = b"".join(field.raw for field in fields if not field.lower.startswith(seal))
    return sealed(head + b"\r\n" + b"x" * 70 * 100_000 + b"\r\n", None)


def large_package(submitted: bytes) -> bytes:
    """With a proof about `large_original`."""
    proof = sealed(unsealed(ConfirmationKind.RECEIPT, read_message(large_original()), signer=PROVIDER), PROVIDER)  # type: ignore[arg-type]
    members = {"messages/1.eml": (Role.MESSAGE_SUBMITTED, submitted), "evidence/1.eml": (Role.CONFIRMATION, proof)}
    return package({**PROOF, **members})


@pytest.mark.parametrize("change", [False, True])
def test_a_proof_about_a_large_message_is_held_against_all_of_it(change: bool) -> None:
    submitted = large_original().replace(b"x" * 70, b"y" + b"x" * 69, 1) if change else large_original()
    outcome, detail = found(inspected(large_package(submitted)), "confirmation.11-body-proof")
    assert outcome is (Outcome.FAILED if change else Outcome.PASSED), detail
    assert ("body-proof-mismatch" in detail) is change


def test_a_large_message_stays_in_the_archive() -> None:
    octets = large_package(large_original())
    tracemalloc.start()
    try:
        inspected(octets)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(large_original()) / 2


def test_a_message_larger_than_any_leaves_its_proof_undecided() -> None:
    """TR 01201-3.1 §4.1: no provider took it, so no proof is held against it; none passes, either."""
    inspection = inspected(large_package(large_original() + b"x" * 45 * MIB))
    outcome, detail = found(inspection, "confirmation.10-correlation")
    assert (outcome, detail) == (Outcome.FAILED, "evidence/1.eml: correlation-none; no-sent-message")
    assert inspection.outcome is Outcome.INDETERMINATE


def test_a_proof_of_another_message_fails() -> None:
    """It is authentic, and says nothing of the message of this package (SND-46)."""
    inspection = inspected(package({**PROOF, "messages/1.eml": (Role.MESSAGE_SUBMITTED, OTHER)}))
    outcome, detail = found(inspection, "confirmation.10-correlation")
    assert (outcome, detail) == (Outcome.FAILED, "evidence/1.eml: correlation-none; no-sent-message")
    assert found(inspection, "evidence.verdict")[0] is Outcome.FAILED
    assert inspection.outcome is Outcome.FAILED


def test_a_notification_of_another_message_fails() -> None:
    unfound = sealed(notice(NotificationType.UNKNOWN_RECIPIENT, f"Unbekannt: {ERIKA}"), None)
    members = {**PROOF, "evidence/2.eml": (Role.NOTIFICATION, unfound)}
    assert inspected(package(members)).outcome is Outcome.PASSED
    foreign = {"messages/1.eml": (Role.MESSAGE_SUBMITTED, OTHER), "evidence/2.eml": (Role.NOTIFICATION, unfound)}
    assert inspected(package(foreign)).outcome is Outcome.FAILED


def test_a_proof_whose_message_is_gone_is_undecided() -> None:
    members = {path: member for path, member in PROOF.items() if not path.startswith("messages/")}
    inspection = inspected(package(members))
    assert found(inspection, "confirmation.10-correlation")[0] is Outcome.FAILED
    assert inspection.outcome is Outcome.INDETERMINATE


def test_a_proof_is_judged_for_its_reception_and_not_for_a_later_check() -> None:
    """IN-26: the certificate ended, and a revocation list came, between reception and the check that decided."""
    short = signer(Profile.PROVIDER_SIGNATURE, "Anbieter", not_after=timedelta(minutes=30))
    proof = sealed(unsealed(ConfirmationKind.RECEIPT, signer=short), short)  # type: ignore[arg-type]
    late = ROOT.crl(RECEIVED_AT + timedelta(minutes=10), DAY)
    inspection = inspected(package({**PROOF, "evidence/1.eml": (Role.CONFIRMATION, proof)}, crl=late))
    assert inspection.outcome is Outcome.PASSED, [c for c in inspection.checks if c.outcome is Outcome.FAILED]
