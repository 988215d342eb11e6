"""A participant of a chat room: a member of the room's group, who says things to it and keeps what it hears.

The room is nothing but a group's name. Whoever is created joins it; what one says is broadcast to all, its own words
included, and each member gets it exactly once.
"""

from perdure import ReadRequest, WriteRequest, assign, broadcast, create_machine, join_group, leave_group
from perdure.json_value import JsonObject

KEPT = 50
"""Messages that a participant keeps: what it has heard is no archive."""


def hear(context: JsonObject, event: JsonObject) -> JsonObject:
    public = context["public"]
    line = {"from": event["from"], "text": event["text"]}
    return {"public": {**public, "count": public["count"] + 1, "heard": [*public["heard"], line][-KEPT:]}}


machine = create_machine(
    {
        "id": "participant",
        "context": {"name": "somebody", "room": "lobby", "public": {"count": 0, "heard": []}},
        "initial": "present",
        "states": {
            "present": {
                "entry": join_group(lambda context: context["room"]),
                "exit": leave_group(lambda context: context["room"]),
                "on": {
                    "SAY": {
                        "actions": broadcast(
                            lambda context: context["room"],
                            lambda context, event: {"type": "HEARD", "from": context["name"], "text": event["text"]},
                        )
                    },
                    "HEARD": {"actions": assign(hear)},
                    "LEAVE": "gone",
                },
            },
            "gone": {"type": "final"},
        },
    }
)


def allow_read(request: ReadRequest) -> bool:
    return True


def allow_write(request: WriteRequest) -> bool:
    """Other participants may be heard; to speak, or to leave, one has to be the participant."""
    if request.sender is not None:
        return (
            request.sender.machine == "participant" and request.event is not None and request.event["type"] == "HEARD"
        )
    return bool(request.auth_context.get("sub") == request.context.get("name"))
