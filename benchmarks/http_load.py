"""Load for `http_events.py` where there is no wrk: keep-alive connections, each with one request at a time.

It speaks just enough HTTP/1.1 for that, since a whole HTTP client costs more than the server it measures. Prints a line
of JSON.

    python benchmarks/http_load.py URL TOKEN INSTANCES CONNECTIONS SECONDS events|reads
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

BODY = b'{"event":"toggle"}'


async def load(
    url: str, token: str, *, instances: int, connections: int, seconds: float, reads: bool
) -> dict[str, float]:
    """Send events, or read states, for so long; what came of them."""
    authority = f"host: {urlsplit(url).netloc}\r\nauthorization: Bearer {token}\r\n"
    requests = itertools.cycle(request_of(number, authority, reads=reads) for number in range(instances))
    latencies: list[float] = []
    began = time.perf_counter()
    errors = await asyncio.gather(*(connection(url, requests, began + seconds, latencies) for _ in range(connections)))
    elapsed = time.perf_counter() - began
    latencies.sort()
    return {
        "events": len(latencies),
        "seconds": elapsed,
        "errors": sum(errors),
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
    }


def request_of(number: int, authority: str, *, reads: bool) -> bytes:
    path = f"/machines/toggler/i/t{number}"
    if reads:
        return f"GET {path} HTTP/1.1\r\n{authority}\r\n".encode()
    head = f"POST {path}/events HTTP/1.1\r\n{authority}content-type: application/json\r\n"
    return f"{head}content-length: {len(BODY)}\r\n\r\n".encode() + BODY


async def connection(url: str, requests: Iterator[bytes], until: float, latencies: list[float]) -> int:
    """One connection; the number of its requests that were not answered with 200."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    errors = 0
    while (sent := time.perf_counter()) < until:
        writer.write(next(requests))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        errors += not head.startswith(b"http/1.1 200")
        latencies.append(time.perf_counter() - sent)
    writer.close()
    await writer.wait_closed()
    return errors


def main() -> None:
    url, token, instances, connections, seconds, what = sys.argv[1:]
    work = load(
        url,
        token,
        instances=int(instances),
        connections=int(connections),
        seconds=float(seconds),
        reads=what == "reads",
    )
    result = asyncio.run(work)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
