"""Load for `http_events.py` where there is no wrk: keep-alive connections, each with one request at a time.

It speaks just enough HTTP/1.1 for that, since a whole HTTP client costs more than the server it measures. Prints a line
of JSON.

    python benchmarks/http_load.py URL TOKEN INSTANCES CONNECTIONS SECONDS
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


async def load(url: str, token: str, *, instances: int, connections: int, seconds: float) -> dict[str, float]:
    """Send events for so long; what came of them."""
    host = urlsplit(url).netloc
    requests = itertools.cycle(
        (
            f"POST /machines/toggler/i/t{number}/events HTTP/1.1\r\nhost: {host}\r\n"
            f"authorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
        ).encode()
        + BODY
        for number in range(instances)
    )
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
    url, token, instances, connections, seconds = sys.argv[1:]
    result = asyncio.run(
        load(url, token, instances=int(instances), connections=int(connections), seconds=float(seconds))
    )
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
