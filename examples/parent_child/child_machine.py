"""A child: it says hi to its parent once it exists, and is done when its parent says hi to it."""

from perdure import ReadRequest, WriteRequest, create_machine, send_parent

PARENT = "parent-machine"

machine = create_machine(
    {
        "id": "child-machine",
        "context": {"uid": None},
        "initial": "start",
        "states": {
            "start": {"entry": send_parent("childSaysHi"), "on": {"hiFromParent": "done"}},
            "done": {},
        },
    }
)


def allow_read(request: ReadRequest) -> bool:
    caller = request.auth_context.get("sub")
    return caller is not None and caller == request.context.get("uid")


def allow_write(request: WriteRequest) -> bool:
    # A sender is another instance and verified by the runtime: no client can pretend to be one.
    return request.sender is not None and request.sender.machine == PARENT
