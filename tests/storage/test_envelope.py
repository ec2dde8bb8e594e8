"""Keys and sealed values without a database."""

from __future__ import annotations

import os
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demail_gateway.core.errors import KeyUnavailable
from demail_gateway.storage.contents import seal_content
from demail_gateway.storage.envelope import CHUNK_BYTES, MasterKey, MasterKeys, Place, TenantKeys, WrappedTenantKey

MASTER = MasterKey("1", os.urandom(32))


def tenant_keys(tenant_id: UUID | None = None, versions: int = 1) -> TenantKeys:
    keys = MasterKeys(MASTER)
    tenant_id = tenant_id or uuid4()
    return keys.unwrap([keys.new_tenant_key(tenant_id, n + 1) for n in range(versions)])


@given(st.binary(max_size=2000), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_value_opens_at_its_place(clear: bytes, table: str, column: str, row: str) -> None:
    key = tenant_keys().new("message", uuid4())
    place = Place(*(part.encode("utf-8", "ignore").decode() for part in (table, column, row)))
    assert key.open(place, key.seal(place, clear)) == clear


@pytest.mark.parametrize(
    "elsewhere", [Place("t", "c", "other"), Place("t", "other", "r"), Place("other", "c", "r"), Place("t", "", "c\0r")]
)
def test_a_value_opens_nowhere_else(elsewhere: Place) -> None:
    key = tenant_keys().new("message", uuid4())
    with pytest.raises(KeyUnavailable):
        key.open(elsewhere, key.seal(Place("t", "c", "r"), b"clear"))


@pytest.mark.clause("TR 01201-3.1 step 83", "TR 01201-3.1 step 83 FC-01")
@settings(max_examples=50)
@given(st.data())
def test_any_changed_octet_is_noticed(data: st.DataObject) -> None:
    keys, row = tenant_keys(), uuid4()
    key = keys.new("message", row)
    sealed = bytearray(key.wrapped + key.seal(Place("t", "c", "r"), b"clear"))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    wrapped, value = bytes(sealed[: len(key.wrapped)]), bytes(sealed[len(key.wrapped) :])
    with pytest.raises(KeyUnavailable):
        keys.open("message", row, wrapped).open(Place("t", "c", "r"), value)


@pytest.mark.parametrize("octets", [b"", b"\1", b"\1\0\0\0\1", b"\2\0\0\0\1" + b"x" * 60, b"\1\0\0\0\x09" + b"x" * 60])
def test_what_is_no_data_key_is_refused(octets: bytes) -> None:
    with pytest.raises(KeyUnavailable):
        tenant_keys().open("message", uuid4(), octets)


def test_data_key_belongs_to_its_row_and_tenant() -> None:
    tenant_id, row = uuid4(), uuid4()
    keys = tenant_keys(tenant_id)
    wrapped = keys.new("message", row).wrapped
    for table, other in (("message", uuid4()), ("content", row)):
        with pytest.raises(KeyUnavailable):
            keys.open(table, other, wrapped)
    with pytest.raises(KeyUnavailable):
        tenant_keys(tenant_id).open("message", row, wrapped)


def test_tenant_key_does_not_open_for_another_tenant() -> None:
    """Not even when its row is moved (trap E22)."""
    keys = MasterKeys(MASTER)
    row = keys.new_tenant_key(uuid4())
    for moved in (row._replace(tenant_id=uuid4()), row._replace(version=2)):
        with pytest.raises(KeyUnavailable):
            keys.unwrap([moved])


@pytest.mark.clause("GWT-36")
def test_without_its_master_key_nothing_opens() -> None:
    row = MasterKeys(MASTER).new_tenant_key(uuid4())
    for stranger in (MasterKey("1", os.urandom(32)), MasterKey("2", MASTER.octets)):
        with pytest.raises(KeyUnavailable):
            MasterKeys(stranger).unwrap([row])
    with pytest.raises(KeyUnavailable):
        MasterKeys(MASTER).unwrap([])


def test_master_key_is_rotated_without_sealing_anything_anew() -> None:
    tenant_id, row = uuid4(), uuid4()
    old = MasterKeys(MASTER)
    first = old.new_tenant_key(tenant_id)
    wrapped = old.unwrap([first]).new("message", row).wrapped
    new = MasterKeys(MasterKey("2", os.urandom(32)), former=[MASTER])
    rewrapped = new.rewrap(first)
    assert rewrapped.master_key_id == "2"
    alone = MasterKeys(MasterKey("2", new._current.octets))
    assert alone.unwrap([rewrapped]).open("message", row, wrapped).wrapped == wrapped


def test_new_version_of_a_tenant_key_seals_and_the_former_still_opens() -> None:
    tenant_id, row = uuid4(), uuid4()
    keys = MasterKeys(MASTER)
    versions = [keys.new_tenant_key(tenant_id, n) for n in (1, 2)]
    old, both = keys.unwrap(versions[:1]), keys.unwrap(versions)
    wrapped = old.new("message", row).wrapped
    both.open("message", row, wrapped)
    assert not old.knows([both.new("message", row).wrapped])
    assert both.knows([wrapped, both.new("message", row).wrapped])


def test_operators_value_is_sealed_by_the_master_key() -> None:
    place = Place("operator_idempotency_key", "sealed_body", "x")
    sealed = MasterKeys(MASTER).seal(place, b"answer")
    assert MasterKeys(MasterKey("2", os.urandom(32)), former=[MASTER]).open(place, sealed) == b"answer"
    for keys, where in (
        (MasterKeys(MasterKey("2", os.urandom(32))), place),
        (MasterKeys(MASTER), place._replace(row="y")),
    ):
        with pytest.raises(KeyUnavailable):
            keys.open(where, sealed)


def test_key_of_wrong_length_is_no_master_key() -> None:
    with pytest.raises(KeyUnavailable):
        MasterKey("1", b"short")
    assert "octets" not in repr(MASTER)


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=50), min_size=1, max_size=6), st.data())
def test_a_stream_opens_whole_and_in_order_or_not_at_all(pieces: list[bytes], data: st.DataObject) -> None:
    key = tenant_keys().new("content", uuid4())
    place = Place("content_chunk", "sealed_data", "r")
    sealed = [key.seal_chunk(place, n, n == len(pieces) - 1, piece) for n, piece in enumerate(pieces)]
    assert list(key.open_chunks(place, sealed)) == pieces
    other = data.draw(st.lists(st.sampled_from(sealed), max_size=7))
    if other != sealed:
        with pytest.raises(KeyUnavailable):
            list(key.open_chunks(place, other))


@pytest.mark.parametrize(("size", "chunks"), [(0, 0), (CHUNK_BYTES, 0), (CHUNK_BYTES + 1, 2), (4 * CHUNK_BYTES, 4)])
def test_content_is_cut_where_it_is_large(size: int, chunks: int) -> None:
    sealed = seal_content(tenant_keys(), uuid4(), b"x" * size)
    assert len(sealed.chunks) == chunks
    assert (sealed.data is None) == bool(chunks)


def test_wrapped_tenant_key_is_a_row() -> None:
    assert WrappedTenantKey._fields == ("tenant_id", "version", "master_key_id", "wrapped")
