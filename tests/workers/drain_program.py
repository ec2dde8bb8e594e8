"""A worker over the real database and a real provider connection, for tests that kill it."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

from demail_gateway.application.backoff import Backoff
from demail_gateway.application.dispatch import Dispatch
from demail_gateway.application.drain import Drain, DrainPolicy, Handler
from demail_gateway.application.hand_over import HandOverPolicy
from demail_gateway.application.ports.work import WorkKind
from demail_gateway.application.reconcile import Reconcile
from demail_gateway.application.worker_services import WorkerServices
from demail_gateway.bootstrap.tls_status import RevokedPeers
from demail_gateway.providers.profile import ProviderProfile
from demail_gateway.providers.smtp import SmtpProvider
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.dispatches import PostgresDispatches
from demail_gateway.storage.engine import create_engine
from demail_gateway.storage.envelope import MasterKey, MasterKeys
from demail_gateway.storage.installation import PostgresInstallation
from demail_gateway.trust.smime import SmimeSealer
from demail_gateway.trust.tls import TlsIdentity, client_context
from demail_gateway.waking.redis_waker import RedisWaker
from demail_gateway.workers.celery_app import Worker

LEASE_S = 2.0
POLICY = HandOverPolicy(Backoff(0.5, 2.0, 60.0), settle_first_s=0.3, absence_s=0.3, attempt_s=LEASE_S)


def quiet(event: str, /, **facts: object) -> None:
    """An observer that keeps nothing."""


def now() -> datetime:
    return datetime.now(UTC)


def contexts(profile: ProviderProfile) -> object:
    assert profile.client_certificate_file is not None
    assert profile.client_key_file is not None
    identity = TlsIdentity(profile.client_certificate_file, profile.client_key_file)
    return client_context(profile.tls_anchor_pem(), identity)


async def build() -> WorkerServices:
    engine = create_engine(os.environ["PROBE_DATABASE_URL"], pool_size=4)
    keys = ContentKeys(engine, MasterKeys(MasterKey("1", bytes.fromhex(os.environ["PROBE_MASTER_KEY"]))))
    dispatches = PostgresDispatches(engine, keys, attempt_s=LEASE_S)
    installation = PostgresInstallation(engine, keys)
    provider = SmtpProvider(contexts, RevokedPeers(installation), quiet, local_name="gateway.test")  # type: ignore[arg-type]
    turns = RedisWaker(os.environ["PROBE_REDIS_URL"], os.urandom, quiet)
    dispatch = Dispatch(dispatches, installation, provider, SmimeSealer(), now, os.urandom, quiet, POLICY)
    reconcile = Reconcile(dispatches, installation, provider, now, quiet, POLICY)
    handlers: dict[WorkKind, Handler] = {WorkKind.DISPATCH: dispatch, WorkKind.RECONCILE: reconcile}
    drain = Drain(dispatches, handlers, now, quiet, DrainPolicy(lease_s=LEASE_S, worker=str(os.getpid())))

    async def close() -> None:
        await provider.close()
        await turns.close()
        await engine.dispose()

    return WorkerServices(drain, turns, quiet, close)


if __name__ == "__main__":
    Worker(os.environ["PROBE_REDIS_URL"], build, processes=2, failed=print).run()
    sys.exit(0)
