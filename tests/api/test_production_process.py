"""A production installation lets its operator in without any secret: command line, process, and TLS proxy for real."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demail_gateway.embedded.ports import free_port
from tests.fakes.client_keys import ASSERTION_TYPE, certificate, claims, ec_key, jwk, pem, signed
from tests.harness.database import Database

HEADER = "X-Client-Certificate"
PUBLIC_URL = "https://gateway.test"
FORM = {"grant_type": "client_credentials"}
NOW = datetime.now(UTC)
KEY = base64.b64encode(bytes(range(32))).decode()


def identity(directory: Path, name: str) -> tuple[Path, Path]:
    """Files with a certificate of today and its key."""
    made, key = directory / f"{name}.pem", directory / f"{name}.key"
    made.write_text(pem(certificate(name, NOW.replace(microsecond=0), 40)), encoding="ascii")
    key.write_bytes(ec_key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made, key


@pytest.fixture
def environment(database: Database, redis_url: str, tmp_path: Path) -> dict[str, str]:
    installation, key = identity(tmp_path, "installation")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DEMAIL_")}
    settings = {
        "DATABASE_URL": database.app_url,
        "REDIS_URL": redis_url,
        **dict.fromkeys(("MASTER_KEY", "TOKEN_SECRET", "LOG_KEY"), KEY),
        "PUBLIC_URL": PUBLIC_URL,
        "API_PORT": str(free_port()),
        "INSTALLATION_CERTIFICATE_FILE": str(installation),
        "INSTALLATION_KEY_FILE": str(key),
        "TRUSTED_PROXIES": "127.0.0.2",
        "CLIENT_CERTIFICATE_HEADER": HEADER,
    }
    return {**plain, **{f"DEMAIL_{name}": value for name, value in settings.items()}}


async def command(environment: Mapping[str, str], *words: str | Path) -> tuple[int, Any]:
    """Exit code and JSON of a command, or its words on stderr."""
    argv = (sys.executable, "-m", "demail_gateway", *map(str, words))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    return process.returncode or 0, json.loads(out) if process.returncode == 0 else err.decode()


@asynccontextmanager
async def api(environment: Mapping[str, str]) -> AsyncIterator[str]:
    """The process, as long as the context lasts; its address."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "demail_gateway.api", env=environment)
    url = f"http://127.0.0.1:{environment['DEMAIL_API_PORT']}"
    try:
        async with httpx.AsyncClient() as http, asyncio.timeout(30):
            while True:
                try:
                    assert (await http.get(f"{url}/livez")).status_code == 200
                    break
                except httpx.TransportError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
        yield url
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def tls_proxy(directory: Path, upstream: int, *trusted: Path) -> AsyncIterator[str]:
    """Ends TLS, asks for a client certificate, and hands it on in the header; it speaks from 127.0.0.2."""
    made, key = identity(directory, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)
    context.verify_mode = ssl.CERT_OPTIONAL
    for each in trusted:
        context.load_verify_locations(each)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        fields = [line for line in head[1:] if line and not line.lower().startswith((HEADER.lower(), "connection"))]
        size = next((int(line[15:]) for line in fields if line.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(size)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if shown:
            fields.append(f"{HEADER}: {quote(ssl.DER_cert_to_PEM_cert(shown))}")
        behind, ahead = await asyncio.open_connection("127.0.0.1", upstream, local_addr=("127.0.0.2", 0))
        ahead.write("\r\n".join([head[0], *fields, "Connection: close", "", ""]).encode("latin-1") + body)
        writer.write(await behind.read())
        ahead.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def client(url: str, mine: tuple[Path, Path] | None = None) -> httpx.AsyncClient:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if mine is not None:
        context.load_cert_chain(*mine)
    return httpx.AsyncClient(base_url=url, verify=context)


@pytest.mark.clause("GWT-20", "GWT-25")
async def test_a_production_installation_is_administered_by_key_and_by_certificate(
    environment: dict[str, str], tmp_path: Path
) -> None:
    mine, foreign = identity(tmp_path, "leitstand"), identity(tmp_path, "fremd")
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [jwk(ec_key("leitstand"))]}))

    create = ("client", "create", "Leitstand", "--json")
    (code, words), (_, by_key), (_, by_certificate), (well, found) = await asyncio.gather(
        command(environment, *create),
        command(environment, *create, "--jwks", keys),
        command(environment, *create, "--certificate", mine[0]),
        command(environment, "doctor", "--json"),
    )
    assert code == 1
    assert "Client-Geheimnisse sind hier nicht zugelassen" in words
    assert well == 0, found
    assert (by_key["secret"], by_certificate["secret"]) == (None, None)

    async with api(environment) as url, tls_proxy(tmp_path, int(url.rpartition(":")[2]), mine[0], foreign[0]) as tls:
        assertion = signed(claims(by_key["id"], f"{PUBLIC_URL}/oauth2/token", datetime.now(UTC)), ec_key("leitstand"))
        form = {**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        async with client(tls) as bare:
            issued = (await bare.post("/oauth2/token", data=form)).json()
            headers = {"Authorization": f"Bearer {issued['access_token']}"}
            assert (await bare.get("/v1/operator/tenants", headers=headers)).json()["items"] == []

        form = {**FORM, "client_id": by_certificate["id"]}
        async with client(tls, mine) as http, client(tls, foreign) as others, client(tls) as bare, client(url) as past:
            issued = (await http.post("/oauth2/token", data=form)).json()
            bound = {"Authorization": f"Bearer {issued['access_token']}"}
            spoofed = {HEADER: quote(mine[0].read_text()), "X-Forwarded-For": "127.0.0.2"}
            headers = {**bound, **spoofed}
            asked = [await each.get("/v1/operator/tenants", headers=headers) for each in (http, others, bare, past)]
            assert [answer.status_code for answer in asked] == [200, 401, 401, 401]
            assert (await past.post("/oauth2/token", data=form, headers=spoofed)).status_code == 401
