"""Repr-Digest (RFC 9530): what the sender says its octets hash to."""

from __future__ import annotations

import base64
import binascii
import re

from demail_gateway.api.problems import invalid

_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)\s*=\s*:([A-Za-z0-9+/=]*):\s*", re.ASCII)


def sha256_of(header: str | None) -> bytes | None:
    """The SHA-256 that a Repr-Digest names; None without the header.

    Raises:
        Problem: invalid-request, when it is malformed or names no SHA-256: a digest that was given is checked.
    """
    if header is None:
        return None
    members = [_MEMBER.fullmatch(part) for part in header.split(",")]
    digests = {match[1]: match[2] for match in members if match is not None}
    if None in members or "sha-256" not in digests:
        raise _unusable()
    try:
        digest = base64.b64decode(digests["sha-256"], validate=True)
    except binascii.Error as error:
        raise _unusable() from error
    if len(digest) != 32:
        raise _unusable()
    return digest


def _unusable() -> Exception:
    return invalid(
        "invalid-request",
        "/repr-digest",
        "Repr-Digest muss einen Wert sha-256=:…: nennen (RFC 9530).",
        "Repr-Digest must name a value sha-256=:…: (RFC 9530).",
    )
