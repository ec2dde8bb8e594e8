"""Public ids: a prefix and a UUIDv7 in canonical text; the part after the prefix is the database's uuid."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Prefix(StrEnum):
    TENANT = "ten"
    MESSAGE = "msg"
    COPY = "cpy"
    RECIPIENT = "rcp"
    EVENT = "evt"
    EVIDENCE = "evd"
    ATTACHMENT = "att"
    CLIENT = "cli"
    ACCOUNT = "acc"
    CONNECTION = "con"
    ADDRESS = "adr"
    KEY = "key"


def uuid7(now: datetime, random: bytes) -> UUID:
    """UUID version 7 (RFC 9562 §5.7) for the millisecond of `now`, with the first 10 octets of `random`.

    Raises:
        ValueError: `random` is shorter than 10 octets.
    """
    if len(random) < 10:
        raise ValueError("uuid7 needs 10 random octets")
    millis = int(now.timestamp() * 1000)
    tail = int.from_bytes(random[:10], "big")
    value = (millis & (1 << 48) - 1) << 80 | 0x7 << 76 | (tail >> 68 & 0xFFF) << 64 | 0b10 << 62 | tail & (1 << 62) - 1
    return UUID(int=value)


def format_id(prefix: Prefix, value: UUID) -> str:
    """Public form, e.g. ``msg_0198…-…``."""
    return f"{prefix}_{value}"


_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


def parse_id(prefix: Prefix, text: str) -> UUID | None:
    """The uuid of a public id, or None when `text` is no such id; only the canonical form is read."""
    head, _, tail = text.partition("_")
    if head != prefix or not _CANONICAL.fullmatch(tail):
        return None
    return UUID(tail)
