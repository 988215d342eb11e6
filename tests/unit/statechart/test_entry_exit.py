"""Which states are left and entered: domains, conflicts, history."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perdure.errors import SnapshotMismatch
from perdure.statechart import initial, transition
from tests.unit.statechart.playing import asked, machine, play, value

Config = dict[str, Any]


def noisy(config: Config, name: str = "") -> Config:
    """The config with every state saying when it is entered and left."""
    if config.get("type") == "history":
        return config
    states = {key: noisy(child, f"{name}{key}") for key, child in config.get("states", {}).items()}
    return {**config, "entry": f"+{name}", "exit": f"-{name}"} | ({"states": states} if states else {})


def moved(config: Config, *events: Any) -> list[str]:
    return asked(play(noisy(config), *events))


def flip(event: str) -> Config:
    return {"initial": "x", "states": {"x": {"on": {event: "y"}}, "y": {"on": {event: "x"}}}}


# -- domains ---------------------------------------------------------------------------------------


def inside(handler: Any) -> Config:
    """In p, x leads to y by IN; GO on p does what is asked."""
    states = {"x": {"on": {"IN": "y"}}, "y": {}}
    return {"initial": "p", "states": {"p": {"initial": "x", "on": {"GO": handler}, "states": states}, "q": {}}}


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("p", ["-py", "-p", "+p", "+px"]),
        ("#m.p", ["-py", "-p", "+p", "+px"]),
        ({"target": "p", "internal": True}, ["-py", "+px"]),
        (".y", ["-py", "+py"]),
        ({"target": ".y", "internal": False}, ["-py", "-p", "+p", "+py"]),
        ({"target": "p.y"}, ["-py", "-p", "+p", "+py"]),
        ({"target": "p.y", "internal": True}, ["-py", "+py"]),
        ({"target": "q", "internal": True}, ["-py", "-p", "+q"]),
        ("#m", ["-py", "-p", "-", "+", "+p", "+px"]),
        ({"actions": []}, []),
    ],
)
def test_what_a_transition_leaves_depends_on_its_kind(handler: Any, expected: list[str]) -> None:
    assert moved(inside(handler), "IN", "GO") == expected


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("#m", ["-a", "-", "+", "+a"]),
        ("b", ["-a", "-", "+", "+b"]),
        (".b", ["-a", "+b"]),
        ({"target": "#m", "internal": True}, ["-a", "+a"]),
    ],
)
def test_the_root_re_enters_itself_unless_internal(handler: Any, expected: list[str]) -> None:
    assert moved({"initial": "a", "on": {"GO": handler}, "states": {"a": {}, "b": {}}}, "GO") == expected


def test_a_child_that_leads_to_its_parent_re_enters_it() -> None:
    states = {"p": {"initial": "x", "states": {"x": {"on": {"GO": "#m.p"}}}}}
    assert moved({"initial": "p", "states": states}, "GO") == ["-px", "-p", "+p", "+px"]


def test_an_internal_self_transition_of_an_atomic_state_does_nothing() -> None:
    assert moved({"initial": "a", "states": {"a": {"on": {"GO": {"target": "a", "internal": True}}}}}, "GO") == []


def test_a_parallel_domain_stays_and_its_regions_start_over() -> None:
    one = {"initial": "x", "states": {"x": {"on": {"GO": "#z"}}}}
    two = {"initial": "x", "states": {"x": {"on": {"IN": "y"}}, "y": {}, "z": {"id": "z"}}}
    config = {"type": "parallel", "states": {"1": one, "2": two, "3": flip("IN")}}
    assert moved(config, "IN", "GO") == ["-3y", "-3", "-2y", "-2", "-1x", "-1", "+1", "+1x", "+2", "+2z", "+3", "+3x"]


def test_several_targets_fill_several_regions() -> None:
    go = {"target": ["#m.p.1.y", "#m.p.3.y"]}
    both = {"type": "parallel", "states": {"1": flip("A"), "2": flip("A"), "3": flip("A")}}
    config = {"initial": "a", "states": {"a": {"on": {"GO": go}}, "p": both}}
    assert value(config, "GO") == {"p": {"1": "y", "2": "x", "3": "y"}}


# -- conflicts -------------------------------------------------------------------------------------


def regions(first: Any, second: Any, outer: Any = None) -> Config:
    states = {"1": {"initial": "x", "states": {"x": {"on": {"GO": first}}, "y": {}}},
              "2": {"initial": "x", "states": {"x": {"on": {"GO": second}}, "y": {}}}}  # fmt: skip
    both = {"type": "parallel", "states": states, "on": {} if outer is None else {"GO": outer}}
    return {"initial": "p", "states": {"p": both, "q": {}, "r": {}}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (regions("y", "y"), {"p": {"1": "y", "2": "y"}}),
        (regions("#m.q", "#m.r"), "q"),
        (regions("y", "#m.r"), {"p": {"1": "y", "2": "x"}}),
        (regions("#m.q", "y"), "q"),
        (regions([], "y", "q"), {"p": {"1": "x", "2": "y"}}),
        (regions("y", [], "q"), {"p": {"1": "y", "2": "x"}}),
        (regions([], {}, "q"), "q"),
        (regions({}, {}, "q"), {"p": {"1": "x", "2": "x"}}),
        (regions([], [], "q"), "q"),
    ],
)
def test_conflicts_are_resolved_as_scxml_says(config: Config, expected: Any) -> None:
    assert value(config, "GO") == expected


def test_a_descendant_pre_empts_an_ancestor_that_was_chosen_first() -> None:
    inner = {"type": "parallel", "on": {"GO": "z"}, "states": {"1": {}, "2": {"on": {"GO": "#m.q"}}}}
    config = {"initial": "p", "states": {"p": {"initial": "i", "states": {"i": inner, "z": {}}}, "q": {}}}
    assert value(config, "GO") == "q"


# -- history ---------------------------------------------------------------------------------------


def with_history(**history: Any) -> Config:
    deep = {"initial": "x", "states": {"x": {"on": {"NEXT": "y"}}, "y": {}}}
    states = {"a": {"on": {"NEXT": "b"}}, "b": deep, "h": {"type": "history", **history}}
    p = {"initial": "a", "on": {"OUT": "o", "AGAIN": "p.h", "IN": ".h"}, "states": states}
    return {"initial": "o", "states": {"o": {"on": {"BACK": "p.h", "ENTER": "p"}}, "p": p}}


@pytest.mark.parametrize(
    ("history", "events", "expected"),
    [
        ({}, "BACK", {"p": "a"}),
        ({"target": "b"}, "BACK", {"p": {"b": "x"}}),
        ({"target": "b.y"}, "BACK", {"p": {"b": "y"}}),
        ({"target": "#m.p.b.y", "history": "deep"}, "BACK", {"p": {"b": "y"}}),
        ({}, "ENTER NEXT NEXT OUT BACK", {"p": {"b": "x"}}),
        ({"history": True}, "ENTER NEXT NEXT OUT BACK", {"p": {"b": "x"}}),
        ({"history": "shallow"}, "ENTER NEXT NEXT OUT BACK", {"p": {"b": "x"}}),
        ({"history": "deep"}, "ENTER NEXT NEXT OUT BACK", {"p": {"b": "y"}}),
        ({"target": "b"}, "ENTER OUT BACK", {"p": "a"}),
        ({"history": "deep"}, "ENTER NEXT NEXT OUT BACK OUT ENTER OUT BACK", {"p": "a"}),
        ({"history": "deep"}, "ENTER NEXT NEXT AGAIN", {"p": {"b": "y"}}),
        ({}, "ENTER NEXT NEXT AGAIN", {"p": {"b": "x"}}),
        ({}, "ENTER NEXT IN", {"p": "a"}),
        ({}, "ENTER NEXT OUT BACK NEXT IN", {"p": {"b": "x"}}),
    ],
)
def test_history_restores_what_was_left(history: Config, events: str, expected: Any) -> None:
    assert value(with_history(**history), *events.split()) == expected


@pytest.mark.parametrize(("kind", "expected"), [("deep", "y"), ("shallow", "x")])
def test_history_of_a_parallel_state_is_restored_across_nested_parallels(kind: str, expected: str) -> None:
    nested = {"type": "parallel", "states": {"2": flip("B"), "3": flip("C")}}
    both = {"type": "parallel", "on": {"OUT": "o"}, "states": {"1": flip("A"), "n": nested, "h": {"history": kind}}}
    config = {"initial": "p", "states": {"p": both, "o": {"on": {"BACK": "p.h"}}}}
    restored = value(config, "B", "OUT", "BACK")
    assert restored == {"p": {"1": "x", "n": {"2": expected, "3": "x"}}}


def test_history_of_a_parallel_state_that_was_never_left_enters_every_region() -> None:
    both = {"type": "parallel", "states": {"1": flip("A"), "h": {"type": "history"}, "2": flip("B")}}
    config = {"initial": "o", "states": {"p": both, "o": {"on": {"BACK": "p.h"}}}}
    assert value(config, "BACK") == {"p": {"1": "x", "2": "x"}}


def test_two_histories_of_one_state_record_each_their_own() -> None:
    deep = {"initial": "x", "states": {"x": {"on": {"NEXT": "y"}}, "y": {}}}
    states = {"b": deep, "s": {"history": "shallow"}, "d": {"history": "deep"}}
    p = {"initial": "b", "on": {"OUT": "o"}, "states": states}
    config = {"initial": "p", "states": {"p": p, "o": {"on": {"S": "p.s", "D": "p.d"}}}}
    assert value(config, "NEXT", "OUT", "S") == {"p": {"b": "x"}}
    assert value(config, "NEXT", "OUT", "D") == {"p": {"b": "y"}}
    assert play(config, "NEXT", "OUT").snapshot.history == {"m.p.s": ("m.p.b",), "m.p.d": ("m.p.b.y",)}


@pytest.mark.parametrize(
    "recorded",
    [("m.gone",), ("m.o",), (), ("m.p.a", "m.p.b"), ("m.p",)],
    ids=["unknown", "outside", "none", "two", "itself"],
)
def test_a_recorded_history_that_cannot_be_is_refused(recorded: tuple[str, ...]) -> None:
    built = machine(with_history())
    snapshot = msgspec.structs.replace(initial(built).snapshot, history={"m.p.h": recorded})
    with pytest.raises(SnapshotMismatch, match="cannot have recorded"):
        transition(built, snapshot, "BACK")


def test_histories_that_no_transition_leads_to_do_not_multiply_plans() -> None:
    built = machine(with_history())
    snapshot = initial(built).snapshot
    for events in ("ENTER OUT", "ENTER NEXT OUT", "ENTER NEXT NEXT OUT"):
        for event in events.split():
            snapshot = transition(built, snapshot, event).snapshot
        transition(built, snapshot, "ENTER")
    plans = built.configurations[("m.o",)].plans
    assert len(plans) == 1
