"""A client's keys and certificates as their columns hold them, and as the journal tells of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import null

from demail_gateway.storage.administering import plain_json
from demail_gateway.tenancy.client_authentication import PinnedCertificate


def stored_keys(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Columns for those of `jwks` and `certificates` that are among `fields`."""
    columns: dict[str, Any] = {}
    if "jwks" in fields:
        # None would become the JSON value null
        columns["jwks"] = null() if fields["jwks"] is None else plain_json(fields["jwks"])
    if "certificates" in fields:
        columns["certificates"] = plain_json([_stored(each) for each in fields["certificates"]])
    return columns


def certificates_of(column: Sequence[Mapping[str, str]]) -> tuple[PinnedCertificate, ...]:
    """Inverse of what `stored_keys` makes of certificates."""
    return tuple(
        PinnedCertificate(
            sha256=bytes.fromhex(each["sha256"]),
            issuer=each["issuer"],
            serial=each["serial"],
            not_before=datetime.fromisoformat(each["not_before"]),
            not_after=datetime.fromisoformat(each["not_after"]),
        )
        for each in column
    )


def told(fields: Mapping[str, Any]) -> dict[str, Any]:
    """For the journal: fingerprints, by which a person finds key and certificate again."""
    shown: dict[str, Any] = {}
    if fields.get("jwks") is not None:
        shown["jwks"] = [_fingerprint(key) for key in fields["jwks"]["keys"]]
    elif "jwks" in fields:
        shown["jwks"] = None
    if "certificates" in fields:
        shown["certificates"] = [each.sha256.hex() for each in fields["certificates"]]
    return shown


def _stored(certificate: PinnedCertificate) -> dict[str, str]:
    return {
        "sha256": certificate.sha256.hex(),
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
    }


def _fingerprint(key: Mapping[str, str]) -> str:
    """JWK thumbprint (RFC 7638), in hex."""
    members = ("e", "kty", "n") if key["kty"] == "RSA" else ("crv", "kty", "x", "y")
    canonical = json.dumps({name: key[name] for name in members}, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
