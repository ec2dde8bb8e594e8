"""A small closed-loop HTTP/1.1 load generator: each connection sends its next request when the answer is there.

Raw asyncio, because a client library costs more than the server under test; the same for product and reference.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Request = Callable[[int], bytes]
"""Number of the request → its complete octets."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    seconds: float
    statuses: dict[int, int]
    latencies_s: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """Answers with a 2xx status per second."""
        return sum(n for status, n in self.statuses.items() if 200 <= status < 300) / self.seconds


def post(path: str, port: int, body: bytes, headers: dict[str, str]) -> bytes:
    """Octets of a POST with `body`; keep-alive."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def drive(port: int, request: Request, total: int, connections: int) -> LoadResult:
    """Sends `total` requests over `connections` connections and waits for every answer."""
    numbers = iter(range(total))
    statuses: dict[int, int] = {}
    latencies: list[float] = []
    begin = time.perf_counter()
    await asyncio.gather(*(_connection(port, request, numbers, statuses, latencies) for _ in range(connections)))
    return LoadResult(time.perf_counter() - begin, statuses, tuple(latencies))


async def _connection(
    port: int, request: Request, numbers: Iterator[int], statuses: dict[int, int], latencies: list[float]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    try:
        for number in numbers:
            begin = time.perf_counter()
            writer.write(request(number))
            status = await _answer(reader)
            latencies.append(time.perf_counter() - begin)
            statuses[status] = statuses.get(status, 0) + 1
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lower = head.lower()
    length = lower.find(b"content-length:")
    if length >= 0:
        await reader.readexactly(int(lower[length + 15 : lower.index(b"\r\n", length)]))
    elif b"transfer-encoding: chunked" in lower:
        while (size := int(await reader.readline(), 16)) >= 0:
            await reader.readexactly(size + 2)
            if size == 0:
                break
    return status
