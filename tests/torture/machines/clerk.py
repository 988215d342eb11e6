"""The clerk of a ledger: a persistent child that echoes what it is asked."""

from perdure import ReadRequest, WriteRequest, create_machine, send_parent

machine = create_machine(
    {
        "id": "clerk",
        "on": {"ASK": {"actions": send_parent(lambda context, event: {"type": "ECHO", "id": event["id"]})}},
    }
)


def allow_read(request: ReadRequest) -> bool:
    return False


def allow_write(request: WriteRequest) -> bool:
    return request.sender is not None and request.sender.machine == "ledger"
