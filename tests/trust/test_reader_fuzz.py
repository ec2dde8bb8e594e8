"""Certificates, lists and OCSP answers changed at random: only the named errors, and never a pass.

The corpus holds good ones to start from, and one file for each defect that was found this way.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demail_gateway.application.revocation import RevocationSourceUnavailable
from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.trust.certificates import der_to_pem, parse_certificate, public_key_of, read_certificate
from demail_gateway.trust.chains import is_authority
from demail_gateway.trust.crls import read_crls, read_list
from demail_gateway.trust.ocsp import read_answer, responder_urls
from demail_gateway.trust.ocsp_exchange import fetched_answer, ocsp_request
from demail_gateway.trust.paths import PathJudge
from demail_gateway.trust.revocation import RevocationIndex, answers_about
from demail_gateway.trust.revocation_lists import read_revocation_list
from tests.trust.der_mutations import der_mutations

CORPUS = Path(__file__).parent / "corpus"
AT = datetime(2026, 11, 24, 9, 40, tzinfo=UTC)
"""A moment at which the good ones hold."""
AUTHORITY, CERTIFICATE = ((CORPUS / f"{name}.der").read_bytes() for name in ("authority", "certificate"))
GOOD, UNKNOWN = CertificateStatus.GOOD, CertificateStatus.UNKNOWN

pytestmark = pytest.mark.filterwarnings("ignore:Attribute's length:UserWarning")


def corpus(folder: str) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted((CORPUS / folder).iterdir())}


CERTIFICATES, LISTS, ANSWERS = corpus("certificates"), corpus("lists"), corpus("answers")
SIGNED = {parse_certificate(CERTIFICATES[name]).tbs_certificate_bytes for name in ("good", "authority-below")}
SEEDS = [LISTS["good"], *ANSWERS.values()]
JUDGE = PathJudge([AUTHORITY], [CERTIFICATES["authority-below"]], SEEDS)


def try_certificate(der: bytes) -> None:
    """Everything that is done with a certificate of the other side."""
    try:
        read_certificate(der)
        verdict = JUDGE.judge(der, AT)
    except CertificateMalformed:
        assert not is_authority(der) or not _readable(der)
        return
    assert parse_certificate(der).tbs_certificate_bytes in SIGNED or verdict.findings
    assert JUDGE.with_intermediates([der]).judge(CERTIFICATE, AT).findings == ("certificate-revoked",)
    RevocationIndex(SEEDS).status(der, AUTHORITY, AT)
    RevocationIndex(SEEDS).status(CERTIFICATE, der, AT)
    answers_about([der], SEEDS)
    responder_urls(der)
    public_key_of(der)
    der_to_pem(der)
    try:
        PathJudge([der]).judge(CERTIFICATE, AT)
        ocsp_request(der, AUTHORITY, bytes(32))
    except CertificateMalformed:
        return


def _readable(der: bytes) -> bool:
    try:
        read_certificate(der)
    except CertificateMalformed:
        return False
    return True


def try_list(der: bytes) -> None:
    found, known = read_list(der), read_list(LISTS["good"])
    status = RevocationIndex([der]).status(CERTIFICATE, AUTHORITY, AT).status
    assert known is not None
    same = found is not None and found.crl.tbs_certlist_bytes == known.crl.tbs_certlist_bytes
    assert status is UNKNOWN or same
    if found is not None:
        assert all(found.revocation(number) is not None for number in found.serials)
        assert found.is_complete in (True, False)
    try:
        assert len(read_crls(der)) == 1
        read_revocation_list(der)
    except CertificateMalformed:
        return


def try_answer(der: bytes) -> None:
    """What is not signed may change: the certificates that come along."""
    answer = read_answer(der)
    signed = {known.signed for known in map(read_answer, ANSWERS.values()) if known is not None}
    status = RevocationIndex([der]).status(CERTIFICATE, AUTHORITY, AT).status
    assert status is UNKNOWN or (answer is not None and answer.signed in signed)
    try:
        fetched_answer(der, CERTIFICATE, AUTHORITY, bytes(32), AT)
    except RevocationSourceUnavailable:
        assert status is UNKNOWN or answer is not None


KINDS = {
    "certificates": (try_certificate, CERTIFICATES),
    "lists": (try_list, LISTS),
    "answers": (try_answer, ANSWERS),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, (_, files) in KINDS.items() for name in files])
def test_every_file_of_the_corpus(kind: str, name: str) -> None:
    attempt, files = KINDS[kind]
    attempt(files[name])


def test_the_good_ones_of_the_corpus_hold() -> None:
    assert JUDGE.judge(CERTIFICATE, AT).findings == ("certificate-revoked",)
    assert RevocationIndex([LISTS["good"]]).status(CERTIFICATE, AUTHORITY, AT).status is GOOD
    assert RevocationIndex([ANSWERS["delegated"]]).status(CERTIFICATE, AUTHORITY, AT).status is GOOD
    assert parse_certificate(CERTIFICATE).issuer == parse_certificate(AUTHORITY).subject


@settings(max_examples=250, deadline=None)
@given(mutate=der_mutations(), pick=st.integers(0, 99))
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_changed_at_random(kind: str, mutate: Callable[[bytes], bytes], pick: int) -> None:
    attempt, files = KINDS[kind]
    attempt(mutate(list(files.values())[pick % len(files)]))
