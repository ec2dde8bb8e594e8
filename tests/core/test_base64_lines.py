from __future__ import annotations

import binascii

import pytest

from demail_gateway.core.entity import PartSource, attachment_entity


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 1152 * 57 - 1, 1152 * 57, 1152 * 57 + 1, 2 * 1152 * 57, 200_003])
def test_base64_of_every_size_has_lines_of_76_characters(size: int) -> None:
    """RFC 2045 §6.8; blocks of lines are encoded at once, so sizes around their edges are tried."""
    octets = bytes(number % 251 for number in range(size))
    _, _, body = attachment_entity(PartSource("a", "application/octet-stream", octets)).partition(b"\r\n\r\n")
    *full, last, end = body.split(b"\r\n") if body else [b"", b""]
    assert (end, {len(line) for line in full}) == (b"", {76} if full else set())
    assert len(last) <= 76
    assert binascii.a2b_base64(body) == octets
