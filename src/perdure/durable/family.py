"""Parents and children: who holds whom, and which word of one reaches the other.

A **tie** joins a persistent child to one parent, under the id by which that parent knows it; the child's record lists
its ties (``InstanceRecord.parents``), the parent's snapshot its children. A tie that is not ``detached`` holds the
child: the child lives as long as one of them does. A parent that stops the child, leaves the state that invoked it, or
ends, lets go of its tie; with the last one that held it the child is stopped.

What a child says of itself needs nobody's permission, because the parent asked for it with the tie: its end, its errors
and, where the tie says so, where it stands after each commit. Such a word counts as long as the parent has the child,
and is void afterwards: a word may be long on its way, and its child have been left or replaced meanwhile.

Everything here is a function of plain data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perdure.durable.records import Address, Creation, InstanceRecord, Mail, Parent
from perdure.json_value import JsonObject, json_copy, says_the_same
from perdure.statechart.event import (
    DONE_INVOKE,
    ERROR_PLATFORM,
    ESCALATED,
    UPDATE,
    error_platform_type,
    snapshot_type,
)
from perdure.statechart.snapshot import Child, Snapshot

if TYPE_CHECKING:
    from perdure.durable.message import Deliver

__all__ = [
    "event_for",
    "farewell",
    "has_news",
    "is_awaited",
    "is_escalation",
    "is_heard",
    "is_held",
    "is_progress",
    "mark_of",
    "shown",
    "standing",
    "tie_of",
    "without",
    "words_of_progress",
]

WORDS = (DONE_INVOKE, ERROR_PLATFORM, snapshot_type(""))
"""What begins the types of words that end in the id of the child they are of."""


# -- ties --------------------------------------------------------------------------------------------------------------


def tie_of(parent: Address, creation: Creation, life: str) -> Parent:
    """The tie that a parent asked for in a life of its own."""
    return Parent(parent, creation.child_id, creation.detached, creation.sync, creation.snapshots, life)


def mark_of(tie: Parent) -> Creation:
    """What the mail of a child carries, so that another instance which has taken the name of its parent does not take
    it for word of a child of its own.
    """
    return Creation(child_id=tie.child_id, life=tie.life)


def without(parents: tuple[Parent, ...], parent: Address, child_id: str | None) -> tuple[Parent, ...]:
    """The ties that are left when a parent lets go of one, or without an id of all of its own."""
    return tuple(tie for tie in parents if tie.address != parent or child_id not in (None, tie.child_id))


def is_held(parents: tuple[Parent, ...]) -> bool:
    """Whether a parent still holds the child."""
    return any(not tie.detached for tie in parents)


def farewell(record: InstanceRecord) -> tuple[Mail, ...]:
    """The mail by which a deleted instance lets go of its children. Its ids are of that life, and of no turn."""
    return tuple(
        Mail(
            id=f"{record.life}#deleted.{place}",
            kind="stop",
            sender=record.address,
            target=Address(record.address.org, child.source, child.instance),
            due_at=0.0,
            creation=Creation(child_id=child.id),
        )
        for place, child in enumerate(record.snapshot.children.values())
        if child.instance is not None and not child.detached
    )


# -- what a child says -------------------------------------------------------------------------------------------------


def standing(snapshot: Snapshot) -> JsonObject:
    """Where an instance stands, as a parent that asked for it sees it: the whole context, not only its public part."""
    return {
        "status": snapshot.status,
        "value": snapshot.value,
        "context": snapshot.context,
        "done": snapshot.is_done,
        "tags": list(snapshot.tags),
    }


def has_news(parents: tuple[Parent, ...], before: Snapshot | None, after: Snapshot) -> bool:
    """Whether a parent wants to know where the instance stands, and it stands elsewhere than before its commit."""
    if not wants_news(parents):
        return False
    if before is None:
        return True
    former, present = standing(before), standing(after)
    return former != present or not says_the_same(former, present)


def wants_news(parents: tuple[Parent, ...]) -> bool:
    return any(tie.sync or tie.snapshots for tie in parents)


def shown(record: InstanceRecord) -> Snapshot:
    """The snapshot that the machine's code is shown. A copy where there will be a question of what has changed, since
    nothing keeps code from changing a context in place.
    """
    if not wants_news(record.parents):
        return record.snapshot
    return msgspec.structs.replace(record.snapshot, context=json_copy(record.snapshot.context))


def words_of_progress(parents: tuple[Parent, ...], snapshot: Snapshot) -> list[tuple[Parent, JsonObject]]:
    """What the parents that asked for it are told once the instance stands here: whom, and which event."""
    told: list[tuple[Parent, JsonObject]] = []
    for tie in parents:
        if tie.sync:
            told.append((tie, {"type": UPDATE, "id": tie.child_id, "state": standing(snapshot)}))
        if tie.snapshots:
            told.append((tie, {"type": snapshot_type(tie.child_id), "snapshot": standing(snapshot)}))
    return told


def event_for(parent: Parent, event: JsonObject) -> JsonObject:
    """The event as this parent gets it: an escalated error under the id by which it knows the child."""
    if event["type"] != ESCALATED:
        return event
    return {"type": error_platform_type(parent.child_id), "data": event.get("data")}


# -- what a parent hears -----------------------------------------------------------------------------------------------


def is_escalation(message: Deliver) -> bool:
    """Whether a persistent child reports an error and goes on. Like the word of its end, its parent asked for that when
    it started the child, so that no permission is needed.
    """
    return message.sender is not None and message.event["type"].startswith(ERROR_PLATFORM)


def is_progress(message: Deliver) -> bool:
    """Whether a persistent child says where it stands, and goes on."""
    return message.is_platform and message.event["type"].startswith("xstate.")


def is_heard(record: InstanceRecord, message: Deliver) -> bool:
    """Whether word of a persistent child is for this life of the instance, which early releases did not name, and is
    awaited.
    """
    is_of_this_life = message.life is None or record.life in ("", message.life)
    return is_of_this_life and is_awaited(record.snapshot, message)


def is_awaited(snapshot: Snapshot, message: Deliver) -> bool:
    """Whether word of a persistent child is of a child the machine still has, and is still there to hear of.

    It may have left that child, and started another under the same id, while the word was on its way; or left it and
    asked for the same once more, which word of the first attempt is not about.
    """
    child, sender = child_meant(snapshot, message.event), message.sender
    return (
        snapshot.status == "active"
        and child is not None
        and sender is not None
        and (child.source, child.instance) == (sender.machine, sender.instance)
        and message.session in (None, child.session)
    )


def child_meant(snapshot: Snapshot, event: JsonObject) -> Child | None:
    """The child that a word is of, going by the id in it."""
    event_type: str = event["type"]
    if event_type == UPDATE:
        return snapshot.children.get(event["id"])
    for prefix in WORDS:
        if event_type.startswith(prefix):
            return snapshot.children.get(event_type[len(prefix) :])
    return None
