"""What durability costs: the whole of it in one run and one table, with what was asked of each figure.

    python -m benchmarks.durable [--only a,b,…] [--seconds 1] [--folder .] [--million]

(a) one instance and (b) 128 at once, against bare loops of the same SQL; (c) a hot instance; (d) HTTP against plain
reads of the same server; (e) how late timers are; (f) what stored instances cost; (g) other libraries at the same
durability. Rates are the best of five rounds. Beside each ratio of rates stands the ratio of processor time, which says
the same on a machine that does other things too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.durable_library import beside_pending, fill, growth, hot, lateness, set_aside, versus_bare
from benchmarks.durable_peers import PEERS
from benchmarks.http_events import Options, Server, load

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table."""

    what: str
    figure: str
    against: str = ""
    ratio: str = ""
    cpu_ratio: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    folder: Path
    seconds: float
    million: bool


def against_bare(bench: Bench, instances: int, name: str) -> Iterator[Line]:
    ours, in_bulk, by_row = asyncio.run(versus_bare(bench.folder, instances, bench.seconds))
    for bare, what in ((in_bulk, "bare loop, in bulk"), (by_row, "bare loop, row by row")):
        ratio, cpu_ratio = f"{ours.wall / bare.wall:.0%}", f"{ours.cpu / bare.cpu:.0%}"
        figure = f"{ours.wall:,.0f}/s" if bare is in_bulk else ""
        yield Line(name if bare is in_bulk else "", figure, f"{what} {bare.wall:,.0f}/s", ratio, cpu_ratio, "60 %")


def one_by_one(bench: Bench) -> Iterator[Line]:
    return against_bare(bench, 1, "(a) library, one instance, one event at a time")


def grouped(bench: Bench) -> Iterator[Line]:
    return against_bare(bench, 128, "(b) library, 128 instances at once")


def hot_instance(bench: Bench) -> Iterator[Line]:
    rate = asyncio.run(hot(bench.folder, 64, bench.seconds))
    yield Line("(c) one hot instance, 64 senders", f"{rate.wall:,.0f}/s", asked="1,500/s")


def over_http(bench: Bench) -> Iterator[Line]:
    with_wrk = shutil.which("wrk") is not None
    seconds = bench.seconds * 5
    options = Options(seconds=seconds, connections=64, instances=1_000, folder=bench.folder, builtin=not with_wrk)
    folder = bench.folder / "http"
    folder.mkdir()
    server = Server(folder, options.instances)
    try:
        load(server, options, 2.0, with_wrk=with_wrk)
        events = load(server, options, seconds, with_wrk=with_wrk)
        reads = load(server, options, seconds, with_wrk=with_wrk, reads=True)
    finally:
        server.end()
    written, read = events["events"] / events["seconds"], reads["events"] / reads["seconds"]
    tool = "wrk" if with_wrk else "http_load.py"
    yield Line(
        f"(d) HTTP, 64 connections, 1,000 instances, {tool}",
        f"{written:,.0f}/s",
        f"plain reads {read:,.0f}/s",
        f"{written / read:.0%}",
        asked="50 %",
    )
    yield Line("    its p99", f"{events['p99_ms']:.0f} ms", f"of reads {reads['p99_ms']:.0f} ms", asked="50 ms")


def late_timers(bench: Bench) -> Iterator[Line]:
    """Each in a process of its own, as they are in a server: not among what other parts have left in memory."""
    for instances, what in ((1_000, "(e) 10,000 timers due within a second"), (10_000, "    of 10,000 instances")):
        command = [sys.executable, "-m", "benchmarks.durable", "--folder", str(bench.folder)]
        ours: dict[str, float] = answer_of([*command, "--late-timers", str(instances)])
        yield Line(
            f"{what}: p99 lateness",
            f"{ours['p99']:,.0f} ms",
            f"p50 {ours['p50']:,.0f} ms, worst {ours['worst']:,.0f} ms; {ours['cpu_us']:,.0f} µs of CPU each",
            asked="20 ms",
        )
    for pending in (0, *([1_000_000] if bench.million else [])):
        path = bench.folder / f"pending-{pending}.db"
        command = [sys.executable, "-m", "benchmarks.durable", "--folder", str(path)]
        answer_of([*command, "--set-aside", str(pending)])
        found: dict[str, float] = answer_of([*command, "--beside-pending"])
        path.unlink()
        yield Line(
            f"    beside {pending:,} pending ones: p99 lateness",
            f"{found['p99']:,.1f} ms",
            f"p50 {found['p50']:,.1f} ms; starts in {found['start_ms']:,.0f} ms; {found['megabytes']:,.0f} MB",
        )


def with_growth(bench: Bench) -> Iterator[Line]:
    """Each size in a process of its own, whose memory is its own."""
    first: dict[str, float] = {}
    for stored in (1_000, 100_000, *([1_000_000] if bench.million else [])):
        path = bench.folder / f"growth-{stored}.db"
        command = [sys.executable, "-m", "benchmarks.durable", "--seconds", str(bench.seconds), "--folder", str(path)]
        answer_of([*command, "--fill", str(stored)])
        found: dict[str, float] = answer_of([*command, "--growth", str(stored)])
        path.unlink()
        first = first or found
        yield Line(
            f"(f) {stored:,} stored instances",
            f"{found['wall']:,.0f}/s",
            f"{found['megabytes']:,.0f} MB of memory",
            f"{found['wall'] / first['wall']:.0%}",
            f"{found['cpu'] / first['cpu']:.0%}",
            "80 to 120 %",
        )


def beside_peers(bench: Bench) -> Iterator[Line]:
    ours, *_ = asyncio.run(versus_bare(bench.folder / "peers", 1, bench.seconds))
    for name in PEERS:
        command = [sys.executable, "-m", "benchmarks.durable_peers", name, str(bench.folder / "peers")]
        found: dict[str, Any] = answer_of([*command, str(bench.seconds)])
        if "missing" in found:
            yield Line(f"(g) {name}", "–", f"not measured: {found['missing']}")
            continue
        yield Line(
            f"(g) one by one, against {name}",
            f"{ours.wall:,.0f}/s",
            f"{found['wall']:,.0f}/s",
            f"{ours.wall / found['wall']:.1f}×",
            f"{ours.cpu / found['cpu']:.1f}×",
            "2× the best",
        )


def answer_of(command: list[str]) -> dict[str, Any]:
    """The last line that a benchmark in another process prints."""
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answer: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return answer


SECTIONS: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "a": one_by_one,
    "b": grouped,
    "c": hot_instance,
    "d": over_http,
    "e": late_timers,
    "f": with_growth,
    "g": beside_peers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SECTIONS), help="such as a,b")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round; HTTP takes five times as long")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the databases lie: its disk is measured too")
    parser.add_argument("--million", action="store_true", help="also with a million stored instances or pending timers")
    parser.add_argument("--fill", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--growth", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--late-timers", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--set-aside", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--beside-pending", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill is not None:
        print(json.dumps(asyncio.run(fill(options.folder, options.fill))))
        return
    if options.growth is not None:
        print(json.dumps(asyncio.run(growth(options.folder, options.growth, options.seconds))))
        return
    if options.late_timers is not None:
        print(json.dumps(asyncio.run(lateness(options.folder, 10_000, options.late_timers))))
        return
    if options.set_aside is not None:
        print(json.dumps(asyncio.run(set_aside(options.folder, options.set_aside))))
        return
    if options.beside_pending:
        print(json.dumps(asyncio.run(beside_pending(options.folder))))
        return
    table = Table("", "perdure", "against", "ratio", "by CPU time", "asked", title="durability, synchronous=FULL")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, Console(stderr=True).status("") as status:
        bench = Bench(Path(folder).resolve(), options.seconds, options.million)
        (bench.folder / "peers").mkdir()
        for name in options.only.split(","):
            status.update(f"measuring ({name})")
            for line in SECTIONS[name](bench):
                table.add_row(line.what, line.figure, line.against, line.ratio, line.cpu_ratio, line.asked)
    one, five, fifteen = os.getloadavg()
    table.caption = f"{os.cpu_count()} cores; load average at the end {one:.1f}, {five:.1f}, {fifteen:.1f}"
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
