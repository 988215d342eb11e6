"""Children and messages: announced, held, started, stopped, addressed, cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.errors import EventFailed
from perdure.statechart import (
    Scope,
    assign,
    cancel,
    initial,
    persistent,
    raise_,
    send_parent,
    send_to,
    spawn_persistent,
    transition,
)
from perdure.statechart import send as send_
from perdure.statechart import stop as stop_child
from perdure.statechart.effect import ChildTarget, Fail, InstanceTarget, Send, StartChild, StopChild, Warn
from perdure.statechart.step import stop
from tests.unit.statechart.playing import asked, machine, play

SERVICES = {"services": {"work": lambda: None, "other": lambda: None}}
Config = dict[str, Any]


def working(state: Config | None = None, **more: Any) -> Config:
    """State a does nothing, GO leads to b, which invokes the child c."""
    b = {"invoke": {"src": "work", "id": "c"}, **(state or {})}
    return {"initial": "a", "states": {"a": {"on": {"GO": "b"}}, "b": b, "z": {}}, **more}


def started(step: Any) -> list[StartChild]:
    return [effect for effect in step.effects if isinstance(effect, StartChild)]


# -- starting and stopping -------------------------------------------------------------------------


def test_a_child_starts_after_the_entry_actions_and_stops_on_exit() -> None:
    config = working({"entry": "+b", "exit": "-b", "on": {"BACK": {"target": "a", "actions": "back"}}})
    step = play(config, "GO", **SERVICES)
    assert asked(step) == ["+b", "start c"]
    child = step.snapshot.children["c"]
    assert (child.source, child.session, child.state, child.is_persistent) == ("work", 1, "m.b", False)
    step = play(config, "GO", "BACK", **SERVICES)
    assert asked(step) == ["-b", "stop c", "back"]
    assert step.snapshot.children == {}


def test_a_child_starts_once_all_entered_states_have_acted() -> None:
    inner = {"initial": "x", "entry": "+b", "states": {"x": {"entry": "+x"}}}
    assert asked(play(working(inner), "GO", **SERVICES)) == ["+b", "+x", "start c"]


def test_a_state_entered_and_left_in_one_macrostep_starts_nothing() -> None:
    step = play(working({"always": "z"}), "GO", **SERVICES)
    assert asked(step) == []
    assert step.snapshot.children == {}
    assert step.snapshot.children_started == 0


def test_re_entering_stops_the_child_and_starts_another() -> None:
    step = play(working({"on": {"AGAIN": "b"}}), "GO", "AGAIN", **SERVICES)
    assert asked(step) == ["stop c", "start c"]
    assert step.snapshot.children["c"].session == 2


def test_a_used_id_stops_the_old_child() -> None:
    regions = {
        "one": {"initial": "x", "states": {"x": {"invoke": {"src": "work", "id": "c"}}}},
        "two": {"initial": "x", "states": {"x": {"on": {"GO": "y"}}, "y": {"invoke": {"src": "other", "id": "c"}}}},
    }
    step = play({"type": "parallel", "states": regions}, "GO", **SERVICES)
    assert asked(step) == ["stop c", "start c"]
    assert step.snapshot.children["c"].source == "other"


def test_leaving_a_state_leaves_a_child_that_another_state_has_taken_over() -> None:
    regions = {
        "one": {"initial": "x", "states": {"x": {"invoke": {"src": "work", "id": "c"}, "on": {"OUT": "y"}}, "y": {}}},
        "two": {"initial": "x", "states": {"x": {"on": {"GO": "y"}}, "y": {"invoke": {"src": "other", "id": "c"}}}},
    }
    step = play({"type": "parallel", "states": regions}, "GO", "OUT", **SERVICES)
    assert asked(step) == []
    assert "c" in step.snapshot.children


def test_two_states_entered_together_with_one_id_start_the_later() -> None:
    one = {"entry": send_to("c", "FIRST"), "invoke": {"src": "work", "id": "c"}}
    two = {"entry": send_to("c", "SECOND"), "invoke": {"src": "other", "id": "c"}}
    left = {"initial": "x", "states": {"x": {"always": "y", **one}, "y": {}}}
    step = play({"type": "parallel", "states": {"one": left, "two": two}}, **SERVICES)
    assert asked(step) == ["warn", "start c", "send SECOND to c"]
    assert started(step)[0].source == "other"


def test_a_child_gets_the_context_or_the_data_and_the_event_of_entry() -> None:
    step = play(working({"entry": assign(n=1)}), {"type": "GO", "k": 1}, **SERVICES)
    assert (started(step)[0].context, started(step)[0].event) == ({"n": 1}, {"type": "GO", "k": 1})
    data = {"k": lambda context, event: event["k"], "fixed": 2}
    invoke = {"src": {"type": "work", "speed": 9}, "id": "c", "data": data, "autoForward": True, "sync": True}
    effect = started(play(working({"invoke": invoke}), {"type": "GO", "k": 1}, **SERVICES))[0]
    assert (effect.context, effect.params, effect.auto_forward, effect.sync) == (
        {"k": 1, "fixed": 2},
        {"speed": 9},
        True,
        True,
    )


def test_default_ids_number_the_invocations_of_a_state() -> None:
    step = play(working({"invoke": ["work", {"src": "other"}]}), "GO", **SERVICES)
    assert [effect.id for effect in started(step)] == ["m.b:invocation[0]", "m.b:invocation[1]"]


def test_stop_ends_a_child_and_ignores_what_does_not_run() -> None:
    for child in ("c", {"id": "c"}, lambda: "c", lambda: {"id": "c"}):
        step = play(working({"on": {"STOP": {"actions": stop_child(child)}}}), "GO", "STOP", **SERVICES)
        assert asked(step) == ["stop c"]
    nothings: list[Any] = ["x", lambda: 5, lambda: {"id": 5}]
    for nothing in nothings:
        assert asked(play(working({"on": {"STOP": {"actions": stop_child(nothing)}}}), "GO", "STOP", **SERVICES)) == []


def test_stop_withdraws_a_child_that_is_only_announced() -> None:
    inner = {"initial": "x", "entry": send_to("c", "HELLO"), "states": {"x": {"entry": stop_child("c")}}}
    step = play(working(inner), "GO", **SERVICES)
    assert asked(step) == ["warn"]


# -- children that report --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["done.invoke.c", "error.platform.c"])
def test_a_child_that_reports_its_end_runs_no_more(kind: str) -> None:
    state = {"invoke": {"src": "work", "id": "c", "onDone": "z", "onError": "z"}}
    step = play(working(state), "GO", {"type": kind, "data": 5}, **SERVICES)
    assert (step.snapshot.value, step.snapshot.children, asked(step)) == ("z", {}, [])


def test_a_late_report_of_a_stranger_is_an_event_like_any_other() -> None:
    step = play(working(), "GO", {"type": "done.invoke.x"}, **SERVICES)
    assert list(step.snapshot.children) == ["c"]


def test_an_unhandled_error_of_a_child_ends_the_machine() -> None:
    config = working({"exit": "-b"}, invoke={"src": "other", "id": "d"})
    step = play(config, "GO", {"type": "error.platform.c", "data": "bad"}, **SERVICES)
    assert asked(step) == ["-b", "stop d", "fail bad"]
    assert isinstance(step.effects[-1], Fail)
    assert (step.snapshot.status, step.snapshot.error, step.snapshot.children) == ("error", "bad", {})


def test_a_star_or_a_forbidding_transition_handles_an_error() -> None:
    handlers: list[Config] = [{"*": {}}, {"error.platform.c": {}}, {"error.*": "z"}]
    for handler in handlers:
        assert play(working({"on": handler}), "GO", "error.platform.c", **SERVICES).snapshot.status == "active"


def test_auto_forwarding_children_get_the_event_first() -> None:
    state = {
        "invoke": [{"src": "work", "id": "c", "autoForward": True}, {"src": "work", "id": "d"}],
        "on": {"E": {"actions": [raise_("R"), "handled"]}, "R": {"actions": "r"}},
    }
    assert asked(play(working(state), "GO", "E", **SERVICES)) == ["send E to c", "handled", "r"]
    assert asked(play(working(state), "GO", "done.invoke.d", **SERVICES)) == ["send done.invoke.d to c"]


# -- messages --------------------------------------------------------------------------------------


def test_messages_to_a_child_about_to_start_follow_its_start() -> None:
    state = {"entry": [send_to("c", "HELLO"), send_to("c", "LATER", delay=5), "entered"]}
    step = play(working(state), "GO", **SERVICES)
    assert asked(step) == ["entered", "start c", "send HELLO to c", "send LATER to c in 5"]


def test_cancel_reaches_a_delayed_message_that_waits_for_its_child() -> None:
    state = {"entry": [send_to("c", "NOW", id="x"), send_to("c", "LATER", delay=5, id="x"), cancel("x")]}
    assert asked(play(working(state), "GO", **SERVICES)) == ["cancel x", "start c", "send NOW to c"]


def test_messages_to_a_child_that_is_never_started_are_reported() -> None:
    state = {"entry": send_to("c", "HELLO"), "always": "z"}
    config = working(state, on={"error.communication": {"actions": "reported"}})
    assert asked(play(config, "GO", **SERVICES)) == ["warn", "reported"]


def test_a_message_to_nobody_is_a_warning_and_an_event() -> None:
    for target in ("nobody", lambda: None, lambda: {"type": "statebacked.instance", "machineName": 5}):
        on = {"GO": {"actions": [send_to(target, "HELLO"), "after"]}, "error.communication": {"actions": "reported"}}
        step = play({"on": on}, "GO")
        assert asked(step) == ["warn", "after", "reported"]
        assert isinstance(step.effects[0], Warn)
        assert "'HELLO'" in step.effects[0].message


def test_send_parent_needs_a_parent() -> None:
    built = machine({"on": {"GO": {"actions": send_parent("HELLO", delay=3)}}})
    assert asked(transition(built, initial(built).snapshot, "GO")) == ["send HELLO to parent in 3"]
    lonely = Scope(has_parent=False)
    assert asked(transition(built, initial(built).snapshot, "GO", scope=lonely)) == ["warn"]


def test_the_default_send_id_is_the_type_of_the_event() -> None:
    actions = [
        send_("A"),
        send_(lambda context, event: {"type": event["type"]}, id="own"),
        send_parent("P"),
        send_to("#_self", "S"),
    ]
    sent = [effect for effect in play({"on": {"GO": {"actions": actions}}}, "GO").effects if isinstance(effect, Send)]
    assert [(effect.event["type"], effect.id) for effect in sent] == [("A", "A"), ("GO", "own"), ("P", "P"), ("S", "S")]


def test_a_persistent_child_is_addressed_as_the_instance_it_is() -> None:
    invoke = {"src": persistent("worker", name="w1"), "id": "c", "autoForward": True}
    on = {"E": {"actions": [send_to("c", "HELLO"), send_to("c", "WAIT", delay=1)]}}
    state = {"invoke": invoke, "entry": send_to("c", "FIRST"), "on": on}
    targets = [effect.target for effect in play(working(state), "GO").effects if isinstance(effect, Send)]
    targets += [effect.target for effect in play(working(state), "GO", "E").effects if isinstance(effect, Send)]
    assert targets == [InstanceTarget("worker", "w1")] * 4
    assert isinstance(play(working({"entry": send_to("c", "F")}), "GO", **SERVICES).effects[-1].target, ChildTarget)  # type: ignore[union-attr]


def test_a_reference_addresses_an_instance_from_anywhere() -> None:
    reference = {"type": "statebacked.instance", "machineName": "n", "machineInstanceName": "i"}
    step = play({"on": {"GO": {"actions": send_to(reference, "HELLO")}}}, "GO")
    assert [effect.target for effect in step.effects if isinstance(effect, Send)] == [InstanceTarget("n", "i")]


# -- persistent children ---------------------------------------------------------------------------


def test_an_invoked_persistent_child_has_a_name_a_version_and_a_context() -> None:
    source = persistent("worker", name=lambda context, event: event["name"], version="v1", detached=True)
    invoke = {"src": source, "id": "c", "data": {"n": lambda context: context["n"]}}
    step = play(working({"invoke": invoke, "on": {"BACK": "a"}}, context={"n": 3}), {"type": "GO", "name": "w"})
    effect = started(step)[0]
    assert (effect.source, effect.instance, effect.version, effect.detached, effect.context) == (
        "worker",
        "w",
        "v1",
        True,
        {"n": 3},
    )
    assert step.snapshot.children["c"].is_persistent
    step = play(working({"invoke": invoke, "on": {"BACK": "a"}}, context={"n": 3}), {"type": "GO", "name": "w"}, "BACK")
    assert asked(step) == []
    assert "c" in step.snapshot.children


def test_a_persistent_child_without_a_name_gets_a_fresh_one() -> None:
    config = working({"invoke": {"src": persistent("worker"), "id": "c"}})
    assert (started(play(config, "GO"))[0].instance, started(play(config, "GO"))[0].context) == ("m-1", None)
    built = machine(config)
    step = transition(built, initial(built).snapshot, "GO", scope=Scope(fresh_name=lambda: "fresh"))
    assert started(step)[0].instance == "fresh"


def test_a_service_may_be_implemented_by_a_persistent_child() -> None:
    step = play(working(), "GO", services={"work": "elsewhere", "elsewhere": persistent("worker", name="w")})
    assert (started(step)[0].source, started(step)[0].instance) == ("worker", "w")


@pytest.mark.parametrize(("name", "data"), [(lambda: 5, None), (lambda: "", None), ("w", lambda: 5)])
def test_a_persistent_child_needs_a_name_and_a_context_that_is_an_object(name: Any, data: Any) -> None:
    invoke = {"src": persistent("worker", name=name), "id": "c"} | ({} if data is None else {"data": data})
    with pytest.raises(EventFailed, match="persistent child 'c'"):
        play(working({"invoke": invoke}), "GO")


# -- the end ---------------------------------------------------------------------------------------


def test_the_end_of_the_machine_stops_all_children_but_the_detached() -> None:
    spawn = assign(
        one=lambda: spawn_persistent("worker", name="one"),
        two=lambda: spawn_persistent("worker", name="two", detached=True),
    )
    config = working({"on": {"END": "f"}}, entry=spawn)
    config["states"]["f"] = {"type": "final"}
    built = machine(config, **SERVICES)
    running = play(built, "GO").snapshot
    for step, ending in ((transition(built, running, "END"), ["done None"]), (stop(built, running), [])):
        assert asked(step) == ["stop c", "stop one", *ending]
        assert list(step.snapshot.children) == ["two"]
        assert [effect.instance for effect in step.effects if isinstance(effect, StopChild)] == [None, "one"]


def test_what_exit_actions_send_while_the_machine_ends_is_sent() -> None:
    config = {
        "exit": [send_parent("BYE"), send_to("nobody", "X"), raise_("R")],
        "initial": "f",
        "states": {"f": {"type": "final"}},
    }
    assert asked(play(config)) == ["send BYE to parent", "warn", "done None"]


def test_children_announced_by_a_machine_that_ends_at_once_are_never_started() -> None:
    config = {
        "invoke": {"src": "work", "id": "c"},
        "entry": send_to("c", "X"),
        "initial": "f",
        "states": {"f": {"type": "final"}},
    }
    assert asked(play(config, **SERVICES)) == ["warn", "done None"]
