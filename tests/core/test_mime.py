"""MIME structure read from octets: tolerant, bounded, exact."""

from __future__ import annotations

import email.policy
import re
import zlib
from email.message import EmailMessage
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.header import Header, HeaderField, read_header, read_message
from demail_gateway.core.large_message import read_large_message
from demail_gateway.core.message import PartSource, build_entity, multipart_signed
from demail_gateway.core.mime import (
    DEPTH_LIMIT,
    MAX_DEPTH,
    MAX_PARTS,
    NO_BOUNDARY,
    NOT_CLOSED,
    PARTS_LIMIT,
    Part,
    leaves,
    parse_parameters,
    read_parts,
)
from tests.core.vector_trust import VECTORS

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def parts_of(message: bytes) -> tuple[Part, ...]:
    octets = read_message(message)
    return read_parts(octets.header, octets.body)


def outline(message: bytes) -> list[tuple[str, str]]:
    return [(part.path, part.content_type) for part in parts_of(message)]


def crlf(text: str) -> bytes:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode()


FILENAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1, max_size=120)


@pytest.mark.clause("TR 01201-3.4 §3.4", "TR 01201-3.4 §2.1.2")
@given(TEXT, TEXT, FILENAMES.filter(lambda name: name.strip(".") != ""), st.binary(max_size=200))
def test_what_was_composed_is_read_back(text: str, html: str, name: str, octets: bytes) -> None:
    entity = build_entity(text, html, (PartSource(name, "application/pdf", octets),), "b")
    found = leaves(parts_of(multipart_signed(entity, b"signature", "sha-256", "b")))
    assert [part.path for part in found] == ["1.1.1", "1.1.2", "1.2", "2"]
    assert [part.decode() for part in found] == [crlf(text), crlf(html), octets, b"signature"]
    assert found[2].filename == name or "=?" in name
    assert found[0].text() == crlf(text).decode()


@pytest.mark.clause("TR 01201-3.4 §2.1.3")
def test_signed_part_keeps_its_exact_octets() -> None:
    entity = build_entity("Grüße", None, (PartSource("a.pdf", "application/pdf", b"x"),), "b")
    found = parts_of(multipart_signed(entity, b"s", "sha-256", "b"))
    assert found[0].content_type == "multipart/signed"
    assert found[0].parameters["micalg"] == "sha-256"
    assert bytes(found[1].entity) == entity


def test_parts_of_the_confirmation_vector_are_found() -> None:
    found = parts_of((VECTORS / "messages" / "b-dispatch.eml").read_bytes())
    assert [(part.path, part.content_type, part.filename) for part in found] == [
        ("", "multipart/mixed", None),
        ("1", "text/plain", None),
        ("2", "application/xml", "bestaetigung.xml"),
        ("3", "application/pdf", "bestaetigung.pdf"),
    ]
    assert found[2].decode().startswith(b'<?xml version="1.0"')
    assert found[3].decode().startswith(b"%PDF-")
    assert found[0].defects == ()


def test_message_without_mime_fields_is_plain_text() -> None:
    (part,) = parts_of(b"Subject: x\r\n\r\nHallo")
    assert (part.path, part.content_type, part.encoding, part.decode()) == ("", "text/plain", "7bit", b"Hallo")


def body(*lines: bytes, kind: bytes = b"multipart/mixed; boundary=b") -> bytes:
    return b"Content-Type: " + kind + b"\r\n\r\n" + b"\r\n".join(lines)


def test_preamble_epilogue_and_padding_are_passed_over() -> None:
    message = body(
        b"preamble --b", b"--b \t", b"", b"eins", b"--bc", b"--b", b"X: y", b"", b"zwei", b"--b--", b"--b", b"drei"
    )
    found = leaves(parts_of(message))
    assert [bytes(part.raw) for part in found] == [b"eins\r\n--bc", b"zwei"]


def test_lf_line_ends_inside_a_crlf_message_are_tolerated() -> None:
    message = body(b"--b\nContent-Type: text/html\n\n<p>\n--b\nA: b\n\nzwei\n--b--\n")
    assert outline(message) == [("", "multipart/mixed"), ("1", "text/html"), ("2", "text/plain")]
    assert [part.decode() for part in leaves(parts_of(message))] == [b"<p>", b"zwei"]


def test_part_without_header_may_begin_with_lf_alone() -> None:
    assert [part.decode() for part in leaves(parts_of(body(b"--b\n\neins\n--b--")))] == [b"eins"]


def test_missing_closing_delimiter_is_a_defect_but_the_part_is_there() -> None:
    found = parts_of(body(b"--b", b"", b"eins"))
    assert found[0].defects == (NOT_CLOSED,)
    assert found[1].decode() == b"eins"


def test_multipart_without_boundary_or_delimiter_stays_one_part() -> None:
    (alone,) = parts_of(body(b"--b", b"", b"x", kind=b"multipart/mixed"))
    assert alone.defects == (NO_BOUNDARY,)
    (unopened,) = leaves(parts_of(body(b"no delimiter")))
    assert unopened.defects == (NOT_CLOSED,)


def test_empty_part_and_delimiters_in_a_row() -> None:
    found = leaves(parts_of(body(b"--b", b"--b", b"", b"--b--")))
    assert [bytes(part.raw) for part in found] == [b"", b""]


def test_broken_header_lines_of_a_part_are_passed_over() -> None:
    (_, part) = parts_of(body(b"--b", b"broken line", b"Content-Type:", b" text/html", b"", b"x", b"--b--"))
    assert part.content_type == "text/html"


def test_attached_message_is_not_opened() -> None:
    inner = body(b"--b", b"Content-Type: application/xml", b"", b"<x/>", b"--b--")
    message = body(b"--o", b"Content-Type: message/rfc822", b"", inner, b"--o--", kind=b'multipart/mixed; boundary="o"')
    assert outline(message) == [("", "multipart/mixed"), ("1", "message/rfc822")]


def test_deep_nesting_ends_in_one_part() -> None:
    message = b"x"
    for level in range(MAX_DEPTH + 20):
        message = body(
            f"--b{level}".encode(),
            message,
            f"--b{level}--".encode(),
            kind=f"multipart/mixed; boundary=b{level}".encode(),
        )
    found = parts_of(message)
    assert len(found) == MAX_DEPTH + 1
    assert found[-1].defects == (DEPTH_LIMIT,)
    assert b"b0" in bytes(found[-1].raw)


def test_further_parts_stay_in_one_for_the_scanner() -> None:
    lines = [line for n in range(MAX_PARTS + 50) for line in (b"--b", b"", str(n).encode())]
    found = parts_of(body(*lines, b"--b--"))
    assert len(found) == MAX_PARTS + 1
    assert found[-1].defects == (PARTS_LIMIT,)
    assert str(MAX_PARTS + 49).encode() in found[-1].decode()


@pytest.mark.parametrize(
    "content",
    [
        b"--b" * 700_000,
        b"\r\n--bx" * 400_000,
        b"\r\n--b" * 500_000,
        b"--b\r\n" + b"a:\r\n" * 500_000,
        b"--b\r\nContent-Type: a" + b';a="' * 300_000,
        b"\n" * 2_000_000,
    ],
    ids=["marks in one line", "near misses", "delimiters", "fields", "parameters", "lines"],
)
def test_hostile_bodies_take_linear_time(content: bytes) -> None:
    before = process_time()
    parts_of(body(content))
    assert process_time() - before < 3


def test_millions_of_lines_that_only_begin_like_a_delimiter_cost_little() -> None:
    content = body(*[b"--bx"] * 4_000_000)
    before = process_time()
    parts_of(content)
    large = read_large_message(len(content), lambda start, size: content[start : start + size])
    read_parts(large.header, large.body)
    assert process_time() - before < 5


def lines_between_delimiters(content: bytes) -> list[bytes]:
    """Parts between lines that are ``--b`` or ``--b--`` and blanks, found line by line."""
    found: list[bytes] = []
    current: bytes | None = None
    for line in re.findall(rb"[^\n]*\n|[^\n]+", content):
        bare = line.rstrip(b" \t\r\n")
        if bare in (b"--b", b"--b--"):
            if current is not None:
                found.append(re.sub(rb"\r?\n\Z", b"", current))
            current = b""
            if bare == b"--b--":
                return found
        elif current is not None:
            current += line
    return found if current is None else [*found, current]


@given(
    st.lists(
        st.sampled_from([b"--b", b"--", b" ", b"\t", b"\r", b"\n", b"\r\n", b"x", b"b", b"-", b"\n--b\n"]), max_size=30
    ).map(b"".join)
)
def test_delimiters_are_lines_of_their_own(content: bytes) -> None:
    parts = read_parts(read_header(b"Content-Type: multipart/mixed; boundary=b\r\n"), content)
    assert [bytes(part.entity) for part in parts[1:]] == lines_between_delimiters(content)


@pytest.mark.parametrize("boundary", ["b" * 999, "a\nb"])
def test_a_boundary_that_fits_into_no_line_is_none(boundary: str) -> None:
    value = boundary.replace("\n", "%0A")
    header = read_header(f"Content-Type: multipart/mixed; boundary*=utf-8''{value}\r\n".encode())
    (alone,) = read_parts(header, f"--{boundary}\r\n\r\nx\r\n--{boundary}--\r\n".encode())
    assert alone.defects == (NO_BOUNDARY,)


@given(st.binary(max_size=300), st.sampled_from([b"multipart/mixed; boundary=b", b"text/plain", b"multipart/x"]))
def test_any_body_is_read_without_an_error(content: bytes, kind: bytes) -> None:
    for part in parts_of(body(content.replace(b"\x01", b"\r\n--b\r\n"), kind=kind)):
        part.decode()
        part.text()


@pytest.mark.clause("TR 01201-3.4 §2.1.2")
@given(
    st.lists(
        st.sampled_from(
            [b"Content-Type: ", b"multipart/mixed", b"; boundary=", b'"', b"b", b"\r\n", b"--b", b"--", b"\n", b"x"]
        ),
        max_size=40,
    )
)
def test_any_arrangement_is_read_without_an_error(pieces: list[bytes]) -> None:
    read_parts(Header((HeaderField(b"Content-Type: multipart/mixed; boundary=b\r\n"),)), b"".join(pieces))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ('Content-Disposition: attachment; filename="a b.pdf"', "a b.pdf"),
        ("Content-Disposition: attachment; filename=a.pdf", "a.pdf"),
        ("Content-Disposition: attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf", "Größe.pdf"),
        ("Content-Disposition: attachment; filename*=iso-8859-1'de'Gr%F6%DFe.pdf", "Größe.pdf"),
        ("Content-Disposition: attachment; filename=x.pdf; filename*=utf-8''y.pdf", "y.pdf"),
        ("Content-Disposition: attachment; filename*1*=%BC.pdf; filename*0*=utf-8''%C3", "ü.pdf"),
        ('Content-Disposition: attachment; filename*0="a;"; filename*1="b.pdf"', "a;b.pdf"),
        ("Content-Disposition: attachment; filename*0=a; filename*2=c", "a"),
        ("Content-Disposition: attachment; filename*1=a", None),
        ('Content-Disposition: attachment; filename="=?utf-8?q?=C3=BC.pdf?="', "ü.pdf"),
        ('Content-Disposition: attachment; filename="C:\\\\temp\\\\a.pdf"', "a.pdf"),
        ('Content-Disposition: attachment; filename="../../etc/passwd"', "passwd"),
        ("Content-Disposition: attachment; filename*=utf-8''..%2F..%2Fa", "a"),
        ("Content-Disposition: attachment; filename*=utf-8''a%0D%0Ab", "a\ufffd\ufffdb"),
        ('Content-Disposition: attachment; filename=".."', None),
        ('Content-Disposition: attachment; filename=""', None),
        ('Content-Disposition: attachment; filename="offen', '"offen'),
        ('Content-Type: application/pdf; name="b.pdf"', "b.pdf"),
        ("Content-Type: application/pdf", None),
        ("Content-Disposition: attachment; FileName=a.pdf", "a.pdf"),
        ("Content-Disposition: attachment; filename=a.pdf; filename=b.pdf", "a.pdf"),
    ],
)
def test_file_names_are_decoded_and_stripped_of_paths(fields: str, name: str | None) -> None:
    (part,) = read_parts(read_header(fields.encode() + b"\r\n"), b"")
    assert part.filename == name


def test_parameters_are_read_with_comments_of_quotes() -> None:
    assert parse_parameters('Multipart/Mixed; Boundary="a;\\"b"; x = y ;z') == (
        "multipart/mixed", {"boundary": 'a;"b', "x": "y"},
    )  # fmt: skip


@pytest.mark.parametrize("value", ["text", "text/", "a b/c", "/", "", "text/plain/x"])
def test_unreadable_content_type_is_plain_text(value: str) -> None:
    (part,) = read_parts(read_header(f"Content-Type: {value}; name=a\r\n".encode()), b"")
    assert (part.content_type, part.filename) == ("text/plain", None)


@pytest.mark.parametrize(
    ("encoding", "octets", "decoded"),
    [
        ("base64", b"R3I=\r\n", b"Gr"),
        ("BASE64 ", b" R3 I=", b"Gr"),
        ("base64", b"R3I", b"Gr"),
        ("base64", b"R3Izz", b"Gr3"),
        ("base64", b"", b""),
        ("base64", b"R", b""),
        ("base64", b"*-_", b""),
        ("quoted-printable", b"a=\r\nb=C3=BC=ZZ", "abü=ZZ".encode()),
        ("8bit", "ü".encode(), "ü".encode()),
        ("x-unknown", b"abc", b"abc"),
    ],
)
def test_transfer_encodings_are_removed_as_far_as_possible(encoding: str, octets: bytes, decoded: bytes) -> None:
    (part,) = read_parts(read_header(f"Content-Transfer-Encoding: {encoding}\r\n".encode()), octets)
    assert part.decode() == decoded


def test_text_follows_its_charset() -> None:
    (part,) = read_parts(read_header(b"Content-Type: text/plain; charset=iso-8859-1\r\n"), b"Gr\xfc\xdfe")
    assert part.text() == "Grüße"


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_agrees_with_the_standard_library_on_its_own_messages(size: int) -> None:
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = "x"
    message.set_content("Grüße\n")
    message.add_alternative("<p>Grüße</p>\n", subtype="html")
    octets = zlib.compress(b"x" * size) * (size // 10 or 1)
    message.add_attachment(octets, maintype="application", subtype="zip", filename="Übersicht 2026.zip")
    found = leaves(parts_of(message.as_bytes()))
    assert [part.content_type for part in found] == ["text/plain", "text/html", "application/zip"]
    assert found[0].text() == "Grüße\r\n"
    assert (found[2].decode(), found[2].filename, found[2].disposition) == (octets, "Übersicht 2026.zip", "attachment")
