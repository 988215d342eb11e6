"""Reducers as children: XState's behaviours."""

from __future__ import annotations

from typing import Any

from perdure import from_reducer
from tests.actors.machines import child
from tests.actors.parents import Parent


def count(state: int, event: dict[str, Any]) -> int:
    return state + int(event.get("by", 1))


def test_a_reducer_replaces_its_state_at_every_event() -> None:
    parent = Parent(from_reducer(count, 10))
    parent.actor.start()
    parent.actor.send({"type": "FORWARD", "by": 5})
    parent.actor.send("FORWARD")
    assert child(parent.actor, "kid").snapshot == 16


def test_each_child_has_a_state_of_its_own() -> None:
    logic = from_reducer(count, 0)
    one, two = Parent(logic), Parent(logic)
    one.actor.start().send("FORWARD")
    two.actor.start()
    assert [child(parent.actor, "kid").snapshot for parent in (one, two)] == [1, 0]


def test_a_reducer_answers_and_tells_its_parent_with_meta() -> None:
    def reduce(state: int, event: dict[str, Any], meta: Any) -> int:
        meta.respond({"type": "ANSWER", "from": meta.id})
        meta.send_parent({"type": "TOLD", "path": meta.reference["path"]})
        return state

    parent = Parent(from_reducer(reduce, 0))
    parent.actor.start().send("FORWARD")
    assert parent.heard == [{"type": "ANSWER", "from": "kid"}, {"type": "TOLD", "path": "parent/kid"}]


def test_a_reducer_that_raises_fails() -> None:
    parent = Parent(from_reducer(lambda state, event: 1 // 0, 0))
    parent.actor.start().send("FORWARD")
    assert [(event["type"], event["data"]["name"]) for event in parent.heard] == [
        ("error.platform.kid", "ZeroDivisionError")
    ]


def test_observers_and_the_parent_can_follow_its_state() -> None:
    states: list[int] = []
    parent = Parent(
        from_reducer(count, 0),
        onSnapshot={"actions": lambda context, event: states.append(event["snapshot"]["context"])},
    )
    parent.actor.start()
    watched: list[int] = []
    child(parent.actor, "kid").subscribe(watched.append)
    parent.actor.send("FORWARD")
    assert (states, watched) == ([0, 1], [1])


def test_events_after_its_end_are_dropped() -> None:
    parent = Parent(from_reducer(count, 0))
    parent.actor.start()
    kid = child(parent.actor, "kid")
    parent.actor.send("LEAVE")
    kid.send("FORWARD")
    assert (kid.snapshot, kid.status) == (0, "stopped")
