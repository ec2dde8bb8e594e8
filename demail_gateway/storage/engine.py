"""Connections to PostgreSQL and the transactions in which one tenant, or the operator, is visible.

The tenant is set by `set_config(…, true)`, bound and for one transaction only: a pooled connection carries nothing over
to its next user, also behind a transaction pooler (traps E2, E4). There is no session-level SET.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import bindparam, event, exc, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from demail_gateway.core.errors import DemailError, StoreUnavailable

Engine = AsyncEngine
"""A database pool, for those who only hand it on."""

CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 60.0
"""No statement of the product takes long; a server that hangs must not hang its callers."""
POOL_TIMEOUT_S = 10.0

_ENTER_TENANT = text("SELECT set_config('demail.tenant_id', :tenant, true)").bindparams(bindparam("tenant"))
_ENTER_BATCH = (
    "SELECT set_config('demail.tenant_id', $1, true), set_config('plan_cache_mode', 'force_generic_plan', true)"
)
_ENTER_OPERATOR = text("SELECT set_config('demail.operator', 'on', true)")
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server's farewell met a statement on its way
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,  # shut-down, cancelled by a time-out of the server
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.ReadOnlySQLTransactionError,  # a standby during a switch-over
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidAuthorizationSpecificationError,  # it does not let us in
    asyncpg.InvalidCatalogNameError,  # it is not there, e.g. during a restore
    TimeoutError,
    OSError,
)


def create_engine(app_url: str, *, pool_size: int = 8, pool_timeout_s: float = POOL_TIMEOUT_S) -> AsyncEngine:
    """Engine of the application role; `app_url` is plain ``postgresql://…``. Nothing is connected yet.

    One per process and event loop, made after a fork (trap E11); `await engine.dispose()` ends it.
    """
    engine = create_async_engine(
        driver_url(app_url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout_s,
        # the connection used last has its statements prepared and planned; one of eight in turn seldom has
        pool_use_lifo=True,
        connect_args={"timeout": CONNECT_TIMEOUT_S, "command_timeout": STATEMENT_TIMEOUT_S},
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def driver_url(url: str) -> str:
    """The same URL for SQLAlchemy with asyncpg."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


@asynccontextmanager
async def tenant_transaction(engine: AsyncEngine, tenant_id: UUID) -> AsyncIterator[AsyncConnection]:
    """A transaction that sees `tenant_id` alone; committed at the end, rolled back on any exception.

    Raises:
        StoreUnavailable: the database is away.
    """
    with translated():
        async with engine.begin() as connection:
            await connection.execute(_ENTER_TENANT, {"tenant": str(tenant_id)})
            yield connection


@asynccontextmanager
async def operator_transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that sees the administrative tables of all tenants and no content table of any (GWT-37).

    Raises:
        StoreUnavailable: the database is away.
    """
    with translated():
        async with engine.begin() as connection:
            await connection.execute(_ENTER_OPERATOR)
            yield connection


@asynccontextmanager
async def tenant_driver(engine: AsyncEngine, tenant_id: UUID) -> AsyncIterator[Any]:
    """As `tenant_transaction`, but the asyncpg connection itself.

    Raises:
        StoreUnavailable: the database is away.
    """
    async with statement_driver(engine) as connection, connection.transaction():
        await connection.fetchval("SELECT set_config('demail.tenant_id', $1, true)", str(tenant_id))
        yield connection


@asynccontextmanager
async def batch_driver(engine: AsyncEngine, tenant_id: UUID) -> AsyncIterator[Any]:
    """As `tenant_driver`, for statements over arrays on the hot path: each is planned once per connection.

    For them PostgreSQL would otherwise plan every execution anew, because short arrays look cheaper than the unknown
    ones of a lasting plan; planning costs milliseconds, ten times the execution.

    Raises:
        StoreUnavailable: the database is away.
    """
    async with statement_driver(engine) as connection, connection.transaction():
        await connection.fetchrow(_ENTER_BATCH, str(tenant_id))
        yield connection


@asynccontextmanager
async def tenant_snapshot(engine: AsyncEngine, tenant_id: UUID) -> AsyncIterator[Any]:
    """As `tenant_driver`, for reading alone: all statements see the same moment, so that parts fit together.

    Raises:
        StoreUnavailable: the database is away.
    """
    reading: dict[str, Any] = {"isolation": "repeatable_read", "readonly": True}
    async with statement_driver(engine) as connection, connection.transaction(**reading):
        await connection.fetchval("SELECT set_config('demail.tenant_id', $1, true)", str(tenant_id))
        yield connection


@asynccontextmanager
async def statement_driver(engine: AsyncEngine) -> AsyncIterator[Any]:
    """The asyncpg connection without a transaction: every statement is one of its own, in one round trip.

    For functions that set their tenant themselves, or need none.

    Raises:
        StoreUnavailable: the database is away.
    """
    with translated():
        pooled = await engine.raw_connection()
        try:
            yield pooled.driver_connection
        except DemailError:
            # a refusal between statements, rolled back by now: the connection is as good as before
            raise
        except BaseException:
            # cancelled in the middle of a statement it may still be busy: the pool must not hand it on
            pooled.invalidate()
            raise
        finally:
            pooled.close()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns the ways in which a database can be away into `StoreUnavailable`; everything else passes.

    A commit whose answer was lost counts as away too: callers repeat under an idempotency key, a lease token or a
    digest, so that a second run finds what the first one left.
    """
    try:
        yield
    except _AWAY as error:
        raise StoreUnavailable(type(error).__name__) from error
    except exc.TimeoutError as error:
        raise StoreUnavailable("pool") from error
    except exc.DBAPIError as error:
        cause = getattr(error.orig, "__cause__", None)
        if error.connection_invalidated or isinstance(cause, _AWAY):
            raise StoreUnavailable(type(cause or error).__name__) from error
        raise
    except AsyncAdapt_asyncpg_dbapi.Error as error:
        # what asyncpg raised while connecting, in the clothes of SQLAlchemy's pool
        if isinstance(error.__cause__, _AWAY):
            raise StoreUnavailable(type(error.__cause__).__name__) from error
        raise


def _refuse_closed(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    # asyncpg knows at once when the server has hung up; asking the server on every checkout would cost a round trip
    if dbapi_connection.driver_connection.is_closed():
        raise exc.DisconnectionError("closed by the server")
