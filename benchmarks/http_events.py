"""How many events a second a running server takes, each one authenticated, committed to disk and answered.

A `perdure dev` in a process of its own, over SQLite in the given folder; callers in this process, each with a
connection and an instance of its own, each sending its next event when the last one is answered. The callers speak
HTTP/1.1 with a few lines of their own, since a whole HTTP client costs more than the server. They share the machine
with the server, so a real one does better.

    python benchmarks/http_events.py [--seconds 5] [--callers 1 16 64] [--folder .]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from rich.console import Console
from rich.table import Table

from perdure.cli.connection import DEV_FILE, DevConnection
from perdure.client import AsyncClient
from perdure.tokens import sign_token

START_SECONDS_MAX = 30.0
BODY = b'{"event":"FLIP"}'

LIGHT = """
from perdure import create_machine

machine = create_machine(
    {"id": "light", "initial": "off", "states": {"off": {"on": {"FLIP": "on"}}, "on": {"on": {"FLIP": "off"}}}}
)


def allow_read(request):
    return True


def allow_write(request):
    return True
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one number of callers came to."""

    callers: int
    events_per_second: float
    median_ms: float
    p99_ms: float


async def measure(connection: DevConnection, callers: int, seconds: float) -> Measured:
    """Let so many callers send events for so long."""
    token = sign_token(
        connection.key_id, connection.key_secret, {}, now=time.time() * 1000, expires_in=timedelta(hours=1)
    )
    names = [f"of{callers}-{number}" for number in range(callers)]
    async with AsyncClient(connection.url, token) as client:
        for name in names:
            await client.create_instance("light", name)
    started = time.perf_counter()
    each = await asyncio.gather(*(call(connection.url, token, name, started + seconds) for name in names))
    elapsed = time.perf_counter() - started
    latencies = sorted(latency for latencies in each for latency in latencies)
    return Measured(
        callers=callers,
        events_per_second=len(latencies) / elapsed,
        median_ms=statistics.median(latencies) * 1000,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
    )


async def call(url: str, token: str, instance: str, until: float) -> list[float]:
    """One caller: an event, its answer, the next event. The seconds that each took."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    request = (
        f"POST /machines/light/i/{instance}/events HTTP/1.1\r\nhost: {address.netloc}\r\n"
        f"authorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY
    latencies: list[float] = []
    while (sent := time.perf_counter()) < until:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        answer = await reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"the server refused an event: {answer.decode()}")
        latencies.append(time.perf_counter() - sent)
    writer.close()
    await writer.wait_closed()
    return latencies


def start_server(folder: Path) -> tuple[subprocess.Popen[bytes], DevConnection]:
    """A server in a process of its own, once it answers."""
    (folder / "light.py").write_text(LIGHT, encoding="utf-8")
    command = [sys.executable, "-c", "from perdure.cli import main; main()", "dev", "light.py", "--port", "0"]
    log = (folder / "log").open("wb")
    server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    log.close()
    left = folder / DEV_FILE
    give_up = time.monotonic() + START_SECONDS_MAX
    while not left.exists():
        if server.poll() is not None or time.monotonic() > give_up:
            server.kill()
            raise SystemExit(f"the server did not start:\n{(folder / 'log').read_text(encoding='utf-8')}")
        time.sleep(0.02)
    return server, msgspec.json.decode(left.read_bytes(), type=DevConnection)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        server, connection = start_server(Path(folder))
        try:
            figures = [asyncio.run(measure(connection, callers, options.seconds)) for callers in options.callers]
        finally:
            server.terminate()
            server.wait()
    table = Table("callers", "events/s", "median", "99 %", title="events over HTTP, each committed to disk")
    for figure in figures:
        table.add_row(
            str(figure.callers),
            f"{figure.events_per_second:,.0f}",
            f"{figure.median_ms:.1f} ms",
            f"{figure.p99_ms:.1f} ms",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
