"""The workloads of ``engine.py`` on other statechart libraries for Python, where they can express them.

Each has the interface that its documentation shows first, in its synchronous form; custom actions are called, which
perdure leaves to whoever drives it. A library that is not installed is left out.
"""

from __future__ import annotations

import copy
import importlib
import json
import logging
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from benchmarks.engine_perdure import BUILDING, COUNTER, REGION, STORED, TOGGLE, Session, chains, nothing, ring

__all__ = ["PEERS", "peer_session"]

RINGS = {"ring of 200 states": 200, "ring of 2,000 states": 2000, BUILDING: 1000}
HIERARCHY, PARALLEL = "four levels, entry and exit actions", "four parallel regions"
ALWAYS, RAISED = "chain of 10 always", "chain of 10 raised events"
REGIONS = ("one", "two", "three", "four")


class Made:
    """A session from two functions."""

    def __init__(self, step: Callable[[], object], where: Callable[[], str]) -> None:
        self.step = step
        self.where = where


def built(make: Callable[[], object]) -> Session:
    """A session that builds: ``make`` gives a machine that has handled one event."""
    return Made(make, lambda: "1000")


def in_order(leaves: Iterable[str]) -> str:
    """Active leaves, those of regions in the order of these."""
    order = {name: place for place, name in enumerate(REGIONS)}
    return " ".join(sorted(leaves, key=lambda leaf: order.get(leaf.split(".")[0], 0)))


# -- xstate-statemachine -------------------------------------------------------------------------------------------


def xstate_statemachine(workload: str) -> Session | None:
    xsm = importlib.import_module("xstate_statemachine")
    logging.getLogger("xstate_statemachine").setLevel(logging.ERROR)
    noisy = {"entry": "nothing", "exit": "nothing"}

    def level(other: str, keys: str = "xyz") -> dict[str, Any]:
        if not keys:
            return {**noisy, "on": {"T": f"#m.{other}"}}
        return {**noisy, "initial": keys[0], "states": {keys[0]: level(other, keys[1:])}}

    raising = {"actions": [xsm.raise_("R")]}
    counting = {"guard": "positive", "actions": [xsm.assign({"n": lambda given: given["context"]["n"] + 1})]}
    configs: dict[str, Any] = {
        "toggle": TOGGLE,
        STORED: TOGGLE,
        COUNTER: {"initial": "a", "context": {"n": 0}, "states": {"a": {"on": {"T": counting}}}},
        HIERARCHY: {"initial": "one", "states": {"one": level("two"), "two": level("one")}},
        PARALLEL: {"type": "parallel", "states": dict.fromkeys(REGIONS, REGION)},
        ALWAYS: chains(lambda target: target, lambda target, last: {"always": {"target": target}}),
        RAISED: chains(
            lambda target: {"target": target, **raising},
            lambda target, last: {"on": {"R": target if last else {"target": target, **raising}}},
        ),
        **{name: ring(size) for name, size in RINGS.items()},
    }
    logic = xsm.MachineLogic(
        actions={"nothing": lambda *given: None}, guards={"positive": lambda context, event: context["n"] >= 0}
    )

    def make() -> Any:
        return xsm.create_machine(json.loads(encoded) if encoded else {"id": "m", **configs[workload]}, logic=logic)

    encoded = json.dumps({"id": "m", **configs[workload]}) if workload in RINGS else ""
    if workload == BUILDING:
        return built(lambda: xsm.SyncInterpreter(make()).start().send("T"))
    machine = make()
    running = [xsm.SyncInterpreter(machine).start()]

    def stored() -> None:
        running[0] = xsm.SyncInterpreter.from_snapshot(running[0].get_snapshot(), machine)
        running[0].send("T")

    def where() -> str:
        if workload == COUNTER:
            return str(running[0].context["n"])
        ids = running[0].current_state_ids
        return in_order(name[2:] for name in ids if not any(other.startswith(f"{name}.") for other in ids))

    return Made(stored if workload == STORED else lambda: running[0].send("T"), where)


# -- transitions ---------------------------------------------------------------------------------------------------


def transitions(workload: str) -> Session | None:
    core = importlib.import_module("transitions")
    nesting = importlib.import_module("transitions.extensions.nesting")

    class Model:
        n = 0
        state: Any

    model = Model()
    send = lambda: model.T()  # type: ignore[attr-defined]  # noqa: E731  # the library adds the method
    where: Callable[[], str] = lambda: str(model.state)  # noqa: E731
    if workload in RINGS:
        size = RINGS[workload]
        names = [f"s{i}" for i in range(size)]
        moves = [["T", name, f"s{(i + 1) % size}"] for i, name in enumerate(names)]
        if workload == BUILDING:

            def make() -> object:
                fresh = Model()
                core.Machine(fresh, states=names, transitions=moves, initial="s0", auto_transitions=False)
                return fresh.T()  # type: ignore[attr-defined]

            return built(make)
        core.Machine(model, states=names, transitions=moves, initial="s0", auto_transitions=False)
    elif workload == "toggle":
        core.Machine(model, states=["a", "b"], transitions=[["T", "a", "b"], ["T", "b", "a"]], initial="a")
    elif workload == COUNTER:

        def count() -> None:
            model.n += 1

        machine = core.Machine(model, states=["a"], initial="a")
        machine.add_transition("T", "a", None, conditions=lambda: model.n >= 0, after=count)
        where = lambda: str(model.n)  # noqa: E731
    elif workload == HIERARCHY:

        def level(keys: tuple[str, ...]) -> dict[str, Any]:
            noisy = {"name": keys[0], "on_enter": nothing, "on_exit": nothing}
            return noisy if len(keys) == 1 else {**noisy, "initial": keys[1], "children": [level(keys[1:])]}

        branches = [level((name, "x", "y", "z")) for name in ("one", "two")]
        moves = [["T", "one_x_y_z", "two"], ["T", "two_x_y_z", "one"]]
        nesting.HierarchicalMachine(model, states=branches, transitions=moves, initial="one", auto_transitions=False)
        where = lambda: str(model.state).replace("_", ".")  # noqa: E731
    elif workload == PARALLEL:
        region = {"children": ["x", "y"], "initial": "x", "transitions": [["T", "x", "y"], ["T", "y", "x"]]}
        whole = {"name": "p", "parallel": [{"name": name, **region} for name in REGIONS]}
        nesting.HierarchicalMachine(model, states=[whole], initial="p", auto_transitions=False)
        where = lambda: " ".join(state[2:].replace("_", ".") for state in model.state)  # noqa: E731
    elif workload == RAISED:
        machine = core.Machine(model, states=list(chains(str, lambda *_: {})["states"]), initial="a", queued=True)
        for start, end in (("a", "b"), ("b", "a")):
            names = [start, *(f"{start}{i}" for i in range(1, 11)), end]
            machine.add_transition("T", start, names[1], after=lambda: model.R())  # type: ignore[attr-defined]
            for one, other in pairwise(names[1:-1]):
                machine.add_transition("R", one, other, after=lambda: model.R())  # type: ignore[attr-defined]
            machine.add_transition("R", names[-2], end)
    else:
        return None
    return Made(send, where)


# -- python-statemachine -------------------------------------------------------------------------------------------


def python_statemachine_states(workload: str, counted: dict[str, int]) -> dict[str, Any] | None:
    """The definition of a class of its own; it counts into ``counted``."""

    def on(target: str, **more: Any) -> dict[str, Any]:
        return {"on": {"T": [{"target": target, **more}]}}

    def level(name: str, depth: int, other: str) -> dict[str, Any]:
        noisy = {"enter": nothing, "exit": nothing, "initial": depth > 0}
        if depth == 3:
            return {**noisy, **on(other)}
        below = f"{name}_{'xyz'[depth]}"
        return {**noisy, "states": {below: level(below, depth + 1, other)}}

    def count() -> None:
        counted["n"] += 1

    def raised(machine: Any) -> None:
        machine.raise_("R")

    if workload in RINGS:
        size = RINGS[workload]
        return {f"s{i}": on(f"s{(i + 1) % size}") for i in range(size)}
    if workload == "toggle":
        return {"a": on("b"), "b": on("a")}
    if workload == COUNTER:
        return {"a": on("a", internal=True, cond=lambda: counted["n"] >= 0, on=count)}
    if workload == HIERARCHY:
        return {"one": level("one", 0, "two"), "two": level("two", 0, "one")}
    if workload == PARALLEL:
        regions = {
            name: {"states": {f"{name}_x": {"initial": True, **on(f"{name}_y")}, f"{name}_y": on(f"{name}_x")}}
            for name in REGIONS
        }
        return {"p": {"parallel": True, "states": regions}}
    if workload == ALWAYS:
        chain = chains(lambda target: [{"target": target}], lambda target, _: {"transitions": [{"target": target}]})
        return dict(chain["states"])
    if workload == RAISED:
        chain = chains(
            lambda target: [{"target": target, "after": raised}],
            lambda target, last: {"on": {"R": [{"target": target, **({} if last else {"after": raised})}]}},
        )
        return dict(chain["states"])
    return None


def python_statemachine(workload: str) -> Session | None:
    make_class = importlib.import_module("statemachine.io.class_factory").create_machine_class_from_definition
    counted = {"n": 0}
    states = python_statemachine_states(workload, counted)
    if states is None:
        return None
    first = next(iter(states))
    states[first] = {**states[first], "initial": True}
    if workload == BUILDING:
        # The definition is used up by what is made of it.
        return built(lambda: make_class("Ring", copy.deepcopy(states))().send("T"))
    running = make_class("Chart", states)()

    def where() -> str:
        if workload == COUNTER:
            return str(counted["n"])
        return in_order(state.id.replace("_", ".") for state in running.configuration if not state.states)

    return Made(lambda: running.send("T"), where)


# -- sismic --------------------------------------------------------------------------------------------------------


def sismic_root(workload: str) -> dict[str, Any] | None:
    """The root state of a chart in sismic's format."""

    def state(name: str, target: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "transitions": [{"target": target, **more}]}

    def level(name: str, depth: int, other: str) -> dict[str, Any]:
        noisy = {"name": name, "on entry": "pass", "on exit": "pass"}
        if depth == 3:
            return {**noisy, **state(name, other, event="T")}
        below = f"{name}_{'xyz'[depth]}"
        return {**noisy, "initial": below, "states": [level(below, depth + 1, other)]}

    def chain(first: dict[str, Any], link: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for start, end in (("a", "b"), ("b", "a")):
            names = [start, *(f"{start}{i}" for i in range(1, 11))]
            found.append(state(start, names[1], event="T", **first))
            found += [state(one, other, **link, **first) for one, other in pairwise(names[1:])]
            found.append(state(names[-1], end, **link))
        return found

    if workload in RINGS:
        size = RINGS[workload]
        return {"initial": "s0", "states": [state(f"s{i}", f"s{(i + 1) % size}", event="T") for i in range(size)]}
    if workload == "toggle":
        return {"initial": "a", "states": [state("a", "b", event="T"), state("b", "a", event="T")]}
    if workload == COUNTER:
        move = {"event": "T", "guard": "n >= 0", "action": "n = n + 1"}
        return {"initial": "a", "states": [{"name": "a", "transitions": [move]}]}
    if workload == HIERARCHY:
        return {"initial": "one", "states": [level("one", 0, "two"), level("two", 0, "one")]}
    if workload == PARALLEL:
        toggles = {n: [state(f"{n}_x", f"{n}_y", event="T"), state(f"{n}_y", f"{n}_x", event="T")] for n in REGIONS}
        regions = [{"name": name, "initial": f"{name}_x", "states": states} for name, states in toggles.items()]
        return {"parallel states": regions}
    if workload == ALWAYS:
        return {"initial": "a", "states": chain({}, {})}
    if workload == RAISED:
        return {"initial": "a", "states": chain({"action": "send('R')"}, {"event": "R"})}
    return None


def sismic(workload: str) -> Session | None:
    read = importlib.import_module("sismic.io.datadict").import_from_dict
    interpreter = importlib.import_module("sismic.interpreter").Interpreter
    root = sismic_root(workload)
    if root is None:
        return None
    preamble = "n = 0" if workload == COUNTER else ""
    chart = {"statechart": {"name": "m", "preamble": preamble, "root state": {"name": "root", **root}}}

    def make() -> Any:
        running = interpreter(read(chart))
        running.execute()
        return running

    if workload == BUILDING:
        return built(lambda: make().queue("T").execute())
    running = make()

    def where() -> str:
        if workload == COUNTER:
            return str(running.context["n"])
        names = set(running.configuration) - {"root"}
        leaves = [name for name in names if not any(other.startswith(f"{name}_") for other in names)]
        return in_order(leaf.replace("_", ".") for leaf in leaves)

    return Made(lambda: running.queue("T").execute(), where)


PEERS: dict[str, Callable[[str], Session | None]] = {
    "xstate-statemachine": xstate_statemachine,
    "transitions": transitions,
    "python-statemachine": python_statemachine,
    "sismic": sismic,
}
"""By their names on PyPI."""


def peer_session(peer: str, workload: str) -> Session | None:
    """A peer's machine for a workload; ``None`` where it cannot express it or is not installed."""
    try:
        return PEERS[peer](workload)
    except ModuleNotFoundError:
        return None
