"""Messages handed over, inside a package: what they cost is bounded, however many proofs speak of them."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Mapping
from time import process_time

import pytest

from demail_gateway.application.package_members import Damaged, Members
from demail_gateway.application.submitted_copies import MAX_COPY_OCTETS, MAX_HEADERS_OCTETS, SubmittedCopies
from demail_gateway.core.correlation import Correlation, CorrelationKeys
from demail_gateway.core.digests import body_digest
from demail_gateway.core.header import MAX_HEADER_OCTETS, read_message
from demail_gateway.core.limits import GUIDELINE, MIB
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.primitives import HashName
from demail_gateway.core.windows import ReadAt
from tests.core.proofs import ORIGINAL, ORIGINAL_OCTETS

HEAD, BODY = ORIGINAL_OCTETS.split(b"\r\n\r\n", 1)
PRIVATE_ID = read_metadata(ORIGINAL.header).private_id
OURS = CorrelationKeys(private_id=PRIVATE_ID)


class CountedMembers(Members):
    """Members that tell how often one was unpacked."""

    unpacked = 0

    def reading(self, path: str) -> ReadAt:
        self.unpacked += 1
        return super().reading(path)


def members(files: Mapping[str, bytes]) -> CountedMembers:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, octets in files.items():
            archive.writestr(path, octets)
    return CountedMembers(target)


def copies_of(*messages: bytes) -> tuple[SubmittedCopies, CountedMembers]:
    found = members({f"messages/{place}.eml": octets for place, octets in enumerate(messages)})
    return SubmittedCopies(found, found), found


def of_size(size_bytes: int) -> bytes:
    return HEAD + b"\r\n\r\n" + b"x" * (size_bytes - len(HEAD) - 4)


def test_a_copy_is_found_by_its_keys_and_has_the_digest_of_its_body() -> None:
    copies, _ = copies_of(b"broken", ORIGINAL_OCTETS)
    found = copies.correlation(OURS)
    assert found.key == "private_id"
    assert found.copy_id is not None
    message = copies.sent(found.copy_id).octets
    assert message is not None
    assert not isinstance(message, bytes)
    assert message.header == ORIGINAL.header
    for name in HashName:
        assert message.body_digest(name) == body_digest(BODY, name)
    assert len(copies) == 1, "what cannot be read is none"


def test_keys_of_other_messages_find_nothing_and_absent_ones_neither() -> None:
    copies, _ = copies_of(ORIGINAL_OCTETS)
    for keys in (CorrelationKeys(private_id="other"), CorrelationKeys(), CorrelationKeys(private_id="")):
        assert copies.correlation(keys) == Correlation(None, finding="correlation-none")


def test_a_large_copy_is_unpacked_once_however_many_proofs_speak_of_it() -> None:
    large, other = of_size(6 * MIB), of_size(5 * MIB).replace(str(PRIVATE_ID).encode(), b"<other@x>")
    copies, counted = copies_of(large, other)
    ids = [copies.correlation(keys).copy_id for keys in (OURS, CorrelationKeys(private_id="<other@x>"))]
    for _ in range(20):
        for copy_id, octets in zip(ids, (large, other), strict=True):
            assert copy_id is not None
            message = copies.sent(copy_id).octets
            assert message is not None
            assert not isinstance(message, bytes)
            expected = body_digest(read_message(octets).body, HashName.SHA256)
            assert message.body_digest(HashName.SHA256) == expected
    assert counted.unpacked == 2


@pytest.mark.parametrize(("more", "number"), [(0, 1), (1, 0)])
def test_a_copy_larger_than_any_message_is_none(more: int, number: int) -> None:
    assert GUIDELINE.gross_bytes == MAX_COPY_OCTETS
    copies, _ = copies_of(of_size(MAX_COPY_OCTETS + more))
    assert len(copies) == number
    assert (copies.correlation(OURS).copy_id is not None) is (number == 1)


def test_header_sections_of_countless_copies_are_not_read_again_and_again() -> None:
    long = b"X-A: " + b"\r\n ".join([b"x" * 900] * (MAX_HEADER_OCTETS // 903 - 10)) + b"\r\n"
    copies, _ = copies_of(long + ORIGINAL_OCTETS, long + ORIGINAL_OCTETS.replace(str(PRIVATE_ID).encode(), b"<b@x>"))
    ids = [copies.correlation(keys).copy_id for keys in (OURS, CorrelationKeys(private_id="<b@x>"))]
    read: list[str] = []
    before = process_time()
    tracemalloc.start()
    try:
        with pytest.raises(Damaged, match="package-oversized"):
            read.extend(copies.sent(copy_id).private_id for copy_id in ids * 5_000 if copy_id)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 100 < len(read) < MAX_HEADERS_OCTETS / MAX_HEADER_OCTETS * 1.1
    assert peak < 30 * MIB
    assert process_time() - before < 20
