"""Files of any kind and size: told by how they begin, checked as from memory, in bounded memory."""

from __future__ import annotations

import io
from datetime import timedelta
from functools import lru_cache

import pytest

from demail_gateway.application.inspect import WHOLE_OCTETS, Inspection, Kind, inspect_message, inspect_message_file
from demail_gateway.application.inspect_file import MAX_TOLD, Unreadable, inspect_file
from demail_gateway.bootstrap.offline import inspection_tools
from demail_gateway.core.address import parse_address
from demail_gateway.core.checks import Outcome
from demail_gateway.core.entity import build_entity, enveloped, multipart_signed
from demail_gateway.core.header import read_message
from demail_gateway.core.integrity import seal
from demail_gateway.core.mbox import write_mbox_message
from demail_gateway.core.primitives import HashName
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.cms import sign_detached, sign_enveloping
from demail_gateway.trust.keys import SoftwareSigner, generate_key
from tests.core.vector_trust import VECTORS, VERIFICATION_TIME

AT = VERIFICATION_TIME
DAY = timedelta(days=1)
ANCHOR = (VECTORS / "keys" / "ca.crt.pem").read_bytes()
ROOT = TestAuthority.create("TEST Root", AT - DAY, key_kind="p256")
KEY = generate_key("p256")
SIGNER = SoftwareSigner.for_certificate(
    KEY, ROOT.issue(KEY.public_key(), Profile.SMIME, "Erika", not_before=AT - DAY, not_after=AT + DAY)
)
TOOLS = inspection_tools([ANCHOR, ROOT.certificate_pem], [])
LARGE = WHOLE_OCTETS + 1


def vector(name: str) -> bytes:
    return (VECTORS / "messages" / f"{name}.eml").read_bytes()


def inspected(octets: bytes) -> Inspection:
    return inspect_file(io.BytesIO(octets), TOOLS, AT, None)


@lru_cache
def large(kind: str = "plain") -> bytes:
    """A sealed message of more than can be read at once."""
    if kind == "plain":
        entity = build_entity("x" * LARGE, None, (), "b0")
    elif kind == "detached":
        entity = build_entity("x" * LARGE, None, (), "b0")
        signature = sign_detached(entity, SIGNER, at=AT, hash_name=HashName.SHA256)
        entity = multipart_signed(entity, signature, "sha-256", "b1")
    else:
        cms = sign_enveloping(b"x" * LARGE, SIGNER, at=AT, hash_name=HashName.SHA256)
        entity = enveloped(cms, "signed-data")
    fields = read_message(vector("hash-sha256")).header.fields
    kept = b"".join(f.raw for f in fields if not f.lower.startswith(("x-de-mail-integrity", "content-")))
    return seal(kept + entity, hash_name=HashName.SHA256, domain="dmda-a.example", signer=None)


@pytest.mark.parametrize("kind", ["plain", "detached", "enveloping"])
@pytest.mark.parametrize("change", [False, True])
def test_a_large_message_is_judged_as_from_memory(kind: str, change: bool) -> None:
    octets = large(kind)
    if change:
        octets = octets[:-1000] + b"y" + octets[-999:]
    found = inspect_message_file(io.BytesIO(octets), TOOLS, AT)
    assert found == inspect_message(octets, TOOLS, AT)
    assert found.outcome is (Outcome.FAILED if change else Outcome.PASSED), found.checks
    own = [check.outcome for check in found.checks if check.name == "content.signature"]
    expected = [Outcome.FAILED if change else Outcome.INDETERMINATE]  # no revocation list
    assert own == ([] if kind == "plain" else expected)


@pytest.mark.parametrize("name", ["b-dispatch", "m-unknown-recipient"])
def test_a_giant_proof_is_never_passed(name: str) -> None:
    found = inspected(vector(name) + b"x" * LARGE)
    assert found.kind is (Kind.CONFIRMATION if name == "b-dispatch" else Kind.NOTIFICATION)
    assert found.outcome is Outcome.FAILED
    (size,) = (check for check in found.checks if check.name == "proof.size")
    assert (size.outcome, size.detail) == (Outcome.INDETERMINATE, "proof-too-large")


def test_a_giant_header_section_is_a_damaged_message() -> None:
    for octets in (b"x-de-mail-sender: a@b.example\r\n" * 200_000, b"x-de-mail-sender: a\r\n" + b" b\r\n" * 600_000):
        found = inspected(octets)
        assert (found.kind, found.outcome) == (Kind.MESSAGE, Outcome.FAILED)


# --- mailbox files


def mailbox(*names: str) -> bytes:
    sender = parse_address("a@b.example")
    return b"".join(b"".join(write_mbox_message([vector(name)], sender, AT)) for name in names)


@pytest.mark.clause("TR 01201-3.4 §3.6 number", "MF-29")
def test_each_message_of_a_mailbox_file_is_checked_by_itself() -> None:
    found = inspected(mailbox("hash-sha256", "bad-body", "folded"))
    verdicts = [(check.outcome, check.detail) for check in found.checks if check.name == "mailbox.message"]
    names = [
        read_message(vector(n)).header.value("x-de-mail-message-id") for n in ("hash-sha256", "bad-body", "folded")
    ]
    assert verdicts == [
        (Outcome.PASSED, f"1: {names[0]}"),
        (Outcome.FAILED, f"2: {names[1]}"),
        (Outcome.PASSED, f"3: {names[2]}"),
    ]
    assert found.outcome is Outcome.FAILED
    assert [c.detail for c in found.checks if c.name == "integrity.hash"] == ["2: body-hash-mismatch"]


@pytest.mark.clause("TR 01201-3.4 §3.6 integrity", "TR 01201-3.4 §3.6 from-line")
@pytest.mark.parametrize("name", ["hash-sha256", "folded", "body-trailing-lines", "weiterleitung"])
def test_a_round_through_a_mailbox_file_leaves_the_verdict(name: str) -> None:
    exported = mailbox(name).replace(b"From a@b.example", b"From somebody.else", 1)
    assert inspected(exported).outcome is inspected(vector(name)).outcome is Outcome.PASSED


def test_what_was_signed_in_a_mailbox_file_is_undecided_without_revocation_list() -> None:
    assert inspected(mailbox("hash-sha256", "rsa-sha256")).outcome is Outcome.INDETERMINATE


def test_a_large_message_in_a_mailbox_file_is_checked_too() -> None:
    octets = b"".join(write_mbox_message([large()], None, AT))
    assert inspected(octets).outcome is Outcome.PASSED
    assert inspected(octets[:-1000] + b"y" + octets[-999:]).outcome is Outcome.FAILED


def test_endless_small_messages_are_counted_and_not_all_told() -> None:
    found = inspected(b"From x\n\n" * (MAX_TOLD + 500))
    assert len(found.checks) <= MAX_TOLD + 2
    assert found.checks[0].detail == str(MAX_TOLD + 500)
    assert found.outcome is Outcome.FAILED


# --- other kinds


@pytest.mark.parametrize("octets", [b"", b"\r\n", b"{}", b'{"a": "x-de-mail"}', b"%PDF-1.7\n", bytes(range(256)) * 500])
def test_what_is_nothing_of_ours_is_unreadable(octets: bytes) -> None:
    with pytest.raises(Unreadable):
        inspected(octets)


def test_a_line_of_a_journal_may_not_be_endless() -> None:
    found = inspected(b'{"seq": 1, "prev_hash": "' + b"0" * (3 * 1024 * 1024) + b'"}\n')
    assert (found.kind, found.outcome) == (Kind.JOURNAL, Outcome.FAILED)


def test_endless_faults_of_a_journal_are_counted_and_not_all_told() -> None:
    line = b'{"seq": 1, "prev_hash": "", "hash": "", "tenant": "%d"}\n'
    found = inspected(b"".join(line % n for n in range(3_000)))
    assert len(found.checks) < 2_100
    assert "and-more:2000" in {check.detail for check in found.checks}


def test_more_tenants_than_any_installation_has_end_the_reading() -> None:
    line = b'{"seq": 1, "prev_hash": "", "hash": "", "tenant": "%d"}\n'
    found = inspected(b"".join(line % n for n in range(10_001)))
    assert ("journal.readable", "10001: journal-malformed") in {
        (c.name, c.detail) for c in found.checks
    } or found.outcome
    assert found.outcome is Outcome.FAILED
