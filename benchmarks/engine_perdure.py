"""The workloads of ``engine.py`` on perdure; ``engine.cjs`` and ``engine_peers.py`` have the same machines.

One event is one call of ``transition``: snapshot in, snapshot and effects out. A build is ``create_machine``, its
initial snapshot and one event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from perdure.statechart import (
    Snapshot,
    assign,
    create_machine,
    decode_snapshot,
    encode_snapshot,
    initial,
    raise_,
    transition,
)

__all__ = [
    "BUILDING",
    "COUNTER",
    "STORED",
    "WORKLOADS",
    "Session",
    "branch",
    "chains",
    "nothing",
    "perdure_session",
    "ring",
]

COUNTER = "guarded counter with assign"
STORED = "toggle, snapshot through JSON"
BUILDING = "building 1,000 states"


class Session(Protocol):
    """One machine of one contender at one workload."""

    def step(self) -> object:
        """Handle one event, or build once."""
        ...

    def where(self) -> str:
        """Where the machine stands, in the words of ``engine.end_state``."""
        ...


def nothing() -> None:
    """A custom action; the engine only names it in an effect."""


def branch(other: str) -> dict[str, Any]:
    noisy = {"entry": nothing, "exit": nothing}
    leaf = {**noisy, "on": {"T": f"#m.{other}"}}
    below = {**noisy, "initial": "z", "states": {"z": leaf}}
    return {**noisy, "initial": "x", "states": {"x": {**noisy, "initial": "y", "states": {"y": below}}}}


def ring(size: int) -> dict[str, Any]:
    return {"initial": "s0", "states": {f"s{i}": {"on": {"T": f"s{(i + 1) % size}"}} for i in range(size)}}


def chains(first: Callable[[str], Any], link: Callable[[str, bool], Any]) -> dict[str, Any]:
    """From a to b and from b to a, each through ten states that are left at once."""
    states: dict[str, Any] = {}
    for start, end in (("a", "b"), ("b", "a")):
        states[start] = {"on": {"T": first(f"{start}1")}}
        for i in range(1, 11):
            states[f"{start}{i}"] = link(f"{start}{i + 1}" if i < 10 else end, i == 10)
    return {"initial": "a", "states": states}


TOGGLE = {"initial": "a", "states": {"a": {"on": {"T": "b"}}, "b": {"on": {"T": "a"}}}}
REGION = {"initial": "x", "states": {"x": {"on": {"T": "y"}}, "y": {"on": {"T": "x"}}}}
COUNTING = {"cond": lambda context: context["n"] >= 0, "actions": assign(n=lambda context: context["n"] + 1)}
WORKLOADS: dict[str, dict[str, Any]] = {
    "toggle": TOGGLE,
    COUNTER: {"initial": "a", "context": {"n": 0}, "states": {"a": {"on": {"T": COUNTING}}}},
    "four levels, entry and exit actions": {"initial": "one", "states": {"one": branch("two"), "two": branch("one")}},
    "four parallel regions": {"type": "parallel", "states": dict.fromkeys(("one", "two", "three", "four"), REGION)},
    "ring of 200 states": ring(200),
    "ring of 2,000 states": ring(2000),
    "chain of 10 always": chains(lambda target: target, lambda target, last: {"always": target}),
    "chain of 10 raised events": chains(
        lambda target: {"target": target, "actions": raise_("R")},
        lambda target, last: {"on": {"R": target if last else {"target": target, "actions": raise_("R")}}},
    ),
    STORED: TOGGLE,
    BUILDING: ring(1000),
}


def perdure_session(workload: str) -> Session:
    config = {"id": "m", **WORKLOADS[workload]}
    if workload == BUILDING:
        return Builds(config)
    return StoredRun(config, False) if workload == STORED else Run(config, workload == COUNTER)


class Run:
    def __init__(self, config: dict[str, Any], counts: bool) -> None:
        self.machine = create_machine(config)
        self.snapshot: Snapshot = initial(self.machine).snapshot
        self.counts = counts

    def step(self) -> None:
        self.snapshot = transition(self.machine, self.snapshot, "T").snapshot

    def where(self) -> str:
        return str(self.snapshot.context["n"]) if self.counts else flat(self.snapshot.value)


class StoredRun(Run):
    def step(self) -> None:
        read = decode_snapshot(encode_snapshot(self.snapshot))
        self.snapshot = transition(self.machine, read, "T").snapshot


class Builds:
    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.states = 0

    def step(self) -> None:
        machine = create_machine(self.config)
        transition(machine, initial(machine).snapshot, "T")
        self.states = len(machine.nodes) - 1

    def where(self) -> str:
        return str(self.states)


def flat(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(f"{key}.{flat(below)}" for key, below in value.items())
