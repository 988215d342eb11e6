"""Large machines: many states, many regions, deep nesting; no recursion limit, no quadratic surprise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from perdure.errors import MachineConfigError
from perdure.statechart import Machine, create_machine, decode_snapshot, encode_snapshot, initial, transition
from perdure.statechart.dot import to_dot
from perdure.statechart.mermaid import to_mermaid
from perdure.statechart.review import review
from perdure.statechart.xstate_export import to_xstate_json

Config = dict[str, Any]


def chain(length: int) -> Config:
    states: Config = {f"s{i}": {"on": {"NEXT": f"s{(i + 1) % length}"}, "entry": f"+s{i}"} for i in range(length)}
    return {"id": "m", "initial": "s0", "states": states}


def nested(depth: int) -> Config:
    innermost: Config = {"on": {"UP": "#m"}}
    config: Config = innermost
    for _ in range(depth):
        config = {"initial": "d", "states": {"d": config, "other": {}}}
    return {"id": "m", **config}


def regions(count: int) -> Config:
    flip = {"initial": "x", "states": {"x": {"on": {"ALL": "y"}}, "y": {"on": {"ALL": "x"}}}}
    states: Config = {f"r{i}": flip for i in range(count)}
    states["r0"] = {"initial": "x", "states": {"x": {"on": {"ONE": "y"}}, "y": {"on": {"ONE": "x"}}}}
    return {"id": "m", "type": "parallel", "states": states}


def build(config: Config, size: int) -> Machine:
    return create_machine(config, actions={f"+s{i}": lambda: None for i in range(size)})


@pytest.mark.slow
def test_a_machine_of_ten_thousand_states_runs_through_all_of_them() -> None:
    machine = build(chain(10_000), 10_000)
    snapshot = initial(machine).snapshot
    for _ in range(10_000):
        snapshot = transition(machine, snapshot, "NEXT").snapshot
    assert snapshot.value == "s0"


@pytest.mark.slow
def test_a_thousand_regions_move_together_and_alone() -> None:
    machine = build(regions(1_000), 0)
    snapshot = initial(machine).snapshot
    for event in ("ALL", "ONE", "ALL", "ONE"):
        snapshot = transition(machine, decode_snapshot(encode_snapshot(snapshot)), event).snapshot
    assert snapshot.value == {f"r{i}": "x" for i in range(1_000)}
    assert len(snapshot.configuration) == 1_000


@pytest.mark.slow
def test_regions_that_each_move_alone_do_not_fill_the_memory() -> None:
    flip: Config = {f"r{i}": {"initial": "x", "states": {"x": {"on": {f"E{i}": "y"}}, "y": {}}} for i in range(600)}
    machine = build({"type": "parallel", "states": flip}, 0)
    snapshot = initial(machine).snapshot
    for i in range(600):
        snapshot = transition(machine, snapshot, f"E{i}").snapshot
    assert set(snapshot.value.values()) == {"y"}
    assert len(machine.configurations) < 400


@pytest.mark.slow
def test_five_hundred_levels_of_nesting_need_no_recursion() -> None:
    machine = build(nested(500), 0)
    snapshot = initial(machine).snapshot
    snapshot = transition(machine, decode_snapshot(encode_snapshot(snapshot)), "UP").snapshot
    assert snapshot.configuration == (".".join(["m", *["d"] * 500]),)


@pytest.mark.slow
def test_a_machine_of_five_hundred_wrong_targets_names_them_all() -> None:
    config = chain(500)
    for state in config["states"].values():
        state["on"] = {"NEXT": "nowhere"}
        del state["entry"]
    with pytest.raises(MachineConfigError, match="500 defects"):
        create_machine(config)


@pytest.mark.slow
def test_a_chain_of_ten_thousand_eventless_transitions_is_looked_through_once() -> None:
    states: Config = {f"s{i}": {"always": f"s{i + 1}"} for i in range(10_000)}
    assert review(build({"id": "m", "initial": "s0", "states": {**states, "s10000": {}}}, 0)) == []
    states["s9999"] = {"always": "s5000"}
    (loop,) = review(build({"id": "m", "initial": "s0", "states": states}, 0))
    assert loop.rule == "always-loop"


@pytest.mark.slow
@pytest.mark.parametrize("draw", [to_mermaid, to_dot, to_xstate_json])
def test_five_hundred_levels_are_drawn_and_exported_without_recursion(draw: Callable[[Machine], Any]) -> None:
    assert draw(build(nested(500), 0))
