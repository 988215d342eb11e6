"""What Stately and XState write as JSON: it builds as it is, and what JSON has lost is a defect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.statechart import Machine, assign, create_machine, initial, transition
from perdure.statechart.xstate_objects import BUILT_IN_ACTIONS
from tests.unit.statechart.playing import asked, defects, machine, paths, play


def exported(name: str) -> Any:
    return json.loads((Path(__file__).parent / "stately" / f"{name}.json").read_text(encoding="utf-8"))


CHECKOUT = exported("checkout")


def checkout() -> Machine:
    def remember(context: Any, event: Any, meta: Any) -> Any:
        return {"items": [*context["items"], event["item"]][: meta.params["params"]["limit"]]}

    return create_machine(
        CHECKOUT,
        actions={
            "remember item": assign(remember),
            "say basket is empty": lambda: None,
            "count attempt": assign(attempts=lambda context: context["attempts"] + 1),
            "remember receipt": assign(receipt=lambda context, event: event["data"]),
        },
        guards={
            "has items": lambda context: bool(context["items"]),
            "may try again": lambda context, event, meta: context["attempts"] < meta.params["params"]["most"],
            "wants mail": lambda: False,
        },
        services={"charge card": lambda: None},
        delays={"patience": 60_000},
    )


# -- what Stately exports ------------------------------------------------------------------------


def test_an_export_of_stately_builds_and_runs_as_it_is() -> None:
    built = checkout()
    step = initial(built)
    for event in (
        {"type": "Add item", "item": "cup"},
        "Check out",
        "Card chosen",
        {"type": "error.platform.charge"},
        "Card chosen",
        {"type": "done.invoke.charge", "data": "r1"},
        "Packed",
        "xstate.after(patience)#Checkout machine.Fulfilment.Mail.Writing",
    ):
        step = transition(built, step.snapshot, event)
    assert (step.snapshot.value, step.snapshot.output) == ("Done", {"ok": True})
    assert step.snapshot.context == {"attempts": 2, "items": ["cup"], "receipt": "r1"}


def test_an_export_of_stately_that_names_nothing_runs_without_any_implementation() -> None:
    built = create_machine(exported("new_machine"))
    visited = [built.initial_snapshot]
    for event in ("next", "back", "next", "next", "reset"):
        visited.append(built.transition(visited[-1], event))
    assert [snapshot.value for snapshot in visited] == [
        "Initial state",
        {"Another state": "Child state"},
        "Initial state",
        {"Another state": "Child state"},
        {"Parallel state": {"region 1": {}, "region 2": {}}},
        "Initial state",
    ]


def test_an_export_of_stately_with_regions_timers_and_services_runs_as_it_is() -> None:
    def is_right_code(context: Any, event: Any, meta: Any) -> bool:
        return bool(len(event["code"]) == meta.params["params"]["digits"])

    built = machine(
        exported("sign_in"),
        guards={
            "isVerified": lambda: False,
            "isRightCode": is_right_code,
            "tooManyAttempts": lambda: False,
            "isActive": lambda: True,
        },
        services={"authenticate": lambda: None, "pollInbox": lambda: None},
        delays={"sessionLength": 1_000},
    )
    events: list[Any] = [
        "SIGN_IN",
        "xstate.after(5000)#signIn.checking",
        "SIGN_IN",
        {"type": "done.invoke.invoke-4kz1p", "data": "ann"},
        {"type": "CODE", "code": "123"},
        {"type": "CODE", "code": "123456"},
        "xstate.after(sessionLength)#signIn.signedIn.session.fresh",
        "WHATEVER",
        "SIGN_OUT",
        "ADMIN.LOCK",
    ]
    step, said = initial(built), []
    for event in events:
        step = transition(built, step.snapshot, event)
        said.append((step.snapshot.value, asked(step)))
    signed_in = {"signedIn": {"session": "fresh", "inbox": {}}}
    after = "xstate.after(sessionLength)#signIn.signedIn.session.fresh"
    timer = "xstate.after(5000)#signIn.checking"
    begin = ("checking", ["clearError", f"send {timer} to self in 5000.0", "start invoke-4kz1p"])
    assert said[:5] == [
        begin,
        ("signedOut", [f"cancel {timer}", "stop invoke-4kz1p"]),
        begin,
        ("waitingForCode", [f"cancel {timer}"]),
        ("waitingForCode", ["countAttempt"]),
    ]
    assert said[5] == (signed_in, ["clearCode", f"send {after} to self in 1000", "start inbox"])
    # The region that does not know the timer asks the states around it, as in SCXML: there a star takes it.
    assert said[6] == (signed_in, [f"cancel {after}", "noteUnknownEvent", f"send {after} to self in 1000"])
    assert said[7] == (signed_in, ["noteUnknownEvent"])
    assert said[8] == ("signedOut", ["stop inbox", f"cancel {after}"])
    assert said[9] == ("locked", ["tellSupport", "done None"])
    assert not initial(built).snapshot.has_tag("busy")
    assert play(built, "SIGN_IN").snapshot.has_tag("busy")


def test_an_export_of_stately_keeps_its_words() -> None:
    built = checkout()
    browsing = built.initial_snapshot
    assert built.meta(browsing) == {"Checkout machine.Browsing": {"layout": {"x": 120, "y": -40}}}
    assert built.by_id["Checkout machine.Browsing"].description == "The customer looks around."
    assert built.resolve("Paying").has_tag("money")


def test_what_an_export_names_has_to_be_implemented_and_everything_missing_is_told_at_once() -> None:
    found = defects(CHECKOUT)
    assert len(found) == 9
    assert "the guard 'may try again' is not implemented" in str(found)


# -- actions and guards as objects ---------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in BUILT_IN_ACTIONS if kind != "xstate.log"])
def test_an_action_whose_function_json_has_lost_is_a_defect(kind: str) -> None:
    (defect,) = defects({"entry": [{"type": kind}]})
    assert defect.path == "$.entry[0]"
    assert defect.message == f"{kind} has no {BUILT_IN_ACTIONS[kind].main!r}: JSON cannot hold the function that it was"


def test_what_is_wrong_inside_an_object_is_told_with_its_place() -> None:
    found = defects(
        {
            "entry": [
                {"type": "xstate.raise", "event": {"type": "X"}, "to": "b"},
                {"type": "xstate.send", "event": {"type": "X"}, "delay": "unknown"},
                {"type": "xstate.choose", "conds": [{"cond": "unknown", "actions": []}]},
                {"type": "xstate.rise", "event": {"type": "X"}},
                {"type": "xstate.assign", "assignment": {}, "n": 1},
            ]
        }
    )
    assert paths(found) == [
        "$.entry[0].to",
        "$.entry[1].event",
        "$.entry[2].conds[0].cond",
        "$.entry[3]",
        "$.entry[4].n",
    ]


def test_an_object_may_hold_functions_when_it_was_written_in_python() -> None:
    config = {
        "context": {"n": 1},
        "on": {
            "GO": {
                "cond": {"type": "xstate.guard", "name": "inline", "predicate": lambda context: context["n"] == 1},
                "actions": [
                    {"type": "xstate.assign", "assignment": {"n": lambda context: context["n"] + 1}},
                    {"type": "xstate.pure", "get": lambda context: ["two"] if context["n"] == 2 else []},
                    {"type": "xstate.log", "expr": lambda context: context["n"], "label": "n"},
                ],
            }
        },
    }
    assert asked(play(config, "GO", actions={"two": lambda: None})) == ["two", "log 2"]
    assert play(config, "GO", "GO").snapshot.context == {"n": 2}


def test_a_log_without_an_expression_logs_context_and_event() -> None:
    step = play({"entry": {"type": "xstate.log"}})
    assert asked(step) == ["log {'context': {}, 'event': {'type': 'xstate.init'}}"]


def test_a_guard_object_without_a_name_or_with_more_is_a_defect() -> None:
    found = defects({"on": {"A": {"cond": {"type": "xstate.guard"}}, "B": {"cond": {"type": "xstate.guard", "of": 1}}}})
    assert paths(found) == ["$.on.A.cond", "$.on.B.cond.of", "$.on.B.cond"]


def test_an_implementation_may_be_an_object_and_gets_the_parameters_of_its_reference() -> None:
    implementation = {"type": "xstate.assign", "assignment": {"by": lambda context, event, meta: meta.params["by"]}}
    config = {"entry": {"type": "set", "by": 5}}
    assert play(config, actions={"set": implementation}).snapshot.context == {"by": 5}


# -- what a machine says about itself ------------------------------------------------------------

REPEATED: dict[str, Any] = {
    "id": "m",
    "key": "m",
    "version": "1",
    "type": "compound",
    "initial": "a",
    "order": -1,
    "states": {
        "a": {
            "id": "m.a",
            "key": "a",
            "version": "1",
            "type": "atomic",
            "history": False,
            "states": {},
            "on": {"GO": [{"target": ["#m.b"], "event": "GO", "eventType": "GO", "source": "#m.a", "internal": False}]},
            "transitions": [
                {"target": ["#m.b"], "event": "GO", "eventType": "GO", "source": "#m.a", "internal": False}
            ],
            "activities": [{"id": "kid", "src": {"type": "work"}, "type": "xstate.invoke"}],
            "invoke": [{"id": "kid", "src": {"type": "work"}, "type": "xstate.invoke"}],
        },
        "b": {"type": "final", "transitions": []},
    },
}


def test_what_repeats_the_rest_is_taken_when_it_says_the_same() -> None:
    step = play(REPEATED, services={"work": lambda: None})
    assert asked(step) == ["start kid"]
    assert asked(play(REPEATED, "GO", services={"work": lambda: None})) == ["stop kid", "done None"]


@pytest.mark.parametrize(
    ("place", "change", "path"),
    [
        (("states", "a", "on", "GO", 0), {"eventType": "STOP"}, "$.states.a.on.GO[0].eventType"),
        (("states", "a", "on", "GO", 0), {"source": "#m.b"}, "$.states.a.on.GO[0].source"),
        (("states", "a", "on", "GO", 0), {"delay": 10}, "$.states.a.on.GO[0].delay"),
        (("states", "a", "on", "GO", 0), {"description": 5}, "$.states.a.on.GO[0].description"),
        (("states", "a", "invoke", 0), {"type": "xstate.start"}, "$.states.a.invoke[0].type"),
        (("states", "a", "invoke", 0), {"description": 5}, "$.states.a.invoke[0].description"),
        (("states", "a"), {"key": "c"}, "$.states.a.key"),
        (("states", "a"), {"version": "2"}, "$.states.a.version"),
        (("states", "a"), {"transitions": []}, "$.states.a.transitions"),
        (("states", "a"), {"transitions": ["x"]}, "$.states.a.transitions"),
        (("states", "a"), {"transitions": 7}, "$.states.a.transitions"),
        (("states", "b"), {"transitions": [{"eventType": "GO"}]}, "$.states.b.transitions"),
        (("states", "a"), {"invoke": []}, "$.states.a.activities[0]"),
    ],
)
def test_what_repeats_the_rest_and_says_something_else_is_a_defect(
    place: tuple[Any, ...], change: dict[str, Any], path: str
) -> None:
    config = json.loads(json.dumps(REPEATED))
    part = config
    for key in place:
        part = part[key]
    part.update(change)
    assert path in paths(defects(config, services={"work": lambda: None}))


def test_a_history_state_may_have_empty_lists_but_nothing_in_them() -> None:
    def with_history(**more: Any) -> dict[str, Any]:
        return {"initial": "a", "states": {"a": {}, "h": {"type": "history", **more}}}

    assert machine(with_history(on={}, entry=[], exit=[], transitions=[], invoke=[], activities=[], states={}, tags=[]))
    assert paths(defects(with_history(on={"GO": "a"}, entry=[], typo=[]))) == ["$.states.h.on", "$.states.h.typo"]
