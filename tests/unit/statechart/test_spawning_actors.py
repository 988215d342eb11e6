"""Ephemeral children spawned by an assigner, and references to actors."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perdure.errors import EventFailed, MachineConfigError, PerdureError
from perdure.json_value import Json
from perdure.statechart import (
    Meta,
    assign,
    create_machine,
    decode_snapshot,
    encode_snapshot,
    forward_to,
    initial,
    instance_reference,
    persistent,
    respond,
    send_to,
    spawn,
    stop,
    transition,
)
from perdure.statechart.effect import (
    ActorTarget,
    ChildTarget,
    InstanceTarget,
    SelfTarget,
    Send,
    StartChild,
    StopChild,
    Target,
)
from perdure.statechart.machine import ActorLogic, Machine
from perdure.statechart.step import Scope, Step

IN_SYSTEM = Scope(address=ActorTarget("shop/till"))
TODO = create_machine({"id": "todo", "context": {"title": ""}})


async def fetch() -> str:
    return "fetched"


class Beeper(ActorLogic):
    pass


def spawning(**values: Any) -> Machine:
    """A machine that spawns on entry, keeps what it gets, and passes on what it is told to."""
    on = {
        "TELL": {"actions": send_to(lambda context: context["ref"], "HELLO")},
        "PASS": {"actions": forward_to(lambda context: context["ref"])},
        "STOP": {"actions": stop(lambda context: context["ref"])},
        "STOP_OTHER": {"actions": stop(lambda: {"type": "perdure.actor", "id": "ref", "path": "elsewhere/ref"})},
        "ANSWER": {"actions": respond("YES")},
        "AIM": {"actions": send_to(lambda context, event: event["at"], "HELLO")},
        "AGAIN": {"actions": assign(**values)},
    }
    services = {
        "fetch": fetch,
        "todo": TODO,
        "by": {"type": "fetch", "page": 2},
        "order": persistent("orders", name="o"),
    }
    return create_machine({"id": "m", "context": {}, "entry": assign(**values), "on": on}, services=services)


def started(step: Step) -> list[StartChild]:
    return [effect for effect in step.effects if isinstance(effect, StartChild)]


def test_a_service_is_spawned_by_name_and_the_reference_is_plain_data() -> None:
    step = initial(spawning(ref=lambda: spawn("fetch", "f")), scope=IN_SYSTEM)
    assert step.snapshot.context["ref"] == {"type": "perdure.actor", "id": "f", "path": "shop/till/f"}
    [effect] = started(step)
    assert (effect.id, effect.source, effect.behavior, effect.instance) == ("f", "fetch", None, None)
    assert decode_snapshot(encode_snapshot(step.snapshot)) == step.snapshot


def test_a_name_that_stands_for_another_with_parameters_brings_these() -> None:
    [effect] = started(initial(spawning(ref=lambda: spawn("by", "f"))))
    assert (effect.source, effect.params) == ("fetch", {"page": 2})


def test_a_name_that_stands_for_a_persistent_source_spawns_an_instance() -> None:
    step = initial(spawning(ref=lambda: spawn("order", "first", data={"sum": 5})))
    [effect] = started(step)
    assert (effect.id, effect.source, effect.instance, effect.context) == ("first", "orders", "o", {"sum": 5})
    assert step.snapshot.context["ref"] == instance_reference("orders", "o", child_id="first")


@pytest.mark.parametrize(
    ("behavior", "name"), [(TODO, "todo"), (fetch, "fetch"), (lambda: 1, "function"), (Beeper(), "Beeper")]
)
def test_what_is_spawned_by_value_travels_with_the_effect(behavior: Any, name: str) -> None:
    step = initial(spawning(ref=lambda: spawn(behavior)))
    [effect] = started(step)
    assert effect.behavior is behavior
    assert effect.id == f"{name}-1"
    assert step.snapshot.children[effect.id].by_value


def test_a_snapshot_with_a_child_spawned_by_value_can_be_restored() -> None:
    machine = spawning(ref=lambda: spawn(TODO, "t"))
    snapshot = initial(machine).snapshot
    assert machine.restore(encode_snapshot(snapshot)) == snapshot


def test_data_is_the_context_of_the_child_and_else_it_sees_the_parents() -> None:
    [given] = started(initial(spawning(ref=lambda: spawn("todo", data={"title": "milk"}))))
    assert (given.context, given.has_data) == ({"title": "milk"}, True)
    [bare] = started(initial(spawning(ref=lambda: spawn("fetch"))))
    assert (bare.context, bare.has_data) == ({}, False)


def test_options_reach_the_effect_and_the_snapshot() -> None:
    step = initial(spawning(ref=lambda: spawn("fetch", "f", auto_forward=True, sync=True)))
    [effect] = started(step)
    child = step.snapshot.children["f"]
    assert effect.auto_forward
    assert effect.sync
    assert child.auto_forward
    assert child.sync
    assert step.snapshot.forwarding == ("f",)


def test_only_the_children_that_asked_get_every_event_and_only_while_they_run() -> None:
    machine = spawning(
        ref=lambda: spawn("fetch", "a", auto_forward=True), other=lambda: spawn("fetch", "b", auto_forward=True),
        third=lambda: spawn("fetch", "c"),
    )  # fmt: skip
    step = transition(machine, initial(machine).snapshot, "ANY")
    assert [effect.target for effect in step.effects if isinstance(effect, Send)] == [
        ChildTarget("a"),
        ChildTarget("b"),
    ]
    step = transition(machine, step.snapshot, "STOP")
    assert step.snapshot.forwarding == ("b",)
    step = transition(machine, step.snapshot, {"type": "done.invoke.b"})
    assert step.snapshot.forwarding == ()
    assert list(step.snapshot.children) == ["c"]


def test_an_id_used_again_stops_the_child_that_has_it() -> None:
    machine = spawning(ref=lambda: spawn("fetch", "f"))
    step = transition(machine, initial(machine).snapshot, "AGAIN")
    assert [type(effect) for effect in step.effects] == [StopChild, StartChild]
    assert list(step.snapshot.children) == ["f"]
    assert step.snapshot.children["f"].session == 2


@pytest.mark.parametrize("event", ["TELL", "PASS"])
def test_a_child_is_reached_by_its_reference(event: str) -> None:
    machine = spawning(ref=lambda: spawn("fetch", "a.b/c"))
    snapshot = initial(machine, scope=IN_SYSTEM).snapshot
    [effect] = transition(machine, snapshot, event, scope=IN_SYSTEM).effects
    assert isinstance(effect, Send)
    assert effect.target == ChildTarget("a.b/c")


def test_a_child_is_stopped_by_its_reference_and_no_other_with_its_id_is() -> None:
    machine = spawning(ref=lambda: spawn("fetch", "ref"))
    snapshot = initial(machine, scope=IN_SYSTEM).snapshot
    assert transition(machine, snapshot, "STOP_OTHER", scope=IN_SYSTEM).effects == ()
    [effect] = transition(machine, snapshot, "STOP", scope=IN_SYSTEM).effects
    assert isinstance(effect, StopChild)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("shop/till", SelfTarget()),
        ("shop", ActorTarget("shop")),
        ("shop/till/f", ChildTarget("f")),
        ("shop/till/f/g", ActorTarget("shop/till/f/g")),
        ("shop/tiller", ActorTarget("shop/tiller")),
    ],
)
def test_any_actor_is_reached_by_its_path(path: str, target: Target) -> None:
    machine = spawning(ref=lambda: spawn("fetch", "f"))
    snapshot = initial(machine, scope=IN_SYSTEM).snapshot
    event = {"type": "AIM", "at": {"type": "perdure.actor", "id": "x", "path": path}}
    [effect] = transition(machine, snapshot, event, scope=IN_SYSTEM).effects
    assert isinstance(effect, Send)
    assert effect.target == target


@pytest.mark.parametrize("reference", [{"type": "perdure.actor"}, {"type": "perdure.actor", "path": ""}, {"path": "x"}])
def test_what_is_no_reference_reaches_nobody(reference: Json) -> None:
    machine = spawning(ref=lambda: None)
    step = transition(machine, initial(machine).snapshot, {"type": "AIM", "at": reference})
    assert not any(isinstance(effect, Send) for effect in step.effects)


def test_a_constant_reference_is_checked_when_the_machine_is_built() -> None:
    aim = {"type": "perdure.actor", "id": "f", "path": "f"}
    assert create_machine({"on": {"GO": {"actions": send_to(aim, "HI")}}})
    with pytest.raises(MachineConfigError):
        create_machine({"on": {"GO": {"actions": send_to({**aim, "path": 5}, "HI")}}})


def test_the_sender_is_answered_wherever_it_is() -> None:
    machine = spawning(ref=lambda: spawn("fetch", "f"))
    snapshot = initial(machine).snapshot
    for origin in (ActorTarget("elsewhere"), ChildTarget("f"), InstanceTarget("a", "b")):
        [effect] = transition(machine, snapshot, "ANSWER", scope=Scope(origin=origin)).effects
        assert isinstance(effect, Send)
        assert effect.target == origin


@pytest.mark.parametrize(
    ("address", "reference"),
    [
        (None, None),
        (ActorTarget("shop/till"), {"type": "perdure.actor", "id": "till", "path": "shop/till"}),
        (InstanceTarget("orders", "o"), instance_reference("orders", "o")),
    ],
)
def test_meta_says_how_others_reach_the_actor(address: Target | None, reference: Json) -> None:
    seen: list[Json] = []

    def see(context: Json, event: Json, meta: Meta) -> bool:
        seen.append(meta.reference)
        return True

    machine = create_machine({"context": {}, "on": {"A": {"cond": see}, "B": {"actions": assign(x=see)}}})
    snapshot = initial(machine).snapshot
    for event in ("A", "B"):
        transition(machine, snapshot, event, scope=Scope(address=address))
    assert seen == [reference, reference]


def test_the_child_of_an_instance_is_addressed_below_it() -> None:
    scope = Scope(address=InstanceTarget("orders", "o"))
    step = initial(spawning(ref=lambda: spawn("fetch", "f")), scope=scope)
    assert step.snapshot.context["ref"]["path"] == "orders/o/f"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fetsh", "Did you mean 'fetch'"),
        (5, "neither a service, a machine nor a callable"),
        (persistent("orders", name=lambda: "x"), "not a callable that computes it"),
    ],
)
def test_what_cannot_be_spawned_is_refused(source: Any, message: str) -> None:
    with pytest.raises(EventFailed, match=message):
        initial(spawning(ref=lambda: spawn(source)))


def test_a_coroutine_is_refused_and_closed() -> None:
    with pytest.raises(EventFailed, match="give it the function"):
        initial(spawning(ref=lambda: spawn(fetch())))  # type: ignore[arg-type]  # what a user might try


@pytest.mark.parametrize("name", ["", 5])
def test_a_bad_name_is_refused(name: Any) -> None:
    with pytest.raises(EventFailed, match="non-empty string"):
        initial(spawning(ref=lambda: spawn("fetch", name)))


def test_spawning_outside_assign_is_refused() -> None:
    with pytest.raises(EventFailed, match="inside assign"):
        spawn(fetch)
    machine = create_machine({"on": {"GO": {"cond": lambda: bool(spawn(fetch))}}})
    with pytest.raises(PerdureError, match="inside assign"):
        transition(machine, initial(machine).snapshot, "GO")


def test_ten_thousand_children_of_one_assigner_cost_no_copy_each() -> None:
    machine = spawning(refs=lambda: [spawn("fetch") for _ in range(10_000)])
    snapshot = initial(machine).snapshot
    assert len(snapshot.children) == 10_000
    before = dict(snapshot.children)
    after = transition(machine, snapshot, "AGAIN").snapshot
    assert (len(after.children), snapshot.children) == (20_000, before)


@pytest.mark.parametrize("service", [5, None, [], {"no": "type"}, object()])
def test_a_service_that_nothing_can_run_is_one_defect_used_or_not(service: Any) -> None:
    with pytest.raises(MachineConfigError) as raised:
        create_machine({"invoke": {"src": "bad"}}, services={"bad": service})
    assert [defect.path for defect in raised.value.defects] == ["services.bad"]


def test_on_snapshot_takes_the_steps_of_the_child() -> None:
    config = {
        "id": "m",
        "context": {},
        "invoke": {"id": "t", "src": TODO, "onSnapshot": {"actions": assign(seen=lambda _, event: event["snapshot"])}},
    }
    machine = create_machine(config)
    step = initial(machine)
    assert started(step)[0].snapshots
    step = transition(machine, step.snapshot, {"type": "xstate.snapshot.t", "snapshot": 5})
    assert step.snapshot.context == {"seen": 5}
    assert not started(initial(spawning(ref=lambda: spawn("fetch"))))[0].snapshots


def test_given_context_may_replace_the_machines_own() -> None:
    assert initial(TODO, {"x": 1}).snapshot.context == {"title": "", "x": 1}
    assert initial(TODO, {"x": 1}, replaces=True).snapshot.context == {"x": 1}


def test_an_effect_without_a_behavior_is_plain_data() -> None:
    [effect] = started(initial(spawning(ref=lambda: spawn("fetch", "f"))))
    assert msgspec.json.decode(msgspec.json.encode(effect), type=StartChild) == effect
