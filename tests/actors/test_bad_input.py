"""What goes wrong gives the event or the error that docs/actors.md says; nothing hangs."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from perdure import (
    ActorFailed,
    EventFailed,
    InvalidState,
    Machine,
    MachineConfigError,
    assign,
    create_machine,
    from_reducer,
    interpret,
    persistent,
    respond,
    send,
    send_to,
    spawn,
)
from perdure.actors import system as actor_system
from perdure.actors.children import DEPTH_MAX
from tests.actors.machines import child, counter, note
from tests.actors.parents import Parent


def sending_to(target: Any) -> tuple[Any, list[Any]]:
    """A running machine that sends to what its context says, and what it hears of that."""
    heard: list[Any] = []
    machine = create_machine(
        {
            "id": "sender",
            "context": {"target": target},
            "on": {
                "GO": {"actions": send_to(lambda context: context["target"], "HELLO")},
                "*": {"actions": note(heard)},
            },
        }
    )
    return interpret(machine).start(), heard


def test_spawning_outside_assign_is_an_error() -> None:
    with pytest.raises(EventFailed, match="inside assign"):
        spawn(counter())
    machine = create_machine(
        {
            "on": {"GO": {"actions": lambda: spawn(counter())}, "error.execution": {"target": ".b"}},
            "states": {"a": {}, "b": {}},
            "initial": "a",
        }
    )
    actor = interpret(machine).start()
    actor.send("GO")
    assert actor.snapshot.value == "b"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"type": "perdure.actor", "id": "x", "path": "nowhere/x"}, "no running actor of this system"),
        ({"type": "perdure.actor", "id": "x", "path": "sender/x"}, "not there"),
        (
            {"type": "statebacked.instance", "id": "i", "machineName": "m", "machineInstanceName": "i"},
            "out of its reach",
        ),
        ({"type": "something else"}, "neither an id nor a reference"),
    ],
)
def test_a_message_to_an_unknown_receiver_comes_back_as_error_communication(
    target: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    actor, heard = sending_to(target)
    actor.send("GO")
    assert [event["type"] for event in heard] == ["error.communication"]
    assert said in heard[0]["data"]["message"]
    assert "perdure" in caplog.text


def test_a_message_to_an_actor_that_has_ended_comes_back_as_error_communication() -> None:
    heard: list[Any] = []
    machine = create_machine(
        {
            "id": "m",
            "context": {},
            "entry": assign(kid=lambda: spawn(counter(), "kid")),
            "on": {
                "GO": {"actions": [send_to("kid", "END"), send_to("kid", "INC")]},
                "error.communication": {"actions": note(heard)},
            },
        }
    )
    interpret(machine).start().send("GO")
    assert "m/kid did not take 'INC': it has ended" in heard[0]["data"]["message"]


def test_a_reference_of_another_system_reaches_nobody() -> None:
    other = interpret(create_machine({"id": "other", "invoke": {"id": "kid", "src": counter()}})).start()
    actor, heard = sending_to(child(other, "kid").reference)
    actor.send("GO")
    assert [event["type"] for event in heard] == ["error.communication"]


def test_a_service_that_cannot_be_called_is_found_when_the_machine_is_built() -> None:
    with pytest.raises(MachineConfigError, match="service"):
        create_machine({"invoke": {"src": 5}})


def test_spawning_what_cannot_be_called_fails_the_event() -> None:
    machine = create_machine({"context": {}, "on": {"GO": {"actions": assign(ref=lambda: spawn(5))}}})  # type: ignore[arg-type]
    with pytest.raises(EventFailed, match="spawn cannot start 5"):
        interpret(machine).start().send("GO")


def test_a_persistent_child_in_memory_fails() -> None:
    parent = Parent(persistent("machine"))
    parent.actor.start()
    assert "needs a perdure.Runtime" in parent.heard[0]["data"]["message"]


def test_a_machine_that_starts_itself_for_ever_fails_at_a_depth() -> None:
    machines: list[Machine[Any]] = []
    deepest: list[str] = []
    machine = create_machine(
        {
            "id": "m",
            "initial": "a",
            "context": {},
            "states": {
                "a": {
                    "entry": assign(kid=lambda context, event, meta: spawn(machines[0], "m")),
                    "on": {
                        "error.platform.m": {"actions": lambda context, event: deepest.append(event["data"]["message"])}
                    },
                }
            },
        }
    )
    machines.append(machine)
    root = interpret(machine).start()
    assert len(root.system) == DEPTH_MAX + 1
    assert deepest == ["'m' would be nested more than 1,000 actors deep"]
    root.stop()
    assert root.system.actors() == ()


def test_actors_that_answer_each_other_for_ever_give_their_caller_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_system, "DRAIN_MAX", 1_000)
    machine = create_machine({"on": {"GO": {"actions": send("GO")}}})
    actor = interpret(machine).start()
    with pytest.raises(EventFailed, match="1,000 messages and came to no rest"):
        actor.send("GO")
    actor.stop()
    assert (actor.status, actor.system.is_at_rest) == ("stopped", True)


async def test_on_an_event_loop_actors_that_answer_each_other_for_ever_let_others_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(actor_system, "DRAIN_MAX", 1_000)
    pong = create_machine({"on": {"PING": {"actions": respond("PONG")}}})
    machine = create_machine(
        {
            "invoke": {"id": "pong", "src": pong},
            "on": {"GO": {"actions": send_to("pong", "PING")}, "PONG": {"actions": respond("PING")}},
        }
    )
    actor = interpret(machine).start()
    actor.send("GO")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not actor.system.is_at_rest
    actor.stop()
    for _ in range(3):
        await asyncio.sleep(0)
    assert (actor.status, actor.system.is_at_rest) == ("stopped", True)


@pytest.mark.slow
def test_a_hundred_thousand_children_start_hear_and_stop() -> None:
    count = 100_000
    logic = from_reducer(lambda state, event: state + 1, 0)
    machine = create_machine(
        {
            "id": "m",
            "context": {"kids": []},
            "on": {"GO": {"actions": assign(kids=lambda: [spawn(logic) for _ in range(count)])}},
        }
    )
    actor = interpret(machine).start()
    actor.send("GO")
    assert len(actor.system) == count + 1
    last = child(actor, actor.snapshot.context["kids"][-1]["id"])
    last.send("HELLO")
    assert last.snapshot == 1
    actor.stop()
    assert len(actor.system) == 0


def test_another_thread_cannot_send_to_a_system_without_an_event_loop() -> None:
    actor = interpret(counter()).start()
    raised: list[BaseException] = []

    def use() -> None:
        try:
            actor.send("INC")
        except InvalidState as error:
            raised.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert "only the thread that made it" in str(raised[0])


def test_a_child_that_cannot_be_entered_fails() -> None:
    def boom() -> None:
        raise ValueError("boom")

    parent = Parent(create_machine({"context": {}, "entry": assign(x=boom)}))
    parent.actor.start()
    assert (parent.heard[0]["type"], "boom" in parent.heard[0]["data"]["message"]) == ("error.platform.kid", True)


def test_an_unhandled_error_of_a_child_is_raised_where_nobody_listens() -> None:
    machine = create_machine({"id": "m", "invoke": {"id": "kid", "src": persistent("machine")}})
    with pytest.raises(ActorFailed):
        interpret(machine).start()
