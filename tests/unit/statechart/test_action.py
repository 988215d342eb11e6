"""Action creators and what they perform."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from perdure.errors import EventFailed
from perdure.statechart import assign, cancel, choose, log, pure, raise_, send, send_to, stop
from perdure.statechart.effect import Log, RunAction, Send
from perdure.statechart.effect import SelfTarget as Self
from tests.unit.statechart.playing import asked, defects, paths, play


def on_go(*actions: Any, **more: Any) -> dict[str, Any]:
    return {"context": {"n": 1, "gone": 0}, "on": {"GO": {"actions": list(actions)}}, **more}


def test_assign_takes_values_callables_and_one_callable_for_all() -> None:
    both = assign({"a": 5, "gone": lambda context: context["n"] + 1}, b=lambda context, event: event["type"])
    context = play(on_go(both, assign(lambda context: {"n": context["a"]}), assign()), "GO").snapshot.context
    assert context == {"n": 5, "gone": 2, "a": 5, "b": "GO"}


def test_assign_takes_a_callable_or_keys_but_not_both() -> None:
    with pytest.raises(TypeError):
        assign(dict, n=1)


def test_every_function_of_an_assigner_that_cannot_be_called_is_a_defect() -> None:
    def greedy(one: Any, two: Any, three: Any, four: Any) -> None: ...

    found = defects({"entry": assign(a=greedy, b=1, c=greedy)})
    assert paths(found) == ["$.entry.a", "$.entry.c"]


def test_assign_never_changes_the_old_context() -> None:
    first = play(on_go(assign(n=2)))
    play(on_go(assign(n=2)), "GO")
    assert first.snapshot.context == {"n": 1, "gone": 0}


def test_a_custom_action_is_named_with_context_event_and_params() -> None:
    effect = play(on_go({"type": "act", "speed": 2}), {"type": "GO", "k": 1}).effects[0]
    assert effect == RunAction("act", {"n": 1, "gone": 0}, {"type": "GO", "k": 1}, {"speed": 2})


def test_an_inline_action_is_named_by_its_place() -> None:
    def act() -> None: ...

    config = on_go("named", act)
    step = play(config, "GO")
    assert asked(step) == ["named", "$.on.GO.actions[1]"]


def test_a_named_implementation_may_be_any_action_and_sees_the_parameters() -> None:
    actions: dict[str, Any] = {
        "set": assign(n=lambda context, event, meta: meta.params["to"]),
        "alias": "set",
        "preset": {"type": "set", "to": 7},
        "act": lambda: None,
        "renamed": {"type": "act", "p": 1},
    }
    assert play(on_go({"type": "set", "to": 5}), "GO", actions=actions).snapshot.context["n"] == 5
    assert play(on_go({"type": "alias", "to": 6}), "GO", actions=actions).snapshot.context["n"] == 6
    assert play(on_go("preset"), "GO", actions=actions).snapshot.context["n"] == 7
    assert play(on_go({"type": "preset", "to": 8}), "GO", actions=actions).snapshot.context["n"] == 8
    effect = play(on_go("renamed"), "GO", actions=actions).effects[0]
    assert isinstance(effect, RunAction)
    assert (effect.action, effect.params) == ("act", {"p": 1})


@pytest.mark.parametrize(
    ("given", "milliseconds"),
    [
        (0, 0),
        (-5, 0),
        (2.5, 2.5),
        (timedelta(seconds=1), 1000),
        ("soon", 5),
        ("later", 5),
        ("computed", 8),
        (lambda context: context["n"] * 3, 3),
        (lambda: "soon", 5),
        (lambda: "computed", 8),
        (lambda: timedelta(milliseconds=4), 4),
        (lambda: -1, 0),
    ],
)
def test_a_delay_is_milliseconds_a_timedelta_a_name_or_a_callable(given: Any, milliseconds: float) -> None:
    delays = {"soon": 5, "later": "soon", "computed": lambda context: context["n"] + 7}
    effect = play(on_go(send("A", delay=given)), "GO", delays=delays).effects[0]
    assert effect == Send({"type": "A"}, Self(), "A", milliseconds)


def test_an_unknown_computed_delay_is_an_execution_error() -> None:
    config = on_go(send("A", delay=lambda: "never"), "next")
    config["on"]["error.execution"] = {"actions": "reported"}
    assert asked(play(config, "GO")) == ["next", "reported"]
    after = {
        "initial": "a",
        "states": {
            "a": {"after": [{"delay": lambda: "never", "target": "b"}], "on": {"error.*": "c"}},
            "b": {},
            "c": {},
        },
    }
    assert play(after).snapshot.value == "c"


@pytest.mark.parametrize("wrong", [None, {"ms": 1}, True, float("nan"), float("inf"), [5]])
def test_a_computed_delay_must_be_a_time(wrong: Any) -> None:
    with pytest.raises(EventFailed, match="must be milliseconds"):
        play(on_go(send("A", delay=lambda: wrong)), "GO")


def test_raise_with_a_delay_is_a_timer_and_send_to_internal_is_raised() -> None:
    config = on_go(raise_("A", delay=5, id="x"), send("B", to="#_internal"), on={"B": {"actions": "b"}})
    config["on"]["GO"] = {"actions": [raise_("A", delay=5, id="x"), send("B", to="#_internal")]}
    assert asked(play(config, "GO")) == ["send A to self in 5", "b"]


@pytest.mark.parametrize(
    "event",
    ["A", {"type": "A", "k": 1}, lambda: "A", lambda: {"type": "A"}, lambda context, event: {**event, "type": "A"}],
)
def test_an_event_may_be_computed(event: Any) -> None:
    assert asked(play(on_go(raise_(event)), "GO")) == []
    config = on_go(raise_(event))
    config["on"]["A"] = {"actions": "a"}
    assert asked(play(config, "GO")) == ["a"]


@pytest.mark.parametrize("wrong", [5, None, "", {}, {"type": 5}])
def test_a_computed_event_must_be_an_event(wrong: Any) -> None:
    with pytest.raises(EventFailed, match="must return an event"):
        play(on_go(send(lambda: wrong)), "GO")


def test_events_of_one_send_are_not_shared() -> None:
    effects = play(on_go(send({"type": "A"}), send_to("#_parent", {"type": "A"})), "GO").effects
    assert effects[0].event == effects[1].event  # type: ignore[union-attr]
    again = play(on_go(send({"type": "A"})), "GO", "GO").effects[0]
    assert again.event is not effects[0].event  # type: ignore[union-attr]


def test_cancel_takes_an_id_or_computes_it() -> None:
    assert asked(play(on_go(cancel("x"), cancel(lambda context: f"id{context['n']}")), "GO")) == [
        "cancel x",
        "cancel id1",
    ]
    with pytest.raises(EventFailed, match="send id"):
        play(on_go(cancel(lambda: 5)), "GO")  # type: ignore[arg-type, return-value]


def test_log_takes_a_text_a_callable_or_nothing() -> None:
    effects = play(on_go(log("text"), log(lambda context: context["n"], label="n"), log()), "GO").effects
    assert effects[:2] == (Log("text"), Log(1, "n"))
    assert effects[2] == Log({"context": {"n": 1, "gone": 0}, "event": {"type": "GO"}})


def test_choose_runs_the_first_branch_that_holds() -> None:
    def chosen(n: int) -> list[str]:
        branches: list[dict[str, Any]] = [
            {"cond": lambda context: context["n"] == 1, "actions": ["one", "uno"]},
            {"cond": lambda context: context["n"] == 2},
        ]
        return asked(play(on_go(assign(n=n), choose([*branches, {"actions": "many"}]), "next"), "GO"))

    assert chosen(1) == ["one", "uno", "next"]
    assert chosen(2) == ["next"]
    assert chosen(3) == ["many", "next"]
    assert asked(play(on_go(choose([{"cond": lambda: False, "actions": "x"}])), "GO")) == []


def test_pure_runs_what_it_returns() -> None:
    actions = {"act": lambda: None, "only pure names it": lambda: None}
    for returned, expected in (
        (None, []),
        ([], []),
        ("act", ["act"]),
        (["act", {"type": "only pure names it", "p": 1}], ["act", "only pure names it"]),
        (raise_("A"), ["a"]),
        ([assign(n=9), send("B")], ["send B to self"]),
    ):
        config = on_go(pure(lambda returned=returned: returned))
        config["on"]["A"] = {"actions": "act"}
        expected = ["act"] if expected == ["a"] else expected
        assert asked(play(config, "GO", actions=actions)) == expected


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda: None, "inline callable"),
        (choose([{"actions": lambda: None}]), "inline callable"),
        ("unknown", "not implemented"),
        (5, "no action"),
    ],
)
def test_pure_must_return_actions_that_can_be_named(returned: Any, message: str) -> None:
    with pytest.raises(EventFailed, match=message):
        play(on_go(pure(lambda: returned)), "GO", actions={"act": lambda: None})


def test_timers_start_after_entry_actions_and_are_cancelled_after_exit_actions() -> None:
    after = {10: "b", "soon": {"actions": "x"}}
    a = {"entry": "+a", "exit": "-a", "after": after, "on": {"GO": "b"}}
    config = {"initial": "a", "states": {"a": a, "b": {}}}
    ten, soon = "xstate.after(10)#m.a", "xstate.after(soon)#m.a"
    delays = {"delays": {"soon": 5}}
    assert asked(play(config, **delays)) == ["+a", f"send {ten} to self in 10", f"send {soon} to self in 5"]
    assert asked(play(config, "GO", **delays)) == ["-a", f"cancel {ten}", f"cancel {soon}"]
    assert play(config, ten, **delays).snapshot.value == "b"


def test_a_list_of_delays_gives_one_timer_for_each_time() -> None:
    items = [
        {"delay": 10, "target": "b", "cond": lambda: False},
        {"delay": "10", "target": "c"},
        {"delay": 10.0, "target": "b"},
        {"delay": timedelta(seconds=1), "target": "b"},
        {"delay": 1.5, "target": "b"},
        {"delay": lambda context: 7, "target": "b"},
    ]
    config = {"initial": "a", "states": {"a": {"after": items}, "b": {}, "c": {}}}
    sent = [effect.id for effect in play(config).effects if isinstance(effect, Send)]
    assert sent == [f"xstate.after({part})#m.a" for part in ("10", "1000", "1.5", "m.a:delay[5]")]
    assert play(config, "xstate.after(10)#m.a").snapshot.value == "c"
    assert play(config, "xstate.after(m.a:delay[5])#m.a").snapshot.value == "b"


def test_stop_names_its_child_by_id_or_reference() -> None:
    assert asked(play(on_go(stop("nobody"), stop({"id": "nobody"})), "GO")) == []
