"""Events per second of the pure engine, beside XState v4's ``machine.transition`` where Node and XState are there.

One event is one call: snapshot in, snapshot and effects out. Each figure is the best of several rounds in one thread,
by processor time, so that a busy machine matters less. To compare: ``npm install`` in tests/conformance/xstate.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perdure.statechart import (
    Machine,
    Snapshot,
    assign,
    create_machine,
    decode_snapshot,
    encode_snapshot,
    initial,
    raise_,
    transition,
)

HERE = Path(__file__).parent
ROUNDS = 5
ROUND_SECONDS = 0.2
BATCH = 200

Run = Callable[[Machine, Snapshot], Snapshot]


def nothing() -> None:
    """A custom action; the engine only names it in an effect."""


def machines() -> dict[str, tuple[Machine, Run]]:
    """What is measured, by name; ``engine.cjs`` has the same."""
    noisy = {"entry": nothing, "exit": nothing}

    def branch(other: str) -> dict[str, Any]:
        leaf = {**noisy, "on": {"T": f"#m.{other}"}}
        below = {**noisy, "initial": "z", "states": {"z": leaf}}
        return {**noisy, "initial": "x", "states": {"x": {**noisy, "initial": "y", "states": {"y": below}}}}

    region = {"initial": "x", "states": {"x": {"on": {"T": "y"}}, "y": {"on": {"T": "x"}}}}
    counting = {"cond": lambda context: context["n"] >= 0, "actions": assign(n=lambda context: context["n"] + 1)}
    always: dict[str, Any] = {"s0": {"on": {"T": "s1"}}}
    always |= {f"s{i}": {"always": f"s{(i + 1) % 11}"} for i in range(1, 11)}
    raised: dict[str, Any] = {"s0": {"on": {"T": {"target": "s1", "actions": raise_("R")}}}}
    raised |= {f"s{i}": {"on": {"R": {"target": f"s{i + 1}", "actions": raise_("R")}}} for i in range(1, 10)}
    raised["s10"] = {"on": {"R": "s0"}}
    toggle = build({"initial": "a", "states": {"a": {"on": {"T": "b"}}, "b": {"on": {"T": "a"}}}})
    counter = build({"initial": "a", "context": {"n": 0}, "states": {"a": {"on": {"T": counting}}}})
    regions = dict.fromkeys(("one", "two", "three", "four"), region)
    return {
        "toggle": (toggle, handle),
        "guarded counter with assign": (counter, handle),
        "four levels, entry and exit actions": (
            build({"initial": "one", "states": {"one": branch("two"), "two": branch("one")}}),
            handle,
        ),
        "four parallel regions": (build({"type": "parallel", "states": regions}), handle),
        "chain of 10 always": (build({"initial": "s0", "states": always}), handle),
        "chain of 10 raised events": (build({"initial": "s0", "states": raised}), handle),
        "toggle, snapshot through JSON": (toggle, handle_stored),
    }


def build(config: dict[str, Any]) -> Machine:
    return create_machine({"id": "m", **config})


def handle(machine: Machine, snapshot: Snapshot) -> Snapshot:
    return transition(machine, snapshot, "T").snapshot


def handle_stored(machine: Machine, snapshot: Snapshot) -> Snapshot:
    return transition(machine, decode_snapshot(encode_snapshot(snapshot)), "T").snapshot


def per_second(machine: Machine, run: Run) -> float:
    """Events per second, the best round."""
    snapshot = initial(machine).snapshot
    best = 0.0
    for _ in range(ROUNDS):
        count, begin = 0, time.process_time()
        while (elapsed := time.process_time() - begin) < ROUND_SECONDS:
            for _ in range(BATCH):
                snapshot = run(machine, snapshot)
            count += BATCH
        best = max(best, count / elapsed)
    return best


def xstate_per_second() -> dict[str, float]:
    """The same for XState v4; empty where it cannot run."""
    node = shutil.which("node")
    if node is None or not (HERE.parent / "tests/conformance/xstate/node_modules/xstate").is_dir():
        return {}
    answer = subprocess.run([node, HERE / "engine.cjs"], check=True, capture_output=True, text=True)
    return dict(json.loads(answer.stdout))


def main() -> None:
    xstate = xstate_per_second()
    print("| events per second | perdure | XState 4.38.3 | ratio |\n|---|--:|--:|--:|")
    for name, (machine, run) in machines().items():
        ours = per_second(machine, run)
        theirs = xstate.get(name)
        beside = f"{theirs:,.0f} | {ours / theirs:.1f}" if theirs else "– | –"
        print(f"| {name} | {ours:,.0f} | {beside} |")
    if not xstate:
        print("\nXState was not measured: it needs Node, and `npm install` in tests/conformance/xstate.")


if __name__ == "__main__":
    main()
