"""Actions between actors: forwarding, answering, escalating; and activities, whose ends nobody waits for."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.statechart import (
    Scope,
    Step,
    done_invoke,
    done_state,
    error_platform,
    escalate,
    forward_to,
    initial,
    persistent,
    raise_,
    respond,
    send_to,
    start,
    stop,
    transition,
)
from perdure.statechart.effect import InstanceTarget, ParentTarget, RunAction, Send, StartChild, Warn
from tests.unit.statechart.playing import asked, defects, machine, paths, play, value

SENDER = InstanceTarget("asker", "one")


def told(on: Any, event: Any = "ASK", *, scope: Scope | None = None, **more: Any) -> Step:
    """What a machine with these transitions asks for when an event comes from ``SENDER``."""
    built = machine({"on": on, **more})
    return transition(built, initial(built).snapshot, event, scope=scope or Scope(origin=SENDER))


# -- forward_to ----------------------------------------------------------------------------------


def test_forward_to_sends_the_event_on_as_it_came() -> None:
    config = {"invoke": {"id": "kid", "src": "work"}, "on": {"ORDER": {"actions": forward_to("kid")}}}
    step = play(config, {"type": "ORDER", "item": 7}, services={"work": lambda: None})
    (sent,) = step.effects
    assert isinstance(sent, Send)
    assert (sent.event, sent.id, sent.delay) == ({"type": "ORDER", "item": 7}, "ORDER", None)
    assert asked(step) == ["send ORDER to kid"]


def test_forward_to_may_wait_and_be_cancelled_and_compute_its_target() -> None:
    reference = {"type": "statebacked.instance", "id": "x", "machineName": "m2", "machineInstanceName": "i"}
    action = forward_to(lambda context: context["where"], delay=5, id="later")
    step = play({"context": {"where": reference}, "on": {"GO": {"actions": action}}}, "GO")
    assert step.effects == (Send({"type": "GO"}, InstanceTarget("m2", "i"), "later", 5),)


def test_forwarding_to_nobody_is_reported() -> None:
    step = play({"on": {"GO": {"actions": forward_to(lambda: None)}, "error.communication": {"actions": "told"}}}, "GO")
    assert asked(step) == ["warn", "told"]
    assert paths(defects({"on": {"GO": {"actions": forward_to(None)}}})) == ["$.on.GO.actions"]


# -- respond -------------------------------------------------------------------------------------


def test_respond_sends_to_whoever_sent_the_event() -> None:
    step = told({"ASK": {"actions": respond({"type": "ANSWER", "n": 1}, delay=7)}})
    assert step.effects == (Send({"type": "ANSWER", "n": 1}, SENDER, "ANSWER", 7),)


def test_respond_computes_its_event() -> None:
    step = told({"ASK": {"actions": respond(lambda context, event: {"type": "ECHO", "of": event["type"]}, id="x")}})
    assert step.effects == (Send({"type": "ECHO", "of": "ASK"}, SENDER, "x"),)


def test_respond_after_an_eventless_transition_still_knows_the_sender() -> None:
    states = {"a": {"on": {"ASK": "b"}}, "b": {"always": "c"}, "c": {"entry": respond("ANSWER")}}
    built = machine({"initial": "a", "states": states})
    step = transition(built, initial(built).snapshot, "ASK", scope=Scope(origin=SENDER))
    assert step.effects == (Send({"type": "ANSWER"}, SENDER, "ANSWER"),)


@pytest.mark.parametrize("action", [respond("ANSWER"), [raise_("R")]])
def test_respond_without_a_sender_reaches_nobody(action: Any) -> None:
    """Nobody sent it at all; or the machine itself raised it, which the sender of the event before did not do."""
    on = {"ASK": {"actions": action}, "R": {"actions": respond("ANSWER")}, "error.communication": {"actions": "told"}}
    step = told(on, scope=Scope(origin=SENDER if isinstance(action, list) else None))
    assert asked(step) == ["warn", "told"]
    (warning,) = (effect for effect in step.effects if isinstance(effect, Warn))
    assert warning.message == "machine 'm' sent 'ANSWER' to 'the sender of the event it handles', which is not there"


# -- escalate ------------------------------------------------------------------------------------


def test_escalate_reports_an_error_to_the_parent_and_goes_on() -> None:
    step = told({"ASK": {"actions": [escalate({"code": 5}), "more"]}})
    sent, more = step.effects
    assert sent == Send({"type": "xstate.error", "data": {"code": 5}}, ParentTarget(), "xstate.error")
    assert isinstance(more, RunAction)
    assert step.snapshot.status == "active"


def test_escalate_computes_its_error_and_may_wait() -> None:
    step = told({"ASK": {"actions": escalate(lambda context, event: event["type"], delay=3, id="e")}})
    assert step.effects == (Send({"type": "xstate.error", "data": "ASK"}, ParentTarget(), "e", 3),)


def test_escalate_without_a_parent_reaches_nobody() -> None:
    on = {"ASK": {"actions": escalate("x")}, "error.communication": {"actions": "told"}}
    assert asked(told(on, scope=Scope(has_parent=False))) == ["warn", "told"]


def test_escalate_refuses_what_cannot_be() -> None:
    async def later() -> None: ...

    config = {"entry": [escalate(later), escalate("x", id=""), escalate("x", delay="unknown")]}
    assert paths(defects(config)) == ["$.entry[0]", "$.entry[1]", "$.entry[2]"]


def test_an_escalated_error_is_taken_and_its_child_goes_on_until_its_state_is_left() -> None:
    kid = {"id": "kid", "src": persistent("child", name="k"), "onError": {"actions": "noted"}}
    built = machine({"initial": "a", "states": {"a": {"invoke": kid, "on": {"GO": "b"}}, "b": {}}})
    error = {"type": error_platform("kid"), "data": "x"}
    origin = Scope(origin=InstanceTarget("child", "k"))
    step = transition(built, initial(built).snapshot, error, scope=origin)
    assert asked(step) == ["noted"]
    assert set(step.snapshot.children) == {"kid"}
    assert asked(transition(built, step.snapshot, "GO")) == ["stop kid"]


def test_the_names_for_on_are_what_the_engine_sends() -> None:
    assert done_invoke("kid") == "done.invoke.kid"
    assert done_state("m.a") == "done.state.m.a"
    assert error_platform("kid") == "error.platform.kid"
    config = {
        "initial": "a",
        "states": {"a": {"invoke": {"id": "kid", "src": "work"}, "on": {done_invoke("kid"): "b"}}, "b": {}},
    }
    assert value(config, {"type": "done.invoke.kid"}, services={"work": lambda: None}) == "b"


# -- activities ----------------------------------------------------------------------------------


def active(activities: Any, **more: Any) -> dict[str, Any]:
    return {"initial": "a", "states": {"a": {"activities": activities, "on": {"GO": "b"}, **more}, "b": {}}}


SERVICES = {"beep": lambda: None, "flash": lambda: None}
BEEP, FLASH = "m.a:activity[0]", "m.a:activity[1]"


def test_activities_start_after_the_entry_actions_and_before_invocations_and_stop_after_the_exit_actions() -> None:
    config = active(["beep", "flash"], entry="in", exit="out", invoke={"id": "kid", "src": "beep"})
    assert asked(play(config, services=SERVICES)) == ["in", f"start {BEEP}", f"start {FLASH}", "start kid"]
    assert asked(play(config, "GO", services=SERVICES)) == ["out", f"stop {BEEP}", f"stop {FLASH}", "stop kid"]


def test_a_state_that_is_left_at_once_starts_no_activity() -> None:
    assert asked(play(active("beep", always="b"), services=SERVICES)) == []


def test_an_activity_is_given_the_context_and_its_parameters() -> None:
    config = {**active([{"type": "beep", "id": "b1", "loud": True}, lambda: None]), "context": {"n": 1}}
    first, second = play(config, services=SERVICES).effects
    assert isinstance(first, StartChild)
    assert (first.id, first.source, first.context, first.params) == ("b1", "beep", {"n": 1}, {"loud": True})
    assert isinstance(second, StartChild)
    assert second.source == "$.states.a.activities[1]"


@pytest.mark.parametrize("event", ["done.invoke.m.a:activity[0]", "error.platform.m.a:activity[0]"])
def test_the_end_of_an_activity_is_no_event_of_the_machine(event: str) -> None:
    config = active("beep", on={"*": {"actions": "seen"}})
    step = play(config, {"type": event, "data": "boo"}, services=SERVICES)
    assert (step.snapshot.value, step.snapshot.status, step.snapshot.children) == ("a", "active", {})
    assert step.changed
    if event.startswith("done"):
        assert step.effects == ()
    else:
        assert step.effects == (Warn("the activity 'beep' of machine 'm' failed: boo"),)


def test_the_same_activity_in_two_regions_runs_twice() -> None:
    region = {"initial": "x", "states": {"x": {"activities": "beep"}, "y": {}}}
    config = {
        "type": "parallel",
        "states": {"one": {**region, "on": {"GO": ".y"}}, "two": {**region, "on": {"STOP": {"actions": stop("beep")}}}},
    }
    one, two = "m.one.x:activity[0]", "m.two.x:activity[0]"
    assert asked(play(config, services=SERVICES)) == [f"start {one}", f"start {two}"]
    assert asked(play(config, "GO", services=SERVICES)) == [f"stop {one}"]
    assert asked(play(config, "STOP", services=SERVICES)) == [f"stop {one}", f"stop {two}"]


@pytest.mark.parametrize("name", ["beep", BEEP])
def test_stop_withdraws_an_activity_that_has_not_started(name: str) -> None:
    assert asked(play(active("beep", entry=stop(name)), services=SERVICES)) == []
    assert asked(play(active("beep", entry=stop("flash")), services=SERVICES)) == [f"start {BEEP}"]


def test_start_starts_an_activity_that_outlives_its_state_until_it_is_stopped() -> None:
    config = active([], entry=start("beep"))
    config["states"]["b"]["on"] = {"STOP": {"actions": stop("beep")}}
    assert asked(play(config, services=SERVICES)) == ["start beep"]
    assert asked(play(config, "GO", services=SERVICES)) == []
    assert asked(play(config, "GO", "STOP", services=SERVICES)) == ["stop beep"]
    assert asked(play(config, "GO", {"type": "done.invoke.beep"}, "STOP", services=SERVICES)) == []


def test_start_takes_an_id_and_parameters_or_a_callable() -> None:
    step = play({"entry": [start({"type": "beep", "id": "b1", "loud": 1}), start(lambda: None)]}, services=SERVICES)
    first, second = step.effects
    assert isinstance(first, StartChild)
    assert (first.id, first.source, first.params) == ("b1", "beep", {"loud": 1})
    assert isinstance(second, StartChild)
    assert second.id == second.source == "$.entry[1]"


def test_activities_refuse_what_cannot_be() -> None:
    found = defects(
        {
            "activities": [
                "beeep",
                {"type": "beep", "id": 5},
                persistent("other"),
                7,
                {"type": "xstate.invoke", "src": 1},
            ],
            "entry": [start("beeep"), start(None)],
        },
        services=SERVICES,
    )
    assert paths(found) == [
        "$.entry[0]",
        "$.entry[1]",
        "$.activities[0]",
        "$.activities[1].id",
        "$.activities[2]",
        "$.activities[3]",
        "$.activities[4]",
    ]
    assert found[0].suggestion == "Did you mean 'beep'?"


def test_messages_reach_an_activity_by_its_id() -> None:
    config = active({"type": "beep", "id": "b1"}, on={"TELL": {"actions": send_to("b1", "LOUDER")}})
    assert asked(play(config, "TELL", services=SERVICES)) == ["send LOUDER to b1"]
