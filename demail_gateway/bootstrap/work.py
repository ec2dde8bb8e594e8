"""What worker, scheduler and listener receive. Each is built on the event loop that will use it, after any fork."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from demail_gateway.application.backoff import Backoff
from demail_gateway.application.dispatch import Dispatch
from demail_gateway.application.drain import Drain, DrainPolicy, Handler
from demail_gateway.application.hand_over import HandOverPolicy
from demail_gateway.application.ports.installation import Installation
from demail_gateway.application.ports.surroundings import Observe
from demail_gateway.application.ports.work import WorkKind
from demail_gateway.application.receive import Receive, ReceivePolicy
from demail_gateway.application.reconcile import Reconcile
from demail_gateway.application.revocation import RefreshRevocation
from demail_gateway.application.worker_services import InboundServices, SchedulerServices, WorkerServices
from demail_gateway.bootstrap.judging import ConnectionTools, is_below
from demail_gateway.bootstrap.parts import Observing, Store, provider, scanner, store, utc_now, waker
from demail_gateway.bootstrap.status import StatusAsker
from demail_gateway.bootstrap.tls_status import RevokedPeers
from demail_gateway.core.errors import CertificateMalformed, StoreUnavailable
from demail_gateway.observability.heartbeat import beat
from demail_gateway.providers.crl import CrlFetcher
from demail_gateway.providers.ocsp import OcspPoster
from demail_gateway.providers.peers import ProfilePeers
from demail_gateway.providers.profile import parse_profile
from demail_gateway.settings import Settings
from demail_gateway.storage.arrivals import PostgresArrivals
from demail_gateway.storage.dispatches import PostgresDispatches
from demail_gateway.storage.installation import PostgresInstallation
from demail_gateway.storage.sweeping import PostgresSweeping
from demail_gateway.trust.certificates import read_pem_bundle
from demail_gateway.trust.revocation_lists import read_revocation_list
from demail_gateway.trust.smime import SmimeSealer
from demail_gateway.trust.tls import TlsIdentity, server_context

_ANCHORS_EVERY_S = 2.0
"""How soon the listener trusts the anchors of a new connection."""


async def worker_services(settings: Settings, seen: Observing) -> WorkerServices:
    """Everything a worker process uses, until its `close`. Raises ConfigurationError."""
    stack = contextlib.AsyncExitStack()
    known = await stack.enter_async_context(store(settings))
    turns = waker(settings, seen.observe)
    stack.push_async_callback(turns.close)
    installation = PostgresInstallation(known.engine, known.keys)
    outbound = provider(settings, RevokedPeers(installation), seen.observe)
    stack.push_async_callback(outbound.close)
    post = OcspPoster()
    stack.push_async_callback(post.close)
    await _begin_beating(stack, settings.heartbeat_file)
    dispatches = PostgresDispatches(known.engine, known.keys, clocks=known.clocks, attempt_s=settings.attempt_s)
    policy = hand_over_policy(settings)
    handlers: dict[WorkKind, Handler] = {
        WorkKind.DISPATCH: Dispatch(
            dispatches, installation, outbound, SmimeSealer(), utc_now, os.urandom, seen.observe, policy
        ),
        WorkKind.RECONCILE: Reconcile(dispatches, installation, outbound, utc_now, seen.observe, policy),
        WorkKind.RECEIVED: _receive(settings, known, installation, post, seen.observe),
    }
    drain = Drain(
        dispatches, handlers, utc_now, seen.observe, DrainPolicy(lease_s=settings.lease_s, worker=f"pid-{os.getpid()}")
    )
    return WorkerServices(drain, turns, seen.observe, stack.aclose)


async def scheduler_services(settings: Settings, seen: Observing) -> SchedulerServices:
    """Everything the scheduler uses, until its `close`. Raises ConfigurationError."""
    stack = contextlib.AsyncExitStack()
    known = await stack.enter_async_context(store(settings))
    wakes = waker(settings, seen.observe)
    stack.push_async_callback(wakes.close)
    fetch = CrlFetcher()
    stack.push_async_callback(fetch.close)
    await _begin_beating(stack, settings.heartbeat_file)
    refresh = RefreshRevocation(
        PostgresInstallation(known.engine, known.keys),
        fetch,
        read_revocation_list,
        utc_now,
        seen.observe,
        longest_s=settings.crl_refresh_s,
    )
    return SchedulerServices(PostgresSweeping(known.engine), wakes, refresh, utc_now, seen.observe, stack.aclose)


async def inbound_services(settings: Settings, seen: Observing) -> tuple[InboundServices, ssl.SSLContext]:
    """Everything the listener uses, until its `close`, and its TLS context, which learns new connections' anchors.

    Raises:
        ConfigurationError: a setting is missing.
        OSError: certificate or key cannot be read, or do not fit.
    """
    settings.need("inbound_certificate_file", "inbound_key_file")
    assert settings.inbound_certificate_file is not None, "asked for by need()"
    assert settings.inbound_key_file is not None, "asked for by need()"
    tls = server_context(TlsIdentity(settings.inbound_certificate_file, settings.inbound_key_file), client_anchors=None)
    tls.verify_mode = ssl.CERT_REQUIRED
    stack = contextlib.AsyncExitStack()
    known = await stack.enter_async_context(store(settings))
    wakes = waker(settings, seen.observe)
    stack.push_async_callback(wakes.close)
    installation = PostgresInstallation(known.engine, known.keys)
    anchors = _Anchors(tls, installation, seen.observe)
    await _in_background(stack, anchors.keep())
    services = InboundServices(
        PostgresArrivals(known.engine, known.keys, clocks=known.clocks),
        ProfilePeers(installation, is_below, RevokedPeers(installation)),
        wakes,
        utc_now,
        os.urandom,
        seen.observe,
        stack.aclose,
    )
    return services, tls


def hand_over_policy(settings: Settings) -> HandOverPolicy:
    """Waiting times of hand-over and reconciliation."""
    backoff = Backoff(settings.retry_first_s, settings.retry_longest_s, settings.retry_give_up_s)
    return HandOverPolicy(
        backoff, settle_first_s=settings.settle_first_s, absence_s=settings.absence_s, attempt_s=settings.attempt_s
    )


class _Anchors:
    """Adds the TLS anchors of connections to the listener's context as they come.

    An anchor that goes with its connection stays known to the handshake until the next start; its certificates name no
    connection any more and are refused before the data.
    """

    def __init__(self, tls: ssl.SSLContext, installation: Installation, observe: Observe) -> None:
        self._tls = tls
        self._installation = installation
        self._observe = observe
        self._known: set[bytes] = set()

    async def keep(self) -> None:
        """Looks again and again until cancelled."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                for connection in await self._installation.connections():
                    await asyncio.to_thread(self._add, connection.name, connection.profile)
            await asyncio.sleep(_ANCHORS_EVERY_S)

    def _add(self, name: str, raw: Mapping[str, Any]) -> None:
        try:
            pem = parse_profile(raw, allow_plain=True).tls_anchor_pem()
            found = read_pem_bundle(pem) if pem else ()
        except (CertificateMalformed, OSError) as error:
            self._observe("anchors_unreadable", connection=name, error=type(error).__name__)
            return
        for der in found:
            if der not in self._known:
                self._tls.load_verify_locations(cadata=der)
                self._known.add(der)


def _receive(
    settings: Settings, known: Store, installation: Installation, post: OcspPoster, observe: Observe
) -> Receive:
    arrivals = PostgresArrivals(known.engine, known.keys, clocks=known.clocks)
    recheck = Backoff(settings.settle_first_s, settings.retry_longest_s, 7 * 86400.0)
    policy = ReceivePolicy(recheck=recheck)
    tools = ConnectionTools(installation)
    return Receive(
        arrivals,
        installation,
        tools,
        StatusAsker(installation, tools, post, observe),
        scanner(settings, observe),
        utc_now,
        os.urandom,
        observe,
        policy,
    )


async def _begin_beating(stack: contextlib.AsyncExitStack, path: Path | None) -> None:
    if path is not None:
        await _in_background(stack, beat(path))


async def _in_background(stack: contextlib.AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
