"""Reads the directory's answer about an address: ``{"items": [{"address", "certificates": [PEM or base64 DER]}]}``."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", re.ASCII)
_MOST = 20


def read_certificates(body: bytes, address: str) -> list[bytes]:
    """DER certificates that the answer names for exactly `address` (DIR-50), at most 20; none if it is unreadable.

    Only the octets are read here; whether they are a certificate, valid and fit for encryption, trust decides.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return []
    return [der for entry in _entries(answer) if _is_for(entry, address) for der in _ders(entry)][:_MOST]


def _entries(answer: Any) -> list[dict[str, Any]]:
    items = answer.get("items") if isinstance(answer, dict) else None
    if items is None and isinstance(answer, dict):
        items = [answer]
    return [entry for entry in items if isinstance(entry, dict)] if isinstance(items, list) else []


def _is_for(entry: dict[str, Any], address: str) -> bool:
    named = entry.get("address") or entry.get("mail")
    return isinstance(named, str) and named.strip().lower() == address.strip().lower()


def _ders(entry: dict[str, Any]) -> Iterator[bytes]:
    single, several = entry.get("certificate"), entry.get("certificates") or entry.get("userCertificate")
    for text in several if isinstance(several, list) else [single]:
        if isinstance(text, str):
            yield from _decode(text)


def _decode(text: str) -> Iterator[bytes]:
    bodies = _PEM.findall(text) or ([] if "-----" in text else [text])
    for body in bodies:
        try:
            yield base64.b64decode("".join(body.split()), validate=True)
        except (binascii.Error, ValueError):
            continue
