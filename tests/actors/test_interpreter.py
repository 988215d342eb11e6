"""A machine on its own, run in memory: no event loop is needed."""

from __future__ import annotations

from typing import Any

import pytest

from perdure import (
    Actor,
    ActorFailed,
    EventFailed,
    InvalidParameter,
    InvalidState,
    assign,
    create_machine,
    interpret,
    send,
)
from perdure.testing.simulated_clock import SimulatedClock
from tests.actors.machines import counter, note

TOGGLE = create_machine(
    {"id": "toggle", "initial": "off", "states": {"off": {"on": {"FLIP": "on"}}, "on": {"on": {"FLIP": "off"}}}}
)


def failing(context: dict[str, Any]) -> dict[str, Any]:
    raise ValueError("no such thing")


BRITTLE = create_machine(
    {
        "id": "brittle",
        "initial": "a",
        "context": {"n": 0},
        "states": {
            "a": {
                "on": {
                    "FAIL": {"actions": [assign(n=1), assign(failing)]},
                    "FAIL_LATER": {"actions": send("FAIL")},
                    "OK": {"actions": assign(n=lambda context: context["n"] + 1)},
                }
            }
        },
    }
)


def test_an_actor_takes_events_and_shows_where_it_stands() -> None:
    actor = interpret(TOGGLE).start()
    assert actor.snapshot.value == "off"
    actor.send("FLIP")
    actor.send({"type": "FLIP"})
    actor.send("FLIP")
    assert actor.snapshot.matches("on")


def test_its_snapshot_is_refused_before_it_has_started() -> None:
    with pytest.raises(InvalidState, match="start"):
        _ = interpret(TOGGLE).snapshot


def test_events_sent_before_the_start_wait_for_it() -> None:
    actor = interpret(counter())
    actor.send("INC")
    actor.batch(["INC", "INC"])
    assert actor.start().snapshot.context == {"n": 3}


def test_starting_twice_is_starting_once() -> None:
    actor = interpret(counter()).start()
    actor.send("INC")
    assert actor.start().snapshot.context == {"n": 1}


def test_the_context_given_is_merged_over_the_initial_one() -> None:
    machine = create_machine({"context": {"a": 1, "b": 2}})
    assert interpret(machine, context={"b": 3}).start().snapshot.context == {"a": 1, "b": 3}


def test_custom_actions_run_in_order_with_the_context_of_their_place() -> None:
    seen: list[Any] = []
    machine = create_machine(
        {
            "initial": "a",
            "context": {"n": 0},
            "states": {"a": {"on": {"GO": {"actions": ["look", assign(n=1), "look"]}}}},
        },
        actions={"look": lambda context, event: seen.append((context["n"], event["type"]))},
    )
    interpret(machine).start().send("GO")
    assert seen == [(0, "GO"), (1, "GO")]


def test_an_action_that_raises_comes_back_as_error_execution() -> None:
    def act() -> None:
        raise RuntimeError("printer on fire")

    seen: list[Any] = []
    config = {
        "initial": "a",
        "states": {"a": {"on": {"GO": {"actions": act}, "error.execution": {"actions": note(seen)}}}},
    }
    interpret(create_machine(config)).start().send("GO")
    assert [(event["data"]["name"], event["data"]["message"]) for event in seen] == [
        ("RuntimeError", "printer on fire")
    ]


def test_an_observer_hears_every_step_until_it_unsubscribes() -> None:
    values: list[Any] = []
    actor = interpret(TOGGLE)
    unsubscribe = actor.subscribe(lambda snapshot: values.append(snapshot.value))
    actor.start()
    actor.send("FLIP")
    actor.send("UNKNOWN")
    unsubscribe()
    actor.send("FLIP")
    assert values == ["off", "on", "on"]


def test_an_observer_with_methods_hears_of_the_end() -> None:
    heard: list[Any] = []

    class Observer:
        def next(self, snapshot: Any) -> None:
            heard.append(snapshot.value)

        def complete(self) -> None:
            heard.append("complete")

    actor = interpret(counter()).start()
    actor.subscribe(Observer())
    actor.subscribe({"complete": lambda: heard.append("complete too")})
    actor.send("END")
    assert heard == ["ended", "complete", "complete too"]


def test_what_can_hear_nothing_is_refused_as_an_observer() -> None:
    with pytest.raises(InvalidParameter, match="an observer is a function"):
        interpret(TOGGLE).subscribe(object())


def test_an_observer_that_raises_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    actor = interpret(TOGGLE).start()
    values: list[Any] = []

    def broken(snapshot: Any) -> None:
        raise ValueError("mine")

    actor.subscribe(broken)
    actor.subscribe(lambda snapshot: values.append(snapshot.value))
    actor.send("FLIP")
    assert values == ["on"]
    assert "an observer raised" in caplog.text


def test_the_output_comes_to_on_done_also_when_it_is_asked_for_later() -> None:
    outputs: list[Any] = []
    actor = interpret(counter()).start()
    actor.on_done(outputs.append)
    actor.batch(["INC", "END"])
    actor.on_done(outputs.append)
    assert (outputs, actor.status, actor.output) == ([1, 1], "done", 1)


def test_a_batch_is_one_step_for_observers() -> None:
    counts: list[int] = []
    actor = interpret(counter()).start()
    actor.subscribe(lambda snapshot: counts.append(snapshot.context["n"]))
    actor.batch(["INC"] * 5)
    actor.batch([])
    assert counts == [5]


def test_of_a_batch_with_a_failing_event_nothing_has_happened() -> None:
    actor = interpret(BRITTLE).start()
    with pytest.raises(EventFailed, match="no such thing"):
        actor.batch(["OK", "FAIL", "OK"])
    assert actor.snapshot.context == {"n": 0}
    actor.send("OK")
    assert actor.snapshot.context == {"n": 1}


def test_an_event_that_fails_is_raised_to_its_sender_and_leaves_the_actor_as_it_was() -> None:
    actor = interpret(BRITTLE).start()
    with pytest.raises(EventFailed, match="no such thing"):
        actor.send("FAIL")
    assert (actor.status, actor.snapshot.context) == ("active", {"n": 0})


def test_a_failure_that_nobody_sent_ends_the_actor_and_is_raised_when_nobody_listens() -> None:
    actor = interpret(BRITTLE).start()
    with pytest.raises(ActorFailed, match=r"brittle has failed.*no such thing") as failure:
        actor.send("FAIL_LATER")
    assert isinstance(failure.value.__cause__, EventFailed)
    assert (actor.status, actor.snapshot.status, actor.error["name"]) == ("error", "error", "EventFailed")


def test_a_failure_goes_to_on_error_instead_where_somebody_listens() -> None:
    errors: list[Any] = []
    actor = interpret(BRITTLE).start()
    actor.on_error(errors.append)
    actor.send("FAIL_LATER")
    actor.on_error(errors.append)
    assert [error["name"] for error in errors] == ["EventFailed", "EventFailed"]


def test_a_machine_that_cannot_be_entered_is_the_callers_of_start() -> None:
    actor = interpret(create_machine({"context": {}, "entry": assign(failing)}))
    with pytest.raises(EventFailed, match="no such thing"):
        actor.start()
    assert actor.status == "error"
    with pytest.raises(InvalidState, match="interpret it again"):
        actor.start()


def test_events_to_an_actor_that_has_ended_are_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    actor = interpret(counter()).start()
    actor.send("END")
    actor.send("INC")
    actor.batch(["INC"])
    assert actor.snapshot.context == {"n": 0}
    assert caplog.text.count("an event was dropped") == 2


def test_stop_runs_the_exit_actions_and_is_final() -> None:
    left: list[str] = []
    machine = create_machine({"initial": "a", "states": {"a": {"exit": lambda: left.append("a")}}})
    actor = interpret(machine).start()
    actor.stop()
    actor.stop()
    assert (left, actor.status, actor.snapshot.status) == (["a"], "stopped", "stopped")


def test_stop_before_the_start_leaves_nothing_to_start() -> None:
    actor = interpret(TOGGLE)
    actor.stop()
    with pytest.raises(InvalidState):
        actor.start()


def test_a_with_block_starts_and_stops() -> None:
    with interpret(counter()) as actor:
        actor.send("INC")
        assert actor.snapshot.context == {"n": 1}
    assert actor.status == "stopped"


def test_an_event_sent_by_an_action_waits_for_its_turn() -> None:
    order: list[str] = []
    machine = create_machine(
        {
            "initial": "a",
            "states": {
                "a": {
                    "on": {
                        "GO": {"actions": [lambda: actor.send("NEXT"), lambda: order.append("GO")]},
                        "NEXT": {"actions": lambda: order.append("NEXT")},
                    }
                }
            },
        }
    )
    actor: Actor = interpret(machine).start()
    actor.send("GO")
    assert order == ["GO", "NEXT"]


def test_a_snapshot_can_be_gone_on_from() -> None:
    first = interpret(counter()).start()
    first.batch(["INC", "INC"])
    second = interpret(counter(), snapshot=first.snapshot).start()
    second.send("INC")
    assert (first.snapshot.context, second.snapshot.context) == ({"n": 2}, {"n": 3})


def test_timers_start_anew_when_an_actor_goes_on_from_a_snapshot() -> None:
    machine = create_machine({"id": "m", "initial": "a", "states": {"a": {"after": {100: "b"}}, "b": {}}})
    snapshot = interpret(machine, clock=SimulatedClock()).start().snapshot
    clock = SimulatedClock()
    actor = interpret(machine, clock=clock, snapshot=snapshot).start()
    clock.advance(99)
    assert actor.snapshot.value == "a"
    clock.advance(1)
    assert actor.snapshot.value == "b"


def test_an_actor_that_goes_on_from_an_end_has_ended() -> None:
    outputs: list[Any] = []
    first = interpret(counter()).start()
    first.send("END")
    second = interpret(counter(), snapshot=first.snapshot)
    second.on_done(outputs.append)
    second.start()
    assert (outputs, second.status) == ([0], "done")


def test_a_snapshot_and_a_context_together_are_refused() -> None:
    snapshot = counter().initial_snapshot
    with pytest.raises(InvalidParameter, match="one of the two"):
        interpret(counter(), snapshot=snapshot, context={"n": 1})


@pytest.mark.parametrize("given", [None, {"initial": "a"}, "machine"])
def test_what_is_no_machine_cannot_be_interpreted(given: Any) -> None:
    with pytest.raises(InvalidParameter, match="interpret takes a machine"):
        interpret(given)


def test_what_is_no_event_is_refused() -> None:
    actor = interpret(counter()).start()
    with pytest.raises(InvalidParameter):
        actor.send({"no": "type"})
