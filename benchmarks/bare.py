"""The reference for accepting: a bare FastAPI route with one INSERT, no validation, no tenants, no encryption."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
from fastapi import FastAPI, Request, Response


@asynccontextmanager
async def _pool(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["BENCH_BARE_DATABASE_URL"], min_size=8, max_size=8) as pool:
        await pool.execute("create table if not exists bare (id uuid primary key, body bytea not null)")
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_pool, openapi_url=None)


@app.post("/messages", status_code=202)
async def accept(request: Request) -> Response:
    identifier = uuid4()
    await request.app.state.pool.execute(
        "insert into bare (id, body) values ($1, $2)", identifier, await request.body()
    )
    return Response(f'{{"id":"{identifier}"}}', 202, media_type="application/json")
