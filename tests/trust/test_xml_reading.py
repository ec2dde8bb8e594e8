from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.errors import XmlRefused
from demail_gateway.core.xml_tree import MAX_XML_OCTETS, MAX_XML_TAGS
from demail_gateway.trust.xml_reading import read_xml, schema_errors

LAUGHS = b'<!DOCTYPE a [<!ENTITY a "haha">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)
NOTIFICATION = (
    '<Notification-Message xmlns="urn:de-mail"><Subject>Meldung</Subject><Text>t</Text>'
    "<Time>2026-03-02T09:14:21+01:00</Time><Sender>dmda-a</Sender></Notification-Message>"
)


@pytest.mark.parametrize(
    "xml",
    [
        LAUGHS + b"]><a>&j;</a>",
        LAUGHS + b']><a b="&j;"/>',
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        b"<?xml version='1.0'?><!-- > --><?pi <?>\n<!DOCTYPE a><a/>",
        b"\xef\xbb\xbf<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>".encode("utf-16"),
        b"<?xml version='1.0' encoding='UTF-7'?>+ADwAIQ-DOCTYPE a+AD4-<a/>",
        b"<?xml version='1.0' encoding='UTF-7'?><+ACE-DOCTYPE a><a/>",
        b"<?xml version='1.0' encoding='IBM037'?><a/>",
        b"<?xml version='1.0' encoding='KOI8-R'?><a/>",
        "<a/>".encode("utf-16"),
        b"",
        b"   ",
        b"kein XML",
        b"<a>",
        b"<a></b>",
        b"<a>&undeclared;</a>",
        b"<a/><b/>",
        b"<a>\x00</a>",
        b"<a>\xff</a>",
        b"<a>" * 100_000,
        b"<a>" + b"<b/>" * MAX_XML_TAGS + b"</a>",
        b"<a>" + b"x" * MAX_XML_OCTETS + b"</a>",
    ],
    ids=lambda xml: repr(xml[:40]),
)
def test_hostile_xml_is_refused(xml: bytes) -> None:
    with pytest.raises(XmlRefused) as caught:
        read_xml(xml)
    assert "passwd" not in str(caught.value)


def test_entity_bomb_costs_nothing() -> None:
    before = time.process_time()
    with pytest.raises(XmlRefused):
        read_xml(LAUGHS + b"]><a>&j;</a>")
    assert time.process_time() - before < 0.1


def test_doctype_in_text_is_text() -> None:
    root = read_xml(b"<?xml version='1.0'?>\n<!-- <!DOCTYPE a> --><a><![CDATA[<!DOCTYPE a>]]></a>").getroot()
    assert root.text == "<!DOCTYPE a>"


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "ISO-8859-15", "windows-1252"])
def test_usual_encodings_are_read(encoding: str) -> None:
    xml = f"<?xml version='1.0' encoding='{encoding}'?><a>Müller</a>".encode(encoding)
    assert read_xml(xml).getroot().text == "Müller"


@given(st.binary(max_size=200).map(lambda tail: b"<a>" + tail))
def test_arbitrary_octets_are_read_or_refused(xml: bytes) -> None:
    try:
        assert read_xml(xml).getroot().tag == "a"
    except XmlRefused:
        return


@pytest.mark.clause("TR 01201-3.4 §3.5.3")
def test_notification_fits_the_schema() -> None:
    assert schema_errors(read_xml(NOTIFICATION.encode())) == ()


def test_violation_names_the_place_and_not_the_contents() -> None:
    (error,) = schema_errors(read_xml(NOTIFICATION.replace("2026-03-02T", "geheim").encode()))
    assert error == "line 1: SCHEMAV_CVC_DATATYPE_VALID_1_2_1 at /*/*[3]"


def test_unknown_root_violates_the_schema() -> None:
    assert len(schema_errors(read_xml(b"<a/>"))) == 1


def test_schema_answers_belong_to_their_document_under_threads() -> None:
    documents = [NOTIFICATION.encode(), b"<a/>"] * 50
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda xml: schema_errors(read_xml(xml)), documents))
    assert [len(answer) for answer in answers] == [0, 1] * 50
