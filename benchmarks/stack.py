"""The product under measurement: the whole stack of `dev`, with one more tenant whose provider is the counting sink."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from benchmarks.postfix import Sink
from demail_gateway.cli.seed import Seeded, Wanted, take_on
from demail_gateway.cli.stack import DOMAINS, Running, Stack
from demail_gateway.embedded.ports import free_port

SENDER = "poststelle@messstelle.de-mail.de"
RECIPIENT = "normal@sandbox.de-mail.de"
TENANT = Wanted("messstelle", "Messstelle", "authority", True, (SENDER,))


@dataclass(frozen=True, slots=True)
class Product:
    """The running product and its sink."""

    stack: Stack
    running: Running
    tenant: Seeded
    sink: Sink
    port: int
    token: str

    @property
    def messages_path(self) -> str:
        return f"/v1/tenants/{self.tenant.slug}/messages"

    def pid(self, name: str) -> int:
        return self.stack.supervisor.pids()[name]

    @contextmanager
    def paused(self, *names: str) -> Iterator[None]:
        """Processes that must not take part are stopped meanwhile, with their children."""
        groups = [os.getpgid(self.pid(name)) for name in names]
        for group in groups:
            os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            for group in groups:
                os.killpg(group, signal.SIGCONT)


@asynccontextmanager
async def product() -> AsyncIterator[Product]:
    """Everything up, durability on (fsync, synchronous commit), the tenant's RSA-3072 key certified."""
    environ = {**os.environ, "DEMAIL_ALLOW_PLAIN_SMTP": "true", "DEMAIL_LOG_LEVEL": "WARNING", "DEMAIL_SCANNER": "none"}
    sink = Sink()
    port = free_port()
    try:
        async with Stack(api_port=port, wanted=(), step=lambda _: None, environ=environ) as stack:
            running = await stack.start()
            async with running.operator() as operator:
                connection = await operator.post("/v1/operator/connections", _sink_connection(sink))
                tenant = await take_on(operator, running.sandbox.url, connection["id"], TENANT)
            async with running.client(tenant) as client:
                token = await client.token()
            yield Product(stack, running, tenant, sink, port, token)
    finally:
        sink.stop()


def _sink_connection(sink: Sink) -> dict[str, object]:
    profile = {
        "smtp": {"host": "127.0.0.1", "port": sink.port, "tls": "none"},
        "domains": list(DOMAINS),
        "connections": 4,
        "messages_per_connection": 100_000,
        "test": True,
    }
    return {"name": "sink", "auth_level": "high", "profile": profile}
