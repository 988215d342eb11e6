"""A switch that counts: everybody may look, only its owner may flip it."""

from perdure import ReadRequest, WriteRequest, assign, create_machine
from perdure.json_value import JsonObject


def count_one(context: JsonObject) -> JsonObject:
    public = context["public"]
    return {"public": {**public, "count": public["count"] + 1}}


machine = create_machine(
    {
        "id": "toggler",
        "context": {"owner": None, "public": {"count": 0}},
        "initial": "inactive",
        "states": {
            "inactive": {"on": {"toggle": {"target": "active", "actions": assign(count_one)}}},
            "active": {"on": {"toggle": {"target": "inactive", "actions": assign(count_one)}}},
        },
    }
)


def allow_read(request: ReadRequest) -> bool:
    return True


def allow_write(request: WriteRequest) -> bool:
    # When it is created, its context is what the caller gave: nobody can create a switch for somebody else.
    caller = request.auth_context.get("sub")
    return caller is not None and caller == request.context.get("owner")
