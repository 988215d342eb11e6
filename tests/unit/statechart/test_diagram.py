"""Diagrams of machines, and their config as JSON.

``golden/`` holds the diagrams of one machine that has everything; to write them anew after a change, run
``REWRITE_GOLDEN=1 pytest tests/unit/statechart/test_diagram.py`` and read the difference. Mermaid's own parser and
Graphviz are not part of the tests: whoever changes how a diagram is written lets them read the golden files.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.errors import InvalidParameter, MicrostepLimitExceeded
from perdure.hosts.in_process import load_definition
from perdure.machine_files import find_machine_files
from perdure.statechart import (
    Machine,
    and_,
    assign,
    cancel,
    choose,
    create_machine,
    in_state,
    initial,
    log,
    not_,
    or_,
    persistent,
    pure,
    raise_,
    send,
    send_parent,
    send_to,
    stop,
    transition,
)
from perdure.statechart.action import escalate, forward_to, respond, start
from perdure.statechart.diagram import export_xstate, to_dot, to_mermaid, to_xstate_json
from perdure.statechart.labels import action_label, delay_label, guard_label, service_label
from tests.conformance.random_machines import EVENTS, Chooser, machine_and_events
from tests.unit.statechart.playing import AnyName, machine, play

GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = Path(__file__).parents[3] / "examples"


def is_ready(context: Any) -> bool:
    return bool(context["ready"])


def count(context: Any) -> dict[str, Any]:
    return {"n": context["n"] + 1}


def fetch() -> None: ...


def quickly() -> int:
    return 50


class Notify:
    def __call__(self) -> None: ...


EVERYTHING = create_machine(
    {
        "id": "everything",
        "initial": "idle",
        "context": lambda: {"n": 0, "ready": True},
        "schema": object(),
        "entry": "hello",
        "on": {"RESET": "#everything", "PING": {"actions": [count_action := assign(count), "note"]}, "NEVER": None},
        "states": {
            "idle": {
                "tags": {"b", "a"},
                "on": [
                    {"event": "GO", "target": "working.right", "cond": "is allowed"},
                    {"event": "GO", "target": "working", "in": "#everything.idle", "cond": is_ready},
                ],
                "after": {
                    timedelta(minutes=2): "late",
                    1500: [{"cond": and_("is allowed", not_(or_(is_ready, lambda: True))), "target": "late"}, "idle"],
                    "1500": {"actions": "note"},
                    quickly: {"target": "late", "cond": in_state({"idle": {}})},
                    "soon": None,
                },
                "always": {"target": "end note", "cond": {"type": "is more than", "n": 3}},
                "exit": [lambda: None, Notify()],
            },
            "working": {
                "type": "parallel",
                "invoke": [
                    {"id": "job", "src": "fetch", "onDone": "late", "onError": [{"actions": count_action}]},
                    {"src": fetch, "onDone": ".left.l2"},
                    persistent("other"),
                ],
                "onDone": "late",
                "states": {
                    "left": {
                        "initial": "l1",
                        "states": {"l1": {"on": {"L": "l2"}}, "l2": {"type": "final"}},
                        "on": {"BOTH": {"target": ["#everything.working.left.l2", "#r2"]}},
                    },
                    "right": {
                        "initial": "#r2",
                        "states": {
                            "r1": None,
                            "r2": {"id": "r2", "on": {"R": {"target": "r1"}, "UP": "#everything.late"}},
                        },
                    },
                    "alone": {},
                },
            },
            "late": {
                "initial": "one",
                "states": {
                    "one": {"on": {"INNER": {"target": "two", "internal": True}, "TWO": []}},
                    "two": {"on": {"": {"target": "one", "cond": "is allowed"}}, "onDone": {}},
                    "back": {"type": "history", "history": "deep", "target": "two"},
                    "again": {"history": "shallow"},
                },
                "after": [{"delay": 86_400_000, "target": "end note"}, {"delay": 0.5, "target": ".back"}],
            },
            "end note": {"type": "final", "data": {"n": 3}, "meta": {"why": ["end"]}},
        },
    },
    actions={"note": log("noted"), "hello": lambda: None},
    guards={"is allowed": lambda: True, "is more than": lambda: False},
    services={"fetch": fetch},
    delays={"soon": 10},
)  # fmt: skip


def examples() -> list[Machine]:
    return [load_definition(file.source, str(file.path)).machine for file in find_machine_files([EXAMPLES])]


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


# -- golden files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("everything.mmd", to_mermaid),
        ("everything.dot", to_dot),
        ("everything.xstate.json", lambda machine: json.dumps(to_xstate_json(machine), indent=2) + "\n"),
    ],
)
def test_the_machine_with_everything_is_drawn_as_in_the_golden_file(name: str, draw: Callable[[Machine], str]) -> None:
    file = GOLDEN / name
    if os.environ.get("REWRITE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(draw(EVERYTHING), encoding="utf-8")
    assert draw(EVERYTHING) == file.read_text(encoding="utf-8")


# -- Mermaid ---------------------------------------------------------------------------------------


def test_mermaid_leaves_the_root_out_when_there_is_nothing_to_say_about_it() -> None:
    assert to_mermaid(machine({"initial": "a", "states": {"a": {"on": {"GO": "b"}}, "b": {"type": "final"}}})) == (
        'stateDiagram-v2\n    [*] --> a\n    a --> b : GO\n    state "a" as a\n    state "b" as b\n    b --> [*]\n'
    )


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"type": "parallel", "states": {"a": {}, "b": {}}},
        {"initial": "a", "states": {"a": {}}, "entry": "x"},
        {"initial": "a", "states": {"a": {}}, "on": {"GO": ".a"}},
        {"initial": "a", "states": {"a": {"on": {"GO": "#m"}}}},
    ],
)
def test_mermaid_draws_the_root_when_there_is_something_to_say_about_it(config: dict[str, Any]) -> None:
    assert any(line.startswith('state "m" as m') for line in lines(to_mermaid(machine(config))))


def test_every_transition_with_a_target_is_drawn_once_for_each_target() -> None:
    targets = [
        target.key for node in EVERYTHING.nodes for move in (*node.transitions, *node.always) for target in move.targets
    ]
    defaults = [target.key for node in EVERYTHING.nodes for target in node.history_target]
    assert len([line for line in lines(to_mermaid(EVERYTHING)) if " : " in line]) == len(targets + defaults)
    assert len([line for line in lines(to_dot(EVERYTHING)) if '" -> "' in line and "label=" in line]) == len(
        targets + defaults
    )
    assert "everything --> everything : RESET" in lines(to_mermaid(EVERYTHING))


def test_mermaid_mentions_a_state_last_where_it_belongs() -> None:
    drawn = lines(to_mermaid(EVERYTHING))
    crossing = drawn.index("idle --> working_right : GO [is allowed]")
    opening = drawn.index('state "working" as working {')
    assert crossing < opening < drawn.index('state "right" as working_right {')


@pytest.mark.parametrize(
    "key",
    ["end", "state", "Note", "__proto__", "constructor", "[*]", "a --> b", "1", "%%", "日本", "a;b", 'a"b', "x\ny"],
)
def test_mermaid_gives_every_state_a_name_that_is_one(key: str) -> None:
    drawn = to_mermaid(machine({"initial": key, "states": {key: {}, f"{key}.": {}}}))
    names = re.findall(r'^    state "[^"\n]*" as (\S+)$', drawn, re.MULTILINE)
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"\w+", name) and name.lower() not in ("end", "state", "note", "1") for name in names)


@pytest.mark.parametrize(
    ("event", "written"),
    [
        ("a:b", "a#58;b"),
        ("a#b;", "a#35;b#59;"),
        ("<b>%", "#60;b#62;#37;"),
        ("x direction TB", "x direction#32;TB"),
        ("end note", "end#32;note"),
        ("line\nline", "line#10;line"),
        ("größer (1/2)", "größer (1/2)"),
    ],
)
def test_mermaid_reads_labels_as_text(event: str, written: str) -> None:
    drawn = lines(to_mermaid(machine({"initial": "a", "states": {"a": {"on": {event: "b"}}, "b": {}}})))
    assert f"a --> b : {written}" in drawn


# -- DOT -------------------------------------------------------------------------------------------


def test_dot_quotes_what_it_is_given() -> None:
    drawn = to_dot(machine({"id": 'a "b" \\', "initial": "x", "states": {"x": {"entry": "line\nline"}}}))
    assert drawn.startswith('digraph "a \\"b\\" \\\\" {')
    assert '"a \\"b\\" \\\\.x" [label="x\\nentry / line\\nline"];' in lines(drawn)


def test_dot_cuts_edges_at_the_borders_that_they_cross_and_no_other() -> None:
    config = {
        "initial": "a",
        "states": {
            "a": {"initial": "b", "states": {"b": {"on": {"UP": "#m.a"}}}, "on": {"IN": ".b", "SELF": "a", "OUT": "c"}},
            "c": {"initial": "d", "states": {"d": {}}, "on": {"BACK": "a"}},
        },
    }
    drawn = lines(to_dot(machine(config)))
    assert '"m.a.b" -> "m.a point" [label="UP"];' in drawn
    assert '"m.a point" -> "m.a.b" [label="IN"];' in drawn
    assert '"m.a point" -> "m.a point" [label="SELF"];' in drawn
    assert '"m.a point" -> "m.c point" [label="OUT", ltail="cluster m.a", lhead="cluster m.c"];' in drawn


def test_dot_draws_each_kind_of_state_its_own_way() -> None:
    drawn = lines(to_dot(EVERYTHING))
    assert '"everything.late.back" [label="H*", shape=circle];' in drawn
    assert '"everything.late.again" [label="H", shape=circle];' in drawn
    assert '"everything.working.left.l2" [label="l2", peripheries=2];' in drawn
    assert drawn.count('style="dashed";') == 2
    assert '"everything.working point" [label="", shape=point, style=invis];' in drawn


# -- labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "label"),
    [
        ("save", "save"),
        ({"type": "save", "to": "disk"}, 'save {"to":"disk"}'),
        ({"type": "save", "to": is_ready}, "save …"),
        (count, "count"),
        (lambda: None, "lambda"),
        (Notify(), "Notify"),
        (assign(count), "count"),
        (assign(a=1, b=count), "assign a, b"),
        (raise_("X"), "raise X"),
        (raise_("X", delay=5), "send X"),
        (send({"type": "X", "n": 1}), "send X"),
        (send_parent("X"), "send X to parent"),
        (send_to("child", count), "send count to child"),
        (send_to({"type": "statebacked.instance", "machineName": "m", "machineInstanceName": "i"}, "X"), "send X to i"),
        (forward_to("child"), "forward to child"),
        (respond("X"), "respond X"),
        (escalate("broken"), "escalate broken"),
        ({"type": "xstate.raise", "event": {"type": "X"}}, "raise X"),
        (start({"type": "beep", "id": "b"}), 'start beep {"id":"b"}'),
        (cancel("X"), "cancel X"),
        (log(), "log"),
        (log("text"), "log text"),
        (log(count, "label"), "log label"),
        (stop("child"), "stop child"),
        (stop({"id": "child"}), "stop child"),
        (pure(count), "count"),
        (
            choose([{"cond": "c", "actions": ["a", "b"]}, {"cond": "d", "actions": "a"}, {}]),
            "choose a, b if c or a if d or nothing",
        ),
    ],
)
def test_an_action_is_called_by_its_name_or_by_what_it_does(action: Any, label: str) -> None:
    assert action_label(action) == label


@pytest.mark.parametrize(
    ("guard", "label"),
    [
        ("ready", "ready"),
        (is_ready, "is_ready"),
        (and_("a", or_("b", not_("c"))), "a and (b or not c)"),
        (or_(and_("a", "b"), "c"), "a and b or c"),
        (not_(and_("a", "b")), "not (a and b)"),
        ({"type": "xstate.guard", "name": "ready"}, "ready"),
        ({"type": "xstate.guard", "predicate": is_ready}, "is_ready"),
        ({"type": "xstate.guard"}, "xstate.guard"),
        (in_state("#x"), "in #x"),
        (in_state({"a": {"b": "c"}, "d": {}}), "in a.b.c and d"),
    ],
)
def test_a_guard_is_called_by_its_name_or_by_its_parts(guard: Any, label: str) -> None:
    assert guard_label(guard) == label


@pytest.mark.parametrize(
    ("delay", "label"),
    [
        (0, "0 ms"),
        (250, "250 ms"),
        ("1000", "1 s"),
        (90_000, "90 s"),
        (timedelta(minutes=5), "5 min"),
        (7_200_000, "2 h"),
        (86_400_000, "1 d"),
        (0.5, "0.5 ms"),
        ("soon", "soon"),
        ("inf", "inf"),
        (quickly, "quickly"),
    ],
)
def test_a_delay_is_a_time_with_its_unit_or_a_name(delay: Any, label: str) -> None:
    assert delay_label(delay) == label


def test_a_service_is_called_by_its_name_or_by_the_machine_that_it_is() -> None:
    labels = [service_label(service) for service in ("fetch", fetch, EVERYTHING, persistent("other"))]
    assert labels == ["fetch", "fetch", "everything", "other"]


# -- XState's JSON ---------------------------------------------------------------------------------


def test_callables_go_by_their_names_and_equal_ones_share_one() -> None:
    config = {
        "initial": "a",
        "states": {
            "a": {
                "entry": [assign(count), assign(count), assign(n=1), assign(n=True), assign(n=[1]), assign(n=[1])],
                "exit": [assign(n=2), assign(n=count), assign({"n": count}), assign(n=[1, 2])],
                "invoke": [{"src": persistent("other")}, {"src": persistent("other")}, {"src": EVERYTHING}],
            }
        },
    }
    export = export_xstate(machine(config))
    assert export.config["states"]["a"]["entry"] == [
        "count", "count", "assign n", "assign n 2", "assign n 3", "assign n 3",
    ]  # fmt: skip
    assert export.config["states"]["a"]["exit"] == ["assign n 4", "assign n 5", "assign n 5", "assign n 6"]
    assert [invoke["src"] for invoke in export.config["states"]["a"]["invoke"]] == ["other", "other", "everything"]
    assert export.implementations["services"]["everything"] is EVERYTHING


def test_activities_are_noted_and_come_back_from_json() -> None:
    invoked = {"type": "xstate.invoke", "src": "work", "id": "w"}
    config = {
        "initial": "a",
        "states": {
            "a": {"activities": ["beep", fetch, invoked], "invoke": invoked},
            "b": {"activities": fetch},
            "c": {"activities": None},
        },
    }
    original = machine(config, services={"beep": fetch, "work": lambda: None})
    export = export_xstate(original)
    written = [state["activities"] for state in export.config["states"].values()]
    assert written == [["beep", "fetch", invoked], ["fetch"], []]
    again = create_machine(export.config, **export.implementations)
    assert list(initial(again).snapshot.children) == list(initial(original).snapshot.children)
    assert '"m.a" [label="a\\ndo / beep\\ndo / fetch\\ninvoke w: work"];' in lines(to_dot(original))


def test_a_name_that_the_author_gave_is_not_taken_by_a_callable() -> None:
    config = {"entry": ["count", count]}
    export = export_xstate(machine(config, actions={"count": lambda: None}))
    assert export.config["entry"] == ["count", "count 2"]
    assert export.implementations["actions"]["count 2"] is count


def test_a_lambda_goes_by_its_place() -> None:
    config = {
        "initial": "a",
        "states": {
            "a": {"after": {(lambda: 5): {"target": "a", "cond": lambda: True}}, "on": {"GO": {"actions": lambda: 1}}}
        },
    }
    export = export_xstate(machine(config))
    name = "states.a.after[0]"
    assert export.config["states"]["a"] == {
        "after": {name: {"target": "a", "cond": f"{name}.cond"}},
        "on": {"GO": {"actions": "states.a.on.GO.actions"}},
    }
    assert export.implementations["delays"][name]() == 5


def test_a_parameter_that_is_no_json_makes_a_name_for_the_whole() -> None:
    config = {"entry": {"type": "save", "to": is_ready}, "exit": {"type": "save", "to": "disk"}}
    export = export_xstate(machine(config))
    assert (export.config["entry"], export.config["exit"]) == ("save …", {"type": "save", "to": "disk"})
    rebuilt = create_machine(export.config, actions=AnyName(export.implementations["actions"]))
    assert initial(rebuilt).effects == initial(machine(config)).effects


@pytest.mark.parametrize(
    ("guard", "written"),
    [
        (in_state("#b"), {"in": "#b"}),
        (in_state("a"), {"in": "#m.a"}),
        (in_state({"p": {"x": "b"}}), {"in": "#b"}),
        (in_state({"p": {"x": {"b": {}}}}), {"in": "#b"}),
        (in_state({"p": {"x": "b", "y": {}}}), {"cond": "in p.x.b and p.y"}),
    ],
)
def test_a_guard_for_one_state_is_written_as_in(guard: Any, written: dict[str, str]) -> None:
    parallel = {"type": "parallel", "states": {"x": {"initial": "b", "states": {"b": {"id": "b"}}}, "y": {}}}
    config = {
        "initial": "a",
        "states": {
            "a": {"on": {"GO": {"target": "p", "cond": guard}, "IN": {"in": "#b", "cond": guard}}},
            "p": parallel,
        },
    }
    on = to_xstate_json(machine(config))["states"]["a"]["on"]
    assert on["GO"] == {"target": "p", **written}
    assert on["IN"] == {"in": "#b", "cond": guard_label(guard)}


def test_an_initial_state_goes_by_its_key_where_it_has_one() -> None:
    config = {
        "initial": "#child",
        "states": {
            "a": {"id": "child", "initial": "#deep", "states": {"b": {"initial": "c", "states": {"c": {"id": "deep"}}}}}
        },
    }  # fmt: skip
    written = to_xstate_json(machine(config))
    assert (written["initial"], written["states"]["a"]["initial"]) == ("a", "#deep")
    assert written["states"]["a"]["states"]["b"]["initial"] == "c"
    assert to_xstate_json(machine({"initial": "#m.a", "states": {"a": {}}}))["initial"] == "a"
    assert to_xstate_json(machine({"initial": "#x", "states": {"#a": {"id": "x"}}}))["initial"] == "#x"


def test_what_json_cannot_say_and_nothing_names_is_refused_or_described() -> None:
    config = {
        "initial": "a",
        "context": {"bad": object(), "good": 1},
        "meta": {"list": [fetch]},
        "states": {
            "a": {"invoke": {"src": "fetch", "data": {"n": count, "m": 1}}, "on": {"GO": "b"}},
            "b": {"type": "final", "data": lambda context: context},
        },
    }
    built = machine(config, services={"fetch": fetch})
    with pytest.raises(InvalidParameter, match=r"at \$\.context\.bad, .*export_xstate"):
        to_xstate_json(built)
    export = export_xstate(built)
    assert export.lost == ("$.context.bad", "$.meta.list", "$.states.a.invoke.data.n", "$.states.b.data")
    assert export.config["context"] == {"bad": "<object>", "good": 1}
    assert export.config["states"]["a"]["invoke"]["data"] == {"n": "<count>", "m": 1}
    assert export.config["states"]["b"]["data"] == "<lambda>"


def test_the_machine_with_everything_comes_back_from_json_the_same() -> None:
    export = export_xstate(EVERYTHING)
    config = json.loads(json.dumps(export.config))
    again = create_machine(config, **export.implementations)
    assert config["predictableActionArguments"] is True
    assert "schema" not in config
    assert config["states"]["idle"]["tags"] == ["a", "b"]
    assert export_xstate(again).config == config
    for events in (
        (),
        ("GO",),
        ("GO", "BOTH"),
        ("GO", "UP", "INNER"),
        ("PING", "RESET"),
        ("xstate.after(120000)#everything.idle",),
    ):
        one, other = play(again, *events).snapshot, play(EVERYTHING, *events).snapshot
        assert (one.value, one.context, one.history) == (other.value, other.context, other.history)
        assert list(one.children) == list(other.children)


@pytest.mark.parametrize("original", examples(), ids=lambda machine: machine.id)
def test_every_example_is_drawn_and_comes_back_from_json_the_same(original: Machine) -> None:
    export = export_xstate(original)
    again = create_machine(json.loads(json.dumps(export.config)), **export.implementations)
    assert initial(again).snapshot.value == initial(original).snapshot.value
    assert export_xstate(again).config == export.config
    assert to_mermaid(original).startswith("stateDiagram-v2\n")
    assert to_dot(original).startswith(f'digraph "{original.id}"')


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_random_machines_come_back_from_json_and_behave_the_same(chooser: Chooser) -> None:
    config, events = machine_and_events(chooser)
    guards = {"zero:n": lambda context: context["n"] == 0, "no": lambda: False}
    guards["event:A"] = lambda context, event: event["type"] == "A"
    named = {"inc:n": assign(n=lambda context: context["n"] + 1), "raise:R": raise_("R"), "raise:S": raise_("S")}
    original = machine(config, actions=named, guards=guards, max_microsteps=30)
    again = machine(to_xstate_json(inlined(original)), actions=named, guards=guards, max_microsteps=30)
    assert future(again, events) == future(original, events)
    assert to_dot(again) == to_dot(original)
    assert to_mermaid(again) == to_mermaid(original)


def inlined(original: Machine) -> Machine:
    """The same machine built from the same config, with tuples where JSON has lists."""
    parts = original.implementations
    return machine(tupled(original.config), actions=dict(parts.actions), guards=parts.guards)


def tupled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: tupled(below) for key, below in value.items()}
    return tuple(map(tupled, value)) if isinstance(value, list) else value


def future(built: Machine, events: list[str]) -> list[Any]:
    """What happens on the way, until a macrostep does not end."""
    steps: list[Any] = []
    try:
        steps.append(initial(built))
        for event in (*events, *EVENTS):
            steps.append(transition(built, steps[-1].snapshot, event))
    except MicrostepLimitExceeded as error:
        steps.append(str(error))
    return steps
