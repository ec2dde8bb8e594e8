from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from random import Random

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.trust.authority import TestAuthority
from demail_gateway.trust.certificates import parse_certificate
from demail_gateway.trust.cms import ber, der
from demail_gateway.trust.cms.der import DerError

TREES = st.recursive(
    st.binary(max_size=40).map(lambda value: der.tlv(der.OCTET_STRING, value)),
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: der.tlv(der.SEQUENCE, *parts)),
    max_leaves=12,
)


@given(st.integers(min_value=-(2**200), max_value=2**200))
def test_integers_are_written_as_asn1crypto_writes_them(value: int) -> None:
    assert der.integer(value) == core.Integer(value).dump()


@given(st.integers(-(2**127), 2**127 - 1))
def test_integer_comes_back(value: int) -> None:
    assert der.read_integer(der.parse(der.integer(value))) == value


@pytest.mark.parametrize("octets", ["0200", "0211" + "01" * 17, "0401ff"])
def test_what_is_no_small_integer_is_refused(octets: str) -> None:
    with pytest.raises(DerError):
        der.read_integer(der.parse(bytes.fromhex(octets)))


@pytest.mark.parametrize("dotted", ["1.2.840.113549.1.7.2", "2.16.840.1.101.3.4.1.46", "1.3.132.1.11.1", "2.999.3"])
def test_identifiers_are_written_as_asn1crypto_writes_them(dotted: str) -> None:
    assert der.oid(dotted) == core.ObjectIdentifier(dotted).dump()


@given(st.binary(max_size=70_000))
def test_any_contents_come_back(value: bytes) -> None:
    element = der.parse(der.tlv(der.OCTET_STRING, value))
    assert (element.tag, element.value) == (der.OCTET_STRING, value)
    assert element.raw == core.OctetString(value).dump()


@given(st.lists(st.binary(max_size=6).map(lambda value: der.tlv(4, value)), max_size=6))
def test_set_of_does_not_depend_on_the_order(parts: list[bytes]) -> None:
    assert der.set_of(parts) == der.set_of(reversed(parts))


@given(st.integers(-630_720_000, 4_733_510_400).map(lambda seconds: datetime.fromtimestamp(seconds + 0.5, UTC)))
def test_time_comes_back_to_the_second(at: datetime) -> None:
    written = der.parse(der.time(at))
    assert der.read_time(written) == at.replace(microsecond=0)
    assert written.tag == (der.UTC_TIME if at.year < 2050 else der.GENERALIZED_TIME)


def test_time_is_written_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert der.parse(der.time(datetime(2026, 3, 2, 0, 30, tzinfo=berlin))).value == b"260301233000Z"


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (0x17, b"2603020030Z"),
        (0x17, b"260302003000+0100"),
        (0x17, b"261302003000Z"),
        (0x17, b"26030200300aZ"),
        (0x17, b"2603020030000"),
        (0x18, b"20260302003000.5Z"),
        (0x04, b"260302003000Z"),
        (0x17, b""),
    ],
)
def test_other_forms_of_time_are_refused(tag: int, text: bytes) -> None:
    with pytest.raises(DerError):
        der.read_time(der.parse(der.tlv(tag, text)))


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "30",
        "3001",  # contents missing
        "0400ff",  # trailing
        "048101aa",  # length not minimal
        "04820001aa",  # leading zero in the length
        "0480aa0000",  # indefinite
        "0487010101010101010101",  # length of seven octets
        "1f810100",  # tag of two octets
        "0484ffffffff00",  # 4 GiB announced
    ],
)
def test_what_is_not_der_is_refused(octets: str) -> None:
    with pytest.raises(DerError):
        der.parse(bytes.fromhex(octets))


def test_child_does_not_reach_behind_its_parent() -> None:
    with pytest.raises(DerError):
        der.parse(bytes.fromhex("30030404aabbcc")[:5]).children()
    with pytest.raises(DerError):
        der.parse(bytes.fromhex("3003" + "0402aa")).children()


def test_number_of_children_is_limited() -> None:
    element = der.parse(der.tlv(der.SEQUENCE, b"\x05\x00" * (der.MAX_ELEMENTS + 1)))
    with pytest.raises(DerError, match="too many"):
        element.children()


def test_primitive_has_no_children() -> None:
    with pytest.raises(DerError):
        der.parse(b"\x04\x02\x05\x00").children()


def test_fields_are_taken_in_order_and_none_is_left_over() -> None:
    element = der.parse(der.tlv(der.SEQUENCE, der.integer(1), der.tlv(der.NULL)))
    fields = der.Fields(element)
    assert fields.maybe(der.NULL) is None
    assert der.read_integer(fields.take(der.INTEGER)) == 1
    with pytest.raises(DerError):
        fields.done()
    with pytest.raises(DerError):
        fields.take(der.SET)
    fields.take(der.NULL)
    fields.done()
    assert fields.maybe() is None
    with pytest.raises(DerError):
        fields.take()
    with pytest.raises(DerError):
        der.Fields(element, der.SET)


def test_issuer_and_serial_are_those_of_the_certificate(authority: TestAuthority) -> None:
    issuer, serial = der.issuer_and_serial(authority.certificate_der)
    certificate = parse_certificate(authority.certificate_der)
    assert issuer == certificate.issuer.public_bytes()
    assert int.from_bytes(der.parse(serial).value, "big") == certificate.serial_number


@given(TREES)
def test_what_is_der_stays_as_it_is(tree: bytes) -> None:
    assert ber.to_der(tree) == tree


@given(TREES, st.randoms(use_true_random=False))
def test_every_ber_form_of_a_tree_becomes_its_der(tree: bytes, random: Random) -> None:
    assert ber.to_der(_loosened(der.parse(tree), random)) == tree


@given(st.binary(max_size=300))
def test_arbitrary_octets_are_der_or_refused(data: bytes) -> None:
    try:
        normal = ber.to_der(data)
    except DerError:
        return
    der.parse(normal)
    assert ber.to_der(normal) == normal


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "3080",  # no end
        "30800000ff",  # trailing
        "0480aa0000",  # indefinite and primitive
        "2403020101",  # octet string of an integer
        "04",
        "048300000aff",  # announces more than there is
        "0489000000000000000001ff",  # length of nine octets
        "1f8101000000",  # tag of two octets
        "308004020102",
    ],
)
def test_what_is_not_ber_is_refused(octets: str) -> None:
    with pytest.raises(DerError):
        ber.to_der(bytes.fromhex(octets))


def test_depth_and_number_are_limited() -> None:
    with pytest.raises(DerError, match="too deep"):
        ber.to_der(b"\x30\x80" * 100_000)
    flat = b"\x05\x00" * (ber.MAX_ELEMENTS + 1)
    with pytest.raises(DerError, match="too many"):
        ber.to_der(b"\x30\x80" + flat + b"\x00\x00")


def _loosened(element: der.Element, random: Random) -> bytes:
    """One of the BER forms of the element: indefinite or long lengths, strings in pieces."""
    choose = random.choice
    if element.tag == der.OCTET_STRING and choose([True, False]):
        value = element.value
        cut = choose(range(len(value) + 1))
        inner = der.tlv(4, value[:cut]) + der.tlv(4, value[cut:])
        return b"\x24\x80" + inner + b"\x00\x00"
    if element.tag == der.OCTET_STRING:
        return b"\x04\x84" + len(element.value).to_bytes(4, "big") + element.value
    inner = b"".join(_loosened(child, random) for child in element.children())
    return choose([b"\x30\x80" + inner + b"\x00\x00", b"\x30\x83" + len(inner).to_bytes(3, "big") + inner])
