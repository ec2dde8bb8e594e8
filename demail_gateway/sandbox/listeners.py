"""HTTP listeners inside the provider's event loop: the control surface, and the providers' port with mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from ssl import SSLContext, SSLObject
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_GRACE_S = 1


class HttpListener:
    """One uvicorn server without signal handlers, on a socket of its own that it can leave and take again."""

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        bind: str,
        port: int,
        context: SSLContext | None = None,
        is_welcome: Callable[[bytes], bool] | None = None,
    ) -> None:
        """`is_welcome` is asked about the client's certificate (DER); connections that are not are cut."""
        self._app = app
        self._bind = bind
        self._context = context
        self._is_welcome = is_welcome
        self._socket: socket.socket | None = _listen(bind, port)
        self._port: int = self._socket.getsockname()[1]
        self._server: uvicorn.Server | None = None

    @property
    def port(self) -> int:
        return self._port

    async def start(self) -> None:
        if self._socket is None:
            self._socket = _listen(self._bind, self._port)
        config = uvicorn.Config(
            self._app,
            http=self._protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
        )
        config.load()
        config.ssl = self._context
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        # The loop of uvicorn is left out: it watches for signals, which the program has itself, and ticks for nothing.
        await self._server.startup(sockets=[self._socket])

    async def stop(self) -> None:
        """Leaves the port; requests under way have a second."""
        server, self._server = self._server, None
        if server is not None:
            for listening in server.servers:
                listening.close()
            for connection in list(server.server_state.connections):
                connection.shutdown()
            if tasks := server.server_state.tasks:
                await asyncio.wait(tasks, timeout=_GRACE_S)
            for connection in list(server.server_state.connections):
                with contextlib.suppress(
                    AttributeError
                ):  # Python before 3.11.5 fails over a TLS connection that is gone already
                    connection.transport.abort()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _protocol(self) -> type[HttpToolsProtocol]:
        return HttpToolsProtocol if self._is_welcome is None else _welcoming(self._is_welcome)


def _welcoming(is_welcome: Callable[[bytes], bool]) -> type[HttpToolsProtocol]:
    """The HTTP protocol, which looks at the client's certificate first."""

    class Welcoming(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            tls: SSLObject | None = transport.get_extra_info("ssl_object")
            certificate = tls.getpeercert(binary_form=True) if tls is not None else None
            super().connection_made(transport)
            if certificate is None or not is_welcome(certificate):
                with contextlib.suppress(AttributeError):  # as above
                    transport.abort()

    return Welcoming


def is_free(bind: str, port: int) -> bool:
    """Whether the port can be listened on now."""
    try:
        _listen(bind, port).close()
    except OSError:
        return False
    return True


def _listen(bind: str, port: int) -> socket.socket:
    """Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((bind, port))
    except OSError:
        listener.close()
        raise
    listener.listen(128)
    listener.setblocking(False)
    return listener
