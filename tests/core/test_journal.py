"""The journal's chain: one form of octets, and every change found."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demail_gateway.core.journal import START, chain_faults, journal_canonical, journal_hash, journal_time

TENANT = "ten_0198c5f0-0000-7000-8000-000000000001"


def chained(number: int, **extra: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    prev = START
    for seq in range(1, number + 1):
        item = {
            "seq": seq,
            "at": journal_time(datetime(2026, 11, 24, 5, 30, seq, tzinfo=UTC)),
            "tenant": TENANT,
            "actor": "system",
            "action": "message.accepted",
            "object": f"msg_{seq}",
            **extra,
        }
        digest = journal_hash(prev, item)
        items.append({**item, "prev_hash": prev.hex(), "hash": digest.hex()})
        prev = digest
    return items


def test_canonical_form_is_as_documented() -> None:
    item = {
        "seq": 7,
        "at": "2026-11-24T05:30:00.000000Z",
        "tenant": None,
        "actor": 'ä"\\',
        "action": "x",
        "object": "\n\x01\x7f€",
        "detail": {"b": "2", "a": "1"},
        "prev_hash": "ignored",
        "hash": "ignored",
    }
    expected = (
        '{"action":"x","actor":"ä\\"\\\\","at":"2026-11-24T05:30:00.000000Z","detail":{"a":"1","b":"2"},'
        '"object":"\\n\\u0001\x7f€","seq":7,"tenant":null}'
    )
    assert journal_canonical(item) == expected.encode()
    assert journal_hash(START, item) == hashlib.sha256(bytes(32) + expected.encode()).digest()


def test_time_is_utc_with_six_decimals() -> None:
    berlin = timezone(timedelta(hours=1))
    assert journal_time(datetime(2026, 11, 24, 6, 30, tzinfo=berlin)) == "2026-11-24T05:30:00.000000Z"


def test_untouched_chain_holds() -> None:
    assert chain_faults(chained(5)) == ()
    assert chain_faults([]) == ()


def test_excerpt_from_the_middle_holds() -> None:
    assert chain_faults(chained(5)[2:4]) == ()


@settings(max_examples=60)
@given(st.integers(0, 4), st.sampled_from(["seq", "at", "tenant", "actor", "action", "object", "detail"]), st.text())
def test_every_changed_member_is_found(number: int, member: str, value: str) -> None:
    items = chained(5, detail={"state": "queued"})
    changed: Any = {"state": value} if member == "detail" else value
    if items[number][member] == changed:
        return
    items[number][member] = changed
    assert any(fault for fault in chain_faults(items))


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (lambda items: items.pop(2), "gap"),
        (lambda items: items.insert(2, items[1]), "gap"),
        (lambda items: items[2].update(prev_hash="00" * 32), "prev-hash-mismatch"),
        (lambda items: items[0].update(prev_hash="11" * 32), "prev-hash-mismatch"),
        (lambda items: items[2].update(hash="zz"), "malformed"),
        (lambda items: items[2].update(added="member"), "changed"),
        (lambda items: items[2].update(object="\ud800"), "malformed"),
        (lambda items: items[2].update(detail={"number": float("nan")}), "malformed"),
    ],
)
def test_chain_names_what_is_wrong(tamper: Any, finding: str) -> None:
    items = chained(5)
    tamper(items)
    assert finding in {fault.finding for fault in chain_faults(items)}
