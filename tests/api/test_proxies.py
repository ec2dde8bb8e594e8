"""What a reverse proxy says of a client: in which forms it is understood, and of whom it is believed."""

from __future__ import annotations

import base64
import hashlib
from ipaddress import ip_network
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from demail_gateway.api.proxies import DIRECT, LONGEST_HEADER, Proxies, fingerprint_in
from tests.fakes.client_keys import certificate, der, pem

CERTIFICATE = certificate("proxy")
PEM, DER = pem(CERTIFICATE), der(CERTIFICATE)
BASE64 = base64.b64encode(DER).decode()
FORMS = {
    "nginx, escaped": quote(PEM, safe=""),
    "nginx, escaped with slashes left": quote(PEM),
    "nginx, folded": PEM.replace("\n", "\n\t"),
    "Apache, blanks for line ends": PEM.replace("\n", " "),
    "HAProxy, DER in base64": BASE64,
    "Traefik, escaped body of the PEM": quote("".join(PEM.splitlines()[1:-1])),
    "Client-Cert of RFC 9440": f":{BASE64}:",
}


@pytest.mark.parametrize("header", FORMS.values(), ids=FORMS)
def test_a_certificate_is_read_in_every_form_that_proxies_use(header: str) -> None:
    assert fingerprint_in(header) == hashlib.sha256(DER).digest()


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        ":",
        "::",
        "(null)",
        "NONE",
        f"{PEM}{PEM}",
        f"{BASE64},{BASE64}",
        f":{BASE64}:, :{BASE64}:",
        f'Subject="CN=proxy";Cert="{quote(PEM)}"',
        PEM.replace("CERTIFICATE", "PUBLIC KEY"),
        PEM[:-40],
        "A" * (LONGEST_HEADER + 4),
        "%ff%fe",
    ],
)
def test_what_is_not_one_certificate_is_none(header: str) -> None:
    assert fingerprint_in(header) is None


@given(st.text(max_size=200))
def test_any_text_is_a_fingerprint_or_none(header: str) -> None:
    found = fingerprint_in(header)
    assert found is None or len(found) == 32


PROXIES = Proxies((ip_network("10.0.0.0/8"), ip_network("fd00::/8")), "X-Cert")


def request(peer: str | None, *headers: tuple[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "headers": raw, "client": None if peer is None else (peer, 1)})


@pytest.mark.parametrize("peer", ["10.1.2.3", "fd00::7", "::ffff:10.1.2.3"])
def test_a_known_proxy_is_believed(peer: str) -> None:
    assert PROXIES.certificate_sha256(request(peer, ("X-Cert", BASE64))) == hashlib.sha256(DER).digest()


@pytest.mark.parametrize("peer", ["11.1.2.3", "fe80::7", "::ffff:11.1.2.3", "localhost", "", None])
def test_nobody_else_is(peer: str | None) -> None:
    forwarded = ("X-Forwarded-For", "10.0.0.1")
    assert PROXIES.certificate_sha256(request(peer, ("X-Cert", BASE64), forwarded)) is None


def test_without_a_header_named_no_certificate_is_looked_for() -> None:
    assert DIRECT.certificate_sha256(request("10.1.2.3", ("X-Cert", BASE64), ("None", BASE64))) is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.1", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("198.51.100.66", ["10.0.0.1"], "198.51.100.66"),
        (None, ["198.51.100.7"], "unknown"),
    ],
)
def test_the_source_is_the_last_hop_that_a_known_proxy_has_seen(
    peer: str | None, forwarded: list[str], source: str
) -> None:
    assert PROXIES.source(request(peer, *(("X-Forwarded-For", each) for each in forwarded))) == source


def test_without_known_proxies_the_peer_is_the_source() -> None:
    assert DIRECT.source(request("10.0.0.1", ("X-Forwarded-For", "198.51.100.7"))) == "10.0.0.1"
