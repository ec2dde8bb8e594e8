"""The running sandbox: its parts put together, started and stopped in order."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.observability.logs import get_logger
from demail_gateway.sandbox import tables
from demail_gateway.sandbox.citizens import Citizens
from demail_gateway.sandbox.clock import Clock, system_time
from demail_gateway.sandbox.configuration import DOMAIN, Configuration, GatewayPeer
from demail_gateway.sandbox.control import IssuedOut, control_app
from demail_gateway.sandbox.dispatcher import Dispatcher
from demail_gateway.sandbox.effects import Account, Folder, Outgoing, StoredMessage
from demail_gateway.sandbox.enquiries import DirectoryEntry, provider_app
from demail_gateway.sandbox.identity import open_identity
from demail_gateway.sandbox.issuing import ProviderIssuer
from demail_gateway.sandbox.letters import Letter
from demail_gateway.sandbox.listeners import HttpListener, is_free
from demail_gateway.sandbox.procedure import Procedure
from demail_gateway.sandbox.provider import Books, Desk
from demail_gateway.sandbox.smtp_client import Forwarder, Verdict
from demail_gateway.sandbox.smtp_server import SubmissionServer
from demail_gateway.sandbox.store import Store
from demail_gateway.trust.authority import Profile
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.tls import client_context, server_context

_log = get_logger(__name__)


class Sandbox:
    """`start`, then everything works until `stop`. One per directory and process."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._outage: asyncio.TimerHandle | None = None
        self._is_away = False
        self._network = asyncio.Lock()
        self._back: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises OSError when a port is taken or the directory cannot be used."""
        configuration = self._configuration
        configuration.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store = Store(configuration.directory / "mail.sqlite3")
        await self._store.open()
        self._ports = await self._usable_ports()
        self._control = HttpListener(control_app(self), bind=configuration.bind, port=self._ports["http"])
        self.url = configuration.public_url or f"http://{_host(configuration.bind)}:{self._control.port}"
        offset_s, revoked, gateway, levels, accounts = await self._store.run(_read_books)
        self._clock = Clock(offset_s)
        self._identity = await open_identity(
            configuration.directory,
            host_name=configuration.host_name,
            alternative_names=configuration.alternative_names,
            url=self.url,
            revoked=revoked,
            at=system_time(),
        )
        self._build(Books(levels, accounts))
        await self._start_parts(configuration.gateway or gateway)
        ports = {"http": self._control.port, "smtp": self._smtp.port, "provider": self._provider.port}
        await self._store.run(partial(tables.set_setting, name="ports", value=ports))
        _write_ready_file(configuration.ready_file, self.describe())
        _log.warning("sandbox_ready", note="TEST: kein De-Mail-Anbieter", url=self.url, smtp_port=self._smtp.port)

    async def stop(self) -> None:
        """Finishes what was begun; the rest waits in the store for the next start."""
        if self._outage is not None:
            self._outage.cancel()
        if self._back is not None:
            await asyncio.wait([self._back])
        await asyncio.gather(self._control.stop(), self._provider.stop(), self._smtp.stop())
        await self._forwarder.stop()
        await self._dispatcher.stop()
        await self._store.close()

    def _build(self, books: Books) -> None:
        identity, configuration = self._identity, self._configuration
        issuer = ProviderIssuer(identity, host_name=configuration.host_name)
        anchor = identity.authority.certificate_pem
        self._forwarder = Forwarder(self._store, client_context(anchor, identity.tls_client), self._settle)
        self._dispatcher = Dispatcher(self._store, self._clock, Procedure(issuer).perform, self._forwarder.add)
        self._desk = Desk(
            self._store, self._clock, identity, self._dispatcher, books, host_name=configuration.host_name
        )
        self._citizens = Citizens(self._store, self._clock, identity, self._desk, host_name=configuration.host_name)
        tls = server_context(identity.tls_server, client_anchors=anchor)
        bind = configuration.bind
        self._smtp = SubmissionServer(
            self._desk, tls, host_name=configuration.host_name, bind=bind, port=self._ports["smtp"]
        )
        self._provider = HttpListener(
            provider_app(self),
            bind=bind,
            port=self._ports["provider"],
            context=tls,
            is_welcome=lambda certificate: self._desk.client(certificate) is not None,
        )

    async def _usable_ports(self) -> dict[str, int]:
        """As asked for; where any port will do, that of the last start if it is free: gateways know it."""
        configuration = self._configuration
        last = await self._store.run(partial(tables.setting, name="ports")) or {}
        asked = {
            "http": configuration.http_port,
            "smtp": configuration.smtp_port,
            "provider": configuration.provider_port,
        }
        return {
            name: port or (last.get(name, 0) if is_free(configuration.bind, last.get(name, 0)) else 0)
            for name, port in asked.items()
        }

    async def _start_parts(self, gateway: GatewayPeer | None) -> None:
        self._forwarder.start()
        self._forwarder.reach(gateway)
        await self._dispatcher.start()
        await self._smtp.start()
        await self._provider.start()
        await self._control.start()

    async def _settle(self, outgoing: Outgoing, message: StoredMessage, verdict: Verdict) -> None:
        await self._desk.settle(outgoing, message, verdict)

    def describe(self) -> dict[str, Any]:
        """What the ready file says."""
        directory = self._configuration.directory.resolve()
        return {
            "url": self.url,
            "domain": DOMAIN,
            "host": _host(self._configuration.bind),
            "server_name": self._configuration.host_name,
            "smtp_port": self._smtp.port,
            "provider_url": f"https://{_host(self._configuration.bind)}:{self._provider.port}",
            "trust_anchor": str(directory / "ca.pem"),
            "crl_url": f"{self.url}/crl.der",
            "ocsp_url": f"{self.url}/ocsp",
            "certificates": {
                "signature": str(directory / "signature.pem"),
                "tls_server": str(directory / "tls-server.pem"),
                "tls_client": str(directory / "tls-client.pem"),
            },
            "certificates_url": f"{self.url}/certificates",
            "pid": os.getpid(),
        }

    # --- the control surface's operations -----------------------------------------------------------------------------

    async def write(self, letter: Letter) -> tuple[str, bytes]:
        return await self._citizens.write(letter)

    async def mailbox(self, address: str, folder: Folder) -> list[dict[str, Any]]:
        return await self._citizens.mailbox(address, folder)

    async def begin_outage(self, seconds: float) -> None:
        """Off the network; the control surface stays. A call during an outage counts anew from now."""
        if self._outage is not None:
            self._outage.cancel()
            self._outage = None
        if seconds <= 0:
            await self._return()
            return
        await self._leave()
        self._outage = asyncio.get_running_loop().call_later(seconds, self._come_back)
        _log.warning("sandbox_outage", seconds=seconds)

    async def advance(self, seconds: float) -> str:
        return (await self._desk.advance(seconds)).isoformat()

    async def set_level(self, fingerprint: str, level: AuthLevel) -> None:
        await self._desk.set_level(fingerprint, level)

    async def set_account(self, account: Account) -> None:
        await self._desk.set_account(account)

    async def set_gateway(self, peer: GatewayPeer) -> None:
        value = [peer.host, peer.port, peer.server_name]
        await self._store.run(partial(tables.set_setting, name="gateway", value=value))
        self._forwarder.reach(peer)

    def issue(self, csr_pem: bytes, profile: Profile, days: int) -> IssuedOut:
        issued = self._identity.issue(csr_pem, profile, system_time(), timedelta(days=days))
        return IssuedOut(
            certificate=der_to_pem(issued.certificate_der).decode("ascii"),
            chain=[der_to_pem(der).decode("ascii") for der in issued.chain],
            serial=str(issued.facts.serial_number),
            fingerprint=issued.facts.fingerprint_sha256,
        )

    async def revoke(self, serial_number: int, reason: str | None) -> None:
        # X.509 has whole seconds: a revocation dated into the running second must already hold in it.
        self._identity.revoke(serial_number, system_time().replace(microsecond=0), reason)
        value = sorted(str(serial) for serial in self._identity.revoked)
        await self._store.run(partial(tables.set_setting, name="revoked", value=value))

    def crl(self) -> bytes:
        return self._identity.crl(system_time())

    def ocsp(self, request: bytes) -> bytes:
        return self._identity.ocsp(request, system_time())

    def trust_anchor(self) -> bytes:
        return self._identity.authority.certificate_pem

    # --- the providers' port ------------------------------------------------------------------------------------------

    async def submitted(self, private_id: str) -> tuple[str, str] | None:
        return await self._desk.submitted(private_id)

    async def directory_entry(self, address: str) -> DirectoryEntry | None:
        return await self._citizens.directory_entry(address)

    # --- outage -------------------------------------------------------------------------------------------------------

    def _come_back(self) -> None:
        self._outage = None
        self._back = asyncio.get_running_loop().create_task(self._return())

    async def _leave(self) -> None:
        async with self._network:
            if not self._is_away:
                self._is_away = True
                self._forwarder.pause()
                await self._smtp.stop()
                await self._provider.stop()

    async def _return(self) -> None:
        async with self._network:
            if self._is_away:
                await self._smtp.start()
                await self._provider.start()
                self._forwarder.resume()
                self._is_away = False


_BooksRead = tuple[float, set[int], GatewayPeer | None, dict[str, str], dict[str, Account]]


def _read_books(connection: Any) -> _BooksRead:
    gateway = tables.setting(connection, "gateway")
    return (
        tables.setting(connection, "clock-offset") or 0.0,
        {int(serial) for serial in tables.setting(connection, "revoked") or ()},
        None if gateway is None else GatewayPeer(*gateway),
        tables.connections(connection),
        tables.accounts(connection),
    )


def _host(bind: str) -> str:
    """How this machine reaches what is bound to all addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bind, f"[{bind}]" if ":" in bind else bind)  # noqa: S104


def _write_ready_file(path: Path | None, facts: dict[str, Any]) -> None:
    """Whole or not at all: who waits for it must never read half."""
    if path is None:
        return
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(facts, indent=1) + "\n")
    part.replace(path)
