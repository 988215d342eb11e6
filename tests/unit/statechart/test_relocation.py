"""An actor goes on in another machine: what holds at its new place, and what does not happen on the way."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perdure import Machine, Scope, Snapshot, assign, create_machine, initial, persistent, send, transition
from perdure.errors import SnapshotMismatch
from perdure.statechart.effect import Cancel, Done, Effect, RunAction, Send, StartChild
from perdure.statechart.relocation import (
    HistoryPaths,
    StatePath,
    history_paths,
    leaf_paths,
    leaves_under,
    relocate,
    shown_path,
)
from perdure.statechart.snapshot import Child
from perdure.statechart.step import Step

EVENT = {"type": "statebacked.upgrade"}


def machine(states: dict[str, Any], **more: Any) -> Machine:
    return create_machine({"id": "m", "initial": next(iter(states)), "states": states, **more})


def moved(
    before: Snapshot,
    target: Machine,
    *paths: str,
    former: Machine | None = None,
    context: Any = None,
    history: HistoryPaths | None = None,
) -> Step:
    split: list[StatePath] = [tuple(path.split(".")) if path else () for path in paths]
    return relocate(
        target,
        before,
        split,
        context=before.context if context is None else context,
        history=history or {},
        event=EVENT,
        former=former,
        scope=Scope(),
    )


def shown(effects: tuple[Effect, ...]) -> list[str]:
    """Effects in few words."""
    words = []
    for effect in effects:
        match effect:
            case Cancel(id=send_id):
                words.append(f"cancel {send_id}")
            case Send(event=event, delay=float(delay)):
                words.append(f"send {event['type']} in {delay:g}")
            case StartChild(id=child_id, source=source):
                words.append(f"start {child_id} of {source}")
            case RunAction(action=action):
                words.append(f"run {action}")
            case _:
                words.append(type(effect).__name__)
    return words


# -- where it stands -----------------------------------------------------------------------------------------------


def test_leaves_of_state_values_as_paths() -> None:
    assert leaf_paths("a") == [("a",)]
    assert leaf_paths({"a": "b"}) == [("a", "b")]
    assert leaf_paths({"p": {}, "q": {"r": {"s": "t"}}}) == [("p",), ("q", "r", "s", "t")]
    assert leaf_paths({}) == [()]
    assert (shown_path(()), shown_path(("a", "b"))) == ("(the root)", "a.b")


def test_a_root_without_states_is_where_its_path_leads() -> None:
    bare = create_machine({"id": "m", "after": {"10": {"actions": "act"}}}, actions={"act": print})
    step = moved(initial(bare).snapshot, bare, "", former=bare)
    assert (step.snapshot.value, step.snapshot.configuration) == ({}, ("m",))


REGIONS = create_machine(
    {
        "id": "m",
        "type": "parallel",
        "states": {
            "pay": {"initial": "due", "states": {"due": {}, "paid": {}}},
            "ship": {"initial": "packed", "states": {"packed": {}, "sent": {}}},
        },
    }
)


def test_regions_that_no_path_leads_to_start_over() -> None:
    step = moved(initial(REGIONS).snapshot, REGIONS, "pay.paid", former=REGIONS)
    assert step.snapshot.value == {"pay": "paid", "ship": "packed"}


def test_leaves_under_a_compound_state_are_its_initial_ones() -> None:
    assert leaves_under(REGIONS, [("ship",)]) == [("pay", "due"), ("ship", "packed")]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["pay.du"], "pay.du is no state of machine 'm': 'm.pay' has no state 'du'.*Did you mean 'due'"),
        (["pay.due.x"], "'m.pay.due' has no state 'x'"),
        (["pay.due", "pay.paid"], "pay.due and pay.paid of machine 'm' cannot be active at the same time"),
    ],
)
def test_where_the_machine_cannot_stand_is_refused(paths: list[str], message: str) -> None:
    with pytest.raises(SnapshotMismatch, match=message):
        moved(initial(REGIONS).snapshot, REGIONS, *paths, former=REGIONS)


def test_a_history_state_cannot_be_stood_at() -> None:
    back = machine({"a": {"initial": "b", "states": {"b": {}, "h": {"type": "history"}}}})
    with pytest.raises(SnapshotMismatch, match="no state 'h' that can be active"):
        moved(initial(back).snapshot, back, "a.h")


# -- what holds there ----------------------------------------------------------------------------------------------

LOUD: dict[str, Any] = {"entry": "enter", "exit": "leave"}
ACTIONS = {"enter": print, "leave": print, "act": print}


def loud(states: dict[str, Any], **more: Any) -> Machine:
    return create_machine({"id": "m", "initial": next(iter(states)), "states": states, **more}, actions=ACTIONS)


def test_neither_entry_nor_exit_actions_run() -> None:
    old, new = loud({"a": LOUD}), loud({"b": {"initial": "c", "states": {"c": LOUD}, **LOUD}})
    assert shown(moved(initial(old).snapshot, new, "b.c", former=old).effects) == []


def test_eventless_transitions_are_taken_and_see_the_upgrade() -> None:
    seen = assign(by=lambda context, event: event["type"])
    new = loud({"b": {"always": {"target": "c", "actions": [seen, "act"]}}, "c": {"entry": "enter"}})
    step = moved(initial(loud({"a": {}})).snapshot, new, "b")
    assert (step.snapshot.value, step.snapshot.context) == ("c", {"by": "statebacked.upgrade"})
    assert shown(step.effects) == ["run act", "run enter"]


def test_timers_of_kept_states_go_on_and_those_of_others_change() -> None:
    old = loud({"a": {"after": {"10": "c", "20": "c"}}, "c": {}}, after={"5": ".c"})
    new = loud({"a": {"after": {"20": "c", "30": "c"}}, "b": {"after": {"40": "c"}}, "c": {}}, after={"5": ".c"})
    before = initial(old).snapshot
    assert shown(moved(before, new, "a", former=old).effects) == [
        "cancel xstate.after(10)#m.a",
        "send xstate.after(30)#m.a in 30",
    ]
    assert shown(moved(before, new, "b", former=old).effects) == [
        "cancel xstate.after(10)#m.a",
        "cancel xstate.after(20)#m.a",
        "send xstate.after(40)#m.b in 40",
    ]


def test_without_the_former_machine_every_timer_that_could_be_mistaken_is_cancelled() -> None:
    states = {"a": {"after": {"20": "c"}}, "b": {"after": {"40": "c"}}, "c": {"after": {"9": "a"}}}
    new = loud(states, after={"5": ".c"})
    before = initial(loud({"a": {"after": {"10": "c"}}, "c": {}})).snapshot
    assert shown(moved(before, new, "a").effects) == ["cancel xstate.after(40)#m.b", "cancel xstate.after(9)#m.c"]
    assert shown(moved(before, new, "b").effects) == [
        "cancel xstate.after(20)#m.a",
        "cancel xstate.after(40)#m.b",
        "cancel xstate.after(9)#m.c",
        "send xstate.after(40)#m.b in 40",
    ]


async def serve() -> None: ...


def calling(**more: Any) -> dict[str, Any]:
    return {"invoke": {"id": "call", "src": serve, **more}}


def test_services_of_new_states_start_and_those_of_kept_ones_do_not() -> None:
    old, new = machine({"a": {}}), machine({"a": calling(), "b": calling()})
    assert shown(moved(initial(old).snapshot, new, "a", former=old).effects) == []
    step = moved(initial(old).snapshot, new, "b", former=old)
    assert [word.partition(" of ")[0] for word in shown(step.effects)] == ["start call"]
    assert step.snapshot.children["call"].state == "m.b"


def having(**more: Any) -> dict[str, Any]:
    return {"invoke": {"id": "kid", "src": persistent("kid", name="tom"), **more}}


def child_after(new: Machine, path: str, old: Machine) -> tuple[Child, list[str]]:
    step = moved(initial(old).snapshot, new, path, former=old)
    return step.snapshot.children["kid"], shown(step.effects)


def test_a_child_is_that_of_the_state_that_expects_it_now() -> None:
    old = machine({"a": having()})
    kept, effects = child_after(machine({"a": having()}), "a", old)
    assert (kept.state, kept.instance, effects) == ("m.a", "tom", [])
    adopted, effects = child_after(machine({"b": having()}), "b", old)
    assert (adopted.state, adopted.instance, effects) == ("m.b", "tom", [])


def test_a_child_that_no_state_expects_goes_on_as_a_spawned_one() -> None:
    child, effects = child_after(machine({"b": {}}), "b", machine({"a": having()}))
    assert (child.state, child.instance, effects) == (None, "tom", [])


def test_a_child_of_another_machine_is_not_taken_for_the_expected_one() -> None:
    new = machine({"b": {"invoke": {"id": "kid", "src": persistent("dog", name="rex")}}})
    child, effects = child_after(new, "b", machine({"a": having()}))
    assert (child.source, child.instance) == ("dog", "rex")
    assert effects == ["StopChild", "start kid of dog"]


def test_spawned_children_are_carried_over() -> None:
    before = msgspec.structs.replace(
        initial(machine({"a": {}})).snapshot,
        children={"kid": Child(id="kid", source="kid", session=4, instance="tom")},
        children_started=4,
    )
    after = moved(before, machine({"b": calling()}), "b").snapshot
    assert after.children["kid"] == before.children["kid"]
    assert after.children["call"].session == 5


# -- ends ----------------------------------------------------------------------------------------------------------


def test_an_upgrade_to_the_end_of_the_machine_ends_it() -> None:
    new = loud({"a": {}, "z": {"type": "final", "data": {"won": True}}}, **LOUD)
    step = moved(initial(loud({"a": {}})).snapshot, new, "z")
    assert (step.snapshot.status, step.snapshot.output) == ("done", {"won": True})
    assert step.effects[-1] == Done({"won": True})


def test_a_kept_state_that_is_an_end_now_ends_the_machine() -> None:
    old, new = machine({"a": {}}), machine({"a": {"type": "final", "data": {"n": 1}}})
    step = moved(initial(old).snapshot, new, "a", former=old)
    assert (step.snapshot.status, step.snapshot.output) == ("done", {"n": 1})


def test_a_parallel_machine_of_which_only_ended_regions_are_left_ends() -> None:
    ended = {"pay": {"initial": "p", "states": {"p": {"type": "final"}}}}
    still_open = {"ship": {"initial": "o", "states": {"o": {}}}}
    old = create_machine({"id": "m", "type": "parallel", "states": {**ended, **still_open}})
    new = create_machine({"id": "m", "type": "parallel", "states": ended})
    step = moved(initial(old).snapshot, new, "pay.p", former=old)
    assert (step.snapshot.status, step.snapshot.output) == ("done", None)


def test_a_new_inner_end_raises_the_done_event_of_its_parent() -> None:
    inner = {"initial": "one", "states": {"one": {}, "end": {"type": "final"}}, "onDone": "after"}
    step = moved(initial(machine({"a": {}})).snapshot, machine({"work": inner, "after": {}}), "work.end")
    assert step.snapshot.value == "after"


# -- history -------------------------------------------------------------------------------------------------------


def with_history(name: str, *keys: str, back: str = "back", deep: bool = False) -> Machine:
    kind = {"type": "history", "history": "deep" if deep else "shallow"}
    inside = {key: {"on": {"NEXT": following}} for key, following in zip(keys, (*keys[1:], keys[0]), strict=True)}
    states = {name: {"initial": keys[0], "states": {**inside, back: kind}}, "off": {"on": {"ON": f"{name}.{back}"}}}
    return machine(states, on={"OFF": ".off"})


def left(old: Machine) -> Snapshot:
    snapshot = initial(old).snapshot
    for event in ("NEXT", "OFF"):
        snapshot = transition(old, snapshot, event).snapshot
    return snapshot


def test_what_history_has_recorded_is_told_as_paths() -> None:
    old = with_history("on", "low", "high")
    assert history_paths(left(old), old) == {"m.on.back": [("on", "high")]}
    assert history_paths(left(old), None) == {"m.on.back": [("on", "high")]}


def test_a_recorded_state_with_an_id_of_its_own_needs_the_former_machine() -> None:
    states = {"low": {"on": {"NEXT": "high"}}, "high": {"id": "top"}, "back": {"type": "history"}}
    old = machine({"on": {"initial": "low", "states": states}, "off": {}}, on={"OFF": ".off"})
    assert history_paths(left(old), old) == {"m.on.back": [("on", "high")]}
    with pytest.raises(SnapshotMismatch, match="bring that version along"):
        history_paths(left(old), None)


@pytest.mark.parametrize("former", [True, False])
def test_history_goes_to_the_state_of_the_same_id_or_key_whose_parent_has_what_was_recorded(former: bool) -> None:
    old, new = with_history("on", "low", "high"), with_history("lit", "dim", "bright")
    code = old if former else None
    same = moved(left(old), old, "off", former=code, history={"m.on.back": [("on", "high")]}).snapshot
    assert transition(old, same, "ON").snapshot.value == {"on": "high"}
    step = moved(left(old), new, "off", former=code, history={"m.on.back": [("lit", "bright")]})
    assert step.snapshot.history == {"m.lit.back": ("m.lit.bright",)}
    assert transition(new, step.snapshot, "ON").snapshot.value == {"lit": "bright"}


def test_history_that_no_state_can_have_recorded_is_forgotten() -> None:
    old, new = with_history("on", "low", "high"), with_history("lit", "dim", "bright", back="return")
    for history in ({"m.on.back": [("lit", "bright")]}, {"m.on.back": [("off",)]}):
        step = moved(left(old), new, "off", former=old, history=history)
        assert step.snapshot.history == {}
        assert transition(new, step.snapshot, "ON").snapshot.value == {"lit": "dim"}


def test_history_that_leads_nowhere_or_to_two_places_is_refused() -> None:
    old = with_history("on", "low", "high")
    with pytest.raises(SnapshotMismatch, match=r"on\.hihg is no state.*Did you mean 'high'"):
        moved(left(old), old, "off", former=old, history={"m.on.back": [("on", "hihg")]})
    with pytest.raises(SnapshotMismatch, match="cannot be active at the same time"):
        moved(left(old), old, "off", former=old, history={"m.on.back": [("on", "low"), ("on", "high")]})


# -- what remains --------------------------------------------------------------------------------------------------


def test_events_that_were_sent_with_a_delay_are_left_alone() -> None:
    old = machine({"a": {"entry": send("LATER", delay=50, id="later")}})
    assert shown(moved(initial(old).snapshot, machine({"b": {}}), "b", former=old).effects) == []


def test_the_machine_may_have_another_id() -> None:
    other = create_machine({"id": "other", "initial": "a", "states": {"a": {"after": {"10": "a"}}}})
    step = moved(initial(machine({"a": {}})).snapshot, other, "a")
    assert (step.snapshot.machine, step.snapshot.configuration) == ("other", ("other.a",))
    assert "send xstate.after(10)#other.a in 10" in shown(step.effects)
