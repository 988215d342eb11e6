"""How many events a second a server takes over HTTP: each authenticated, authorised, committed to disk and answered.

A server in a process of its own over SQLite with `synchronous=FULL` and 1,000 togglers of `examples/toggler`; 64
keep-alive connections from another process, each sending `toggle` to the next toggler when its last event is answered.
The load comes from wrk where it is installed and from `http_load.py` otherwise. Server and load share the machine.

The server is warmed up, then measured as it is, beside plain reads of the same instances, then measured again with a
stopwatch in it (`http_server.py`) to see where its time goes. A single answer that is no success fails the benchmark.

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


def shares(report: dict[str, Any], events: float, read: float) -> Table:
    """Where the server's time went, per event and as a share of the event loop's CPU time; ``read`` is that of a read,
    in seconds."""
    seconds, loop = report["seconds"], report["loop_cpu"]
    engine, prepared, committed = seconds["turn"], seconds["commit"], seconds.get("loop's commits", 0.0)
    rows = (
        ("engine: authoriser, statechart, encoding", engine),
        ("commits prepared", prepared),
        ("commits made by the event loop", committed),
        ("runtime: residents, watchers, mail", seconds["resident"] - engine - prepared),
        ("HTTP: sockets, parsing, tokens, JSON, event loop", loop - seconds["resident"] - committed),
        ("event loop's thread, together", loop),
    )
    table = Table("CPU time", "per event", "share", title="where the server's time goes")
    for name, spent in rows:
        table.add_row(name, f"{spent / events * 1e6:,.0f} µs", f"{spent / loop:.0%}")
    by_thread, transactions = seconds.get("writer's commits", 0.0), seconds["writer wall"]
    table.add_section()
    table.add_row("commits made by the writer's thread", f"{by_thread / events * 1e6:,.0f} µs", "")
    table.add_row("transactions, the disk included", f"{transactions / events * 1e6:,.0f} µs", "")
    table.add_row("the whole process", f"{report['process_cpu'] / events * 1e6:,.0f} µs", "")
    table.add_row("event loop's thread for a plain read", f"{read * 1e6:,.0f} µs", "")
    wall, counts = report["wall"], report["counts"]
    groups = counts.get("loop's commits", 0) + counts.get("writer's commits", 0)
    table.caption = (
        f"in {wall:.1f} s the event loop's thread computed {loop / wall:.0%} of the time, transactions took "
        f"{transactions / wall:.0%}, with {counts['writer wall'] / groups:.1f} commits in a group"
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
            reads = load(server, options, options.seconds, with_wrk=with_wrk, reads=True)
            server.tell("begin")
            timed = load(server, options, options.seconds, with_wrk=with_wrk)
            server.tell("end")
            report = server.answer()
            server.tell("begin")
            read = load(server, options, options.seconds, with_wrk=with_wrk, reads=True)
            server.tell("end")
            seconds_per_read = server.answer()["loop_cpu"] / read["events"]
        finally:
            server.end()
    tool = "wrk" if with_wrk else "http_load.py"
    table = Table(
        "server",
        "per second",
        "p50",
        "p99",
        "errors",
        title=f"events over HTTP: {tool}, {options.connections} connections, {options.instances:,} instances",
    )
    rows = (("events", plain), ("plain reads of the same", reads), ("events, with the stopwatch", timed))
    for name, result in rows:
        table.add_row(
            name,
            f"{result['events'] / result['seconds']:,.0f}",
            f"{result['p50_ms']:.1f} ms",
            f"{result['p99_ms']:.1f} ms",
            f"{result['errors']:.0f}",
        )
    console = Console()
    console.print(table, shares(report, timed["events"], seconds_per_read))


if __name__ == "__main__":
    main()
