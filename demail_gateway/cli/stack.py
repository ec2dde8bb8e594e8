"""A whole test installation on this machine: servers, sandbox provider, api, worker, inbound, scheduler, two tenants.

Used by `dev`, `demo` and the benchmarks. Nothing of it is for production: keys are in software and in a temporary
directory, the provider is the sandbox, SMTP and HTTP stay on the loopback interface.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from demail_gateway.bootstrap.command_line import administration
from demail_gateway.bootstrap.offline import fingerprint_of, new_identity
from demail_gateway.bootstrap.schema import migrate
from demail_gateway.cli.places import Servers
from demail_gateway.cli.processes import MODULES
from demail_gateway.cli.rest import Rest, RestFailed
from demail_gateway.cli.sandbox_client import SandboxFacts, certificate_for
from demail_gateway.cli.seed import Seeded, Wanted, take_on
from demail_gateway.cli.supervise import ChildFailed, OnRestart, Say, Supervisor, answers, listens, stop_signals
from demail_gateway.embedded import EmbeddedError, place
from demail_gateway.embedded.ports import free_port, is_taken
from demail_gateway.settings import Settings, load_settings

Step = Callable[[str], None]
"""Told, in German, what is being done."""

DOMAINS = ("de-mail.de", "sandbox.de-mail.de")
"""The trust list of the sandbox connection: the common De-Mail domain, below it the provider's own (CO-2)."""
SHORT_WAITS = {
    "RETRY_FIRST_S": "1",
    "RETRY_LONGEST_S": "30",
    "SETTLE_FIRST_S": "1",
    "ABSENCE_S": "2",
    "LEASE_S": "10",
    "ATTEMPT_S": "20",
    "SWEEP_S": "0.5",
    "CRL_REFRESH_S": "30",
}
"""Waiting times of `dev`: nobody wants to wait for what takes minutes in production."""


@dataclass(slots=True)
class Running:
    """The installation once it is up."""

    base_url: str
    operator_id: str
    operator_secret: str = field(repr=False)
    tenants: tuple[Seeded, ...]
    sandbox: SandboxFacts
    servers: Servers
    connection_id: str
    variables: Mapping[str, str]
    """Settings of the gateway's processes, for commands beside them; secrets are files."""

    def operator(self) -> Rest:
        return Rest(self.base_url, self.operator_id, self.operator_secret)

    def client(self, tenant: Seeded) -> Rest:
        return Rest(self.base_url, tenant.client_id, tenant.client_secret)


class Stack:
    """Use as an async context in the main thread; leaving it stops everything and removes the directory.

    `say` is told what ends by itself and comes back.
    """

    def __init__(
        self,
        *,
        api_port: int,
        wanted: Sequence[Wanted],
        step: Step,
        environ: Mapping[str, str],
        say: Say = lambda _: None,
    ) -> None:
        self._api_port = api_port
        self._wanted = wanted
        self._step = step
        self._environ = environ
        # held by a lock: what a killed run has left is removed here, keys and secrets with it
        self._place = place.temporary("demail-run-", account=None, in_memory=False)
        self.directory = self._place.path
        (self.directory / _TEMPORARY).mkdir()
        self.supervisor = Supervisor(self.directory, say)
        self._servers: Servers | None = None
        self.keep = False
        """Whether logs and evidence packages shall stay when the rest goes."""
        self.kept: Path | None = None
        """Where they are then; also those of a run that did not come up."""

    async def __aenter__(self) -> Self:
        await self.supervisor.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.supervisor.__aexit__(kind, error, trace)
        finally:
            # an impatient third Ctrl-C must not leave keys and data behind; what is left takes a moment
            before = {each: signal.signal(each, signal.SIG_IGN) for each in stop_signals()}
            try:
                if self._servers is not None:
                    await self._servers.stop()
            finally:
                if self.keep or isinstance(error, ChildFailed | RestFailed):
                    self.kept = kept_of(self.directory)
                self._place.release()
                for each, handler in before.items():
                    signal.signal(each, handler)

    async def start(self) -> Running:
        """Everything up, tenants taken on.

        Raises:
            ChildFailed, StopRequested: see `Supervisor`.
            EmbeddedError: the port is taken, or a private server cannot be started.
        """
        self._need_port()
        inbound_port = free_port()
        self._step("PostgreSQL, Redis und Sandbox-Anbieter starten")
        self._add_sandbox(inbound_port)
        starting = asyncio.create_task(self.supervisor.start())
        try:
            self._servers = servers = await Servers.start(self.directory, self._environ)
            await migrate(servers.access.owner_url, servers.access.app_role)
        finally:
            await starting
        sandbox = SandboxFacts.read(json.loads((self.directory / "sandbox.json").read_text(encoding="utf-8")))
        self._step("Zertifikate beantragen, Gateway starten")
        variables = self._variables(servers, inbound_port)
        await self._certify(sandbox, variables)
        operator_id, operator_secret = await self._first_operator(variables)
        self._need_port()
        self._add_gateway(variables, inbound_port)
        await self.supervisor.start(together=True)
        self._step("Mandanten aufnehmen")
        base_url = f"http://127.0.0.1:{self._api_port}"
        async with Rest(base_url, operator_id, operator_secret) as operator:
            connection_id, tenants = await self.supervisor.unless_told(self._take_on(operator, sandbox, variables))
        return Running(
            base_url=base_url,
            operator_id=operator_id,
            operator_secret=operator_secret,
            tenants=tenants,
            sandbox=sandbox,
            servers=servers,
            connection_id=connection_id,
            variables=variables,
        )

    def _need_port(self) -> None:
        """Another program there would answer in our API's place, and be told secrets."""
        if is_taken(self._api_port):
            raise EmbeddedError(f"Port {self._api_port} ist belegt; mit --port einen anderen wählen")

    async def _take_on(
        self, operator: Rest, sandbox: SandboxFacts, variables: Mapping[str, str]
    ) -> tuple[str, tuple[Seeded, ...]]:
        """Id of the connection, and the tenants on it."""
        connection = await operator.post(
            "/v1/operator/connections",
            {"name": "sandbox", "auth_level": "high", "profile": self._profile(sandbox, variables)},
        )
        taken = (take_on(operator, sandbox.url, connection["id"], wanted) for wanted in self._wanted)
        return connection["id"], tuple(await asyncio.gather(*taken))

    async def watch(self, on_restart: OnRestart) -> None:
        """Keeps everything running until a signal to stop."""
        if self._servers is not None:
            for name, server in self._servers.private.items():
                self.supervisor.keep(name, server)
        await self.supervisor.watch(on_restart)

    def _add_sandbox(self, inbound_port: int) -> None:
        ready = self.directory / "sandbox.json"
        words = {
            "--directory": self.directory / "sandbox",
            "--ready-file": ready,
            "--gateway-host": "127.0.0.1",
            "--gateway-port": inbound_port,
            "--gateway-server-name": "localhost",
        }
        argv = [sys.executable, "-m", "demail_gateway.sandbox", *(str(w) for pair in words.items() for w in pair)]

        async def is_ready() -> bool:
            return ready.exists()

        self.supervisor.add("sandbox", argv, self._child_environment(), is_ready, sign=ready)

    def _add_gateway(self, variables: Mapping[str, str], inbound_port: int) -> None:
        environment = {**self._child_environment(), **variables}

        def alive(name: str) -> Callable[[], Awaitable[bool]]:
            heartbeat = self.directory / f"{name}.alive"

            async def is_alive() -> bool:
                return heartbeat.exists()

            return is_alive

        ready = {
            "api": lambda: answers(f"http://127.0.0.1:{self._api_port}/livez"),
            "worker": alive("worker"),
            "inbound": lambda: listens(inbound_port),
            "scheduler": alive("scheduler"),
        }
        for name in MODULES:
            sign = self.directory / f"{name}.alive"
            own = {**environment, "DEMAIL_HEARTBEAT_FILE": str(sign)}
            # the module itself: the command would only load the command line before becoming it
            self.supervisor.add(name, [sys.executable, "-m", MODULES[name]], own, ready[name], sign=sign)

    def _child_environment(self) -> dict[str, str]:
        """What a child needs of our environment; none of our variables, which would reach it twice.

        Its temporary files lie in our directory and go with it, also those of a child that was killed.
        """
        plain = {name: value for name, value in os.environ.items() if not name.startswith("DEMAIL_")}
        return {**plain, "TMPDIR": str(self.directory / _TEMPORARY)}

    def _variables(self, servers: Servers, inbound_port: int) -> dict[str, str]:
        """Settings of the gateway's processes; secrets as files, as in production."""
        secret_values = {
            "DATABASE_URL": servers.access.app_url,
            "REDIS_URL": servers.redis_url,
            "MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "TOKEN_SECRET": base64.b64encode(secrets.token_bytes(32)).decode(),
            "LOG_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        }
        plain = {
            "ENVIRONMENT": "dev",
            "SCANNER": "eicar-test",
            "API_PORT": str(self._api_port),
            "PUBLIC_URL": f"http://127.0.0.1:{self._api_port}",
            "QUEUE": servers.database,
            "MESSAGE_ID_DOMAIN": "gateway.example",
            "INBOUND_PORT": str(inbound_port),
            "INBOUND_CERTIFICATE_FILE": str(self.directory / "inbound.pem"),
            "INBOUND_KEY_FILE": str(self.directory / "inbound.key"),
            "INSTALLATION_CERTIFICATE_FILE": str(self.directory / "installation.pem"),
            "INSTALLATION_KEY_FILE": str(self.directory / "installation.key"),
            **SHORT_WAITS,
            **{
                name.removeprefix("DEMAIL_"): value
                for name, value in self._environ.items()
                if name.startswith("DEMAIL_") and name.removeprefix("DEMAIL_") in _MAY_BE_CHANGED
            },
        }
        variables = {f"DEMAIL_{name}": value for name, value in plain.items()}
        for name, value in secret_values.items():
            path = self.directory / name.lower()
            _write_private(path, value.encode())
            variables[f"DEMAIL_{name}_FILE"] = str(path)
        return variables

    async def _certify(self, sandbox: SandboxFacts, variables: Mapping[str, str]) -> None:
        """Keys of our own, certified by the sandbox's authority."""

        async def one(name: str, profile: str, common_name: str) -> None:
            key_pem, csr_pem = await asyncio.to_thread(new_identity, common_name, ("localhost",), ("127.0.0.1",))
            certificate, chain = await certificate_for(sandbox.url, csr_pem, profile)
            _write_private(self.directory / f"{name}.key", key_pem)
            (self.directory / f"{name}.pem").write_text("".join((certificate, *chain)), encoding="ascii")

        await asyncio.gather(
            one("inbound", "tls-server", "localhost"),
            one("provider-client", "tls-client", "De-Mail-Gateway"),
            one("installation", "installation", "De-Mail-Gateway Testinstallation"),
        )

    def _profile(self, sandbox: SandboxFacts, variables: Mapping[str, str]) -> dict[str, Any]:
        return {
            "smtp": {"host": sandbox.host, "port": sandbox.smtp_port, "server_name": sandbox.server_name},
            "domains": list(DOMAINS),
            "provider_domains": [sandbox.domain],
            "client_certificate_file": str(self.directory / "provider-client.pem"),
            "client_key_file": str(self.directory / "provider-client.key"),
            "tls_anchors": sandbox.trust_anchor.read_text(encoding="ascii"),
            "signature_certificates": [fingerprint_of(sandbox.signature_certificate.read_bytes())],
            "crl_urls": [sandbox.crl_url],
            "ocsp_urls": [sandbox.ocsp_url],
            "lookup_url": f"{sandbox.provider_url}/submissions",
            "directory_url": f"{sandbox.provider_url}/directory",
            "peers": [fingerprint_of(sandbox.peer_certificate.read_bytes())],
            "test": True,
        }

    async def _first_operator(self, variables: Mapping[str, str]) -> tuple[str, str]:
        settings = self.settings(variables)
        async with administration(settings) as admin:
            return await admin.create_operator("Testbetrieb")

    def settings(self, variables: Mapping[str, str]) -> Settings:
        return load_settings(variables)


_TEMPORARY = "tmp"
_WORTH_KEEPING = ("*.log", "msg_*.zip", "trust-anchor.pem")
_MAY_BE_CHANGED = frozenset(
    {*SHORT_WAITS, "WORKER_PROCESSES", "DATABASE_POOL", "LOG_LEVEL", "WAITING_TIME_S", "ALLOW_PLAIN_SMTP", "SCANNER"}
)
"""Settings of a test installation that its environment may set otherwise."""


def kept_of(directory: Path) -> Path:
    """A new directory beside it with its logs, evidence packages and trust anchor, and none of its keys and secrets."""
    kept = Path(tempfile.mkdtemp(prefix="demail-kept-", dir=directory.parent))
    for pattern in _WORTH_KEEPING:
        for path in directory.glob(pattern):
            path.rename(kept / path.name)
    return kept


def _write_private(path: Path, octets: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(octets)
