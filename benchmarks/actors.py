"""Actors in memory beside XState, xstate-statemachine and pykka: processor time and memory, in one run.

A parent starts 10,000 counter machines, each is sent 10 events and asked once, and each replies to its parent. Every
contender plays this in a process of its own (``actors_contenders.py``, ``actors.cjs``), in turns, so that a busy minute
hits all of them; of each the best round counts. A round whose replies or counts are not all there fails the benchmark.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
EVENTS = 10


class Contender(NamedTuple):
    """One line of the table."""

    title: str
    command: tuple[str, ...]
    children_max: int
    """More than these it does not bear: a thread for each child, or a cost that grows with their square."""
    rounds: int


def contenders(rounds: int) -> list[Contender]:
    python = (sys.executable, "-W", "ignore", "-m", "benchmarks.actors_contenders")
    found = [
        Contender("perdure", (*python, "perdure"), 1_000_000, rounds),
        Contender("pykka (a thread each)", (*python, "pykka"), 2_000, 1),
        Contender("xstate-statemachine (a thread each)", (*python, "xstate-statemachine"), 300, 1),
    ]
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "xstate5").is_dir():
        print("XState is left out: it needs Node and npm.\n")
        return found
    xstate = (node, "--expose-gc", str(HERE / "actors.cjs"))
    return [
        found[0],
        Contender("XState 5", (*xstate, "v5"), 1_000_000, rounds),
        Contender("XState 4", (*xstate, "v4"), 10_000, 1),
        *found[1:],
    ]


def play(contender: Contender, children: int) -> dict[str, Any]:
    """One round. Raises when a reply is missing or wrong."""
    command = [*contender.command, str(children), str(EVENTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"{contender.title} failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    wanted = (children, children * EVENTS)
    assert (figures["replies"], figures["sum"]) == wanted, f"{contender.title}: {figures}, not {wanted}"
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--children", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    best: dict[str, dict[str, Any]] = {}
    entries = contenders(options.rounds)
    for number in range(options.rounds):
        for contender in entries:
            if number >= contender.rounds:
                continue
            figures = play(contender, min(options.children, contender.children_max))
            known = best.get(contender.title)
            if known is None or total(figures) < total(known):
                best[contender.title] = figures
    print(f"Each child is sent {EVENTS} events and asked once; processor time of the whole process.\n")
    print("| | children | starting them | sending and replying | together | per child | bytes per idle child |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    ours = total(best["perdure"]) / best["perdure"]["replies"]
    for contender in entries:
        figures = best[contender.title]
        each = total(figures) / figures["replies"]
        print(
            f"| {contender.title} | {figures['replies']:,} | {figures['spawning']:.2f} s | {figures['sending']:.2f} s "
            f"| {total(figures):.2f} s | {each * 1e6:,.0f} µs ({each / ours:.1f}×) | {figures['bytes']:,.0f} |"
        )


def total(figures: dict[str, Any]) -> float:
    return float(figures["spawning"] + figures["sending"])


if __name__ == "__main__":
    main()
