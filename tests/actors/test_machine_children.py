"""Machines as children of machines, invoked and spawned, all without an event loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from perdure import (
    ActorFailed,
    InvalidState,
    assign,
    cancel,
    create_machine,
    escalate,
    forward_to,
    interpret,
    raise_,
    respond,
    send,
    send_parent,
    send_to,
    spawn,
    stop,
)
from perdure.testing.simulated_clock import SimulatedClock
from tests.actors.machines import child, counter, note


def with_counter(**more: Any) -> dict[str, Any]:
    """A machine that invokes a counter while it is in ``busy``."""
    return {
        "id": "parent",
        "initial": "busy",
        "context": {},
        "states": {
            "busy": {
                "invoke": {
                    "id": "kid",
                    "src": counter(),
                    "onDone": {"target": "done", "actions": assign(result=lambda context, event: event["data"])},
                    **more.pop("invoke", {}),
                },
                **more,
            },
            "done": {},
        },
    }


def test_an_invoked_machine_runs_and_its_output_comes_with_done_invoke() -> None:
    parent = interpret(create_machine(with_counter())).start()
    child(parent, "kid").send("INC")
    child(parent, "kid").send("END")
    assert (parent.snapshot.value, parent.snapshot.context["result"]) == ("done", 1)
    assert parent.system.get("parent/kid") is None


def test_data_replaces_the_context_of_an_invoked_machine() -> None:
    machine = create_machine(with_counter(invoke={"data": {"n": lambda context: 40 + 2}}))
    parent = interpret(machine).start()
    assert child(parent, "kid").snapshot.context == {"n": 42}


def test_leaving_the_state_stops_the_machine_that_it_invokes() -> None:
    parent = interpret(create_machine(with_counter(on={"LEAVE": "done"}))).start()
    kid = child(parent, "kid")
    parent.send("LEAVE")
    assert (kid.status, kid.snapshot.status, parent.system.get("parent/kid")) == ("stopped", "stopped", None)


def test_a_child_answers_its_parent_and_the_parent_answers_its_child() -> None:
    pong = create_machine({"initial": "a", "states": {"a": {"on": {"PING": {"actions": respond("PONG")}}}}})
    ping = {
        "initial": "a",
        "context": {"count": 0},
        "invoke": {"id": "pong", "src": pong},
        "states": {
            "a": {
                "on": {
                    "GO": {"actions": send_to("pong", "PING")},
                    "PONG": [
                        {
                            "cond": lambda context: context["count"] < 3,
                            "actions": [assign(count=lambda context: context["count"] + 1), respond("PING")],
                        },
                        {"target": "b"},
                    ],
                }
            },
            "b": {},
        },
    }
    actor = interpret(create_machine(ping)).start()
    actor.send("GO")
    assert (actor.snapshot.value, actor.snapshot.context) == ("b", {"count": 3})


def test_spawned_machines_are_kept_as_references_in_lists_and_dicts() -> None:
    machine = create_machine(
        {
            "id": "parent",
            "initial": "a",
            "context": {"list": [], "by_name": {}},
            "states": {
                "a": {
                    "on": {
                        "ADD": {
                            "actions": assign(
                                list=lambda context: [*context["list"], spawn(counter())],
                                by_name=lambda context, event: {
                                    **context["by_name"],
                                    event["name"]: spawn(counter(), event["name"], data={"n": 7}),
                                },
                            )
                        },
                        "FIRST": {"actions": send_to(lambda context: context["list"][0], "INC")},
                        "NAMED": {"actions": forward_to(lambda context, event: context["by_name"][event["name"]])},
                    }
                }
            },
        }
    )
    parent = interpret(machine).start()
    parent.send({"type": "ADD", "name": "x"})
    parent.send("FIRST")
    context = parent.snapshot.context
    first = parent.system.get(context["list"][0])
    assert first is not None
    assert first.snapshot.context == {"n": 1}
    assert (
        context["by_name"]["x"]
        == {"type": "perdure.actor", "id": "x", "path": "parent/x"}
        == child(parent, "x").reference
    )
    assert child(parent, "x").snapshot.context == {"n": 7}


def test_any_actor_of_a_system_can_be_sent_to_by_reference() -> None:
    heard: list[Any] = []
    listener = create_machine(
        {"initial": "a", "states": {"a": {"on": {"HELLO": {"actions": [note(heard), respond("HI")]}}}}}
    )
    speaker = create_machine(
        {
            "initial": "a",
            "context": {"friend": None},
            "states": {
                "a": {
                    "on": {
                        "SAY": {"actions": send_to(lambda context: context["friend"], "HELLO")},
                        "HI": {"actions": note(heard)},
                    }
                }
            },
        }
    )

    def both(context: dict[str, Any]) -> dict[str, Any]:
        friend = spawn(listener, "listener")
        return {"refs": [friend, spawn(speaker, "speaker", data={"friend": friend})]}

    root = interpret(create_machine({"id": "root", "entry": assign(both), "context": {}})).start()
    child(root, "speaker").send("SAY")
    assert [event["type"] for event in heard] == ["HELLO", "HI"]


def test_meta_gives_an_actor_its_own_reference_to_hand_out() -> None:
    greeted: list[Any] = []
    kid = create_machine(
        {
            "id": "kid",
            "context": {},
            "on": {"HELLO": {"actions": note(greeted)}},
            "entry": send_parent(lambda context, event, meta: {"type": "BORN", "who": meta.reference}),
        }
    )
    machine = create_machine(
        {
            "context": {},
            "entry": assign(kid=lambda: spawn(kid, "first")),
            "on": {"BORN": {"actions": send_to(lambda context, event: event["who"], "HELLO")}},
        }
    )
    interpret(machine).start()
    assert [event["type"] for event in greeted] == ["HELLO"]


def test_auto_forward_gives_the_child_every_event() -> None:
    parent = interpret(create_machine(with_counter(invoke={"autoForward": True}))).start()
    parent.send("INC")
    parent.send("INC")
    assert child(parent, "kid").snapshot.context == {"n": 2}


def test_a_synchronised_child_tells_every_step_with_where_it_stands() -> None:
    updates: list[Any] = []
    machine = with_counter(
        invoke={"sync": True},
        on={"xstate.update": {"actions": note(updates)}, "done.invoke.kid": {"actions": note(updates)}},
    )
    parent = interpret(create_machine(machine)).start()
    child(parent, "kid").send("INC")
    child(parent, "kid").send("END")
    assert [
        (event["id"], event["state"]["value"], event["state"]["context"], event["state"]["done"])
        for event in updates[:3]
    ] == [
        ("kid", "counting", {"n": 0}, False),
        ("kid", "counting", {"n": 1}, False),
        ("kid", "ended", {"n": 1}, True),
    ]


def test_where_a_typed_child_stands_is_told_as_plain_data() -> None:
    @dataclass(frozen=True)
    class Count:
        n: int = 0

    updates: list[Any] = []
    kid = create_machine({"id": "kid", "context": Count(3)})
    machine = {"invoke": {"id": "kid", "src": kid, "sync": True}, "on": {"xstate.update": {"actions": note(updates)}}}
    interpret(create_machine(machine)).start()
    assert [event["state"]["context"] for event in updates] == [{"n": 3}]


def test_on_snapshot_gets_every_snapshot_of_the_child() -> None:
    seen: list[Any] = []
    machine = with_counter(invoke={"onSnapshot": {"actions": note(seen)}})
    parent = interpret(create_machine(machine)).start()
    child(parent, "kid").send("INC")
    assert [(event["type"], event["snapshot"]["context"], event["snapshot"]["status"]) for event in seen] == [
        ("xstate.snapshot.kid", {"n": 0}, "active"),
        ("xstate.snapshot.kid", {"n": 1}, "active"),
    ]


def test_what_a_child_sends_while_it_finishes_arrives_before_its_done_invoke() -> None:
    heard: list[Any] = []
    kid = create_machine(
        {
            "initial": "a",
            "exit": send_parent("GOODBYE"),
            "states": {"a": {"on": {"END": {"target": "b", "actions": send_parent("ENDING")}}}, "b": {"type": "final"}},
        }
    )
    machine = {
        "id": "parent",
        "invoke": {"id": "kid", "src": kid},
        "on": {name: {"actions": note(heard)} for name in ("GOODBYE", "ENDING", "done.invoke.kid")},
    }
    parent = interpret(create_machine(machine)).start()
    child(parent, "kid").send("END")
    assert [event["type"] for event in heard] == ["ENDING", "GOODBYE", "done.invoke.kid"]


def test_messages_to_a_child_follow_its_start_and_keep_their_order() -> None:
    heard: list[Any] = []
    kid = create_machine(
        {"entry": lambda: heard.append("begun"), "on": {"N": {"actions": lambda c, e: heard.append(e["n"])}}}
    )
    machine = create_machine(
        {
            "context": {},
            "entry": [
                assign(ref=lambda: spawn(kid, "kid")),
                *(send_to("kid", {"type": "N", "n": n}) for n in range(5)),
            ],
        }
    )
    interpret(machine).start()
    assert heard == ["begun", 0, 1, 2, 3, 4]


def test_what_was_sent_to_a_child_before_it_is_stopped_reaches_it() -> None:
    heard: list[Any] = []
    kid = create_machine({"on": {"LAST": {"actions": note(heard)}}, "exit": lambda: heard.append("exit")})
    machine = {
        "context": {},
        "entry": assign(ref=lambda: spawn(kid, "kid")),
        "on": {"GO": {"actions": [send_to("kid", "LAST"), stop("kid"), send_to("kid", "TOO LATE")]}},
    }
    parent = interpret(create_machine(machine)).start()
    parent.send("GO")
    assert [event if isinstance(event, str) else event["type"] for event in heard] == ["LAST", "exit"]
    assert parent.snapshot.children == {}


@pytest.mark.parametrize("by", ["kid", lambda context: context["ref"], lambda context: "kid"])
def test_stop_takes_an_id_a_reference_or_a_function(by: Any) -> None:
    machine = {
        "context": {},
        "entry": assign(ref=lambda: spawn(counter(), "kid")),
        "on": {"GO": {"actions": stop(by)}},
    }
    parent = interpret(create_machine(machine)).start()
    kid = child(parent, "kid")
    parent.send("GO")
    assert (kid.status, parent.system.actors()) == ("stopped", (parent,))


def test_an_error_of_a_child_is_taken_by_on_error() -> None:
    def boom() -> None:
        raise ValueError("boom")

    kid = create_machine(
        {"context": {}, "on": {"FAIL": {"actions": [assign(x=boom)]}, "NOW": {"actions": send("FAIL")}}}
    )
    machine = {
        "id": "parent",
        "initial": "a",
        "context": {},
        "states": {
            "a": {
                "invoke": {
                    "id": "kid",
                    "src": kid,
                    "onError": {"target": "b", "actions": assign(error=lambda context, event: event["data"])},
                }
            },
            "b": {},
        },
    }
    parent = interpret(create_machine(machine)).start()
    child(parent, "kid").send("NOW")
    assert parent.snapshot.value == "b"
    assert "boom" in parent.snapshot.context["error"]["message"]


def test_escalate_reaches_the_parent_as_an_error_and_the_child_goes_on() -> None:
    heard: list[Any] = []
    kid = create_machine(
        {"on": {"HELP": {"actions": escalate({"code": 7})}, "STILL": {"actions": send_parent("HERE")}}}
    )
    machine = {
        "id": "parent",
        "invoke": {"id": "kid", "src": kid, "onError": {"actions": note(heard)}},
        "on": {"HERE": {"actions": note(heard)}},
    }
    parent = interpret(create_machine(machine)).start()
    child(parent, "kid").send("HELP")
    child(parent, "kid").send("STILL")
    assert heard == [{"type": "error.platform.kid", "data": {"code": 7}}, {"type": "HERE"}]


def test_an_error_that_nobody_handles_goes_up_to_the_root() -> None:
    kid = create_machine({"id": "kid", "on": {"FAIL": {"actions": escalate("deep trouble")}}})
    middle = create_machine({"id": "middle", "invoke": {"id": "kid", "src": kid}})
    root = interpret(create_machine({"id": "root", "invoke": {"id": "middle", "src": middle}})).start()
    deepest = root.system.get("root/middle/kid")
    assert deepest is not None
    with pytest.raises(ActorFailed, match="deep trouble"):
        deepest.send("FAIL")
    assert (root.status, root.error, root.system.actors()) == ("error", "deep trouble", ())


def test_a_child_of_a_used_id_takes_the_place_of_the_former_one() -> None:
    machine = {
        "id": "parent",
        "context": {},
        "on": {
            "AGAIN": {"actions": assign(ref=lambda context, event: spawn(counter(), "kid", data={"n": event["n"]}))}
        },
    }
    parent = interpret(create_machine(machine)).start()
    parent.send({"type": "AGAIN", "n": 1})
    former = child(parent, "kid")
    parent.send({"type": "AGAIN", "n": 2})
    assert (former.status, child(parent, "kid").snapshot.context) == ("stopped", {"n": 2})
    assert len(parent.system) == 2


def test_only_its_parent_stops_a_child() -> None:
    parent = interpret(create_machine(with_counter())).start()
    with pytest.raises(InvalidState, match="its parent stops"):
        child(parent, "kid").stop()


def test_timers_of_children_go_by_the_clock_of_the_system() -> None:
    kid = create_machine({"id": "kid", "initial": "a", "states": {"a": {"after": {100: "b"}}, "b": {"type": "final"}}})
    clock = SimulatedClock()
    machine = create_machine(
        {
            "initial": "a",
            "states": {"a": {"invoke": {"id": "kid", "src": kid, "onDone": "b"}}, "b": {"after": {50: "c"}}, "c": {}},
        }
    )
    actor = interpret(machine, clock=clock).start()
    clock.advance(149)
    assert actor.snapshot.value == "b"
    clock.advance(1)
    assert actor.snapshot.value == "c"


def test_a_delayed_message_to_a_child_reaches_it_and_can_be_cancelled() -> None:
    clock = SimulatedClock()
    machine = create_machine(
        {
            "context": {},
            "entry": [assign(ref=lambda: spawn(counter(), "kid")), send_to("kid", "INC", delay=10, id="a")],
            "on": {
                "TWICE": {
                    "actions": [send_to("kid", "INC", delay=10, id="b"), send_to("kid", "INC", delay=10, id="c")]
                },
                "NOT_B": {"actions": cancel("b")},
            },
        }
    )
    parent = interpret(machine, clock=clock).start()
    parent.send("TWICE")
    parent.send("NOT_B")
    clock.advance(10)
    assert child(parent, "kid").snapshot.context == {"n": 2}


def test_a_raised_event_goes_before_an_event_that_was_sent() -> None:
    heard: list[Any] = []
    machine = {
        "on": {
            "GO": {"actions": [send("SENT"), raise_("RAISED")]},
            "SENT": {"actions": note(heard)},
            "RAISED": {"actions": note(heard)},
        }
    }
    interpret(create_machine(machine)).start().send("GO")
    assert [event["type"] for event in heard] == ["RAISED", "SENT"]
