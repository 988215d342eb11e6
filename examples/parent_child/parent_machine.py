"""A machine with two persistent children, one spawned and one invoked, that waits until both have said hi.

Each child is an instance of `child-machine`: it has a name, a state on disk and a journal of its own, and lives on when
this process dies. The context key `delayMs` says how long the spawned child waits to be greeted.
"""

from perdure import ReadRequest, WriteRequest, assign, create_machine, persistent, send_to, spawn_persistent

CHILD = "child-machine"

machine = create_machine(
    {
        "id": "parent-machine",
        "context": {"uid": None, "delayMs": 200, "actor1": None},
        "initial": "idle",
        "states": {
            "idle": {"on": {"run": "running"}},
            "running": {
                "entry": [
                    # The reference that spawning returns is plain data, so it can be kept and sent to later.
                    assign(actor1=lambda context: spawn_persistent(CHILD, context={"uid": context["uid"]})),
                    send_to("child", "hiFromParent"),
                    send_to(
                        lambda context: context["actor1"],
                        "hiFromParent",
                        delay=lambda context: context["delayMs"],
                    ),
                ],
                "invoke": {
                    "id": "child",
                    "src": persistent(CHILD),
                    "data": {"uid": lambda context: context["uid"]},
                },
                "initial": "start",
                "states": {
                    "start": {"on": {"childSaysHi": "awaitingSecondChild"}},
                    "awaitingSecondChild": {"on": {"childSaysHi": "done"}},
                    "done": {},
                },
            },
        },
    }
)


def allow_read(request: ReadRequest) -> bool:
    return owns(request)


def allow_write(request: WriteRequest) -> bool:
    if request.sender is not None:
        return request.sender.machine == CHILD
    return owns(request)


def owns(request: ReadRequest | WriteRequest) -> bool:
    """Whether the instance belongs to the caller: its creator has put its own `sub` into the context."""
    caller = request.auth_context.get("sub")
    return caller is not None and caller == request.context.get("uid")
