"""Whatever is done to a file of any kind: a report in both languages, or "unreadable"; never another exception."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demail_gateway.application.explain.report import explain
from demail_gateway.application.explain.wording import Language
from demail_gateway.application.inspect import Inspection
from demail_gateway.application.inspect_file import Unreadable, inspect_file
from demail_gateway.bootstrap.offline import inspection_tools
from demail_gateway.cli.verify import as_document
from demail_gateway.core.checks import Outcome
from tests.application.hostile_files import AUTHORITY, CRL, MADE_AT, good_files, members, package
from tests.core.vector_trust import VECTORS
from tests.harness.mutations import Mutation, octet_mutations, xml_mutations

CORPUS = Path(__file__).parent / "corpus"
TOOLS = inspection_tools([AUTHORITY.certificate_pem, (VECTORS / "keys" / "ca.crt.pem").read_bytes()], [CRL])
KINDS = ("message", "signed", "forwarded", "detached", "enveloping", "confirmation", "malware", "notification", "ident",
         "package", "journal", "mailbox")  # fmt: skip

# the library says so of mutated certificates, and reads them
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")
hostile = settings(max_examples=40, deadline=None)


def inspected(octets: bytes) -> Inspection | None:
    """What is said about a file, with everything that is made of it; None: unreadable."""
    try:
        inspection = inspect_file(io.BytesIO(octets), TOOLS, MADE_AT, None)
    except Unreadable:
        return None
    for language in Language:
        assert explain(inspection, language).meaning
    assert json.loads(json.dumps(as_document(Path("x"), inspection)))["outcome"] == inspection.outcome
    return inspection


def test_there_is_a_good_file_of_every_kind() -> None:
    assert set(good_files()) == set(KINDS)
    for kind, octets in good_files().items():
        found = inspected(octets)
        assert found is not None
        failed = [check for check in found.checks if check.outcome is Outcome.FAILED]
        assert found.outcome is not Outcome.FAILED, (kind, failed)


@hostile
@given(mutate=octet_mutations())
@pytest.mark.parametrize("kind", KINDS)
def test_changed_octets_give_a_report(kind: str, mutate: Mutation) -> None:
    inspected(mutate(good_files()[kind]))


@hostile
@given(mutate=xml_mutations())
@pytest.mark.parametrize("kind", ["confirmation", "journal", "mailbox", "detached"])
def test_changed_structure_gives_a_report(kind: str, mutate: Mutation) -> None:
    inspected(mutate(good_files()[kind]))


@hostile
@given(path=st.sampled_from(sorted(members())), mutate=octet_mutations())
def test_a_changed_member_in_a_package_that_was_signed_anew_gives_a_report(path: str, mutate: Mutation) -> None:
    """Whoever may sign is not thereby to be believed: the members are as hostile as ever."""
    files = members()
    role, octets = files[path]
    found = inspected(package({**files, path: (role, mutate(octets))}))
    assert found is not None


@hostile
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"PK\x03\x04", b"From x\n", b'{"seq":1,"prev_hash":"', b"x-de-mail-"]),
)
def test_any_octets_give_a_report_or_are_unreadable(octets: bytes, start: bytes) -> None:
    inspected(start + octets)


@pytest.mark.parametrize("file", sorted(CORPUS.iterdir()), ids=lambda file: file.name)
def test_files_made_to_do_harm_do_none(file: Path) -> None:
    """Made by hand, and what mutations found."""
    found = inspected(file.read_bytes())
    assert found is None or found.outcome is not Outcome.PASSED
