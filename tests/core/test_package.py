"""Evidence packages: what is listed is there, unchanged, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.checks import Outcome
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.package import (
    FORMAT,
    MANIFEST,
    MAX_MEMBERS,
    SIGNATURE,
    Entry,
    Manifest,
    Role,
    check_members,
    entry_of,
    member_digests,
    read_manifest,
    status_role,
    write_manifest,
)

AT = datetime(2026, 3, 2, 8, 14, 5, 123456, tzinfo=UTC)
MEMBERS = {
    "messages/submitted-1.eml": b"Subject: x\r\n\r\nbody\r\n",
    "evidence/1-confirmation-of-dispatch.eml": b"confirmation",
    "certificates/1.der": b"\x30\x00",
}
ROLES = (Role.MESSAGE_SUBMITTED, Role.CONFIRMATION, Role.CERTIFICATE)
ENTRIES = tuple(entry_of(path, role, octets) for (path, octets), role in zip(MEMBERS.items(), ROLES, strict=True))
PACKAGE = Manifest("msg_0198", AT, ENTRIES)
DOCUMENT: dict[str, Any] = json.loads(write_manifest(PACKAGE))

paths = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,9}(/[a-z0-9]{1,9}){0,3}", fullmatch=True).filter(
    lambda path: path not in (MANIFEST, SIGNATURE)
)
contents = st.dictionaries(paths, st.binary(max_size=20), max_size=6).filter(
    lambda found: len({path.lower() for path in found}) == len(found)
)


def outcomes(members: dict[str, bytes]) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in check_members(PACKAGE, member_digests(members))}


def test_a_manifest_is_read_as_it_was_written() -> None:
    read = read_manifest(write_manifest(PACKAGE))
    assert read == replace(PACKAGE, entries=tuple(sorted(ENTRIES, key=lambda entry: entry.path)))
    assert read.paths_of(Role.CONFIRMATION) == ("evidence/1-confirmation-of-dispatch.eml",)


def test_the_manifest_has_the_promised_shape() -> None:
    assert DOCUMENT["format"] == "demail-evidence/1"
    assert DOCUMENT["message_id"] == "msg_0198"
    assert DOCUMENT["created_at"] == "2026-03-02T08:14:05.123456Z"
    assert set(DOCUMENT["files"][0]) == {"path", "sha256", "role"}


def test_the_same_manifest_has_the_same_octets_whatever_the_order_and_zone() -> None:
    other = Manifest("msg_0198", AT.astimezone(timezone(timedelta(hours=1))), ENTRIES[::-1])
    assert write_manifest(other) == write_manifest(PACKAGE)


def test_a_complete_package_passes_with_manifest_and_signature_beside_it() -> None:
    assert set(outcomes({**MEMBERS, MANIFEST: b"x", SIGNATURE: b"y"}).values()) == {Outcome.PASSED}


@pytest.mark.parametrize("path", list(MEMBERS))
def test_a_missing_a_changed_and_an_added_member_fail_by_name(path: str) -> None:
    missing = {name: octets for name, octets in MEMBERS.items() if name != path}
    assert outcomes(missing)["package.complete"] is Outcome.FAILED
    assert outcomes({**MEMBERS, path: MEMBERS[path] + b"x"})["package.unchanged"] is Outcome.FAILED
    assert outcomes({**MEMBERS, "evidence/added.eml": b""})["package.nothing-added"] is Outcome.FAILED


def test_a_detail_names_ordinary_members_and_repeats_no_hostile_name() -> None:
    added = {f"evidence/{n}.eml": b"" for n in range(8)} | {"\x1b[31m": b""}
    details = {c.name: c.detail for c in check_members(PACKAGE, member_digests({**MEMBERS, **added}))}
    assert "member-unlisted:evidence/0.eml" in details["package.nothing-added"]
    assert "and-more:" in details["package.nothing-added"]
    assert "\x1b" not in details["package.nothing-added"]


@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../b", "a//b", "a\\b", "a/b/c/d/e", "ü.eml", "a\0", ".hidden", MANIFEST, SIGNATURE]
)
def test_an_impossible_path_is_neither_written_nor_read(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        write_manifest(replace(PACKAGE, entries=(Entry(path, "0" * 64, Role.CRL),)))
    with pytest.raises(MalformedMessage, match="manifest-malformed"):
        read_manifest(json.dumps({**DOCUMENT, "files": [{"path": path, "sha256": "0" * 64, "role": "crl"}]}).encode())


def test_paths_that_are_one_file_on_some_systems_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        write_manifest(replace(PACKAGE, entries=(Entry("a", "0" * 64, "crl"), Entry("A", "0" * 64, "crl"))))


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        write_manifest(replace(PACKAGE, created_at=datetime(2026, 3, 2)))  # noqa: DTZ001


CHANGES: tuple[dict[str, Any], ...] = (
    {"files": {}},
    {"files": ["a"]},
    {"files": [{"path": "a", "role": "crl"}]},
    {"files": [{"path": "a", "role": "crl", "sha256": "A" * 64}]},
    {"files": [{"path": 1, "role": "crl", "sha256": "0" * 64}]},
    {"files": [{"path": f"m{n}", "role": "crl", "sha256": "0" * 64} for n in range(MAX_MEMBERS + 1)]},
    {"message_id": None},
    {"created_at": "2026-03-02T08:00:00"},
    {"created_at": "yesterday"},
)
BROKEN: list[tuple[bytes, str]] = [
    (b"", "manifest-malformed"),
    (b"\xff", "manifest-malformed"),
    (b"[" * 100_000, "manifest-malformed"),
    (b" " * (8 * 1024 * 1024 + 1), "manifest-malformed"),
    (b"[]", "manifest-format"),
    (json.dumps({**DOCUMENT, "format": "demail-evidence/2"}).encode(), "manifest-format"),
    (b'{"format": "demail-evidence/1", "format": "demail-evidence/1"}', "manifest-malformed"),
    (b'{"format": "demail-evidence/1"}', "manifest-malformed"),
    *((json.dumps({**DOCUMENT, **change}).encode(), "manifest-malformed") for change in CHANGES),
]


@pytest.mark.parametrize(("octets", "reason"), BROKEN, ids=range(len(BROKEN)))
def test_a_manifest_of_another_shape_is_refused(octets: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        read_manifest(octets)
    assert caught.value.reason == reason


def test_an_unknown_role_is_kept() -> None:
    entry = {"path": "a", "sha256": "0" * 64, "role": "timestamp"}
    assert read_manifest(json.dumps({**DOCUMENT, "files": [entry]}).encode()).entries[0].role == "timestamp"


@given(contents)
def test_what_is_packed_verifies(members: dict[str, bytes]) -> None:
    packed = Manifest("msg_1", AT, tuple(entry_of(path, Role.REPORT, octets) for path, octets in members.items()))
    checks = check_members(read_manifest(write_manifest(packed)), member_digests(members))
    assert all(check.outcome is Outcome.PASSED for check in checks)


@given(contents.filter(bool), st.data())
def test_any_single_change_is_found(members: dict[str, bytes], data: st.DataObject) -> None:
    packed = Manifest("msg_1", AT, tuple(entry_of(path, Role.REPORT, octets) for path, octets in members.items()))
    victim = data.draw(st.sampled_from(sorted(members)))
    other = data.draw(st.none() | st.binary(max_size=20).filter(lambda octets: octets != members[victim]))
    changed = {path: octets for path, octets in members.items() if path != victim}
    if other is not None:
        changed[victim] = other
    assert any(c.outcome is Outcome.FAILED for c in check_members(packed, member_digests(changed)))


@given(st.binary(max_size=200))
def test_arbitrary_octets_are_refused_and_never_crash(octets: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_manifest(octets)


def test_the_format_s_name_is_fixed() -> None:
    assert FORMAT == "demail-evidence/1"


@pytest.mark.parametrize(
    ("der", "role"),
    [
        (bytes.fromhex("30030a0106"), Role.OCSP),
        (bytes.fromhex("3082030a0a0100"), Role.OCSP),
        (bytes.fromhex("300530030201"), Role.CRL),
        (bytes.fromhex("30820a0a3082"), Role.CRL),
        (b"", Role.CRL),
        (b"0", Role.CRL),
        (b"\x30\xff\x0a", Role.CRL),
    ],
)
def test_a_status_answer_says_which_kind_it_is(der: bytes, role: Role) -> None:
    assert status_role(der) is role
