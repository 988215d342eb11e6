"""Persistent children spawned by an assigner."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from perdure.errors import EventFailed
from perdure.statechart import assign, create_machine, initial, send_to, spawn, spawn_persistent, stop, transition
from perdure.statechart.effect import InstanceTarget, Send, StartChild
from tests.unit.statechart.playing import asked, play


def test_spawning_in_assign_starts_a_child_and_returns_plain_data() -> None:
    spawn = assign(ref=lambda: spawn_persistent("worker", id="w", name="one", version="v", context={"n": 1}, sync=True))
    step = play({"context": {}, "on": {"GO": {"actions": [spawn, "next"]}}}, "GO")
    effect = step.effects[0]
    assert isinstance(effect, StartChild)
    assert (effect.id, effect.source, effect.instance, effect.version) == ("w", "worker", "one", "v")
    assert (effect.context, effect.sync, effect.session) == ({"n": 1}, True, 1)
    assert asked(step) == ["start w", "next"]
    assert step.snapshot.context["ref"] == {
        "type": "statebacked.instance",
        "id": "w",
        "machineName": "worker",
        "machineInstanceName": "one",
    }
    assert step.snapshot.children["w"].state is None


def test_names_and_ids_are_fresh_by_default() -> None:
    spawn = assign(one=lambda: spawn_persistent("worker"), two=lambda: spawn_persistent("worker"))
    step = play({"context": {}, "entry": spawn})
    assert list(step.snapshot.children) == ["m-1", "m-2"]


def test_the_reference_is_an_address_and_can_be_stopped() -> None:
    on = {
        "SPAWN": {"actions": assign(ref=lambda: spawn_persistent("worker", name="w"))},
        "TELL": {"actions": send_to(lambda context: context["ref"], "HELLO")},
        "STOP": {"actions": stop(lambda context: context["ref"])},
    }
    config = {"context": {}, "on": on}
    told = play(config, "SPAWN", "TELL").effects[0]
    assert isinstance(told, Send)
    assert told.target == InstanceTarget("worker", "w")
    assert asked(play(config, "SPAWN", "STOP")) == ["stop w"]


def test_spawning_outside_assign_is_refused() -> None:
    with pytest.raises(EventFailed, match="inside assign"):
        spawn_persistent("worker")
    config = {"on": {"GO": {"cond": lambda: spawn_persistent("worker")}}}
    with pytest.raises(EventFailed, match="inside assign"):
        play(config, "GO")


def test_an_assigner_that_fails_leaves_no_child_and_no_open_door() -> None:
    def spawn_and_fail() -> None:
        spawn_persistent("worker", name="w")
        raise ValueError

    machine = create_machine({"context": {}, "on": {"GO": {"actions": assign(x=spawn_and_fail)}}})
    snapshot = initial(machine).snapshot
    with pytest.raises(EventFailed):
        transition(machine, snapshot, "GO")
    assert snapshot.children == {}
    with pytest.raises(EventFailed, match="inside assign"):
        spawn_persistent("worker")


# -- assigners that run without a macrostep ---------------------------------------------------------


def test_an_assigner_that_spawns_is_found_out_once_and_then_gets_its_macrostep_at_once() -> None:
    seen = []

    def assigner(context: Any, event: Any) -> Any:
        seen.append(event["type"])
        return {"ref": spawn_persistent("worker")} if event.get("more") else {"ref": None}

    machine = create_machine({"id": "m", "context": {}, "on": {"GO": {"actions": assign(assigner)}}})
    step = transition(machine, initial(machine).snapshot, "GO")
    assert (seen, step.effects) == (["GO"], ())
    step = transition(machine, step.snapshot, {"type": "GO", "more": True})
    assert (len(seen), asked(step), step.snapshot.context["ref"]["id"]) == (3, ["start m-1"], "m-1")
    step = transition(machine, initial(machine).snapshot, {"type": "GO", "more": True})
    assert (len(seen), asked(step)) == (4, ["start m-1"])


def test_an_assigner_gets_its_child_though_it_catches_errors() -> None:
    def careful() -> Any:
        try:
            return spawn_persistent("worker", name="w")
        except Exception:
            return "none"

    step = play({"context": {}, "on": {"GO": {"actions": assign(ref=careful)}}}, "GO")
    assert asked(step) == ["start w"]
    assert step.snapshot.context["ref"]["id"] == "w"


def test_a_child_belongs_to_the_machine_whose_assigner_spawns_it_and_not_to_one_that_asks_what_it_would_do() -> None:
    spawn = assign(ref=lambda: spawn_persistent("worker", name="w"))
    inner = create_machine({"id": "inner", "context": {}, "on": {"GO": {"actions": spawn}}})
    before = initial(inner).snapshot
    asks = assign(would_start=lambda: list(inner.transition(before, "GO").children))
    step = play({"context": {}, "entry": asks})
    assert step.snapshot.context == {"would_start": ["w"]}
    assert (asked(step), step.snapshot.children) == ([], {})


def test_a_coroutine_given_to_spawn_is_closed_and_refused() -> None:
    async def work() -> None: ...

    started: Any = work()
    with pytest.raises(EventFailed, match="spawn was given a coroutine"):
        play({"context": {}, "on": {"GO": {"actions": assign(ref=lambda: spawn(started))}}}, "GO")
    assert inspect.getcoroutinestate(started) == inspect.CORO_CLOSED
