"""The engine's functions: selection, order, internal events, failure, what changed, the end."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.errors import EventFailed, InvalidParameter, MicrostepLimitExceeded, SnapshotMismatch
from perdure.statechart import Snapshot, Step, assign, create_machine, initial, raise_, send, transition
from perdure.statechart.effect import Done, RunAction
from perdure.statechart.step import stop
from tests.unit.statechart.playing import asked, machine, play, value

Config = dict[str, Any]


def final_after(event: str, **more: Any) -> Config:
    return {"initial": "x", "states": {"x": {"on": {event: "f"}}, "f": {"type": "final", **more}}}


# -- selection -------------------------------------------------------------------------------------


def test_the_innermost_state_that_can_handles_the_event() -> None:
    inner = {"initial": "x", "on": {"GO": "b"}, "states": {"x": {"on": {"GO": "y"}}, "y": {}}}
    config = {"initial": "a", "states": {"a": inner, "b": {}}}
    assert value(config, "GO") == {"a": "y"}
    assert value(config, "GO", "GO") == "b"


@pytest.mark.parametrize(
    ("handler", "expected"), [({}, {"a": "x"}), (None, {"a": "x"}), ([], "b"), ({"actions": "act"}, {"a": "x"})]
)
def test_a_targetless_transition_forbids_and_an_empty_list_does_not(handler: Any, expected: Any) -> None:
    inner = {"initial": "x", "on": {"GO": "b"}, "states": {"x": {"on": {"GO": handler}}}}
    assert value({"initial": "a", "states": {"a": inner, "b": {}}}, "GO") == expected


def test_an_event_nobody_handles_changes_nothing() -> None:
    built = machine({"initial": "a", "states": {"a": {}}})
    first = initial(built)
    step = transition(built, first.snapshot, "NO")
    assert step.snapshot is first.snapshot
    assert (step.effects, step.changed) == ((), False)


# -- order -----------------------------------------------------------------------------------------


def test_exits_then_transition_actions_then_entries_in_document_order() -> None:
    def region(name: str) -> Config:
        return {
            "entry": f"+{name}",
            "exit": f"-{name}",
            "initial": "x",
            "states": {"x": {"entry": f"+{name}x", "exit": f"-{name}x"}},
        }

    both = {"type": "parallel", "entry": "+p", "exit": "-p", "states": {"one": region("1"), "two": region("2")}}
    config = {"initial": "p", "states": {"p": {**both, "on": {"GO": {"target": "p", "actions": ["t", "u"]}}}}}
    assert asked(play(config)) == ["+p", "+1", "+1x", "+2", "+2x"]
    assert asked(play(config, "GO")) == ["-2x", "-2", "-1x", "-1", "-p", "t", "u", "+p", "+1", "+1x", "+2", "+2x"]


def test_every_action_sees_the_context_left_by_the_one_before() -> None:
    count = assign(n=lambda context: context["n"] + 1)
    config = {
        "context": {"n": 0},
        "initial": "a",
        "states": {
            "a": {"exit": ["a", count], "on": {"GO": {"target": "b", "actions": ["b", count]}}},
            "b": {"entry": ["c", count, "d"]},
        },
    }
    step = play(config, "GO")
    seen = [effect.context["n"] for effect in step.effects if isinstance(effect, RunAction)]
    assert seen == [0, 1, 2, 3]
    assert step.snapshot.context == {"n": 3}


# -- internal events -------------------------------------------------------------------------------


def test_always_goes_before_raised_events_and_sees_the_event_that_began() -> None:
    note = assign(seen=lambda context, event: [*context["seen"], event["type"]])
    config = {
        "context": {"seen": []},
        "initial": "a",
        "states": {
            "a": {"on": {"GO": {"target": "b", "actions": raise_("R")}}},
            "b": {"always": {"target": "c", "actions": note}, "on": {"R": "wrong"}},
            "c": {"on": {"R": {"target": "d", "actions": note}}},
            "d": {"always": {"target": "e", "actions": note}},
            "e": {},
            "wrong": {},
        },
    }
    step = play(config, "GO")
    assert step.snapshot.value == "e"
    assert step.snapshot.context["seen"] == ["GO", "R", "GO"]


def test_raised_events_are_first_in_first_out() -> None:
    on = {
        "GO": {"actions": [raise_("A"), raise_("B")]},
        "A": {"actions": ["a", raise_("C")]},
        "B": {"actions": "b"},
        "C": {"actions": "c"},
    }
    assert asked(play({"on": on}, "GO")) == ["a", "b", "c"]


def test_a_raised_event_is_taken_in_the_same_macrostep_and_a_sent_one_is_not() -> None:
    on = {"GO": {"actions": [send("S"), raise_("R")]}, "R": {"actions": "r"}, "S": {"actions": "s"}}
    assert asked(play({"on": on}, "GO")) == ["send S to self", "r"]


# -- limits and failure ----------------------------------------------------------------------------


def test_an_endless_loop_is_an_error_that_names_it() -> None:
    config = {"initial": "a", "states": {"a": {"on": {"GO": "b"}}, "b": {"always": "c"}, "c": {"always": "b"}}}
    with pytest.raises(MicrostepLimitExceeded, match="more than 1000 microsteps") as caught:
        play(config, "GO")
    message = str(caught.value)
    assert "'GO'" in message
    assert message.endswith("it goes round in: <m.c --always--> m.b>, <m.b --always--> m.c>")
    assert "m.a" not in message


def test_a_loop_of_raised_events_names_the_event() -> None:
    with pytest.raises(MicrostepLimitExceeded, match=r"<m --R--> \(nowhere\)>"):
        play({"on": {"R": {"actions": raise_("R")}}}, "R", max_microsteps=5)


@pytest.mark.parametrize(("steps", "is_stable"), [(4, True), (5, False)])
def test_exactly_the_limit_is_allowed(steps: int, is_stable: bool) -> None:
    states: Config = {f"s{i}": {"always": f"s{i + 1}"} for i in range(1, steps)}
    config = {"initial": "s0", "states": {"s0": {"on": {"GO": "s1"}}, **states, f"s{steps}": {}}}
    built = machine(config, max_microsteps=4)
    if is_stable:
        assert value(built, "GO") == f"s{steps}"
    else:
        with pytest.raises(MicrostepLimitExceeded):
            play(built, "GO")


def test_a_failing_assigner_fails_all_of_the_event() -> None:
    def fail(context: Any) -> Any:
        raise ValueError("no")

    on = {"GO": {"target": "b", "actions": [assign(n=1), "act", assign(n=fail)]}, "OK": "b"}
    built = machine({"context": {"n": 0}, "initial": "a", "states": {"a": {"on": on}, "b": {}}})
    before = initial(built).snapshot
    with pytest.raises(EventFailed, match=r"\$\.states\.a\.on\.GO\.actions\[2\]\.n raised ValueError: no"):
        transition(built, before, "GO")
    assert before.context == {"n": 0}
    assert transition(built, before, "OK").snapshot.value == "b"


@pytest.mark.parametrize("wrong", [5, None, [("n", 1)]])
def test_an_assigner_must_return_a_mapping(wrong: Any) -> None:
    with pytest.raises(EventFailed, match="must return a mapping"):
        play({"on": {"GO": {"actions": assign(lambda: wrong)}}}, "GO")


# -- arguments -------------------------------------------------------------------------------------


def test_the_context_given_is_merged_over_the_machines_own() -> None:
    built = machine({"context": {"a": 1, "b": 2}})
    assert initial(built, {"b": 3, "c": 4}).snapshot.context == {"a": 1, "b": 3, "c": 4}
    assert initial(built).snapshot.context == {"a": 1, "b": 2}


def test_a_context_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        initial(machine({}), [1])


def test_each_actor_has_a_context_of_its_own() -> None:
    built = machine({"context": {"list": []}})
    first, second = initial(built).snapshot, initial(built).snapshot
    assert first.context["list"] is not second.context["list"]


@pytest.mark.parametrize(("constant", "inner"), [([{}], 0), (({},), 0), ({"a": {}}, "a")])
def test_each_actor_has_its_own_of_what_the_config_says_of_values(constant: Any, inner: Any) -> None:
    config = {
        "initial": "a",
        "states": {"a": {"on": {"GO": {"target": "b", "actions": assign(x=constant)}}}, "b": {"always": "c"}},
    }
    config["states"]["c"] = {"type": "final", "data": constant}  # type: ignore[index]  # a dict of str
    built = machine(config)
    for _ in range(2):
        end = transition(built, initial(built).snapshot, "GO").snapshot
        assert (end.context["x"], end.output) == (constant, constant)
        end.context["x"][inner]["leaked"] = True
        end.output[inner]["leaked"] = True


def test_what_the_config_says_of_other_values_is_given_as_it_is() -> None:
    thing = object()
    built = machine({"on": {"GO": {"actions": assign(x=[thing, {1}])}}})
    given = transition(built, initial(built).snapshot, "GO").snapshot.context["x"]
    assert given[0] is thing
    assert given[1] == {1}


@pytest.mark.parametrize("event", ["", {}, {"type": 5}, {"type": ""}, 5, None, {"type": ["A"]}])
def test_what_is_no_event_is_refused(event: Any) -> None:
    built = machine({"on": {"GO": {}}})
    with pytest.raises(InvalidParameter):
        transition(built, initial(built).snapshot, event)


def test_a_snapshot_of_another_machine_is_refused() -> None:
    other = initial(create_machine({"id": "other"})).snapshot
    built = machine({})
    with pytest.raises(SnapshotMismatch, match="'other'"):
        transition(built, other, "GO")
    with pytest.raises(SnapshotMismatch):
        stop(built, other)


# -- what changed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "changed"),
    [
        ({}, False),
        ("a", False),
        ({"actions": assign(n=0)}, False),
        ({"actions": assign(n=1)}, True),
        ("b", True),
        ({"actions": "act"}, True),
        ({"target": "a", "actions": "act"}, True),
    ],
)
def test_changed_says_whether_state_context_or_effects_differ(handler: Any, changed: bool) -> None:
    config = {"context": {"n": 0}, "initial": "a", "states": {"a": {"on": {"GO": handler}}, "b": {}}}
    assert play(config, "GO").changed is changed
    assert play(config).changed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, True),
        (0, False),
        (True, 1),
        (1, 1.0),
        (0.0, -0.0),
        ([0, {"n": 0}], [0, {"n": False}]),
        ((1,), (True,)),
        ({"n": [[1]]}, {"n": [[1.0]]}),
    ],
)
@pytest.mark.parametrize("beside", [[], [raise_("NOBODY")]])
def test_an_assigned_value_is_kept_that_python_takes_for_the_former_one_and_json_does_not(
    before: Any, after: Any, beside: list[Any]
) -> None:
    step = play({"context": {"n": before}, "on": {"GO": {"actions": [assign(n=lambda: after), *beside]}}}, "GO")
    assert step.changed
    assert repr(step.snapshot.context) == repr({"n": after})


def test_a_new_history_is_kept_though_nothing_else_changed() -> None:
    states = {"x": {"on": {"IN": "y"}}, "y": {}, "h": {"type": "history"}}
    config = {"initial": "p", "states": {"p": {"initial": "x", "on": {"GO": "p"}, "states": states}}}
    step = play(config, "GO")
    assert not step.changed
    assert step.snapshot.history == {"m.p.h": ("m.p.x",)}


def test_the_snapshot_says_value_tags_and_leaves() -> None:
    regions = {"one": {"initial": "x", "tags": ["t", "u"], "states": {"x": {"tags": "v"}}}, "two": {"tags": {"t", "a"}}}
    snapshot = play({"type": "parallel", "tags": "root", "states": regions}).snapshot
    assert snapshot.value == {"one": "x", "two": {}}
    assert snapshot.tags == ("root", "t", "u", "v", "a")
    assert snapshot.configuration == ("m.one.x", "m.two")


# -- done ------------------------------------------------------------------------------------------


def test_a_compound_state_is_done_with_data_of_that_moment() -> None:
    final = {"type": "final", "entry": assign(n=7), "data": {"n": lambda context: context["n"], "k": 1}}
    inner = {"initial": "x", "states": {"x": {"on": {"GO": "f"}}, "f": final}}
    on_done = {"target": "b", "actions": assign(got=lambda context, event: event)}
    step = play({"context": {"n": 0}, "initial": "a", "states": {"a": {**inner, "onDone": on_done}, "b": {}}}, "GO")
    assert step.snapshot.value == "b"
    assert step.snapshot.context["got"] == {"type": "done.state.m.a", "data": {"n": 7, "k": 1}}


@pytest.mark.parametrize("data", [5, {"n": 5}, lambda: 5, lambda context, event: event["type"]])
def test_data_may_be_a_value_or_computed(data: Any) -> None:
    step = play(final_after("GO", data=data), "GO")
    assert step.snapshot.output == {"n": 5} if isinstance(data, dict) else step.snapshot.output in (5, "GO")


def test_a_parallel_state_is_done_once_when_all_regions_are() -> None:
    def config(*events: str) -> Any:
        regions = {"one": final_after("A"), "two": final_after("B")}
        both = {"type": "parallel", "states": regions, "onDone": {"actions": "all done"}}
        return asked(play({"initial": "p", "states": {"p": both}}, *events))

    assert config("A") == []
    assert config("A", "B") == ["all done"]


def test_a_parallel_state_with_an_atomic_region_is_never_done() -> None:
    both = {"type": "parallel", "states": {"one": final_after("A"), "two": {}}, "onDone": {"actions": "wrong"}}
    assert asked(play({"initial": "p", "states": {"p": both}}, "A")) == []


def test_regions_that_finish_together_give_one_done_event() -> None:
    regions = {"one": final_after("GO"), "two": final_after("GO")}
    both = {"type": "parallel", "states": regions, "onDone": {"actions": "all done"}}
    assert asked(play({"initial": "p", "states": {"p": both}}, "GO")) == ["all done"]


def test_done_goes_up_through_nested_parallel_states() -> None:
    nested = {
        "type": "parallel",
        "states": {"two": final_after("B"), "three": final_after("C")},
        "onDone": {"actions": "inner"},
    }
    outer = {"type": "parallel", "states": {"one": final_after("A"), "nested": nested}, "onDone": {"actions": "outer"}}
    assert asked(play({"initial": "p", "states": {"p": outer}}, "A", "B", "C")) == ["inner", "outer"]
    assert asked(play({"initial": "p", "states": {"p": outer}}, "B", "C")) == ["inner"]


def test_a_region_may_be_a_final_state_itself() -> None:
    both = {"type": "parallel", "states": {"one": {"type": "final"}, "two": final_after("GO")}, "onDone": "q"}
    assert value({"initial": "p", "states": {"p": both, "q": {}}}, "GO") == "q"


def test_a_parallel_state_is_done_only_when_its_last_region_is_entered() -> None:
    first = {"initial": "f", "states": {"f": {"type": "final"}}}
    both = {"type": "parallel", "states": {"one": first, "two": {"type": "final", "entry": raise_("R")}}}
    on = {"done.state.m.p.one": {"actions": "one"}, "R": {"actions": "r"}, "done.state.m.p": {"actions": "all"}}
    assert asked(play({"initial": "p", "on": on, "states": {"p": both}})) == ["one", "r", "all"]


def test_no_done_event_is_raised_for_the_final_state_itself() -> None:
    on = {"done.state.m.p.f": {"actions": "wrong"}, "done.state.m.p": {"actions": "right"}}
    assert asked(play({"initial": "p", "on": on, "states": {"p": final_after("GO")}}, "GO")) == ["right"]


def test_the_end_skips_internal_events_runs_exits_and_gives_the_output() -> None:
    final = {"type": "final", "data": {"ok": True}, "entry": [raise_("R")], "exit": "-f"}
    go = {"target": "f", "actions": raise_("R")}
    config = {
        "initial": "a",
        "exit": "-m",
        "on": {"R": {"actions": "wrong"}},
        "states": {"a": {"on": {"GO": go}}, "f": final},
    }
    step = play(config, "GO")
    assert asked(step) == ["-f", "-m", "done {'ok': True}"]
    assert isinstance(step.effects[-1], Done)
    assert (step.snapshot.status, step.snapshot.output, step.snapshot.is_done) == ("done", {"ok": True}, True)


@pytest.mark.parametrize(
    "config",
    [
        {"type": "final"},
        {"initial": "f", "states": {"f": {"type": "final"}}},
        {"type": "parallel", "states": {"one": {"type": "final"}, "two": {"type": "final"}}},
        {"initial": "a", "states": {"a": {"always": "f"}, "f": {"type": "final"}}},
    ],
)
def test_a_machine_may_end_while_it_is_entered(config: Config) -> None:
    assert play(config).snapshot.is_done


def test_a_machine_that_has_ended_ignores_events() -> None:
    built = machine(final_after("GO"))
    done = play(built, "GO").snapshot
    assert transition(built, done, "GO") == type(initial(built))(done, (), False)
    assert stop(built, done).snapshot is done


# -- stopping --------------------------------------------------------------------------------------


def test_stopping_runs_exit_actions_innermost_first_and_ends_without_output() -> None:
    built = machine({"exit": "-m", "initial": "a", "states": {"a": {"exit": "-a"}}})
    step = stop(built, initial(built).snapshot)
    assert asked(step) == ["-a", "-m"]
    assert (step.snapshot.status, step.snapshot.output, step.changed) == ("stopped", None, True)
    assert all(effect.event == {"type": "xstate.stop"} for effect in step.effects if isinstance(effect, RunAction))


# -- the quick path --------------------------------------------------------------------------------


def test_a_quick_guard_can_ask_where_the_machine_stands() -> None:
    def stands_in_a(context: Any, event: Any, meta: Any) -> bool:
        assert event == {"type": "GO", "k": 1}
        assert isinstance(meta.snapshot, Snapshot)
        return bool(meta.snapshot.value == "a")

    config = {"initial": "a", "states": {"a": {"on": {"GO": {"target": "b", "cond": stands_in_a}}}, "b": {}}}
    assert value(config, {"type": "GO", "k": 1}) == "b"


def test_eventless_transitions_follow_a_transition_without_any_action() -> None:
    config = {"initial": "a", "states": {"a": {"on": {"GO": "b"}}, "b": {"always": "c"}, "c": {"always": []}}}
    assert value(config, "GO") == "c"
    waiting = {
        "initial": "a",
        "states": {"a": {"always": {"target": "b", "cond": lambda c, e: e["type"] == "GO"}}, "b": {}},
    }
    assert value(waiting, "NO") == "a"
    assert value(waiting, "GO") == "b"


def test_a_quick_plan_is_not_made_where_anything_else_could_happen() -> None:
    built = machine(
        {
            "type": "parallel",
            "states": {
                "one": {
                    "initial": "x",
                    "states": {"x": {"on": {"GO": "y", "G": {"target": "y", "cond": "yes"}}}, "y": {}},
                },
                "two": {
                    "initial": "x",
                    "states": {"x": {"on": {"GO": "y", "G": "y", "H": "h"}}, "y": {}, "h": {"type": "history"}},
                },
                "three": {"entry": "act"},
            },
        },
        guards={"yes": lambda: True},
    )
    snapshot = initial(built).snapshot
    configuration = built.configurations[snapshot.configuration]
    for event in ("GO", "G", "H", "NO", "error.platform.x"):
        transition(built, snapshot, event)
    quick = {event for event, plan in configuration.quick.items() if plan is not None}
    assert quick == {"GO", "NO"}
    assert transition(built, snapshot, "G").snapshot.value == {"one": "y", "two": "y", "three": {}}


def test_assigners_and_custom_actions_are_quick_and_keep_their_order() -> None:
    count = assign(n=lambda context: context["n"] + 1)
    go = [
        {"target": "a", "internal": True, "cond": lambda context: context["n"] > 2},
        {"target": "b", "cond": lambda context, event: event.get("k") == 1, "actions": [count, "t"]},
        {"actions": [count, "u", count]},
    ]
    built = machine(
        {
            "context": {"n": 0},
            "initial": "a",
            "states": {"a": {"exit": "x", "on": {"GO": go}}, "b": {"entry": ["e", count]}},
        }
    )
    first = initial(built).snapshot
    stays = transition(built, first, "GO")
    leaves = transition(built, first, {"type": "GO", "k": 1})
    assert built.configurations[first.configuration].quick["GO"] is not None

    def seen(step: Step) -> list[Any]:
        return [(effect.action, effect.context["n"]) for effect in step.effects if isinstance(effect, RunAction)]

    assert (seen(stays), stays.snapshot.context, stays.snapshot.value) == ([("u", 1)], {"n": 2}, "a")
    assert (seen(leaves), leaves.snapshot.context) == ([("x", 0), ("t", 1), ("e", 1)], {"n": 2})
    assert (leaves.snapshot.value, leaves.changed) == ("b", True)


def test_a_quick_assigner_that_makes_an_equal_context_changes_nothing() -> None:
    built = machine({"context": {"n": 1}, "on": {"SET": {"actions": assign(n=1)}}})
    first = initial(built).snapshot
    step = transition(built, first, "SET")
    assert step.snapshot is first
    assert (step.effects, step.changed) == ((), False)


def test_a_quick_guard_or_assigner_that_fails_is_named_by_its_place() -> None:
    guard = {"cond": lambda: 1 / 0, "actions": assign(n=1)}
    config = {"context": {}, "on": {"ASK": guard, "SET": {"actions": assign(n=lambda: 1 / 0)}}}
    with pytest.raises(EventFailed, match=r"the guard at \$\.on\.ASK\.cond raised ZeroDivisionError"):
        play(config, "ASK")
    with pytest.raises(EventFailed, match=r"the assigner of 'n' at \$\.on\.SET\.actions\.n raised ZeroDivisionError"):
        play(config, "SET")
