"""XML of confirmations and notifications: written exactly, read with tolerance, hostile input refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.confirmation_xml import (
    NOTIFICATION,
    Metadate,
    collapsed,
    read_acknowledgement,
    read_notification,
    write_acknowledgement,
    write_notification,
)
from demail_gateway.core.errors import XmlRefused
from demail_gateway.core.header import HeaderField
from demail_gateway.core.xml_time import format_time, parse_time
from demail_gateway.core.xml_tree import MAX_XML_OCTETS, MAX_XML_TAGS, root_tag
from demail_gateway.trust.xml_reading import read_xml, schema_errors

AT = datetime(2026, 3, 2, 8, 20, tzinfo=UTC)
FIELD = HeaderField(b"Subject: Bescheid\r\n zum Antrag <1> & mehr\r\n")
NS = 'xmlns="urn:de-mail"'

xml_text = st.text(st.characters(codec="utf-8"), max_size=30)


def written(**changes: object) -> bytes:
    arguments: dict[str, object] = {
        "sender": "Versandbestaetigung@a.example",
        "metadata": (FIELD,),
        "subject": "Versandbestätigung: Bescheid",
        "text": "Zeile\nzwei",
        "integrity": "v=1; a=sha256",
        "time": AT,
        "delivery_time": None,
    }
    return write_acknowledgement(**{**arguments, **changes})  # type: ignore[arg-type]


@pytest.mark.clause("TR 01201-3.4 §3.5.1 table 23")
def test_what_was_written_is_read_again() -> None:
    read = read_acknowledgement(written(delivery_time=AT - timedelta(hours=1)))
    assert (read.sender, read.subject) == ("Versandbestaetigung@a.example", "Versandbestätigung: Bescheid")
    assert (read.text, read.hash) == ("Zeile\nzwei", "v=1; a=sha256")
    assert (read.time, read.delivery_time) == (AT, AT - timedelta(hours=1))
    entry = read.metadate("SUBJECT")
    assert entry is not None
    assert (entry.name, entry.value) == ("Subject", "Bescheid zum Antrag <1> & mehr")
    assert entry.header_field == FIELD
    assert read.findings == ()


def test_carriage_returns_are_character_references() -> None:
    """CO-11: an XML parser would turn CRLF into LF."""
    assert b"Bescheid&#xD;\n zum Antrag &lt;1&gt; &amp; mehr&#xD;\n</OriginalHeader>" in written()


def test_times_are_written_in_legal_time() -> None:
    """CO-10."""
    assert b"<Time>2026-03-02T09:20:00+01:00</Time>" in written()
    assert b"<Time>2026-07-01T10:00:00+02:00</Time>" in written(time=datetime(2026, 7, 1, 8, tzinfo=UTC))


@pytest.mark.parametrize("text", ["\0", "\x0b", "\ufffe", "\ud800", "a\x1b[31m"])
def test_what_xml_cannot_hold_is_replaced(text: str) -> None:
    read = read_acknowledgement(written(subject=text))
    assert read.subject is not None
    assert "\ufffd" in read.subject


def test_header_octets_outside_utf_8_are_replaced_and_prove_nothing() -> None:
    raw = HeaderField(b"Subject: M\xfcller\r\n")
    entry = read_acknowledgement(written(metadata=(raw,))).metadate("subject")
    assert entry is not None
    assert entry.value == "M\ufffdller"
    assert entry.header_field != raw


@given(xml_text, xml_text, xml_text)
def test_any_text_survives_writing_and_reading(subject: str, text: str, integrity: str) -> None:
    allowed = str.maketrans({chr(code): " " for code in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)})
    subject, text, integrity = (each.translate(allowed) for each in (subject, text, integrity))
    read = read_acknowledgement(written(subject=subject, text=text, integrity=integrity))
    assert (read.subject, read.text, read.hash) == (subject, text, integrity)


@pytest.mark.clause("TR 01201-3.4 §3.5.1 table 24")
@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20), min_size=1))
def test_any_field_is_rebuilt_octet_by_octet(words: list[str]) -> None:
    field = HeaderField(("X-Field: " + "\r\n\t".join(words) + "\r\n").encode())
    entry = read_acknowledgement(written(metadata=(field,))).metadata[0]
    assert entry.header_field == field


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"no xml",
        b"<a>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><Acknowledge-Message xmlns="urn:de-mail">&x;</Acknowledge-Message>',
        b'<Acknowledge-Message xmlns="urn:de-mail">&x;</Acknowledge-Message>',
        b'<Acknowledge-Message xmlns="urn:other"/>',
        b"<Acknowledge-Message/>",
        b'<Notification-Message xmlns="urn:de-mail"/>',
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
        b"<a>" * 20_000,
        b" " * (MAX_XML_OCTETS + 1),
        b"<a>" + b"<b/>" * MAX_XML_TAGS + b"</a>",
        b'<Acknowledge-Message xmlns="urn:de-mail">\xff</Acknowledge-Message>',
    ],
)
def test_hostile_or_foreign_xml_is_refused(xml: bytes) -> None:
    with pytest.raises(XmlRefused):
        read_acknowledgement(xml)


def test_missing_elements_are_none_and_not_an_error() -> None:
    """CO-6."""
    read = read_acknowledgement(
        f"<Acknowledge-Message {NS}><Metadata><Metadate/></Metadata></Acknowledge-Message>".encode()
    )
    assert (read.sender, read.subject, read.text, read.hash, read.time) == (None,) * 5
    assert read.metadata == (Metadate("", "", None),)
    assert read.findings == ("original-header-unusable:",)
    assert read.metadate("subject") is None


@pytest.mark.parametrize(
    "entry",
    [
        Metadate("Subject", "x", None),
        Metadate("Subject", "x", "Date: x\r\n"),
        Metadate("Subject", "x", "Subject"),
        Metadate("Subject", "x", ""),
        Metadate("Subject", "x", "Subject: x\r\nDate: y\r\n"),
        Metadate("Subject", "x", "Subject: x\nDate: y"),
        Metadate("Subject", "x", "Subject: x\rDate: y"),
        Metadate("Subject", "x", "Subject: x\r\n\r\n y"),
    ],
)
def test_a_text_that_is_not_this_field_is_unusable(entry: Metadate) -> None:
    assert entry.header_field is None


def test_names_are_compared_without_case_and_the_first_counts() -> None:
    first, second = HeaderField(b"SUBJECT: 1\r\n"), HeaderField(b"subject: 2\r\n")
    entry = read_acknowledgement(written(metadata=(first, second))).metadate("Subject")
    assert entry is not None
    assert entry.header_field == first


def test_comments_inside_text_do_not_split_it() -> None:
    xml = f"<Notification-Message {NS}><Text>nicht<!-- x --> zugestellt</Text></Notification-Message>"
    assert read_notification(xml.encode()).text == "nicht zugestellt"


@pytest.mark.clause("TR 01201-3.4 §3.5.2 table 25", "TR 01201-3.4 §3.5.3")
def test_a_notification_is_read_as_it_was_written_and_fits_the_schema() -> None:
    xml = write_notification(subject="Nicht zustellbar", text="Grund", time=AT, sender="Anbieter <B>")
    read = read_notification(xml)
    assert (read.subject, read.text, read.time, read.sender) == ("Nicht zustellbar", "Grund", AT, "Anbieter <B>")
    assert schema_errors(read_xml(xml)) == ()
    assert root_tag(xml) == NOTIFICATION


@pytest.mark.parametrize(
    ("xml", "name"), [(b"<a>", "a"), (b"<", None), (b'<b xmlns="urn:de-mail"/>', "{urn:de-mail}b")]
)
def test_the_root_tells_the_kind(xml: bytes, name: str | None) -> None:
    assert root_tag(xml) == name


@pytest.mark.parametrize(
    ("text", "moment", "zoned"),
    [
        ("2026-03-02T09:20:00+01:00", AT, True),
        ("2026-03-02T08:20:00Z", AT, True),
        (" 2026-03-02T03:20:00-05:00\n", AT, True),
        ("2026-03-02T08:20:00.25Z", AT + timedelta(milliseconds=250), True),
        ("2026-03-02T09:20:00", AT, False),
        ("2026-07-01T10:00:00", datetime(2026, 7, 1, 8, tzinfo=UTC), False),
        ("2026-03-01T24:00:00Z", datetime(2026, 3, 2, tzinfo=UTC), True),
        ("2026-02-30T09:20:00Z", None, True),
        ("2026-03-02T24:00:01Z", None, True),
        ("2026-03-02T09:20:00+99:00", None, True),
        ("0001-01-01T00:00:00+14:00", None, True),
        ("9999-12-31T24:00:00Z", None, True),
        ("2026-03-02", None, True),
        ("2026-03-02T09:20Z", None, True),
        ("\u0662026-03-02T09:20:00Z", None, True),
        ("", None, True),
    ],
)
def test_times_are_read_by_the_schema_s_type(text: str, moment: datetime | None, zoned: bool) -> None:
    assert parse_time(text) == (moment, zoned)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_a_written_time_is_read_again_to_the_second(clock: datetime) -> None:
    moment = clock.replace(tzinfo=UTC)
    assert parse_time(format_time(moment)) == (moment.replace(microsecond=0), True)


@pytest.mark.clause("TR 01201-3.4 §3.5.1 table 24")
def test_values_are_compared_after_collapsing_blanks() -> None:
    """CO-12."""
    assert collapsed(" a \r\n\t b\n") == "a b"
