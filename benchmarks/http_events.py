"""How many events a second a server takes over HTTP: each authenticated, authorised, committed to disk and answered.

A server in a process of its own over SQLite with `synchronous=FULL` and 1,000 togglers of `examples/toggler`; 64
keep-alive connections from another process, each sending `toggle` to the next toggler when its last event is answered.
The load comes from wrk where it is installed and from `http_load.py` otherwise. Server and load share the machine.

The server is warmed up, then measured as it is, then measured again with a stopwatch in it (`http_server.py`) to see
where its time goes. A single answer that is no success fails the benchmark.

    python benchmarks/http_events.py [--seconds 10] [--connections 64] [--instances 1000] [--folder .] [--builtin]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from perdure.tokens import sign_token

HERE = Path(__file__).resolve().parent
WARM_UP_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    seconds: float
    connections: int
    instances: int
    folder: Path
    builtin: bool


class Server:
    """The server's process, and the line that it introduced itself with."""

    def __init__(self, folder: Path, instances: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HERE / "http_server.py", folder, str(instances)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        known = self.answer()
        self.url: str = known["url"]
        self.token = sign_token(
            known["key_id"],
            known["key_secret"],
            {"sub": known["owner"]},
            now=time.time() * 1000,
            expires_in=timedelta(hours=1),
        )

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the server ended; see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def load(server: Server, options: Options, seconds: float, *, with_wrk: bool, reads: bool = False) -> dict[str, float]:
    """Events, or reads, from another process for so long. Ends the benchmark when one of them fails."""
    what = "reads" if reads else "events"
    if with_wrk:
        command = ["wrk", "-t1", f"-c{options.connections}", f"-d{seconds:.0f}s", "--timeout", "10s"]
        command += ["-s", str(HERE / "http_load.lua"), server.url, "--", server.token, str(options.instances), what]
    else:
        command = [sys.executable, str(HERE / "http_load.py"), server.url, server.token]
        command += [str(options.instances), str(options.connections), str(seconds), what]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    if result["errors"]:
        raise SystemExit(f"{result['errors']} of {result['events']} {what} failed")
    return result


def shares(report: dict[str, Any], events: float) -> Table:
    """Where the server's time went, per event and as a share of the event loop's CPU time."""
    seconds, loop = report["seconds"], report["loop_cpu"]
    engine, commit = seconds["turn"], seconds["commit"]
    rows = (
        ("engine: authoriser, statechart, encoding", engine),
        ("commit: prepared and handed to the writer", commit),
        ("runtime: residents, watchers, mail", seconds["resident"] - engine - commit),
        ("HTTP: sockets, parsing, tokens, JSON, event loop", loop - seconds["resident"]),
        ("event loop's thread, together", loop),
    )
    table = Table("CPU time", "per event", "share", title="where the server's time goes")
    for name, spent in rows:
        table.add_row(name, f"{spent / events * 1e6:,.0f} µs", f"{spent / loop:.0%}")
    writer = seconds["writer wall"]
    table.add_section()
    table.add_row("writer's thread: CPU time", f"{seconds['writer cpu'] / events * 1e6:,.0f} µs", "")
    table.add_row("writer's thread: busy, disk included", f"{writer / events * 1e6:,.0f} µs", "")
    table.add_row("the whole process: CPU time", f"{report['process_cpu'] / events * 1e6:,.0f} µs", "")
    wall, counts = report["wall"], report["counts"]
    table.caption = (
        f"in {wall:.1f} s the event loop's thread computed {loop / wall:.0%} of the time and the writer was busy for "
        f"{writer / wall:.0%}, with {counts['writer wall'] / counts['writer cpu']:.1f} commits in a group"
    )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=Path(), help="where the database lies: its disk is measured too")
    parser.add_argument("--builtin", action="store_true", help="do not use wrk though it is installed")
    options = Options(**vars(parser.parse_args()))
    with_wrk = shutil.which("wrk") is not None and not options.builtin
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        server = Server(Path(folder), options.instances)
        try:
            load(server, options, WARM_UP_SECONDS, with_wrk=with_wrk)
            plain = load(server, options, options.seconds, with_wrk=with_wrk)
            server.tell("begin")
            timed = load(server, options, options.seconds, with_wrk=with_wrk)
            server.tell("end")
            report = server.answer()
        finally:
            server.end()
    tool = "wrk" if with_wrk else "http_load.py"
    table = Table(
        "server",
        "events/s",
        "p50",
        "p99",
        "errors",
        title=f"events over HTTP: {tool}, {options.connections} connections, {options.instances:,} instances",
    )
    for name, result in (("as it is", plain), ("with the stopwatch", timed)):
        table.add_row(
            name,
            f"{result['events'] / result['seconds']:,.0f}",
            f"{result['p50_ms']:.1f} ms",
            f"{result['p99_ms']:.1f} ms",
            f"{result['errors']:.0f}",
        )
    console = Console()
    console.print(table, shares(report, timed["events"]))


if __name__ == "__main__":
    main()
