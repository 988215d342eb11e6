"""Actions of persistent instances: what they ask of the world, and what is wrong with a config that has them wrong."""

from __future__ import annotations

from typing import Any

import pytest

from perdure import EventFailed, MachineConfigError, adopt, broadcast, create_machine, instance_reference, join_group
from perdure.statechart import Step, initial, leave_group, persistent, transition
from perdure.statechart.effect import AdoptChild, Broadcast, InstanceTarget, JoinGroup, LeaveGroup, Send, StopChild
from perdure.statechart.step import Scope

KID = instance_reference("kids", "k")


def after(*actions: Any, event: dict[str, Any] | None = None, **config: Any) -> Step:
    """What a machine comes to that does these actions at GO."""
    machine = create_machine({"id": "m", "on": {"GO": {"actions": list(actions)}}, **config})
    scope = Scope(address=InstanceTarget("m", "one"))
    return transition(machine, initial(machine, scope=scope).snapshot, {"type": "GO", **(event or {})}, scope=scope)


def test_adopt_counts_the_instance_among_the_children_and_asks_it() -> None:
    step = after(adopt(KID, id="ward", sync=True, auto_forward=True))
    assert step.effects == (AdoptChild("ward", 1, "kids", "k", sync=True),)
    child = step.snapshot.children["ward"]
    assert (child.source, child.instance, child.sync, child.auto_forward) == ("kids", "k", True, True)
    assert step.snapshot.forwarding == ("ward",)


@pytest.mark.parametrize(
    ("reference", "name"), [(KID, "k"), ({**KID, "id": "x"}, "x"), ({**KID, "id": ""}, "k"), ({**KID, "id": 7}, "k")]
)
def test_an_adopted_child_has_the_id_of_its_reference_or_else_its_name(reference: Any, name: str) -> None:
    assert list(after(adopt(lambda: reference)).snapshot.children) == [name]


def test_adopting_a_child_again_changes_nothing_and_another_under_its_id_stops_it() -> None:
    other = instance_reference("kids", "other")
    again = after(adopt(KID, id="ward"), adopt(KID, id="ward"))
    assert [type(effect) for effect in again.effects] == [AdoptChild]
    replaced = after(adopt(KID, id="ward"), adopt(other, id="ward"))
    assert [type(effect) for effect in replaced.effects] == [AdoptChild, StopChild, AdoptChild]
    assert replaced.snapshot.children["ward"].instance == "other"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (None, "needs a reference to an instance"),
        ({"type": "perdure.actor", "id": "a", "path": "a/b"}, "needs a reference to an instance"),
        (instance_reference("m", "one"), "cannot adopt itself"),
    ],
)
def test_adopting_what_cannot_be_a_child_fails_the_event(reference: Any, message: str) -> None:
    with pytest.raises(EventFailed, match=message):
        after(adopt(lambda: reference))


def test_groups_and_broadcasts_are_effects_in_their_order() -> None:
    step = after(
        join_group("room"),
        broadcast("room", lambda context, event: {"type": "SAID", "what": event["what"]}),
        leave_group(lambda context, event: event["what"]),
        event={"what": "hall"},
    )
    assert step.effects == (
        JoinGroup("room"),
        Broadcast({"type": "SAID", "what": "hall"}, "room"),
        LeaveGroup("hall"),
    )


def test_a_broadcast_to_a_list_is_a_send_to_each_in_its_order() -> None:
    invoke = {"id": "kid", "src": persistent("kids", name="invoked")}
    step = after(broadcast([KID, "kid"], "HI"), invoke=invoke)
    assert step.effects == (
        Send({"type": "HI"}, InstanceTarget("kids", "k"), "HI"),
        Send({"type": "HI"}, InstanceTarget("kids", "invoked"), "HI"),
    )


@pytest.mark.parametrize("to", [None, 7, {"type": "x"}])
def test_a_broadcast_to_what_is_no_audience_fails_the_event(to: Any) -> None:
    with pytest.raises(EventFailed, match="broadcast goes to"):
        after(broadcast(lambda: to, "HI"))


@pytest.mark.parametrize("name", [None, "", "a/b", "x" * 129])
def test_a_name_that_no_group_can_have_fails_the_event(name: Any) -> None:
    with pytest.raises(EventFailed, match="no name of a group"):
        after(join_group(lambda: name))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            adopt("kid"),  # type: ignore[arg-type]  # that is the point
            "the instance to adopt cannot be",
        ),
        (adopt(KID, id=""), "the id of an adopted child cannot be ''"),
        (join_group("no spaces"), "the name of a group cannot be"),
        (broadcast(7, "HI"), "whom a broadcast goes to cannot be"),  # type: ignore[arg-type]  # that is the point
        (broadcast("room", ""), "an event cannot be"),
    ],
)
def test_a_constant_that_is_wrong_is_a_defect_of_the_config(action: Any, message: str) -> None:
    with pytest.raises(MachineConfigError, match=message):
        create_machine({"id": "m", "on": {"GO": {"actions": action}}})


def test_no_update_of_a_child_is_forwarded_to_children() -> None:
    machine = create_machine({"id": "m", "invoke": {"src": persistent("kids", name="k"), "autoForward": True}})
    snapshot = initial(machine).snapshot
    assert transition(machine, snapshot, {"type": "xstate.update", "id": "x"}).effects == ()
    assert transition(machine, snapshot, {"type": "xstate.snapshot.x"}).effects == ()
    assert len(transition(machine, snapshot, "OTHER").effects) == 1
