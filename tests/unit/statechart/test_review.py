"""What a look at a machine tells, and that it never tells what is not so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from perdure.errors import MicrostepLimitExceeded
from perdure.hosts.in_process import load_definition
from perdure.machine_files import find_machine_files
from perdure.statechart import Machine, Step, assign, initial, raise_, transition
from perdure.statechart.effect import RunAction
from perdure.statechart.review import Finding, review
from tests.conformance.random_machines import EVENTS, Chooser, Config, machine_and_events
from tests.unit.statechart.playing import AnyName, machine, play

EXAMPLES = Path(__file__).parents[3] / "examples"


def findings(config: dict[str, Any]) -> list[tuple[str, str]]:
    """The rule and the place of everything found; any guard may be named."""
    return [(found.rule, found.path) for found in reviewed(config)]


def reviewed(config: dict[str, Any]) -> list[Finding]:
    implemented = {"guards": AnyName({}), "services": {"fetch": lambda: None}, "delays": {"soon": 1}}
    return review(machine(config, **implemented))


def states(**given: Any) -> dict[str, Any]:
    """A machine whose first state is the initial one."""
    return {"initial": next(iter(given)), "states": given}


def regions(**given: Any) -> dict[str, Any]:
    """A parallel state."""
    return {"type": "parallel", "states": given}


# -- unreachable states ----------------------------------------------------------------------------


def test_a_state_that_nothing_leads_to_is_found_at_its_root() -> None:
    config = states(a={}, b={"initial": "c", "states": {"c": {"on": {"GO": "d"}}, "d": {"type": "final"}}})
    (found,) = reviewed(config)
    assert (found.rule, found.severity, found.path) == ("unreachable-state", "warning", "$.states.b")
    assert str(found) == (
        "$.states.b: nothing leads to the state 'b'. Give a transition this target, or remove the state."
    )


def test_a_history_state_that_nothing_leads_to_is_found() -> None:
    config = states(
        a=states(b={"on": {"GO": "c"}}, c={})
        | {"states": {"b": {"on": {"GO": "c"}}, "c": {}, "h": {"type": "history"}}}
    )
    (found,) = reviewed(config)
    assert found.path == "$.states.a.states.h"
    assert "history state 'h'" in found.message


@pytest.mark.parametrize(
    "config",
    [
        states(a={"on": {"GO": "b"}}, b={}),
        states(a={"on": {"GO": {"target": "b", "cond": "perhaps"}}}, b={}),
        states(a={"always": {"target": "b", "cond": "perhaps"}}, b={"after": {"10": "c"}}, c={}),
        states(a={"invoke": {"src": "fetch", "onDone": "b", "onError": "c"}}, b={}, c={}),
        states(a={"on": {"GO": "b"}}, b={"type": "parallel", "states": {"x": states(y={}), "z": {}}}),
        states(a={"on": {"GO": "#deep"}}, b=regions(x=states(y={}), z=states(w={"on": {"W": "v"}}, v={"id": "deep"}))),
        {"initial": "#deep", "states": {"a": states(b={}, c={"id": "deep", "on": {"B": "b"}})}},
        states(a={"on": {"GO": "b.h"}}, b=states(x={"on": {"Y": "y"}}, y={}, h={"type": "history"})),
        states(
            a={"on": {"GO": "b.h"}},
            b=states(x={"on": {"Z": "z"}}, y={"on": {"X": "x"}}, z={}, h={"type": "history", "target": "y"}),
        ),
        states(a={"on": {"GO": "p.h"}}, p={"type": "parallel", "states": {"x": {}, "y": {}, "h": {"type": "history"}}}),
    ],
)
def test_a_state_that_something_may_lead_to_is_not_found(config: dict[str, Any]) -> None:
    assert [found for found in reviewed(config) if found.severity == "warning"] == []


def test_what_a_shallow_history_restores_is_entered_by_default() -> None:
    inner = {"initial": "first", "states": {"first": {}, "second": {"id": "second"}}}
    outer = {"initial": "other", "states": {"other": {}, "inner": inner, "h": {"type": "history"}}}
    config = states(a={"on": {"IN": "#second"}}, b=outer | {"on": {"OUT": "a", "BACK": ".h", "O": ".other"}})
    config["states"]["a"]["on"]["H"] = "b.h"
    assert play(config, "IN", "OUT", "H").snapshot.value == {"b": {"inner": "first"}}
    assert findings(config) == []


def test_a_state_whose_parent_is_only_entered_past_it_is_found() -> None:
    config = states(a={"on": {"GO": "b.d"}}, b={"initial": "c", "states": {"c": {}, "d": {}}})
    assert findings(config) == [("unreachable-state", "$.states.b.states.c")]


# -- transitions that never win --------------------------------------------------------------------


def test_a_transition_behind_one_without_a_guard_never_wins() -> None:
    config = states(
        a={"on": {"GO": [{"target": "b", "cond": "perhaps"}, "b", {"target": "c", "cond": "perhaps"}, "c"]}},
        b={"always": ["a", {"target": "c", "cond": "perhaps"}]},
        c={"after": {"10": ["a", "b"]}, "invoke": {"src": "fetch", "onError": [{}, "b"]}},
    )
    assert findings(config) == [
        ("transition-never-wins", "$.states.a.on.GO[2]"),
        ("transition-never-wins", "$.states.a.on.GO[3]"),
        ("transition-never-wins", "$.states.b.always[1]"),
        ("transition-never-wins", "$.states.c.invoke.onError[1]"),
        ("transition-never-wins", '$.states.c.after["10"][1]'),
    ]


def test_the_transition_that_comes_before_is_named() -> None:
    (found,) = reviewed(states(a={"on": {"GO": [{}, "a"]}}))
    assert found.message == "this transition is never taken: $.states.a.on.GO[0] always comes before it"


@pytest.mark.parametrize(
    ("inner", "outer"),
    [("GO", "GO"), ("*", "GO"), ("*", "x.*"), ("x.*", "x.y"), ("x.*", "x.y.*"), ("*", "*"), ("x.*", "x")],
)
def test_a_transition_behind_one_in_every_child_never_wins(inner: str, outer: str) -> None:
    within = states(c={"on": {inner: "d"}}, d={"on": {inner: {}}})
    config = states(a={"on": {inner: "b"}}, b=within) | {"on": {outer: ".a"}}
    (found,) = reviewed(config)
    assert (found.rule, found.path[:4]) == ("transition-never-wins", "$.on")


@pytest.mark.parametrize(
    ("inner", "outer"),
    [("GO", "*"), ("GO", "STOP"), ("x.*", "*"), ("x.y", "x.*"), ("x.y.*", "x.*"), ("x.*", "xy"), ("x", "x.*")],
)
def test_a_transition_for_more_than_its_children_handle_may_win(inner: str, outer: str) -> None:
    config = states(a={"on": {inner: "b"}}, b={"on": {inner: "a"}}) | {"on": {outer: ".a"}}
    assert findings(config) == []


def test_a_transition_may_win_where_one_child_does_not_handle_the_event() -> None:
    handled = {"on": {"GO": {}, "NEXT": "b"}}
    assert findings(states(a=handled, b={}) | {"on": {"GO": ".a"}}) == []
    assert findings(states(a=handled, b={"on": {"GO": {"cond": "perhaps"}}}) | {"on": {"GO": ".a"}}) == []
    assert findings(states(a=handled, b={"on": {"GO": []}}) | {"on": {"GO": ".a"}}) == []
    in_one = regions(x={"on": {"GO": {}}}, y={})
    assert findings(states(a=handled, b=in_one) | {"on": {"GO": ".a"}}) == []


def test_the_end_of_the_machine_is_no_place_where_a_transition_could_win() -> None:
    config = states(a={"on": {"GO": "b"}}, b={"type": "final"}) | {"on": {"GO": ".a"}}
    assert [rule for rule, _ in findings(config)] == ["transition-never-wins"]
    nested = states(p=states(a={"on": {"GO": "b"}}, b={"type": "final"}) | {"on": {"GO": ".a"}})
    assert findings(nested) == []
    in_one = regions(a={"on": {"GO": {}}}, b={"type": "final"}) | {"on": {"GO": {"actions": "x"}}}
    assert findings(in_one) == []


def test_a_star_in_every_child_keeps_the_ends_of_children_from_the_parent() -> None:
    config = states(a=states(b={"on": {"*": {}}}) | {"invoke": {"src": "fetch", "onDone": "c", "onError": "c"}}, c={})
    assert [path for _, path in findings(config)] == ["$.states.a.invoke.onDone", "$.states.a.invoke.onError"]


def test_many_transitions_that_come_before_are_named_in_part() -> None:
    config = states(**{key: {"on": {"GO": chr(ord(key) + 1) if key < "e" else "a"}} for key in "abcde"}) | {
        "on": {"GO": ".a"}
    }
    (found,) = reviewed(config)
    assert "$.states.c.on.GO, … always come before it" in found.message


# -- always loops ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "path"),
    [
        (states(a={"always": "b"}, b={"always": "a"}), "$.states.a.always"),
        (states(a={"on": {"GO": "b"}}, b={"always": {"actions": "act"}}), "$.states.b.always"),
        (states(a={"always": {}}), "$.states.a.always"),
        (states(a={"always": "a"}), "$.states.a.always"),
        (states(a={"always": "#m"}), "$.states.a.always"),
        ({"always": "#m"}, "$.always"),
        (states(a={"on": {"GO": "b"}}, b={"always": "c"}, c={"always": "d"}, d={"always": "c"}), "$.states.c.always"),
        (states(a={"always": "b"}, b=states(c={"always": "#m.a"})), "$.states.a.always"),
        (states(a=states(b={}, c={}) | {"always": ".c"}), "$.states.a.always"),
        ({"always": {"actions": "act"}}, "$.always"),
        (regions(x=states(a={"always": "b"}, b={"always": "a"}), y={}), "$.states.x.states.a.always"),
        ({"type": "parallel", "always": {"actions": "act"}, "states": {"x": {}, "y": {}}}, "$.always"),
    ],
)
def test_eventless_transitions_that_go_round_for_ever_are_found(config: dict[str, Any], path: str) -> None:
    assert ("always-loop", path) in findings(config)
    with pytest.raises(MicrostepLimitExceeded):
        play(config, "GO")


def test_a_loop_is_found_once_and_named() -> None:
    config = states(a={"on": {"GO": "b"}}, b={"always": "c"}, c={"always": "b"})
    (found,) = reviewed(config)
    assert found.message == "always transitions that no guard ends go round for ever: b → c → b"


def one_more(context: Any) -> int:
    return int(context["n"]) + 1


REGIONS = {"x": states(a={"always": {"actions": assign(n=one_more)}}), "y": {}}
ENOUGH = {"cond": lambda context: context["n"] > 5}


@pytest.mark.parametrize(
    "config",
    [
        states(a={"always": "b"}, b={}),
        states(a={"always": [{"target": "b", **ENOUGH}, {"actions": assign(n=one_more)}]}, b={}),
        states(a={"always": "b"}, b={"always": {"target": "c", **ENOUGH}, "on": {"GO": "a"}}, c={}),
        states(a={"always": {"actions": assign(n=one_more), "cond": lambda context: context["n"] < 5}}),
        states(a={"always": "b"}, b={"type": "final"}),
        states(a={"always": "p"}, p=regions(x={"always": {"target": "#m.a", **ENOUGH}}, y={})),
        states(p={"type": "parallel", "states": {**REGIONS, "y": {"always": {"target": "#m.b", **ENOUGH}}}}, b={}),
        states(p={"type": "parallel", "states": REGIONS, "always": {"target": "b", **ENOUGH}}, b={}),
        states(a={"always": "h.back"}, h={"initial": "i", "states": {"i": {}, "back": {"type": "history"}}}),
        states(
            a={"always": {"target": ["#one", "#two"]}}, p=regions(x=states(o={"id": "one"}), y=states(t={"id": "two"}))
        ),
    ],
)
def test_eventless_transitions_that_end_are_not_found(config: dict[str, Any]) -> None:
    assert [found.path for found in reviewed({"context": {"n": 0}, **config}) if found.rule == "always-loop"] == []
    play({"context": {"n": 0}, **config}, "GO")


# -- finals, done, errors --------------------------------------------------------------------------


def test_a_final_state_with_transitions_is_found() -> None:
    config = states(a={"on": {"GO": "b"}}, b={"type": "final", "on": {"BACK": "a", "NOT": []}, "after": {"soon": "a"}})
    assert findings(config) == [
        ("final-with-transitions", "$.states.b.on.BACK"),
        ("final-with-transitions", "$.states.b.after.soon"),
    ]


@pytest.mark.parametrize(
    "config",
    [
        states(a={"onDone": "b"}, b={}),
        states(a=states(x={}) | {"onDone": "b"}, b={}),
        states(a=states(x={}, y={"type": "final"}) | {"onDone": "b"}, b={}),
        states(a={"type": "parallel", "states": {"x": states(f={"type": "final"}), "y": {}}, "onDone": "b"}, b={}),
    ],
)
def test_on_done_of_a_state_that_is_never_done_is_found(config: dict[str, Any]) -> None:
    assert ("never-done", "$.states.a.onDone") in findings(config)


def test_on_done_of_the_root_is_never_taken() -> None:
    config = states(a={"on": {"GO": "b"}}, b={"type": "final"}) | {"onDone": {"actions": "x"}}
    (found,) = reviewed(config)
    assert (found.rule, found.path) == ("never-done", "$.onDone")
    assert "ended" in found.message


@pytest.mark.parametrize(
    "config",
    [
        states(a=states(x={"on": {"GO": "y"}}, y={"type": "final"}) | {"onDone": "b"}, b={}),
        states(a=regions(x=states(f={"type": "final"}), y={"type": "final"}) | {"onDone": "b"}, b={}),
    ],
)
def test_on_done_of_a_state_that_can_be_done_is_not_found(config: dict[str, Any]) -> None:
    assert findings(config) == []
    assert play(config, "GO").snapshot.value == "b"


def test_an_invocation_whose_error_nobody_handles_is_hinted_at() -> None:
    (found,) = reviewed(states(a={"invoke": [{"src": "fetch", "onError": "a"}, {"id": "job", "src": "fetch"}]}))
    assert (found.rule, found.severity, found.path) == ("invoke-without-on-error", "hint", "$.states.a.invoke[1]")


@pytest.mark.parametrize("event", ["error.platform.job", "error.platform.*", "error.*", "*"])
def test_an_error_that_is_handled_further_out_is_not_hinted_at(event: str) -> None:
    assert findings(states(a={"invoke": {"id": "job", "src": "fetch"}}) | {"on": {event: ".a"}}) == []


# -- no false alarms -------------------------------------------------------------------------------


def test_the_examples_have_no_warnings() -> None:
    files = find_machine_files([EXAMPLES])
    assert files
    for file in files:
        built = load_definition(file.source, str(file.path)).machine
        assert [str(found) for found in review(built) if found.severity == "warning"] == []


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_nothing_that_happens_on_a_random_machine_was_said_never_to(chooser: Chooser) -> None:
    never_happens_what_never_happens(chooser)


@pytest.mark.slow
@settings(max_examples=3000, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=True))
def test_nothing_that_happens_on_thousands_of_machines_was_said_never_to(chooser: Chooser) -> None:
    never_happens_what_never_happens(chooser)


def never_happens_what_never_happens(chooser: Chooser) -> None:
    """Play a random machine whose every transition reports its place, and hold that against the findings."""
    config, _ = machine_and_events(chooser)
    report_transitions(config, "$", chooser)
    guards = {"zero:n": lambda context: context["n"] == 0, "no": lambda: False}
    guards["event:A"] = lambda context, event: event["type"] == "A"
    actions = AnyName({"inc:n": assign(n=one_more), "raise:R": raise_("R"), "raise:S": raise_("S")})
    built = machine(config, actions=actions, guards=guards, max_microsteps=30)
    found = {(finding.rule, finding.path) for finding in review(built)}
    assume(found)
    for step in steps(built):
        for node in (built.by_id[leaf] for leaf in step.snapshot.configuration):
            for active in (node, *node.ancestors()):
                assert ("unreachable-state", place(active.path)) not in found
        for effect in step.effects:
            if isinstance(effect, RunAction) and effect.action.startswith("$"):
                for rule in ("transition-never-wins", "never-done"):
                    assert (rule, effect.action) not in found
                if "always" in effect.action.rpartition(".")[2] and step.snapshot.status == "active":
                    assert ("always-loop", effect.action) not in found or has_children(built, effect.action)


def has_children(built: Machine, path: str) -> bool:
    """Whether the owner of a transition has leaves below it, of which only some may go round."""
    return any(place(node.path) == path.rpartition(".")[0] and node.children for node in built.nodes)


def place(keys: tuple[str, ...]) -> str:
    return "$" + "".join(f".states.{key}" for key in keys)


def report_transitions(config: Config, path: str, chooser: Chooser) -> None:
    """Give every transition an action that is its place; move done events to onDone, take some guards from always."""
    on = config.get("on", {})
    done = on.pop(f"done.state.{config['id']}", None)
    if done is not None:
        config["onDone"] = done[0]
        report(done[0], f"{path}.onDone")
    for event, moves in on.items():
        key = f".{event}" if event.isalpha() else f'["{event}"]'
        for index, move in enumerate(moves):
            report(move, f"{path}.on{key}[{index}]")
    always = config.get("always", [])
    for index, move in enumerate(always):
        report(move, f"{path}.always[{index}]")
        if chooser.randint(0, 2) == 0:
            move.pop("cond", None)
            move.pop("in", None)
    for key, child in config.get("states", {}).items():
        report_transitions(child, f"{path}.states.{key}", chooser)


def report(move: Config, path: str) -> None:
    move["actions"] = [*move.get("actions", []), path]


def steps(built: Machine) -> list[Step]:
    """Some of what can happen: every event in every state, until there are many states or one is endless."""
    found: list[Step] = []
    try:
        found.append(initial(built))
    except MicrostepLimitExceeded:
        return found
    seen = [found[0].snapshot]
    for snapshot in seen:
        for event in EVENTS:
            try:
                step = transition(built, snapshot, event)
            except MicrostepLimitExceeded:
                continue
            found.append(step)
            if step.snapshot not in seen and len(seen) < 40:
                seen.append(step.snapshot)
    return found
