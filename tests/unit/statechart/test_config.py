"""Defects of a config: each kind, with its JSON path and suggestion, all at once; and what a config may say."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import EventFailed, MachineConfigError
from perdure.statechart import (
    assign,
    choose,
    create_machine,
    initial,
    not_,
    persistent,
    pure,
    send,
    send_to,
    stop,
    transition,
)
from perdure.statechart.action import (
    AssignConfig,
    CancelConfig,
    ChooseConfig,
    LogConfig,
    PureConfig,
    SendConfig,
    StopConfig,
)
from tests.unit.statechart.playing import defects, machine, paths, play, value

Config = dict[str, Any]


def state(**more: Any) -> Config:
    """A machine whose state a has these keys, beside states b and p (with p.x)."""
    return {"id": "m", "initial": "a", "states": {"a": more, "b": {}, "p": {"initial": "x", "states": {"x": {}}}}}


def on_go(handler: Any) -> Config:
    return state(on={"GO": handler})


# -- one defect, its path and its suggestion -------------------------------------------------------

STATES = "$.states.a"
FOUR = lambda a, b, c, d: None  # noqa: E731

ONE_DEFECT: list[tuple[Config, str, str]] = [
    ({"initail": "a", "initial": "a", "states": {"a": {}}}, "$.initail", "Did you mean 'initial'?"),
    (state(entri="x"), "$.states.a.entri", "Did you mean 'entry'?"),
    (state(**{"two words": 1}), '$.states.a["two words"]', "is not a key that is allowed here"),
    ({5: 1}, "$", "the key 5 is not a string"),  # type: ignore[dict-item]
    (state(id=5), "$.states.a.id", "an id cannot be 5 (int)"),
    (state(id="m.b"), "$.states.b", "the id 'm.b' is taken by a"),
    (state(type="paralel"), "$.states.a.type", "Did you mean 'parallel'?"),
    (state(type="final", states={"x": {}}), "$.states.a.states", "a final state has no states"),
    (state(type="atomic", states={"x": {}}), "$.states.a.states", "an atomic state has no states"),
    (state(type="compound"), STATES, "a compound state needs states"),
    (state(type="parallel", states={}), STATES, "a parallel state needs states"),
    ({"initial": "a", "states": {"a": {}, "h": {"history": "deeep"}}}, "$.states.h.history", "Give 'shallow' or"),
    (state(type="atomic", history="deep"), "$.states.a.history", "only a state of type history"),
    (state(states=5), "$.states.a.states", "states cannot be 5"),
    ({"initial": "a", "states": {"a": {}, "": {}}}, "$.states", "is not a non-empty string"),
    ({"initial": "a", "states": {"a": {}, "b": 5}}, "$.states.b", "a state cannot be 5"),
    ({"states": {"a": {}}}, "$", "Set initial to one of ['a']"),
    ({"initial": "A", "states": {"a": {}}}, "$.initial", "Known are 'a'."),
    ({"initial": "ab", "states": {"abc": {}}}, "$.initial", "Did you mean 'abc'?"),
    ({"initial": "#m", "id": "m", "states": {"a": {}}}, "$.initial", "is no state in here"),
    ({"initial": 5, "states": {"a": {}}}, "$.initial", "5 (int) is no state in here"),
    ({"initial": "h", "states": {"a": {}, "h": {"type": "history"}}}, "$.initial", "cannot be the initial state"),
    ({"initial": "a"}, "$.initial", "a state of type atomic has no initial state"),
    ({"type": "parallel", "initial": "a", "states": {"a": {}}}, "$.initial", "of type parallel has no initial state"),
    (state(target="b"), "$.states.a.target", "only a history state has a target"),
    (state(data=5), "$.states.a.data", "only a final state has data"),
    (state(tags=5), "$.states.a.tags", "Give a string or a list of strings"),
    (state(tags=["a", 5]), "$.states.a.tags", "tags cannot be"),
    (state(description=5), "$.states.a.description", "a description cannot be 5"),
    ({"delimiter": ""}, "$.delimiter", "Give a non-empty string"),
    ({"strict": True}, "$.strict", "unknown events are ignored"),
    ({"key": 5}, "$.key", "a key cannot be 5"),
    ({"type": "history"}, "$", "the root cannot be a history state"),
    ({"context": 5}, "$.context", "Give a dict or a callable"),
    ({"context": {"lock": threading.Lock()}}, "$.context", "cannot be copied"),
    ({"context": lambda machine: {}}, "$.context", "takes no arguments"),
    ({"context": FOUR}, "$.context", "needs 4 arguments"),
    (on_go("c"), "$.states.a.on.GO", "Known are 'a', 'b', 'p'"),
    (on_go("bb"), "$.states.a.on.GO", "Did you mean 'b'?"),
    (on_go(""), "$.states.a.on.GO", "does not resolve"),
    (on_go(".x"), "$.states.a.on.GO", "There are none to choose from"),
    (on_go("#mb"), "$.states.a.on.GO", "Did you mean '#m.b'?"),
    (on_go("#m.p.q"), "$.states.a.on.GO", "does not resolve"),
    (on_go("#nobody.p.q"), "$.states.a.on.GO", "does not resolve"),
    (on_go("p.x.y"), "$.states.a.on.GO", "does not resolve"),
    (on_go({"target": 5}), "$.states.a.on.GO.target", "A target is a string"),
    (on_go({"target": ["b", 5]}), "$.states.a.on.GO.target[1]", "A target is a string"),
    (on_go({"target": ["b", "p"]}), "$.states.a.on.GO.target", "'m.b' and 'm.p' cannot be active at the same time"),
    (on_go(5), "$.states.a.on.GO", "a transition cannot be 5"),
    (on_go([5]), "$.states.a.on.GO[0]", "a transition cannot be 5"),
    (on_go({"tagret": "b"}), "$.states.a.on.GO.tagret", "Did you mean 'target'?"),
    (on_go({"internal": 1}), "$.states.a.on.GO.internal", "Give true or false"),
    (on_go({"actions": 5}), "$.states.a.on.GO.actions", "an action cannot be 5"),
    (on_go({"actions": ["x"]}), "$.states.a.on.GO.actions[0]", "the action 'x' is not implemented"),
    (on_go({"actions": {"no": "type"}}), "$.states.a.on.GO.actions", "an action cannot be"),
    (on_go({"cond": "x"}), "$.states.a.on.GO.cond", "the guard 'x' is not implemented"),
    (on_go({"in": "x"}), "$.states.a.on.GO.in", "'x' (str) is no state of 'm'"),
    (on_go({"in": "#x"}), "$.states.a.on.GO.in", "'#x' (str) is no state of 'm'"),
    (state(on=5), "$.states.a.on", "Give a dict of event types"),
    (state(on={5: "b"}), "$.states.a.on", "the event type 5 is not a string"),
    (state(on=[{"target": "b"}]), "$.states.a.on[0]", "has no event"),
    (state(on=["b"]), "$.states.a.on[0]", "has no event"),
    (state(always="c"), "$.states.a.always", "does not resolve"),
    (state(always=[{"target": "c"}]), "$.states.a.always[0].target", "does not resolve"),
    (state(onDone="c"), "$.states.a.onDone", "does not resolve"),
    (state(after=5), "$.states.a.after", "Give a dict of delays"),
    (state(after=[5]), "$.states.a.after[0]", "has no delay"),
    (state(after={"soon": "b"}), "$.states.a.after.soon", "the delay 'soon' is not implemented"),
    (state(after={"1.5.2": "b"}), '$.states.a.after["1.5.2"]', "is not implemented"),
    (state(after={10: "c"}), '$.states.a.after["10"]', "does not resolve"),
    (state(after={True: "b"}), "$.states.a.after.True", "Give finite milliseconds"),
    (state(after={float("inf"): "b"}), "$.states.a.after.inf", "a delay cannot be inf"),
    (state(after=[{"delay": FOUR}]), "$.states.a.after[0]", "needs 4 arguments"),
    (state(invoke=5), "$.states.a.invoke", "Give a name, a callable, or another machine"),
    (state(invoke="x"), "$.states.a.invoke", "the service 'x' is not implemented"),
    (state(invoke={}), "$.states.a.invoke.src", "a service cannot be None"),
    (state(invoke=[{"src": {"no": "type"}}]), "$.states.a.invoke[0].src", "a service cannot be"),
    (state(invoke={"src": FOUR}), "$.states.a.invoke.src", "needs 4 arguments"),
    (state(invoke={"src": persistent(5)}), "$.states.a.invoke.src", "machine cannot be 5"),  # type: ignore[arg-type]
    (state(invoke={"src": persistent("n"), "id": 5}), "$.states.a.invoke.id", "a child id cannot be 5"),
    (state(invoke={"src": persistent("n"), "sync": 1}), "$.states.a.invoke.sync", "Give true or false"),
    (state(invoke={"src": persistent("n"), "autoForward": "y"}), "$.states.a.invoke.autoForward", "Give true or false"),
    (state(invoke={"src": persistent("n"), "ondone": "b"}), "$.states.a.invoke.ondone", "Did you mean 'onDone'?"),
    (state(invoke={"src": persistent("n"), "onDone": "c"}), "$.states.a.invoke.onDone", "does not resolve"),
    (state(invoke={"src": persistent("n"), "data": {"k": FOUR}}), "$.states.a.invoke.data.k", "needs"),
    (state(entry=FOUR), "$.states.a.entry", "needs 4 arguments"),
    (state(entry=send(5)), "$.states.a.entry", "an event cannot be 5"),  # type: ignore[arg-type]
    (state(entry=send(FOUR)), "$.states.a.entry", "needs 4 arguments"),
    (state(entry=send("A", delay="x")), "$.states.a.entry", "the delay 'x' is not implemented"),
    (state(entry=send("A", id="")), "$.states.a.entry", "a send id cannot be ''"),
    (state(entry=send_to(5, "A")), "$.states.a.entry", "the target cannot be 5"),
    (state(entry=stop(5)), "$.states.a.entry", "the child to stop cannot be 5"),
    (state(entry=CancelConfig(5)), "$.states.a.entry", "the send id cannot be 5"),
    (state(entry=LogConfig("x", 5)), "$.states.a.entry", "the label of a log cannot be 5"),  # type: ignore[arg-type]
    (state(entry=LogConfig(FOUR, None)), "$.states.a.entry", "needs 4 arguments"),
    (state(entry=pure(5)), "$.states.a.entry", "pure takes a callable"),  # type: ignore[arg-type]
    (state(entry=pure(FOUR)), "$.states.a.entry", "needs 4 arguments"),
    (state(entry=assign(n=FOUR)), "$.states.a.entry.n", "needs 4 arguments"),
    (state(entry=choose(5)), "$.states.a.entry", "choose takes a list"),  # type: ignore[arg-type]
    (state(entry=choose([5])), "$.states.a.entry[0]", "a branch of choose cannot be 5"),  # type: ignore[list-item]
    (state(entry=choose([{"if": 1}])), "$.states.a.entry[0].if", "is not a key"),
    (state(entry=choose([{"cond": "x"}])), "$.states.a.entry[0].cond", "is not implemented"),
    (state(entry=choose([{"actions": "x"}])), "$.states.a.entry[0].actions", "is not implemented"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "path", "text"), ONE_DEFECT, ids=[f"{path} {text}" for _, path, text in ONE_DEFECT])
def test_a_defect_has_a_path_and_says_what_to_do(config: Config, path: str, text: str) -> None:
    found = defects(config)
    assert paths(found) == [path]
    assert text in str(found[0])


@pytest.mark.parametrize(
    ("history", "text"),
    [
        ({"target": "nowhere"}, "does not resolve"),
        ({"target": "h2"}, "cannot be another one"),
        ({"target": "#m.b"}, "lies in the state that it is in"),
        ({"target": ["x", "y"]}, "cannot be active at the same time"),
    ],
)
def test_the_default_target_of_a_history_state_is_checked(history: Config, text: str) -> None:
    inner = {"initial": "x", "states": {"x": {}, "y": {}, "h": {"type": "history", **history}, "h2": {"history": True}}}
    found = defects({"id": "m", "initial": "a", "states": {"a": inner, "b": {}}})
    assert paths(found) == ["$.states.a.states.h.target"]
    assert text in str(found[0])


def test_a_history_state_has_no_keys_of_other_states() -> None:
    found = defects({"initial": "a", "states": {"a": {}, "h": {"type": "history", "entry": "x", "states": {"y": {}}}}})
    assert "$.states.h.entry" in paths(found)
    assert "$.states.h.states" in paths(found)


def test_targets_together_with_a_history_state_must_not_meet_in_its_parent() -> None:
    def go(*targets: str) -> Config:
        regions = {
            "one": {"initial": "x", "states": {"x": {}, "y": {}}},
            "h": {"type": "history"},
            "h2": {"history": "deep"},
        }
        other = {"initial": "x", "states": {"x": {}}}
        both = {"type": "parallel", "states": {"p": {"type": "parallel", "states": regions}, "q": other}}
        return {"id": "m", "initial": "a", "states": {"a": {"on": {"GO": {"target": targets}}}, "both": both}}

    assert len(defects(go("#m.both.p.h", "#m.both.p.one.y"))) == 1
    assert len(defects(go("#m.both.p.one.y", "#m.both.p.h"))) == 1
    assert len(defects(go("#m.both.p.h", "#m.both.p.h2"))) == 1
    create_machine(go("#m.both.p.h", "#m.both.q.x"))
    create_machine(go("#m.both.p", "#m.both.p.one.y"))


def test_all_defects_are_reported_at_once() -> None:
    config = {"initial": "z", "states": {"a": {"entry": "x", "on": {"GO": "c"}}, "b": {"typ": "final"}}}
    with pytest.raises(MachineConfigError, match="the machine has 4 defects") as caught:
        create_machine(config)
    assert paths(caught.value.defects) == ["$.states.b.typ", "$.initial", "$.states.a.entry", "$.states.a.on.GO"]
    assert "\n  $.states.a.entry: the action 'x' is not implemented. There are none" in str(caught.value)


@pytest.mark.parametrize("config", [None, 5, "x", [], create_machine])
def test_what_is_no_mapping_is_no_config(config: Any) -> None:
    assert paths(defects(config)) == ["$"]


@pytest.mark.parametrize("kind", ["actions", "guards", "services", "delays"])
def test_implementations_are_mappings(kind: str) -> None:
    assert paths(defects({}, **{kind: ["x"]})) == [kind]


def test_an_action_that_cannot_be_called_is_reported_where_it_is_implemented() -> None:
    assert paths(defects({}, actions={"x": FOUR})) == ["actions.x"]


@pytest.mark.parametrize("limit", [0, -1, "x", 1.5, None])
def test_the_limit_is_a_whole_number(limit: Any) -> None:
    assert paths(defects({}, max_microsteps=limit)) == ["max_microsteps"]


@pytest.mark.parametrize(
    ("config", "implementations"),
    [
        (state(entry="one"), {"actions": {"one": "two", "two": {"type": "one"}}}),
        (state(entry="one"), {"actions": {"one": choose([{"actions": ["one"]}])}}),
        (state(after={"one": "b"}), {"delays": {"one": "two", "two": "one"}}),
        (state(invoke="one"), {"services": {"one": "two", "two": "one"}}),
    ],
)
def test_names_that_are_implemented_by_one_another_are_a_defect(config: Config, implementations: Any) -> None:
    assert "in a circle" in str(defects(config, **implementations)[0])


# -- what a config may say -------------------------------------------------------------------------


def test_a_machine_has_the_id_or_the_key_that_it_is_given() -> None:
    assert create_machine({"id": "i", "key": "k"}).id == "i"
    assert create_machine({"key": "k"}).id == "k"
    assert create_machine({}).id == "(machine)"
    assert repr(create_machine({"id": "i", "initial": "a", "states": {"a": None}})) == "<Machine i: 2 states>"


def test_a_context_may_be_made_by_a_function() -> None:
    made: list[int] = []

    def make() -> Config:
        made.append(1)
        return {"n": len(made)}

    built = create_machine({"context": make})
    assert [initial(built).snapshot.context for _ in range(2)] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("wrong", [lambda: 5, lambda: None, lambda: 1 / 0])
def test_a_context_that_cannot_be_made_fails_the_start(wrong: Any) -> None:
    with pytest.raises(EventFailed, match=r"the context at \$\.context"):
        initial(create_machine({"context": wrong}))


def test_keys_that_say_nothing_about_behaviour_are_allowed() -> None:
    keys = (
        "$schema",
        "predictableActionArguments",
        "preserveActionOrder",
        "schema",
        "strict",
        "tsTypes",
        "version",
        "order",
    )
    built = create_machine({**dict.fromkeys(keys), "meta": {"a": 1}, "description": "d"})
    assert (built.root.meta, built.root.description) == ({"a": 1}, "d")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("b", "b"),
        ("a", "a"),
        ("p", {"p": "x"}),
        ("p.y", {"p": "y"}),
        ("#m.p.y", {"p": "y"}),
        ("#why", {"p": "y"}),
        ("#pea.y", {"p": "y"}),
        ("#dot.ted", "b"),
        ("#dot.ted.x", {"q": "x"}),
        ("with.dot", "with.dot"),
        (["p.y"], {"p": "y"}),
        ([], "a"),
    ],
)
def test_a_target_may_take_any_form(target: Any, expected: Any) -> None:
    states = {
        "a": {"on": {"GO": {"target": target}}},
        "b": {"id": "dot.ted"},
        "p": {"id": "pea", "initial": "x", "states": {"x": {}, "y": {"id": "why"}}},
        "q": {"id": "dot.ted.x", "initial": "x", "states": {"x": {}}},
        "with.dot": {},
    }
    assert value({"initial": "a", "states": states}, "GO") == expected


def test_the_delimiter_can_be_another_one() -> None:
    states = {
        "a": {"on": {"GO": "p/x.y", "IN": "/c"}, "initial": "b", "states": {"b": {}, "c": {}}},
        "p": {"initial": "o", "states": {"o": {}, "x.y": {}}},
    }
    config = {"delimiter": "/", "initial": "a", "states": states}
    assert value(config, "GO") == {"p": "x.y"}
    assert value(config, "IN") == {"a": "c"}
    assert "m/p/x.y" in machine(config).by_id


@pytest.mark.parametrize("initial_state", ["p.y", "#why", "#m.p.y"])
def test_the_initial_state_may_lie_deeper(initial_state: str) -> None:
    states = {"a": {}, "p": {"initial": "x", "states": {"x": {}, "y": {"id": "why"}}}}
    assert value({"initial": initial_state, "states": states}) == {"p": "y"}


def test_transitions_of_the_empty_event_are_eventless() -> None:
    assert value({"initial": "a", "states": {"a": {"on": {"": "b"}}, "b": {}}}) == "b"
    assert value({"initial": "a", "states": {"a": {"on": [{"event": "", "target": "b"}]}, "b": {}}}) == "b"


def test_a_service_may_be_another_machine_or_a_callable() -> None:
    child = create_machine({"id": "child"})

    def work() -> None: ...

    built = machine(state(invoke=["named", {"src": work}, {"src": child}]), services={"named": child})
    assert built.services == {
        "named": child,
        "$.states.a.invoke[1].src": work,
        "$.states.a.invoke[2].src": child,
    }


def test_every_action_that_an_effect_may_name_is_known() -> None:
    def act() -> None: ...

    built = create_machine(state(entry=["named", act]), actions={"named": act, "unused": act, "made": assign(n=1)})
    assert built.actions == {"named": act, "unused": act, "$.states.a.entry[1]": act}


def test_nodes_and_transitions_show_what_they_are() -> None:
    built = machine(state(on={"GO": "b"}, always={"cond": lambda: False}))
    node = built.by_id["m.a"]
    assert repr(node) == "<atomic m.a>"
    assert [repr(transition) for transition in (*node.transitions, *node.always)] == [
        "<m.a --GO--> m.b>",
        "<m.a --always--> (nowhere)>",
    ]


# -- wrong types anywhere --------------------------------------------------------------------------


def action() -> None: ...


VALID: Config = {
    "id": "m",
    "key": "k",
    "initial": "a",
    "context": {"n": 0, "list": [1]},
    "meta": {"k": 1},
    "tags": ["t"],
    "description": "text",
    "on": {
        "GO": {
            "target": "#m.b",
            "actions": ["act", {"type": "act", "p": 1}],
            "cond": "yes",
            "in": {"a": "x"},
            "internal": False,
        }
    },
    "states": {
        "a": {
            "initial": "x",
            "entry": [assign(n=1), send("A", delay=5), choose([{"cond": "yes", "actions": "act"}])],
            "exit": action,
            "always": [{"target": "b", "cond": {"type": "yes", "p": 1}}],
            "after": {"10": "b", "soon": [{"target": "b"}]},
            "onDone": {"target": "b", "actions": stop("c")},
            "invoke": [
                {"src": "work", "id": "c", "data": {"k": 1}, "onDone": "b", "onError": {"target": "b"}, "sync": True}
            ],
            "states": {
                "x": {"on": {"*": [], "N": None}},
                "y": {"type": "final", "data": {"k": 1}},
                "h": {"type": "history", "history": "deep", "target": "x"},
            },
        },
        "b": {
            "type": "parallel",
            "states": {
                "one": {"after": [{"delay": 5, "target": "#m.a"}]},
                "two": {"on": [{"event": "E", "cond": "yes"}]},
            },
        },
    },
}
NAMED: dict[str, Any] = {
    "actions": {"act": action},
    "guards": {"yes": lambda: True},
    "services": {"work": action},
    "delays": {"soon": 5},
}
WRONG: list[Any] = [
    None, True, False, 0, 5, -1.5, float("nan"), "", "x", "#", "#m", ".", "*", b"x", [], ["x"], [[]], [None], {},
    {"x": 1}, {5: 6}, {"type": "x"}, {"type": 5}, {"x"}, (), object(), int, action, FOUR, persistent("x"),
    AssignConfig(5), AssignConfig({5: 6}), SendConfig(5, 5), SendConfig("A", "x", [], "y"), CancelConfig(None),
    StopConfig(None), LogConfig([], None), ChooseConfig([{}]), ChooseConfig(None), PureConfig(None),
]  # fmt: skip


def positions(config: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(config, (dict, list)):
        for key, item in config.items() if isinstance(config, dict) else enumerate(config):
            yield from positions(item, (*path, key))


def replaced(config: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    if not path:
        return wrong
    changed = copy.copy(config)
    changed[path[0]] = replaced(config[path[0]], path[1:], wrong)
    return changed


def renamed(config: Any, path: tuple[Any, ...], key: Any) -> Any:
    """The config with the last key of the path replaced."""
    if len(path) > 1:
        return replaced(config, path[:1], renamed(config[path[0]], path[1:], key))
    if not path or not isinstance(config, dict):
        return config
    return {(key if name == path[0] else name): item for name, item in config.items()}


@given(st.sampled_from(list(positions(VALID))), st.sampled_from(WRONG))
def test_a_wrong_value_anywhere_is_a_defect_or_is_valid(path: tuple[Any, ...], wrong: Any) -> None:
    builds_and_runs_or_is_refused(replaced(VALID, path, wrong))


@given(
    st.sampled_from(list(positions(VALID))), st.sampled_from([5, None, "x", "", "type", "on", "history", "id", ("t",)])
)
def test_a_wrong_key_anywhere_is_a_defect_or_is_valid(path: tuple[Any, ...], key: Any) -> None:
    builds_and_runs_or_is_refused(renamed(VALID, path, key))


def builds_and_runs_or_is_refused(config: Any) -> None:
    try:
        built = create_machine(config, **NAMED)
    except MachineConfigError:
        return
    try:
        snapshot = initial(built).snapshot
        for event in ("GO", "A", "E", "N", "done.invoke.c"):
            snapshot = transition(built, snapshot, event).snapshot
    except EventFailed:
        return


def deep(wrap: Callable[[Any], Any], inner: Any) -> Any:
    for _ in range(3000):
        inner = wrap(inner)
    return inner


def in_itself() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    "config",
    [
        {"on": {"GO": {"cond": deep(not_, "yes")}}},
        {"entry": deep(lambda inner: choose([{"actions": [inner]}]), "act")},
        {"entry": deep(lambda inner: [inner], "act")},
        {"on": {"GO": in_itself()}},
        {"tags": in_itself()},
        {"entry": Unspeakable()},
    ],
)
def test_what_is_too_deep_or_contains_itself_or_cannot_be_shown_is_a_defect(config: Config) -> None:
    assert defects(config, **NAMED)


def test_a_state_that_contains_itself_is_a_defect_and_one_that_is_written_twice_is_none() -> None:
    inner: Config = {"type": "parallel", "states": {}}
    inner["states"]["again"] = inner
    (defect,) = defects({"id": "m", "type": "parallel", "states": {"a": inner}})
    assert (defect.path, defect.message) == ("$.states.a.states.again", "this state contains itself")
    shared: Config = {"initial": "x", "states": {"x": {}}}
    assert value({"type": "parallel", "states": {"a": shared, "b": shared}}) == {"a": "x", "b": "x"}


def test_the_valid_config_is_valid() -> None:
    assert play(create_machine(VALID, **NAMED)).snapshot.value == {"b": {"one": {}, "two": {}}}
