"""The pure engine beside XState and other Python libraries: events per second of processor time, in one run.

Every contender has the same machines and events (``engine_perdure.py``, ``engine_peers.py``, ``engine.cjs``). They take
turns, round after round, so that a busy minute hits all of them; what counts is the processor time of the contender's
process, and of each the best round. After every round the machine has to stand where the number of events so far says.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from benchmarks.engine_peers import PEERS, peer_session
from benchmarks.engine_perdure import BUILDING, COUNTER, WORKLOADS, Session, perdure_session

HERE = Path(__file__).parent
WARM_UP = 2
ROUNDS = 5
ROUND_SECONDS = 0.15
FACES = {"v4": "XState 4, transition", "v5": "XState 5, transition", "actor": "XState 5, actor"}


def end_state(workload: str, count: int) -> str:
    """Where a machine stands after so many events."""
    if workload == BUILDING:
        return "1000"
    if workload == COUNTER:
        return str(count)
    if workload.startswith("ring"):
        return f"s{count % len(WORKLOADS[workload]['states'])}"
    if workload.startswith("four levels"):
        return ("one.x.y.z", "two.x.y.z")[count % 2]
    if workload.startswith("four parallel"):
        return " ".join(f"{region}.{'xy'[count % 2]}" for region in ("one", "two", "three", "four"))
    return "ab"[count % 2]


class InProcess:
    """A Python library in this process."""

    def __init__(self, workload: str, session: Session) -> None:
        self.workload = workload
        self.session = session
        self.batch = 1
        self.total = 0

    def round(self) -> float:
        """Events per second of one round."""
        gc.collect()
        step, count, begin = self.session.step, 0, time.process_time()
        while (spent := time.process_time() - begin) < ROUND_SECONDS:
            for _ in range(self.batch):
                step()
            count += self.batch
        self.batch = max(1, min(1000, int(count / spent * 0.005)))
        self.total += count
        found, wanted = self.session.where(), end_state(self.workload, self.total)
        assert found == wanted, f"{self.workload}: stands at {found} and not at {wanted}"
        return count / spent


class InNode:
    """A face of XState at one workload, in a process of its own: what it ran before would slow it down."""

    def __init__(self, node: str, face: str, workload: str) -> None:
        self.worker = subprocess.Popen(
            [node, HERE / "engine.cjs", face], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.workload = workload
        self.total = 0

    def round(self) -> float:
        requests, answers = pipe(self.worker.stdin), pipe(self.worker.stdout)
        requests.write(json.dumps({"workload": self.workload, "seconds": ROUND_SECONDS}) + "\n")
        requests.flush()
        answer: dict[str, Any] = json.loads(answers.readline())
        self.total += answer["count"]
        wanted = end_state(self.workload, self.total)
        assert answer["where"] == wanted, f"{self.workload}: stands at {answer['where']} and not at {wanted}"
        return float(answer["count"] / answer["seconds"])

    def stop(self) -> None:
        pipe(self.worker.stdin).close()
        self.worker.wait()


def pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def measure(workload: str, node: str | None) -> dict[str, float]:
    """Events per second by contender; the first rounds of each are for warming up."""
    contenders: dict[str, InProcess | InNode] = {"perdure": InProcess(workload, perdure_session(workload))}
    nodes = {title: InNode(node, face, workload) for face, title in FACES.items()} if node else {}
    contenders |= nodes
    for peer in PEERS:
        session = peer_session(peer, workload)
        if session is not None:
            contenders[peer] = InProcess(workload, session)
    best = dict.fromkeys(contenders, 0.0)
    for round_number in range(WARM_UP + ROUNDS):
        for name, contender in contenders.items():
            rate = contender.round()
            if round_number >= WARM_UP:
                best[name] = max(best[name], rate)
    for worker in nodes.values():
        worker.stop()
    return best


def node_with_xstate() -> str | None:
    node = shutil.which("node")
    if node is not None and (HERE / "node_modules" / "xstate5").is_dir():
        return node
    print("XState is left out: it needs Node and npm.\n")
    return None


def describe(node: str | None) -> str:
    """The versions measured."""
    parts = [f"Python {platform.python_version()}"]
    for peer in PEERS:
        with suppress(importlib.metadata.PackageNotFoundError):
            parts.append(f"{peer} {importlib.metadata.version(peer)}")
    if node:
        packages = json.loads((HERE / "package.json").read_text())["dependencies"]
        parts += [package.removeprefix("npm:") for package in packages.values()]
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        parts.append(f"Node {version.strip()}")
    return ", ".join(parts)


def times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×" if ratio >= 0.95 else f"{ratio:.2f}×"


def main() -> None:
    """Measure the workloads named on the command line, or all."""
    node = node_with_xstate()
    names = ["perdure", *(FACES.values() if node else ()), *PEERS]
    print(describe(node) + "\n")
    print("Per second of processor time; in brackets how many times faster perdure is. –: it cannot express it.\n")
    print(f"| | {' | '.join(names)} |\n|---{'|--:' * len(names)}|")
    for workload in sys.argv[1:] or WORKLOADS:
        rates = measure(workload, node)
        cells = [f"{rates['perdure']:,.0f}"]
        for name in names[1:]:
            rate = rates.get(name)
            cells.append("–" if rate is None else f"{rate:,.0f} ({times(rates['perdure'] / rate)})")
        print(f"| {workload} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
