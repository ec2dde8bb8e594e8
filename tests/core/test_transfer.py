"""Export and import: MF-29, MF-30, TR 01201-3.4 §3.6, TR 01201-3.1 functions 4 and 5."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.header import read_header, read_message
from demail_gateway.core.integrity import seal
from demail_gateway.core.mbox import write_mbox_message
from demail_gateway.core.metadata import Metadata, read_metadata
from demail_gateway.core.primitives import CertificateStatus, HashName
from demail_gateway.core.transfer import (
    Candidate,
    ExportRefusal,
    Identity,
    ImportRefusal,
    examine_import,
    export_refusal,
    identity_of,
    messages_of_file,
)
from demail_gateway.core.vocabulary import AuthLevel
from tests.core.vector_trust import VECTORS, VERIFICATION_TIME, VectorJudge, VectorVerifier

AT = datetime(2026, 3, 2, tzinfo=UTC)
NAMES = ["hash-sha256", "rsa-sha256", "folded", "b-dispatch", "m-unknown-recipient", "name-case"]


def vector(name: str) -> bytes:
    return (VECTORS / "messages" / f"{name}.eml").read_bytes()


def mbox(*messages: bytes) -> bytes:
    return b"".join(piece for message in messages for piece in write_mbox_message([message], None, AT))


def examined(
    pieces: Iterable[bytes], present: Collection[Identity] = (), status: CertificateStatus = CertificateStatus.GOOD
) -> list[Candidate]:
    messages = messages_of_file(pieces)
    judge = VectorJudge(status)
    return list(examine_import(messages, present, verifier=VectorVerifier(), judge=judge, at=VERIFICATION_TIME))


def refusals(pieces: Iterable[bytes], present: Collection[Identity] = ()) -> list[str | None]:
    return [candidate.refusal for candidate in examined(pieces, present)]


@pytest.mark.clause("TR 01201-3.1 function 5", "TR 01201-3.4 §3.6 mbox", "TR 01201-3.4 §3.6 number")
def test_an_exported_set_is_imported_as_it_was() -> None:
    found = examined([mbox(*map(vector, NAMES))])
    assert [candidate.refusal for candidate in found] == [None] * len(NAMES)
    assert [candidate.header for candidate in found] == [read_message(vector(name)).header for name in NAMES]
    assert [candidate.position for candidate in found] == list(range(1, len(NAMES) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_a_message_file_is_imported_too(name: str) -> None:
    (candidate,) = examined([vector(name)])
    assert (candidate.refusal, candidate.position) == (None, 1)
    assert candidate.integrity is not None


@pytest.mark.clause("TR 01201-3.4 §3.6 from-line")
def test_the_separator_says_nothing() -> None:
    octets = mbox(vector("hash-sha256")).partition(b"\n")[2]
    for separator in (b"From ", b"From anybody Thu Jan  1 00:00:00 1970", b"From \xff\r"):
        assert refusals([separator + b"\n" + octets]) == [None]


@pytest.mark.clause("TR 01201-3.1 function 5 FC-01")
@pytest.mark.parametrize("pieces", [[], [b""], [b"", b""]])
def test_a_file_without_message_is_an_error(pieces: list[bytes]) -> None:
    assert examined(pieces) == [Candidate(0, ImportRefusal.NO_MESSAGE)]


@pytest.mark.clause("TR 01201-3.4 §3.6 import")
@pytest.mark.parametrize(
    ("octets", "refusal"),
    [
        (b"no message\r\n", ImportRefusal.UNREADABLE),
        (b"From x\n\n", ImportRefusal.UNREADABLE),
        (b"\n", ImportRefusal.UNREADABLE),
        (b"Subject: x\r\n\r\nmail of the Internet", ImportRefusal.FOREIGN),
        (vector("hash-sha256").replace(b"x-de-mail-integrity", b"x-other"), ImportRefusal.FOREIGN),
        (vector("hash-sha256").replace(b"x-de-mail-message-type", b"x-other"), ImportRefusal.FOREIGN),
        (vector("hash-sha256").replace(b"x-de-mail-sender", b"x-other"), ImportRefusal.FOREIGN),
        (vector("hash-sha256").replace(b"Ihr Bescheid", b"Kein Bescheid"), ImportRefusal.INTEGRITY),
        (vector("rsa-sha256").replace(b"Subject: B", b"Subject: K"), ImportRefusal.INTEGRITY),
    ],
)
def test_what_is_no_valid_demail_is_refused(octets: bytes, refusal: ImportRefusal) -> None:
    assert refusals([octets]) == [refusal]


def test_one_bad_message_does_not_hinder_the_others() -> None:
    octets = mbox(vector("hash-sha256"), b"Subject: x\r\n\r\n", b"", vector("folded"))
    assert refusals([octets]) == [None, ImportRefusal.FOREIGN, ImportRefusal.UNREADABLE, None]


@pytest.mark.clause("TR 01201-3.1 function 5 FC-02")
def test_what_is_there_already_is_refused() -> None:
    identity = identity_of(read_message(vector("folded")).header)
    assert identity is not None
    assert refusals([mbox(vector("folded"), vector("rsa-sha256"))], [identity]) == [ImportRefusal.PRESENT, None]
    assert refusals([mbox(vector("folded"), vector("folded"))]) == [None, ImportRefusal.PRESENT]


def test_a_forwarded_copy_is_the_same_message_and_one_sealed_anew_is_not() -> None:
    octets = vector("hash-sha256")
    forwarded = b"Resent-To: a@b.example\r\n" + octets
    assert refusals([mbox(octets, forwarded)]) == [None, ImportRefusal.PRESENT]
    unsealed = (VECTORS / "messages" / "sign-hash-sha256.in.eml").read_bytes()
    again = [seal(unsealed, hash_name=name, domain="dmda-a.example", signer=None) for name in HashName]
    assert refusals([mbox(*again)]) == [None, None, None]


def test_a_refused_message_does_not_make_the_next_one_a_double() -> None:
    damaged = vector("hash-sha256").replace(b"Ihr Bescheid", b"Kein Bescheid")
    assert refusals([mbox(damaged, vector("hash-sha256"))]) == [ImportRefusal.INTEGRITY, None]


def test_unknown_status_of_the_certificate_does_not_refuse() -> None:
    (candidate,) = examined([vector("rsa-sha256")], status=CertificateStatus.UNKNOWN)
    assert candidate.refusal is None
    assert candidate.integrity is not None
    assert candidate.integrity.code == "certificate-status-unknown"


@given(
    st.lists(st.binary(max_size=12) | st.sampled_from([b"From ", b"\n", b"x-de-mail-integrity: a=b\n"]), max_size=12)
)
def test_any_file_is_examined_without_an_error(pieces: list[bytes]) -> None:
    found = examined(pieces)
    assert found
    assert all(candidate.refusal is not None for candidate in found)


@given(st.integers(1, 50))
def test_where_the_file_is_cut_changes_nothing(size: int) -> None:
    octets = mbox(vector("hash-sha256"), b"A: b\r\n", vector("folded"))
    assert examined(octets[at : at + size] for at in range(0, len(octets), size)) == examined([octets])


def metadata(*options: str) -> Metadata:
    lines = "".join(f"x-de-mail-{option}: yes\r\n" for option in options)
    return read_metadata(read_header(f"A: b\r\n{lines}".encode()))


@pytest.mark.clause("TR 01201-3.1 function 4", "TR 01201-3.1 function 4 FC-01")
@pytest.mark.parametrize(
    ("messages", "level", "expected"),
    [
        ([], AuthLevel.HIGH, ExportRefusal.NO_MESSAGE),
        ([metadata()], AuthLevel.NORMAL, None),
        ([metadata("authoritative", "confirmation-of-receipt")], AuthLevel.NORMAL, None),
        ([metadata(), metadata("private")], AuthLevel.NORMAL, ExportRefusal.AUTH_LEVEL),
        ([metadata("confirmation-of-retrieve")], AuthLevel.NORMAL, ExportRefusal.AUTH_LEVEL),
        ([metadata("private", "confirmation-of-retrieve")], AuthLevel.HIGH, None),
    ],
)
def test_export_of_what_needs_level_high_needs_it(
    messages: list[Metadata], level: AuthLevel, expected: ExportRefusal | None
) -> None:
    assert export_refusal(messages, level) is expected
