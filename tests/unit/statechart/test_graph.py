"""The graph of what a machine can come to, and the paths through it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from perdure.errors import EventFailed, InvalidParameter, MicrostepLimitExceeded
from perdure.statechart import Snapshot, assign, initial, persistent, transition
from perdure.statechart.graph import (
    Graph,
    Path,
    configuration_only,
    known_events,
    reachable,
    shortest_paths,
    simple_paths,
    whole_state,
)
from tests.conformance.random_machines import EVENTS, Chooser, machine_and_events
from tests.unit.statechart.playing import machine

LIGHT = {
    "initial": "green",
    "states": {
        "green": {"on": {"TICK": "yellow", "BREAK": "broken"}},
        "yellow": {"on": {"TICK": "red", "BREAK": "broken"}},
        "red": {"on": {"TICK": "green", "BREAK": "broken"}},
        "broken": {"type": "final"},
    },
}

COUNTER = {
    "initial": "on",
    "context": {"n": 0},
    "states": {"on": {"on": {"ADD": {"actions": assign(n=lambda context, event: context["n"] + event.get("by", 1))}}}},
}

FETCHING = {
    "initial": "fetching",
    "states": {
        "fetching": {"invoke": {"id": "fetch", "src": "fetch", "onDone": "shown", "onError": "failed"}},
        "shown": {"entry": assign(page=lambda context, event: event["data"])},
        "failed": {"after": {"1000": "fetching"}},
    },
}


def edges(graph: Graph) -> list[tuple[Any, ...]]:
    """Source, event type and target of every edge, states by their value."""
    values = {key: snapshot.value for key, snapshot in graph.snapshots.items()}
    return [
        (values[edge.source], edge.event["type"], values[edge.target])
        for found in graph.edges.values()
        for edge in found
    ]


def values(graph: Graph) -> list[Any]:
    return [snapshot.value for snapshot in graph.snapshots.values()]


def types(path: Path) -> list[str]:
    return [event["type"] for event in path.events]


def fetching() -> Any:
    return machine(FETCHING, services={"fetch": lambda: None})


def test_a_graph_holds_every_state_nearest_first_and_every_event_that_does_something() -> None:
    graph = reachable(machine(LIGHT))
    assert values(graph) == ["green", "yellow", "broken", "red"]
    assert edges(graph) == [
        ("green", "TICK", "yellow"),
        ("green", "BREAK", "broken"),
        ("yellow", "TICK", "red"),
        ("yellow", "BREAK", "broken"),
        ("red", "TICK", "green"),
        ("red", "BREAK", "broken"),
    ]


def test_an_event_that_is_ignored_has_no_edge_and_one_that_only_acts_has() -> None:
    config = {"initial": "a", "states": {"a": {"on": {"ACT": {"actions": "act"}, "NOT": {}}}}}
    assert edges(reachable(machine(config), ["ACT", "NOT", "UNKNOWN"])) == [("a", "ACT", "a")]


def test_known_events_are_the_full_types_that_only_the_outside_sends() -> None:
    config = {
        "initial": "a",
        "states": {
            "a": {
                "on": {"B": "b", "x.*": "b", "*": "b", "done.state.m.a": "b", "error.execution": "b", "C": "b"},
                "after": {"10": "b"},
            },
            "b": {"on": {"B": "a"}},
        },
    }
    assert known_events(machine(config)) == ["B", "C"]


def test_events_may_be_a_list_of_types_and_events() -> None:
    graph = reachable(
        machine(COUNTER), ["ADD", {"type": "ADD", "by": 2}], filter=lambda snapshot: snapshot.context["n"] <= 2
    )
    assert [snapshot.context["n"] for snapshot in graph.snapshots.values()] == [0, 1, 2]
    assert [edge.event for edge in graph.edges[graph.start]] == [{"type": "ADD"}, {"type": "ADD", "by": 2}]


def test_events_may_be_payloads_by_type_as_a_list_or_from_the_snapshot() -> None:
    config = {**COUNTER, "states": {"on": {"on": {**COUNTER["states"]["on"]["on"], "STOP": "off"}}, "off": {}}}  # type: ignore[index]
    events = {
        "ADD": lambda snapshot: [{"by": 5}] if snapshot.context["n"] < 10 else [],
        "STOP": iter([{"why": "enough", "type": "ignored"}]),
    }
    graph = reachable(machine(config), events)
    assert sorted((snapshot.context["n"], snapshot.value) for snapshot in graph.snapshots.values()) == [
        (0, "off"), (0, "on"), (5, "off"), (5, "on"), (10, "off"), (10, "on"),
    ]  # fmt: skip
    assert graph.edges[graph.start][-1].event == {"type": "STOP", "why": "enough"}


def test_events_may_be_one_function_of_the_snapshot() -> None:
    graph = reachable(machine(LIGHT), lambda snapshot: ["TICK"] if snapshot.value == "green" else [])
    assert edges(graph) == [("green", "TICK", "yellow")]


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="type"):
        reachable(machine(LIGHT), [{"kind": "TICK"}])


def test_events_that_serialise_alike_are_offered_once() -> None:
    events = [{"type": "TICK", "at": 1}, {"type": "TICK", "at": 2}]
    assert len(edges(reachable(machine(LIGHT), events))) == 6
    assert len(edges(reachable(machine(LIGHT), events, serialize_event=lambda event: event["type"]))) == 3


def test_states_that_filter_refuses_are_left_out_but_not_the_start() -> None:
    graph = reachable(machine(LIGHT), filter=lambda snapshot: snapshot.value == "yellow")
    assert edges(graph) == [("green", "TICK", "yellow")]


def test_too_many_states_are_refused_naming_the_bound() -> None:
    with pytest.raises(InvalidParameter, match=r"max_states=7 .*filter.*configuration_only") as caught:
        reachable(machine(COUNTER), max_states=7)
    assert caught.value.parameter == "max_states"
    graph = reachable(machine(COUNTER), max_states=7, filter=lambda snapshot: snapshot.context["n"] < 7)
    assert len(graph.snapshots) == 7


def test_a_coarse_serialiser_takes_states_together() -> None:
    graph = reachable(machine(COUNTER), serialize_state=configuration_only)
    assert edges(graph) == [("on", "ADD", "on")]
    assert graph.snapshots[graph.start].context == {"n": 0}


def test_timers_of_active_states_are_offered_unless_they_are_not_wanted() -> None:
    config = {
        "initial": "a",
        "after": {"50": {"actions": "note"}},
        "states": {"a": {"after": {"100": "b", "slow": "a"}}, "b": {}},
    }
    built = machine(config, delays={"slow": 1000})
    assert edges(reachable(built)) == [
        ("a", "xstate.after(50)#m", "a"),
        ("a", "xstate.after(100)#m.a", "b"),
        ("a", "xstate.after(slow)#m.a", "a"),
        ("b", "xstate.after(50)#m", "b"),
    ]
    assert edges(reachable(built, timers=False)) == []


def test_ends_of_running_children_are_offered_when_asked_for() -> None:
    assert edges(reachable(fetching())) == []
    assert edges(reachable(fetching(), children=True)) == [
        ("fetching", "done.invoke.fetch", "shown"),
        ("fetching", "error.platform.fetch", "failed"),
        ("failed", "xstate.after(1000)#m.failed", "fetching"),
    ]


def test_the_ends_of_activities_are_not_among_the_events() -> None:
    states = {"a": {"activities": lambda: None, "on": {"GO": "b"}}, "b": {}}
    graph = reachable(machine({"initial": "a", "states": states}), ["GO"], children=True)
    assert edges(graph) == [("a", "GO", "b")]


def test_a_given_end_of_a_child_comes_while_it_runs_and_instead_of_the_one_without_data() -> None:
    events = {"done.invoke.fetch": [{"data": "page 1"}, {"data": "page 2"}], "error.platform.other": [{}]}
    graph = reachable(fetching(), events, children=True)
    assert [snapshot.context for snapshot in graph.snapshots.values()] == [
        {},
        {"page": "page 1"},
        {"page": "page 2"},
        {},
    ]
    assert edges(reachable(fetching(), events)) == [("fetching", "done.invoke.fetch", "shown")] * 2


def test_a_graph_can_start_anywhere() -> None:
    built = machine(LIGHT)
    red = transition(built, transition(built, initial(built).snapshot, "TICK").snapshot, "TICK").snapshot
    graph = reachable(built, ["BREAK"], start=red)
    assert edges(graph) == [("red", "BREAK", "broken")]


def test_states_differ_by_context_history_children_and_status() -> None:
    config = {
        "initial": "a",
        "context": {"n": 1},
        "states": {
            "a": {
                "initial": "x",
                "states": {"x": {"on": {"NEXT": "y"}}, "y": {}, "h": {"type": "history"}},
                "on": {"GO": "b"},
            },
            "b": {"on": {"BACK": "a.h", "END": "c"}, "invoke": {"id": "p", "src": persistent("other", name="o")}},
            "c": {"type": "final"},
        },
    }
    graph = reachable(machine(config))
    assert next(iter(graph.snapshots)) == '{"a":"x"} | context {"n":1}'
    assert '"b" | context {"n":1} | history {"m.a.h":["m.a.y"]} | children [["p","other","o"]]' in graph.snapshots
    assert '"c" | context {"n":1} | history {"m.a.h":["m.a.x"]} | done' in graph.snapshots
    assert values(graph).count("b") == 2


def test_an_error_of_the_machine_says_where_it_was() -> None:
    config = {
        "initial": "a",
        "states": {"a": {"on": {"GO": "b"}}, "b": {"on": {"BAD": {"actions": assign(x=lambda: 1 / 0)}}}},
    }
    with pytest.raises(EventFailed) as caught:
        reachable(machine(config))
    assert caught.value.__notes__ == ['in the state "b" with the event {"type":"BAD"}']


def test_shortest_paths_lead_to_every_state_with_the_fewest_events() -> None:
    paths = shortest_paths(reachable(machine(LIGHT)))
    assert [(path.snapshot.value, types(path)) for path in paths] == [
        ("green", []),
        ("yellow", ["TICK"]),
        ("broken", ["BREAK"]),
        ("red", ["TICK", "TICK"]),
    ]
    assert [step.snapshot.value for step in paths[-1].steps] == ["green", "yellow"]


def test_paths_can_be_asked_for_by_where_they_end() -> None:
    graph = reachable(machine(LIGHT))

    def is_broken(snapshot: Snapshot) -> bool:
        return snapshot.is_done

    assert [types(path) for path in shortest_paths(graph, to=is_broken)] == [["BREAK"]]
    assert [types(path) for path in simple_paths(graph, to=is_broken)] == [
        ["TICK", "TICK", "BREAK"],
        ["TICK", "BREAK"],
        ["BREAK"],
    ]


def test_simple_paths_visit_no_state_twice() -> None:
    assert [types(path) for path in simple_paths(reachable(machine(LIGHT)))] == [
        [],
        ["TICK"],
        ["TICK", "TICK"],
        ["TICK", "TICK", "BREAK"],
        ["TICK", "BREAK"],
        ["BREAK"],
    ]


def test_too_many_simple_paths_are_refused_naming_the_bound() -> None:
    graph = reachable(machine(LIGHT))
    assert len(simple_paths(graph, max_paths=6)) == 6
    with pytest.raises(InvalidParameter, match=r"max_paths=5 .*shortest_paths"):
        simple_paths(graph, max_paths=5)
    assert len(simple_paths(graph, max_paths=3, to=lambda snapshot: snapshot.is_done)) == 3


def test_a_long_path_needs_no_deep_stack() -> None:
    graph = reachable(machine(COUNTER), filter=lambda snapshot: snapshot.context["n"] < 2000, max_states=2000)

    def is_last(snapshot: Snapshot) -> bool:
        return bool(snapshot.context["n"] == 1999)

    for paths in (shortest_paths(graph, to=is_last), simple_paths(graph, to=is_last)):
        assert [len(path.steps) for path in paths] == [1999]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_playing_a_path_leads_where_it_says_on_random_machines(chooser: Chooser) -> None:
    config, _ = machine_and_events(chooser)
    guards = {"zero:n": lambda: True, "no": lambda: False, "event:A": lambda context, event: event["type"] == "A"}
    built = machine(config, guards=guards, max_microsteps=50)
    try:
        graph = reachable(built, EVENTS, max_states=300)
    except (MicrostepLimitExceeded, InvalidParameter):
        reject()
    assert all(edge.target in graph.snapshots for found in graph.edges.values() for edge in found)
    paths = shortest_paths(graph)
    assert [whole_state(path.snapshot) for path in paths] == list(graph.snapshots)
    assert all(len(one.steps) <= len(two.steps) for one, two in pairwise(paths))
    for path in paths:
        snapshot = initial(built).snapshot
        for step in path.steps:
            assert whole_state(snapshot) == whole_state(step.snapshot)
            snapshot = transition(built, snapshot, step.event).snapshot
        assert whole_state(snapshot) == whole_state(path.snapshot)
