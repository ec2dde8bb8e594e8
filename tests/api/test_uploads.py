"""POST attachments: streamed, checked, and nothing kept of what is refused."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Iterable

import pytest
from httpx import Response
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from demail_gateway.api.multipart import FilePart
from demail_gateway.api.problems import Problem
from demail_gateway.core.eicar import EICAR
from demail_gateway.core.errors import StoreUnavailable
from demail_gateway.tenancy.scope import Scope
from tests.fakes.gateway import UPLOAD_BYTES, Gateway


def digest(octets: bytes, algorithm: str = "sha-256") -> str:
    return f"{algorithm}=:{base64.b64encode(hashlib.sha256(octets).digest()).decode()}:"


async def plain(gateway: Gateway, octets: bytes, name: str = "a.bin", **headers: str) -> Response:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return await gateway.call("POST", "attachments", params={"filename": name}, content=octets, headers=named)


async def test_a_plain_body_is_stored_with_its_digest(gateway: Gateway) -> None:
    octets = bytes(range(256)) * 300
    answer = await plain(gateway, octets, "bär.bin", Content_Type="application/pdf", Repr_Digest=digest(octets))
    body = answer.json()
    assert answer.status_code == 201
    assert body.pop("id").startswith("att_")
    assert body == {
        "filename": "bär.bin",
        "content_type": "application/pdf",
        "size_bytes": len(octets),
        "sha256": hashlib.sha256(octets).hexdigest(),
    }
    ((facts, stored),) = gateway.world.uploads.values()
    assert (stored, facts.filename) == (octets, "bär.bin")


async def test_a_form_is_stored_like_a_plain_body(gateway: Gateway) -> None:
    octets = b"\r\n--x\r\n" * 20_000
    answer = await gateway.call("POST", "attachments", files={"file": ("bär.pdf", octets, "application/pdf")})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["filename"], answer.json()["content_type"]) == ("bär.pdf", "application/pdf")
    ((_, stored),) = gateway.world.uploads.values()
    assert stored == octets


async def test_an_empty_file_is_a_file(gateway: Gateway) -> None:
    assert (await plain(gateway, b"")).json()["size_bytes"] == 0
    form = await gateway.call("POST", "attachments", files={"file": ("leer.txt", b"", "text/plain")})
    assert form.json()["size_bytes"] == 0


async def test_another_digest_than_announced_keeps_nothing(gateway: Gateway) -> None:
    answer = await plain(gateway, b"content", Repr_Digest=digest(b"other"))
    assert (answer.status_code, answer.json()["code"]) == (422, "digest-mismatch")
    assert gateway.world.uploads == {}


@pytest.mark.parametrize(
    "header", ["", "x", "sha-256=abc", "sha-512=:AAAA:", "sha-256=:!!:", "sha-256=:AAAA:", "sha-256=:=:"]
)
async def test_a_digest_that_cannot_be_checked_is_refused(gateway: Gateway, header: str) -> None:
    answer = await plain(gateway, b"x", Repr_Digest=header)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/repr-digest")
    assert gateway.world.uploads == {}


@pytest.mark.clause("SND-18")
async def test_malware_in_an_upload_is_refused_and_nothing_is_kept(gateway: Gateway) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bescheid.com", EICAR)
    for octets in (EICAR, zipped.getvalue()):
        answer = await plain(gateway, octets)
        assert (answer.status_code, answer.json()["code"], answer.json()["rule"]) == (422, "malware-found", "SND-18")
    assert gateway.world.uploads == {}


async def test_one_of_several_digests_is_enough(gateway: Gateway) -> None:
    header = f"sha-512=:AAAA:, {digest(b'x')}"
    assert (await plain(gateway, b"x", Repr_Digest=header)).status_code == 201


async def test_a_digest_beside_a_form_is_refused_because_it_would_go_unchecked(gateway: Gateway) -> None:
    answer = await gateway.call(
        "POST", "attachments", files={"file": ("a", b"x")}, headers={"Repr-Digest": digest(b"x")}
    )
    assert answer.status_code == 422


@pytest.mark.clause("SND-19")
@pytest.mark.parametrize("way", ["plain", "form", "unannounced"])
async def test_more_than_the_limit_is_413_and_nothing_is_kept(gateway: Gateway, way: str) -> None:
    octets = b"x" * (UPLOAD_BYTES + 1)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(octets), 65_536):
            yield octets[start : start + 65_536]

    if way == "form":
        answer = await gateway.call("POST", "attachments", files={"file": ("a.bin", octets)})
    else:
        content = octets if way == "plain" else pieces()
        answer = await gateway.call("POST", "attachments?filename=a", content=content)
    assert (answer.status_code, answer.json()["code"], answer.json()["rule"]) == (413, "too-large", "SND-19")
    assert gateway.world.uploads == {}


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("", "text/plain"),
        ("a\r\nb", "text/plain"),
        ("a\x00b", "text/plain"),
        ("../../etc/passwd", "text/plain"),
        ("a\\b", "text/plain"),
        ("a" * 256, "text/plain"),
        ("\u202efdp.exe", "text/plain"),
        ("a", "nonsense"),
        ("a", "message/rfc822"),
    ],
)
@pytest.mark.parametrize("language", ["de", "en"])
async def test_names_and_types_that_no_attachment_can_have_are_refused(
    gateway: Gateway, name: str, content_type: str, language: str
) -> None:
    answer = await plain(gateway, b"x", name, Content_Type=content_type, Accept_Language=language)
    assert (answer.status_code, answer.json()["code"], answer.json()["rule"]) == (422, "invalid-message", "SND-23")
    assert gateway.world.uploads == {}


async def test_a_plain_body_needs_a_name(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "attachments", content=b"x")
    assert answer.json()["errors"][0]["pointer"] == "/filename"


async def test_uploading_needs_the_scope_to_send(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "attachments?filename=a", Scope.MESSAGES_READ, content=b"x")
    assert answer.status_code == 403


async def test_an_upload_under_a_key_is_answered_once(gateway: Gateway) -> None:
    first = await plain(gateway, b"x", Idempotency_Key="k")
    second = await plain(gateway, b"x", Idempotency_Key="k")
    assert first.content == second.content
    assert second.headers["idempotency-replayed"] == "true"
    assert (await plain(gateway, b"y", Idempotency_Key="k")).json()["code"] == "idempotency-key-reused"
    other_type = await plain(gateway, b"x", Idempotency_Key="k", Content_Type="application/pdf")
    assert other_type.json()["code"] == "idempotency-key-reused"
    assert (await plain(gateway, b"x", "b.bin", Idempotency_Key="k")).json()["code"] == "idempotency-key-reused"
    assert (await plain(gateway, b"y", Idempotency_Key=" ")).status_code == 400
    # nothing is left of what was only answered again or refused
    ((facts, _),) = gateway.world.uploads.values()
    assert first.json()["id"] == f"att_{facts.id}"


async def test_an_upload_whose_answer_may_be_kept_is_not_deleted(gateway: Gateway) -> None:
    gateway.world.failing = {"keep": StoreUnavailable()}
    assert (await plain(gateway, b"x", Idempotency_Key="k")).status_code == 503
    assert len(gateway.world.uploads) == 1


async def test_a_failed_upload_frees_its_key(gateway: Gateway) -> None:
    gateway.world.failing = {"upload": StoreUnavailable()}
    assert (await plain(gateway, b"x", Idempotency_Key="k")).status_code == 503
    gateway.world.failing = {}
    assert (await plain(gateway, b"x", Idempotency_Key="k")).status_code == 201


# --- forms that are none

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
MALFORMED = [
    b"",
    b"no form at all",
    b"--b\r\n",
    b"--b--\r\n",
    HEAD,
    HEAD + b"content",
    HEAD + b"content\r\n--b",
    HEAD + b"content\r\n--b\r\n",
    HEAD.replace(b'name="file"', b'name="other"') + b"x\r\n--b--\r\n",
    HEAD.replace(b"form-data", b"attachment") + b"x\r\n--b--\r\n",
    HEAD + b"x\r\n" + HEAD + b"y\r\n--b--\r\n",
    HEAD.replace(b'"a"', b'"\xff"') + b"x\r\n--b--\r\n",
    b"--b\r\nX: " + b"x" * 100_000 + b"\r\n\r\nx\r\n--b--\r\n",
    b"--b\r\n" + b"X: y\r\n" * 1000 + b"\r\nx\r\n--b--\r\n",
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
async def test_a_malformed_form_is_refused_and_nothing_is_kept(gateway: Gateway, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await gateway.call("POST", "attachments", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert gateway.world.uploads == {}


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 5000],
)
async def test_a_form_needs_a_boundary(gateway: Gateway, content_type: str) -> None:
    answer = await gateway.call("POST", "attachments", content=HEAD, headers={"Content-Type": content_type})
    assert answer.status_code == 422


async def _stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _file(pieces: Iterable[bytes]) -> tuple[str, bytes]:
    part = FilePart("multipart/form-data; boundary=b", _stream(pieces))
    await part.begin()
    return part.filename, b"".join([piece async for piece in part.chunks()])


@settings(max_examples=80)
@given(
    content=st.lists(st.sampled_from([b"\r\n", b"--b", b"--", b"-", b"\r", b"\n", b"x", b"\0\xff"]), max_size=30),
    size=st.integers(1, 40),
)
async def test_cutting_the_stream_anywhere_changes_nothing(content: list[bytes], size: int) -> None:
    octets = b"".join(content)
    assume(b"\r\n--b" not in b"\r\n" + octets)
    body = HEAD + octets + b"\r\n--b--\r\n"
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    assert await _file(pieces) == ("a", octets)


async def test_octets_after_the_form_do_not_belong_to_the_file() -> None:
    with pytest.raises(Problem):
        await _file([HEAD + b"x\r\n--b\r\nY"])


async def test_the_location_of_an_upload_tells_what_was_uploaded(gateway: Gateway) -> None:
    made = await plain(gateway, b"x")
    path = made.headers["location"].removeprefix("/v1/tenants/stadt-elbtal/")
    assert (await gateway.call("GET", path)).json() == made.json()
    assert (await gateway.call("GET", path, kit=gateway.firm)).status_code == 404
    assert (await gateway.call("GET", "attachments/att_x")).status_code == 404
